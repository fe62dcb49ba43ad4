"""The intervals hold at every moment: seeded simulations of users who come back, with the very code that serves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from instep.experiment.judge import LEAST_ACTS
from instep.experiment.sequential import SHARES_DOUBTED, difference, interval_of, rate_of, shares_doubt

STEPS = 12_000
RUNS = 400
LEAST_USERS = 100

# Share of slates with a click, how alike users are (high: very), and the share of slates that go to new users.
SHOP, NEWS, CLUB = (0.05, 20.0, 0.3), (0.02, 50.0, 1.0), (0.3, 3.0, 0.05)


@njit(cache=True)
def simulated(
    seed: int, traffic: tuple[float, float, float], lift: float, ordinary: bool
) -> tuple[int, int, bool]:
    """One experiment, watched after every event; clicks come up to five slates late.

    Returns:
        When the second arm was certainly worse and when certainly better (0 for never), and whether the interval ever
        missed the true difference of the rates so far.
    """
    np.random.seed(seed)
    base, alike, fresh = traffic
    slates, clicks = np.zeros(STEPS, np.int64), np.zeros(STEPS, np.int64)
    arms, taste = np.zeros(STEPS, np.int64), np.zeros(STEPS)
    sums = np.zeros((2, 6), np.int64)  # users, slates, nn, y, yy, ny
    late = np.full(STEPS + 6, -1)
    users, worse, better, missed = 0, 0, 0, False
    for step in range(STEPS):
        if users == 0 or np.random.random() < fresh:
            user, users = users, users + 1
            arms[user] = np.random.randint(2)
            taste[user] = np.random.beta(base * alike, (1 - base) * alike)
            sums[arms[user], 0] += 1
        else:
            user = np.random.randint(users)
        arm = arms[user]
        sums[arm, 1] += 1
        sums[arm, 2] += 2 * slates[user] + 1
        slates[user] += 1
        sums[arm, 5] += clicks[user]
        if np.random.random() < taste[user] * (lift if arm == 1 else 1.0):
            late[step + np.random.randint(6)] = user
        clicker = late[step]
        if clicker >= 0:
            arm = arms[clicker]
            sums[arm, 3] += 1
            sums[arm, 4] += 2 * clicks[clicker] + 1
            clicks[clicker] += 1
            sums[arm, 5] += slates[clicker]
        few = min(sums[0, 0], sums[1, 0]) < LEAST_USERS or sums[0, 3] + sums[1, 3] < LEAST_ACTS
        if few:
            continue
        rates = [rate_of(row[0], row[1], row[2], row[3], row[4], row[5]) for row in sums]
        found = interval_of(difference(rates[1], rates[0], 1.0), users, 0.05, 5_000)
        low, high = found.low, found.high
        if ordinary:  # what a fixed-size test would say
            half = 1.96 * math.sqrt(rates[0].variance + rates[1].variance)
            low, high = found.value - half, found.value + half
        worse = worse or (step if high < 0.0 else 0)
        better = better or (step if low > 0.0 else 0)
        missed = missed or not (low <= base * (lift - 1.0) <= high)
    return worse, better, missed


def runs(
    traffic: tuple[float, float, float], lift: float, number: int, ordinary: bool = False
) -> NDArray[np.int64]:
    """int64 (number, 3)."""
    return np.array([simulated(seed, traffic, lift, ordinary) for seed in range(number)], np.int64)


@pytest.mark.parametrize("traffic", [SHOP, NEWS, CLUB], ids=["shop", "news", "club"])
def test_of_400_experiments_with_equal_arms_watched_at_every_event_at_most_one_in_twenty_errs(
    traffic: tuple[float, float, float],
) -> None:
    worse, better, _ = runs(traffic, 1.0, RUNS).T
    assert np.count_nonzero((worse > 0) | (better > 0)) <= 0.05 * RUNS
    assert np.count_nonzero(worse) <= 0.025 * RUNS


def test_an_ordinary_interval_watched_like_that_errs_far_more_often() -> None:
    worse, better, _ = runs(SHOP, 1.0, 100, ordinary=True).T
    assert np.count_nonzero((worse > 0) | (better > 0)) >= 25


@pytest.mark.parametrize("lift", [0.8, 1.3])
def test_the_interval_holds_the_true_difference_at_all_moments_at_once(lift: float) -> None:
    assert np.count_nonzero(runs(SHOP, lift, RUNS)[:, 2]) <= 0.05 * RUNS


def test_an_arm_that_loses_four_clicks_in_ten_is_found_out_and_never_called_better() -> None:
    worse, better, _ = runs(SHOP, 0.6, 100).T
    assert np.count_nonzero(worse) >= 98
    assert np.count_nonzero(better) == 0


def test_the_variance_of_a_rate_is_that_of_its_users() -> None:
    rng = np.random.default_rng(5)
    n = rng.integers(1, 9, 500)
    y = rng.binomial(n, rng.beta(1, 5, 500))
    found = rate_of(500, n.sum(), (n * n).sum(), y.sum(), (y * y).sum(), (n * y).sum())
    residuals = y - found.value * n
    assert found.value == y.sum() / n.sum()
    assert found.variance == pytest.approx(500 / 499 * (residuals**2).sum() / n.sum() ** 2)
    resampled = [(y[k].sum() / n[k].sum()) for k in rng.integers(0, 500, (2000, 500))]
    assert found.variance == pytest.approx(np.var(resampled), rel=0.15)


def test_nothing_is_certain_without_users_or_without_variance() -> None:
    assert interval_of(rate_of(1, 3, 9, 1, 1, 3), 1, 0.05, 5_000).high == math.inf
    assert interval_of(rate_of(50, 50, 50, 0, 0, 0), 50, 0.05, 5_000).low == -math.inf


def test_shares_that_are_kept_are_doubted_at_most_once_in_a_thousand() -> None:
    rng = np.random.default_rng(1)
    doubted = 0
    for _ in range(300):
        seconds = np.cumsum(rng.random(20_000) < 0.3)
        doubted += any(
            shares_doubt([at - int(seconds[at - 1]), int(seconds[at - 1])], [0.35, 0.15]) > SHARES_DOUBTED
            for at in range(100, 20_000, 100)
        )
    assert doubted <= 2
    assert shares_doubt([7_300, 2_700], [0.35, 0.15]) > SHARES_DOUBTED
