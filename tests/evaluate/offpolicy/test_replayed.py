"""A folder's log through two configurations: the real model, the real policies, a shop whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from instep.domain import Context, Feedback, Impression, ItemPut, Record, SessionMerge
from instep.evaluate.offpolicy import Logged, NoOverlap, Selection, judge, replay_slates
from instep.flow import Flow, Settings
from instep.log import Log, MemoryLog
from instep.policy import Surface

ITEMS, USERS, PLACES = 12, 50, 3
START = 1_700_000_000.0
RATE = np.linspace(0.1, 0.8, ITEMS)
SEEN = 1.0 / (1.0 + 0.5 * np.arange(PLACES))
OWN = Settings(policy="thompson", budget=1.0, repeat=True)
SOON = Selection(window=600.0)


def shop(settings: Settings, slates: int, asks: tuple[Mapping[str, Any], ...] = ({},)) -> Log:
    """A log of slates and clicks that depend on item and place alone."""
    log = MemoryLog()
    flow = Flow(log, settings)
    records: list[Record] = [
        ItemPut(f"item:{n}", f"i{n}", START, {"title": f"thing {n}", "categories": ["ab"[n % 2]]})
        for n in range(ITEMS)
    ]
    flow.observe(records)
    rng = np.random.default_rng(7)
    for number in range(slates):
        now, user = START + 1000.0 * (number + 1), f"u{rng.integers(USERS)}"
        asked = {"n": PLACES, **asks[number % len(asks)]}
        slate = flow.recommend(Context(user, now=now, request_id=f"s{number}", **asked))
        chance = rng.random(PLACES)
        clicks = [
            Feedback(
                f"e{number}-{place}", user, shown.item_id, now + place + 1, "click", None, slate.slate_id
            )
            for place, shown in enumerate(slate.items[:PLACES])
            if chance[place] < RATE[int(shown.item_id[1:])] * SEEN[place]
        ]
        if clicks:
            flow.observe(clicks)
    return log


@pytest.fixture(scope="module")
def log() -> Log:
    return shop(OWN, 400)


def settings(**more: Any) -> Settings:
    return Settings(**{"policy": "thompson", "budget": 1.0, "repeat": True, **more})


def test_a_replay_gives_every_logged_propensity_again(log: Log) -> None:
    logged = replay_slates(log, OWN, OWN, SOON)
    assert len(logged) >= 395
    assert logged.reproduced.tolist() == [1.0] * len(logged)
    np.testing.assert_allclose(logged.candidate, logged.logged, rtol=1e-4)
    assert (logged.logged < 1.0).mean() > 0.2  # the policy did explore


def test_a_candidate_that_is_what_logged_gains_nothing_by_any_exact_estimator(log: Log) -> None:
    verdict = judge(replay_slates(log, OWN, OWN, SOON))
    named = {each.name: each for each in verdict.estimates}
    for name in ("ips", "snips", "slate-ips", "cascade-ips", "pseudo-inverse", "weighted-pseudo-inverse"):
        assert named[name].value == pytest.approx(verdict.logging.value, rel=1e-6)
        assert named[name].gain.value == pytest.approx(0.0, abs=1e-6)
    assert (verdict.warnings, verdict.missing) == ([], {})


def test_requests_with_filters_and_exclusions_are_asked_again_as_they_were() -> None:
    asks: tuple[Mapping[str, Any], ...] = (
        {},
        {"categories": ("a",)},
        {"filter": "item.title != 'thing 3'"},
        {"exclude": ("i1", "i2")},
        {"n": 40},
        {"repeat": False},
    )
    logged = replay_slates(shop(OWN, 90, asks), OWN, OWN, SOON)
    assert logged.item.shape[1] == ITEMS  # the request for 40 got all there are
    assert logged.reproduced.tolist() == [1.0] * len(logged)


def test_other_settings_than_those_that_logged_are_told(log: Log) -> None:
    wrong = settings(budget=0.0)
    verdict = judge(replay_slates(log, wrong, OWN, SOON))
    assert verdict.says == "do not trust"
    assert any("of the logged propensities again" in doubt for doubt in verdict.warnings)


def earns(logged: Logged) -> float:
    """What the candidate truly earns: the known rates over what it would put where."""
    names = np.array([int(name[1:]) for name in logged.names])
    rate = RATE[names[logged.anywhere.item]] * SEEN[logged.anywhere.place]
    return float(logged.anywhere.mean(rate, PLACES).sum(1).mean())


@pytest.mark.parametrize(
    "candidate",
    [settings(policy="greedy"), settings(budget=0.1), settings(policy="plackett-luce")],
    ids=["greedy", "small budget", "plackett-luce"],
)
def test_estimates_are_near_what_the_candidate_truly_earns(log: Log, candidate: Settings) -> None:
    logged = replay_slates(log, OWN, candidate, SOON)
    truth, verdict = earns(logged), judge(logged)
    checked = [each for each in verdict.estimates if each.name in ("dr", "sndr", "dr-os", "dm")]
    assert len(checked) == 4
    for each in checked:
        reach = max(each.interval.high - each.value, each.value - each.interval.low)
        assert abs(each.value - truth) < 2.5 * reach, each.name


def test_a_candidate_that_learns_otherwise_has_a_model_of_its_own_and_the_folder_s_yardstick(
    log: Log,
) -> None:
    other = settings(rewards={"click": 9.0}, policy="greedy")
    same = replay_slates(log, OWN, settings(policy="greedy"), SOON)
    logged = replay_slates(log, OWN, other, SOON)
    np.testing.assert_array_equal(logged.reward, same.reward)
    assert set(np.unique(logged.reward).tolist()) == {0.0, 1.0}


def test_from_an_item_that_is_no_candidate_on_a_slate_has_no_probability(log: Log) -> None:
    """The log shows again what users took; a candidate without repeats never would."""
    logged = replay_slates(log, OWN, settings(repeat=False, policy="plackett-luce"), SOON)
    number = {name: at for at, name in enumerate(logged.names)}
    taken: dict[str, set[int]] = {}
    seen = []
    slates = {}
    for entry in log.read():
        record = entry.record
        if isinstance(record, Feedback):
            taken.setdefault(record.user_id, set()).add(number[record.item_id])
        elif isinstance(record, Impression):
            slates[record.event_id] = taken.get(record.user_id, set()).copy()
            seen.append(record.event_id)
    first_taken, possible = 0, []
    for row, event_id in enumerate(seen[: len(logged)]):
        again = [at for at, item in enumerate(logged.item[row].tolist()) if item in slates[event_id]]
        if again:
            first_taken += 1
            assert logged.candidate[row, again[0] :].tolist() == [0.0] * (PLACES - again[0])
        else:
            possible.append(bool((logged.candidate[row] > 0).all()))
    assert 50 < first_taken < len(logged)
    assert np.mean(possible) > 0.5  # nor does any policy put what is clearly worse above what is better


def test_an_evaluation_writes_nothing_and_says_the_same_again(log: Log) -> None:
    end = log.end
    first, second = (judge(replay_slates(log, OWN, settings(policy="greedy"), SOON)) for _ in range(2))
    assert log.end == end
    assert first == second


def test_a_surface_is_judged_by_its_own_policy() -> None:
    own = settings(surfaces={"mail": Surface(policy="greedy")})
    log = shop(own, 60, ({"surface": "mail"}, {}))
    logged = replay_slates(log, own, own, Selection(window=600.0, surface="mail"))
    assert logged.notes["outside the selection"] == 30
    assert (logged.candidate == 1.0).all()
    assert logged.reproduced.all()


def test_a_merged_session_s_slates_are_its_user_s() -> None:
    log = shop(OWN, 40)
    Flow(log, OWN).observe([SessionMerge("m", "u1", "session:x", START)])
    assert len(replay_slates(log, OWN, OWN, SOON)) >= 35


def test_a_greedy_log_says_nothing_of_a_candidate_that_turns_everything_around() -> None:
    greedy = Settings(policy="greedy", repeat=True)
    around = Settings(policy="greedy", repeat=True, rewards={"click": -9.0})
    logged = replay_slates(shop(greedy, 150), greedy, around, SOON)
    turned = logged.candidate.copy()
    turned[:, 0] = 0.0  # whatever the two models make of it: never the first item that was shown
    none = np.zeros_like(logged.candidate_marginal)
    bare = Logged(
        **{**vars(logged), "candidate": turned, "candidate_marginal": none, "factor": 0 * logged.factor}
    )
    with pytest.raises(NoOverlap, match=r"single: the weights of \d+ impressions average 0\.0000"):
        judge(bare)
