"""Every policy under the contract, budgeted and not; what each promises besides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from instep.domain import ConfigError
from instep.policy import (
    POLICIES,
    Choice,
    EpsilonGreedy,
    Greedy,
    LinUCB,
    Pessimistic,
    PlackettLuce,
    Policy,
    Surface,
    Thompson,
    best_places,
    default_policy,
    make_policy,
    surface_policy,
)
from instep.testing import PolicyContract

BUDGETS = (0.0, 0.01, 0.05, 0.3, 1.0)


def worth(expected: np.ndarray, places: np.ndarray) -> float:
    """What a slate is expected to bring: the k-th place is seen by one in k."""
    finite = np.isfinite(expected)
    brings = np.where(finite, np.exp(expected - expected[finite].max()), 0.0)
    return float((brings[places] / np.arange(1, len(places) + 1)).sum())


class TestGreedy(PolicyContract):
    def make(self) -> Greedy:
        return Greedy()

    def test_it_takes_the_best_for_certain(self) -> None:
        policy = self.make()
        choice = policy.choose(np.array([[0.1, 0.9, 0.5]], np.float32), 3, 8)
        assert choice.places.tolist() == [1, 2, 0]
        assert choice.propensities.tolist() == [1.0, 1.0, 1.0]


class TestThompson(PolicyContract):
    def make(self) -> Thompson:
        return Thompson(budget=1.0)

    @pytest.mark.parametrize("draws", [1, 2, 16])
    @pytest.mark.parametrize("budget", BUDGETS)
    def test_propensities_are_the_counts_over_all_draws(self, draws: int, budget: float) -> None:
        policy = Thompson(draws, budget)
        scores = self.scores(policy)
        slates = [policy.choose(scores, 4, seed) for seed in range(draws)]
        whole = [slate.places.tolist() for slate in slates]
        for slate in slates:
            chosen = slate.places.tolist()
            for k, propensity in enumerate(slate.propensities.tolist()):
                agreeing = [other for other in whole if other[:k] == chosen[:k]]
                same = [other for other in agreeing if other[k] == chosen[k]]
                assert propensity == len(same) / len(agreeing)
        distinct = {tuple(slate.places.tolist()): float(np.prod(slate.propensities)) for slate in slates}
        assert sum(distinct.values()) == pytest.approx(1.0)
        assert draws == 1 or budget < 1.0 or len(distinct) > 1

    def test_without_a_limit_each_draw_has_its_own_order(self) -> None:
        policy = self.make()
        scores = self.scores(policy)
        for seed in range(16):
            order = np.argsort(-scores[1 + seed], kind="stable")[:4]
            assert policy.choose(scores, 4, seed).places.tolist() == order.tolist()


class TestThompsonWithinABudget(PolicyContract):
    def make(self) -> Thompson:
        return Thompson()


class TestEpsilonGreedy(PolicyContract):
    def make(self) -> EpsilonGreedy:
        return EpsilonGreedy(0.3, budget=1.0)

    def test_without_a_limit_the_rest_is_uniform_over_what_may_pay(self) -> None:
        scores = np.array([[1.0, 0.9, 0.8, -5.0], [0.1, 0.1, 0.1, 0.1]], np.float32)
        seen = {}
        for seed in range(200):
            places, propensities = EpsilonGreedy(0.3, 1.0).choose(scores, 1, seed)
            seen[int(places[0])] = float(propensities[0])
        assert seen == {0: pytest.approx(0.8), 1: pytest.approx(0.1), 2: pytest.approx(0.1)}

    def test_at_zero_it_is_greedy(self) -> None:
        scores = self.scores(self.make())
        for seed in range(20):
            choice = EpsilonGreedy(0.0, 1.0).choose(scores, 4, seed)
            assert choice.places.tolist() == [0, 1, 2, 3]
            assert choice.propensities.tolist() == [1.0] * 4


class TestEpsilonGreedyWithinABudget(PolicyContract):
    def make(self) -> EpsilonGreedy:
        return EpsilonGreedy(0.5, budget=0.1)


class TestPlackettLuce(PolicyContract):
    def make(self) -> PlackettLuce:
        return PlackettLuce(0.5, budget=1.0)

    def test_without_a_limit_it_is_the_softmax_of_what_remains(self) -> None:
        expected = np.array([0.3, 0.0, -0.4], np.float32)
        scores = np.stack([expected, np.full(3, 9.0, np.float32)])
        weights = np.exp(expected.astype(float) / 2.0)
        for seed in range(30):
            places, propensities = PlackettLuce(2.0, 1.0).choose(scores, 3, seed)
            for k in range(3):
                rest = weights[places[k:]]
                assert propensities[k] == pytest.approx(rest[0] / rest.sum())


class TestPlackettLuceWithinABudget(PolicyContract):
    def make(self) -> PlackettLuce:
        return PlackettLuce(budget=0.1)


class TestLinUCB(PolicyContract):
    def make(self) -> LinUCB:
        return LinUCB(budget=1.0)

    def test_it_ranks_by_the_upper_bound(self) -> None:
        scores = np.array([[1.0, 0.8, 0.6], [0.0, 0.1, 0.5]], np.float32)
        assert LinUCB(1.0, budget=1.0).choose(scores, 3, 0).places.tolist() == [2, 0, 1]
        assert LinUCB(0.0, budget=1.0).choose(scores, 3, 0).places.tolist() == [0, 1, 2]


class TestLinUCBWithinABudget(PolicyContract):
    def make(self) -> LinUCB:
        return LinUCB(2.0)


class TestPessimistic(PolicyContract):
    def make(self) -> Pessimistic:
        return Pessimistic()

    def test_it_ranks_by_the_lower_bound(self) -> None:
        scores = np.array([[1.0, 0.8, 0.6], [0.9, 0.1, 0.0]], np.float32)
        assert Pessimistic(1.0).choose(scores, 3, 0).places.tolist() == [1, 2, 0]


class _Biased(Policy):
    """A plugin that knows no exact propensities of its own."""

    name = "biased"

    def choose(self, scores: np.ndarray, k: int, seed: int) -> Choice:
        best = best_places(scores[0], len(scores[0]))
        return Choice(
            best[[1, 0]] if seed % 4 == 0 else best[:2], np.array([0.25 if seed % 4 == 0 else 0.75, 1])
        )


def test_a_plugins_propensities_are_counted_over_seeds() -> None:
    scores = np.array([[3.0, 2.0, 1.0]], np.float32)
    assert _Biased().propensities(scores, np.array([0, 1])).tolist() == [0.75, 1.0]
    assert _Biased().propensities(scores, np.array([1, 0])).tolist() == [0.25, 1.0]
    assert _Biased().propensities(scores, np.array([2, 0])).tolist() == [0.0, 0.0]


def explorers(budget: float) -> list[Policy]:
    return [Thompson(8, budget), EpsilonGreedy(0.6, budget), PlackettLuce(1.0, budget), LinUCB(2.0, budget)]


def rows(policy: Policy, expected: np.ndarray, seed: int) -> np.ndarray:
    """What the policy would see."""
    rng = np.random.default_rng(seed)
    draws = expected + 0.7 * rng.standard_normal((policy.draws, len(expected)))
    deviation = np.abs(rng.standard_normal((int(policy.deviation), len(expected))))
    return np.concatenate([expected[None], draws, deviation]).astype(np.float32)


expected_scores = arrays(np.float32, st.integers(1, 9), elements=st.floats(-3, 3, width=32))


@settings(deadline=None, max_examples=80)
@given(expected_scores, st.sampled_from(BUDGETS), st.integers(0, 2**62), st.data())
def test_no_slate_gives_up_more_than_the_budget(
    expected: np.ndarray, budget: float, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(expected)))
    best = worth(expected, best_places(expected, k))
    for policy in explorers(budget):
        places = policy.choose(rows(policy, expected, seed), k, seed).places
        assert worth(expected, places) >= (1.0 - budget) * best - 1e-9


@settings(deadline=None, max_examples=40)
@given(expected_scores, st.sampled_from(BUDGETS), st.integers(0, 2**62), st.data())
def test_the_probabilities_of_all_slates_sum_to_one(
    expected: np.ndarray, budget: float, seed: int, data: st.DataObject
) -> None:
    expected = expected[:5]
    k = data.draw(st.integers(1, min(3, len(expected))))
    slates = [np.array(slate) for slate in itertools.permutations(range(len(expected)), k)]
    for policy in [*explorers(budget), Greedy(), Pessimistic()]:
        scores = rows(policy, expected, seed)
        told = [float(np.prod(policy.propensities(scores, slate))) for slate in slates]
        assert sum(told) == pytest.approx(1.0)


@pytest.mark.parametrize("policy", explorers(0.0), ids=lambda policy: policy.name)
def test_a_budget_of_zero_gives_the_greedy_slate(policy: Policy) -> None:
    expected = np.random.default_rng(4).standard_normal(30).astype(np.float32).round(1)  # with ties
    for seed in range(20):
        choice = policy.choose(rows(policy, expected, seed), 10, seed)
        assert choice.places.tolist() == best_places(expected, 10).tolist()
        assert choice.propensities.tolist() == [1.0] * 10


@pytest.mark.parametrize("policy", explorers(0.05)[:3], ids=lambda policy: policy.name)
def test_within_a_budget_what_is_outside_the_slate_gets_its_chance(policy: Policy) -> None:
    expected = np.linspace(0.5, -0.5, 40).astype(np.float32)
    shown = {
        int(place)
        for seed in range(60)
        for place in policy.choose(rows(policy, expected, 1), 10, seed).places
    }
    assert len(shown) >= 14


def test_within_the_slate_what_is_clearly_better_stays_ahead() -> None:
    expected = np.array([0.0, 0.0, 0.0, -0.5, -0.5], np.float32)
    for policy in explorers(0.5):
        for seed in range(40):
            places = policy.choose(rows(policy, expected, seed), 5, seed).places.tolist()
            assert set(places[:3]) == {0, 1, 2}


@pytest.mark.parametrize("name", sorted(POLICIES.keys() - {"reinforce"}))
def test_a_long_slate_explores_its_first_hundred_places(name: str) -> None:
    policy = make_policy(name)
    expected = np.linspace(1.0, 0.0, 700).astype(np.float32)
    places, propensities = policy.choose(rows(policy, expected, 2), 600, 5)
    assert len(set(places.tolist())) == 600
    assert (propensities[100:] == 1.0).all()
    assert (np.diff(places[100:]) > 0).all()


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("thomson", {}, r"no instep.policies named 'thomson'; installed: epsilon-greedy, greedy, "),
        ("greedy", {"epsilon": 0.1}, r"policy 'greedy' has no parameter 'epsilon'; it has none"),
        (
            "thompson",
            {"draws": 0},
            r"policy 'thompson': draws: must be a whole number between 1 and 256, not 0",
        ),
        ("thompson", {"draws": 2.5}, r"draws: must be a whole number between 1 and 256, not 2\.5"),
        ("thompson", {"draws": "many"}, r"draws: must be a whole number"),
        ("epsilon-greedy", {"epsilon": 1.5}, r"epsilon: must be between 0 and 1, not 1\.5"),
        ("epsilon-greedy", {"epsilon": "x"}, r"policy 'epsilon-greedy': "),
        ("plackett-luce", {"temperature": 0}, r"temperature: must be above 0, not 0"),
        ("linucb", {"alpha": -1.0}, r"alpha: must not be negative, not -1"),
        ("pessimistic", {"budget": 0.1}, r"policy 'pessimistic' has no parameter 'budget'; it has: alpha"),
        ("linucb", {"budget": 1.5}, r"budget: must be a share between 0 and 1, not 1\.5"),
    ],
)
def test_a_wrong_policy_is_refused_with_the_way_out(
    name: str, parameters: dict[str, int | float | str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_policy(name, parameters)


def test_a_surface_inherits_what_it_does_not_say() -> None:
    default = Surface("thompson", 0.03, True, {"draws": 4})
    same = surface_policy(Surface(), default)
    assert isinstance(same, Thompson)
    assert (same.draws, same.budget) == (4, 0.03)
    other = surface_policy(Surface("plackett-luce"), default)
    assert isinstance(other, PlackettLuce)
    assert (other.temperature, other.budget) == (1.0, 0.03)
    still = surface_policy(Surface("linucb", explore=False), default)
    assert isinstance(still, LinUCB)
    assert still.budget == 0.0
    assert isinstance(surface_policy(Surface("pessimistic", explore=False), default), Pessimistic)
    assert isinstance(default_policy(Surface("greedy", 0.03)), Greedy)
    with pytest.raises(ConfigError, match=r"policy 'greedy' takes no budget; leave `budget` out"):
        surface_policy(Surface("greedy", 0.1), default)


@settings(deadline=None, max_examples=60)
@given(
    arrays(
        np.float32, st.integers(1, 30), elements=st.floats(width=32) | st.sampled_from([0.0, 1.0, np.nan])
    ),
    st.data(),
)
def test_the_best_places_are_what_a_sort_gives(scores: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    clean = [score if np.isfinite(score) else -np.inf for score in scores.tolist()]
    expected = sorted(range(len(scores)), key=lambda place: (-clean[place], place))[:k]
    assert best_places(scores, k).tolist() == expected
