"""Law 4: every item of a slate has a propensity in (0, 1], and over many requests the frequencies match."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instep.domain import Context, Feedback, Impression, Record, Slate
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.model import seed_of
from instep.policy import BUDGET, POLICIES, Surface
from instep.testing.streams import END, USERS, streams

REQUESTS = 1500


EXPLORING = [
    (policy, budget)
    for policy in ("thompson", "epsilon-greedy", "plackett-luce", "linucb")
    for budget in (0.0, BUDGET, 1.0)
]


def crowd(policy: str, budget: float = 1.0) -> Flow:
    flow = Flow(MemoryLog(), Settings(policy=policy, budget=budget))
    flow.observe([Feedback(f"e{k}", f"u{k % 5}", f"i{k * 7 % 23}", END + k, "click") for k in range(25)])
    return flow


def asked(flow: Flow, request_id: str, n: int = 4) -> Slate:
    return flow.rank(Context("u1", n=n, now=END + 99, request_id=request_id))


def chosen(slate: Slate) -> list[str]:
    return [item.item_id for item in slate.items]


def test_thompsons_propensities_are_exact_counts_over_its_draws() -> None:
    flow = crowd("thompson")
    draws = flow.model.policy.draws
    by_draw = {seed_of(f"r{k}") % draws: f"r{k}" for k in range(40 * draws)}
    assert sorted(by_draw) == list(range(draws))
    slates = [asked(flow, request_id) for request_id in by_draw.values()]
    assert len({tuple(chosen(slate)) for slate in slates}) > 1
    for slate in slates:
        items = chosen(slate)
        for k, item in enumerate(slate.items):
            agreeing = [chosen(other)[k] for other in slates if chosen(other)[:k] == items[:k]]
            assert item.propensity == agreeing.count(item.item_id) / len(agreeing)


@pytest.mark.parametrize(("policy", "budget"), [*EXPLORING, ("greedy", 0.0), ("pessimistic", 0.0)])
def test_over_many_requests_each_slate_comes_as_often_as_its_propensities_say(
    policy: str, budget: float
) -> None:
    flow = crowd(policy, budget)
    seen: Counter[tuple[str, ...]] = Counter()
    told: dict[tuple[str, ...], float] = {}
    for k in range(REQUESTS):
        slate = asked(flow, f"request-{k}", n=3)
        assert all(0.0 < item.propensity <= 1.0 for item in slate.items)
        seen[tuple(chosen(slate))] += 1
        told[tuple(chosen(slate))] = float(np.prod([item.propensity for item in slate.items]))
    assert sum(told.values()) <= 1.0 + 1e-9
    if policy not in ("epsilon-greedy", "plackett-luce"):  # theirs are too many to have come all
        assert sum(told.values()) > 1.0 - 1e-9
    for items, probability in told.items():
        error = np.sqrt(probability * (1 - probability) / REQUESTS)
        assert abs(seen[items] / REQUESTS - probability) <= 5 * error + 2 / REQUESTS


def test_a_surface_that_must_not_explore_has_one_slate_for_certain() -> None:
    surfaces = {"checkout": Surface(explore=False), "discover": Surface("plackett-luce", 1.0)}
    flow = Flow(MemoryLog(), Settings(budget=1.0, surfaces=surfaces))
    flow.observe([Feedback(f"e{k}", f"u{k % 5}", f"i{k * 7 % 23}", END + k, "click") for k in range(25)])
    shown: dict[str, list[Slate]] = {"checkout": [], "discover": [], "elsewhere": []}
    for surface, slates in shown.items():
        for k in range(40):
            slates.append(flow.rank(Context("u1", n=4, now=END + 99, request_id=f"r{k}", surface=surface)))
    assert {slate.policy for slate in shown["discover"]} == {"plackett-luce"}
    assert {slate.policy for slate in shown["elsewhere"]} == {"thompson"}
    assert len({tuple(chosen(slate)) for slate in shown["checkout"]}) == 1
    assert {item.propensity for slate in shown["checkout"] for item in slate.items} == {1.0}
    assert len({tuple(chosen(slate)) for slate in shown["discover"]}) > 5
    assert len({tuple(chosen(slate)) for slate in shown["elsewhere"]}) > 1


def test_greedy_gives_one_slate_for_certain() -> None:
    flow = crowd("greedy")
    slates = {tuple(chosen(asked(flow, f"r{k}"))) for k in range(50)}
    assert len(slates) == 1
    assert {item.propensity for item in asked(flow, "r").items} == {1.0}


def test_the_same_request_id_gives_the_same_slate() -> None:
    flow = crowd("thompson")
    for k in range(20):
        assert asked(flow, f"r{k}") == asked(flow, f"r{k}")


@given(
    records=streams(),
    policy=st.sampled_from(sorted(POLICIES.keys() - {"reinforce"})),  # it needs a table
    user=st.sampled_from(USERS),
    n=st.integers(1, 12),
)
def test_the_log_holds_the_slate_as_it_was_shown(
    records: list[Record], policy: str, user: str, n: int
) -> None:
    flow = Flow(MemoryLog(), Settings(policy=policy))
    flow.observe(records)
    end = flow.log.end
    slate = flow.recommend(Context(user, n=n, now=END, request_id="shown", surface="home"))
    assert all(0.0 < item.propensity <= 1.0 for item in slate.items)
    logged = [entry.record for entry in flow.log.read(end)]
    propensities = tuple(item.propensity for item in slate.items)
    shown = Impression("shown", user, END, tuple(chosen(slate)), propensities, "home", policy, slate.as_of)
    shown = msgspec.structs.replace(shown, asked={} if n == len(slate.items) else {"n": n})
    assert logged == ([shown] if slate.items else [])
