"""Estimators: exact on what can be listed whole."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.evaluate.offpolicy import (
    Rounds,
    cascade_dr,
    cascade_ips,
    clipped_ips,
    dm,
    dr,
    dros,
    ips,
    pseudo_inverse,
    slate_ips,
    sndr,
    snips,
    switch_dr,
    weighted_pseudo_inverse,
)
from instep.evaluate.offpolicy.odds import Odds, pseudo_inverse_factor
from instep.evaluate.offpolicy.tuning import tuned_clip, tuned_shrinkage, tuned_switch

F64 = NDArray[np.float64]


def rounds(n: int = 400, k: int = 2, seed: int = 0) -> Rounds:
    rng = np.random.default_rng(seed)
    reward = rng.random((n, k))
    return Rounds(rng.exponential(size=(n, k)), reward, rng.random((n, k)), rng.random((n, k)))


HAND = Rounds(
    np.array([[2.0], [0.5]]), np.array([[1.0], [0.0]]), np.array([[0.6], [0.2]]), np.array([[0.5], [0.3]])
)


@pytest.mark.parametrize(
    ("estimate", "value"),
    [
        (ips(HAND), (2.0 * 1.0 + 0.5 * 0.0) / 2),
        (clipped_ips(HAND, 1.5), (1.5 * 1.0) / 2),
        (snips(HAND), (2.0 * 1.0) / (2.0 + 0.5)),
        (dm(HAND), 0.4),
        (dr(HAND), 0.4 + (2.0 * 0.4 + 0.5 * -0.2) / 2),
        (sndr(HAND), 0.4 + (2.0 * 0.4 + 0.5 * -0.2) / 2.5),
        (switch_dr(HAND, 1.0), 0.4 + (0.5 * -0.2) / 2),
        (dros(HAND, 4.0), 0.4 + (4 * 2 / (4 + 4) * 0.4 + 4 * 0.5 / (0.25 + 4) * -0.2) / 2),
    ],
)
def test_two_impressions_give_what_a_hand_gives(estimate: F64, value: float) -> None:
    assert estimate.mean() == pytest.approx(value, rel=1e-12)


def test_the_limits_of_limited_weights_are_the_estimators_they_lie_between() -> None:
    some = rounds()
    np.testing.assert_array_equal(clipped_ips(some, np.inf), ips(some))
    np.testing.assert_array_equal(switch_dr(some, np.inf), dr(some))
    np.testing.assert_array_equal(switch_dr(some, 0.0), dm(some))
    np.testing.assert_array_equal(dros(some, np.inf), dr(some))
    np.testing.assert_array_equal(dros(some, 0.0), dm(some))


@pytest.mark.parametrize("estimator", [ips, snips, dm, dr, sndr])
def test_leading_axes_are_independent_logs(estimator: object) -> None:
    logs = [rounds(seed=seed) for seed in range(3)]
    names = ("weight", "reward", "predicted", "expected")
    together = Rounds(*(np.stack([getattr(log, name) for log in logs]) for name in names))
    assert callable(estimator)
    np.testing.assert_allclose(estimator(together), [estimator(log) for log in logs], rtol=1e-12)


def test_a_place_that_a_slate_does_not_have_adds_nothing() -> None:
    some = rounds(k=1)
    one, nothing = np.ones((400, 1)), np.zeros((400, 1))
    padded = Rounds(
        np.hstack([some.weight, one]),
        np.hstack([some.reward, nothing]),
        np.hstack([some.predicted, nothing]),
        np.hstack([some.expected, nothing]),
    )
    for estimator in (ips, snips, dm, dr, sndr):
        np.testing.assert_allclose(estimator(padded), estimator(some), rtol=1e-12, atol=1e-15)


def test_without_any_weight_the_self_normalised_say_zero_and_no_nan() -> None:
    none = np.zeros((3, 1))
    assert snips(Rounds(none, none + 1, none, none)).tolist() == [0.0, 0.0, 0.0]


# slates of 3 out of 4 items, listed whole: an average over them, weighted by how often the logging policy shows
# them, is an expectation, and must be the truth to rounding


@dataclass
class Listed:
    """Slates int32 (s, 3), both policies' probabilities, prefix weights, marginal weights and the candidate's next."""

    slates: NDArray[np.int32]
    logging: F64
    candidate: F64
    prefix: F64
    marginal: F64
    following: F64
    anywhere: F64

    def times(self, of: F64) -> float:
        """The expectation under the logging policy of float64 (s,)."""
        return float((self.logging * of).sum())


def luce(worth: F64, slates: NDArray[np.int32]) -> tuple[F64, F64]:
    given, every = np.empty(slates.shape), np.zeros((*slates.shape, len(worth)))
    for row, slate in enumerate(slates):
        left = worth.copy()
        for place, item in enumerate(slate):
            every[row, place] = left / left.sum()
            given[row, place] = every[row, place, item]
            left[item] = 0.0
    return given, every


@pytest.fixture(scope="module")
def listed() -> Listed:
    slates = np.array(list(permutations(range(4), 3)), np.int32)
    ours, _ = luce(np.array([4.0, 3.0, 2.0, 1.0]), slates)
    theirs, following = luce(np.array([1.0, 3.0, 2.0, 5.0]), slates)
    logging, candidate = ours.prod(1), theirs.prod(1)
    one, two = Odds(slates, logging, True), Odds(slates, candidate, True)
    marginal = np.array([two.share_at(slate) / one.share_at(slate) for slate in slates])
    anywhere = np.zeros((3, 4))
    for place, item, share in zip(*two.marginal, strict=True):
        anywhere[place, item] = share
    return Listed(slates, logging, candidate, np.cumprod(theirs / ours, 1), marginal, following, anywhere)


RATE = np.array([[0.1, 0.5, 0.2, 0.9], [0.3, 0.2, 0.4, 0.1], [0.2, 0.2, 0.1, 0.6]])
"""What each of 4 items earns at each of 3 places."""


def own_items(listed: Listed) -> F64:
    return RATE[np.arange(3), listed.slates]


def cascade(listed: Listed) -> F64:
    own = own_items(listed)
    above = np.cumprod(1.0 - 0.7 * own, 1)
    return own * np.hstack([np.ones((len(own), 1)), above[:, :-1]])


def anything(listed: Listed) -> F64:
    return np.random.default_rng(4).random(listed.slates.shape)


def truth(listed: Listed, reward: F64) -> float:
    return float((listed.candidate * reward.sum(1)).sum())


def test_slate_ips_is_unbiased_whatever_users_do(listed: Listed) -> None:
    reward = anything(listed)
    assert listed.times(slate_ips(listed.prefix, reward)) == pytest.approx(truth(listed, reward), rel=1e-12)


def test_cascade_ips_is_unbiased_where_places_depend_on_those_above(listed: Listed) -> None:
    reward = cascade(listed)
    assert listed.times(cascade_ips(listed.prefix, reward)) == pytest.approx(truth(listed, reward), rel=1e-12)
    free = anything(listed)
    assert abs(listed.times(cascade_ips(listed.prefix, free)) - truth(listed, free)) > 1e-3


def test_ips_of_places_is_unbiased_where_places_depend_on_their_item(listed: Listed) -> None:
    reward, none = own_items(listed), np.zeros(listed.slates.shape)
    parts = ips(Rounds(listed.marginal, reward, none, none))
    assert listed.times(parts) == pytest.approx(truth(listed, reward), rel=1e-12)
    bound = cascade(listed)
    assert abs(listed.times(ips(Rounds(listed.marginal, bound, none, none))) - truth(listed, bound)) > 1e-3


@pytest.mark.parametrize("seed", [0, 1])
def test_doubly_robust_is_unbiased_whatever_the_model_says(listed: Listed, seed: int) -> None:
    model = np.random.default_rng(seed).normal(size=(3, 4))
    predicted = model[np.arange(3), listed.slates]
    expected = np.broadcast_to((listed.anywhere * model).sum(1), predicted.shape)
    reward = own_items(listed)
    parts = dr(Rounds(listed.marginal, reward, predicted, expected))
    assert listed.times(parts) == pytest.approx(truth(listed, reward), rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_cascade_doubly_robust_is_unbiased_whatever_the_model_says(listed: Listed, seed: int) -> None:
    model = np.random.default_rng(seed).normal(size=(3, 4))
    predicted = model[np.arange(3), listed.slates]
    expected = np.einsum("ska,ka->sk", listed.following, model)
    reward = cascade(listed)
    parts = cascade_dr(listed.prefix, reward, predicted, expected)
    assert listed.times(parts) == pytest.approx(truth(listed, reward), rel=1e-12)


def test_a_model_that_is_right_leaves_no_noise(listed: Listed) -> None:
    predicted = RATE[np.arange(3), listed.slates]
    expected = np.broadcast_to((listed.anywhere * RATE).sum(1), predicted.shape)
    parts = dr(Rounds(listed.marginal, predicted, predicted, expected))
    np.testing.assert_allclose(parts, truth(listed, predicted), rtol=1e-12)


def test_the_pseudo_inverse_is_unbiased_where_rewards_add_up(listed: Listed) -> None:
    one, two = (Odds(listed.slates, share, True) for share in (listed.logging, listed.candidate))
    factor = np.array([pseudo_inverse_factor(one, two, slate) for slate in listed.slates])
    assert listed.times(factor) == pytest.approx(1.0, rel=1e-9)
    reward = own_items(listed)
    assert listed.times(pseudo_inverse(factor, reward)) == pytest.approx(truth(listed, reward), rel=1e-9)
    spread = listed.times((factor - 1) ** 2)
    assert spread < listed.times((listed.prefix[:, -1] - 1) ** 2)  # what it is for


def test_the_weighted_pseudo_inverse_is_a_ratio_of_means() -> None:
    factor, reward = np.array([0.5, 2.0, 1.0]), np.array([[1.0], [2.0], [0.0]])
    value = weighted_pseudo_inverse(factor, reward).mean()
    assert value == pytest.approx((0.5 * 1 + 2 * 2) / 3.5, rel=1e-12)


def test_a_model_that_is_far_off_is_corrected_in_full() -> None:
    flat = np.ones((2000, 1))
    calm = Rounds(flat, np.random.default_rng(2).random((2000, 1)), flat, flat)
    assert (tuned_clip(calm), tuned_switch(calm), tuned_shrinkage(calm)) == (1.0, 1.0, np.inf)


def test_tuned_limits_lessen_the_error_where_weights_are_wild() -> None:
    rng = np.random.default_rng(3)
    logging, candidate = (rng.dirichlet(np.full(30, 0.15)) + 1e-5 for _ in range(2))
    logging, candidate = logging / logging.sum(), candidate / candidate.sum()
    mean = rng.uniform(0.2, 0.8, 30)
    model = mean + rng.normal(0, 0.1, 30)
    errors = []
    for _ in range(60):
        item = rng.choice(30, (500, 1), p=logging)
        reward = mean[item] + 0.1 * rng.standard_normal((500, 1))
        expected = np.full((500, 1), (candidate * model).sum())
        wild = Rounds((candidate / logging)[item], reward, model[item], expected)
        parts = (dr(wild), dros(wild, tuned_shrinkage(wild)), switch_dr(wild, tuned_switch(wild)))
        errors.append([each.mean() - (candidate * mean).sum() for each in parts])
    plain, shrunk, switched = np.square(errors).mean(0)
    assert shrunk < 0.7 * plain
    assert switched < plain  # it can only leave out, not lessen
