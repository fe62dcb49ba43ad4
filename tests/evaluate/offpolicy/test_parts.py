"""Odds, rates, intervals and diagnostics: the parts that estimates are made of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from instep.evaluate.offpolicy.diagnose import tail_shape, warnings, weigh
from instep.evaluate.offpolicy.intervals import bernstein, bootstrap, corrected, user_sums
from instep.evaluate.offpolicy.odds import Odds, policy_odds, pseudo_inverse_factor
from instep.evaluate.offpolicy.rates import cell_sums, held_out, shrunk_rates
from instep.policy import Greedy, PlackettLuce, Policy, Thompson


def scores(policy: Policy, m: int = 8) -> np.ndarray:
    rng = np.random.default_rng(5)
    rows = np.linspace(1.0, 0.0, m) + 0.4 * rng.standard_normal((1 + policy.draws + policy.deviation, m))
    return rows.astype(np.float32)


def test_the_odds_of_thompson_sampling_are_exact() -> None:
    policy = Thompson(draws=16, budget=1.0)
    seen = scores(policy)
    odds = policy_odds(policy, seen, 3)
    assert odds.exact
    counted = Counter(tuple(policy.choose(seen, 3, seed).places.tolist()) for seed in range(16))
    told = {
        tuple(slate): 16 * share
        for slate, share in zip(odds.slates.tolist(), odds.share.tolist(), strict=True)
    }
    assert told == pytest.approx(dict(counted))
    assert len(told) > 1


def test_the_odds_of_a_slate_are_the_product_of_its_propensities() -> None:
    policy = Thompson(draws=16, budget=1.0)
    seen = scores(policy)
    odds = policy_odds(policy, seen, 3)
    for slate, share in zip(odds.slates, odds.share.tolist(), strict=True):
        assert np.prod(policy.propensities(seen, slate.astype(np.int64))) == pytest.approx(share, rel=1e-12)
        given = [dict(zip(items.tolist(), shares, strict=True)) for items, shares in odds.following(slate)]
        assert np.prod([given[place][item] for place, item in enumerate(slate.tolist())]) == pytest.approx(
            share
        )
        assert [sum(each.values()) for each in given] == pytest.approx([1.0, 1.0, 1.0])


def test_greedy_has_one_slate_and_a_policy_with_endless_slates_says_so() -> None:
    assert policy_odds(Greedy(), scores(Greedy()), 3).share.tolist() == [1.0]
    luce = PlackettLuce(budget=1.0)
    odds = policy_odds(luce, scores(luce, 20), 6)
    assert not odds.exact
    assert odds.share.sum() == pytest.approx(1.0)


def test_marginals_are_shares_at_places() -> None:
    odds = Odds(np.array([[1, 2], [2, 1], [1, 3]], np.int32), np.array([0.5, 0.3, 0.2]), True)
    told = {
        (place, item): share for place, item, share in zip(*(x.tolist() for x in odds.marginal), strict=True)
    }
    assert told == pytest.approx({(0, 1): 0.7, (0, 2): 0.3, (1, 1): 0.3, (1, 2): 0.5, (1, 3): 0.2})
    assert odds.share_at(np.array([1, 1], np.int32)).tolist() == pytest.approx([0.7, 0.3])


def test_the_pseudo_inverse_of_the_same_policy_weighs_everything_alike() -> None:
    odds = Odds(np.array([[1, 2], [2, 1], [1, 3]], np.int32), np.array([0.5, 0.3, 0.2]), True)
    factors = [pseudo_inverse_factor(odds, odds, slate) for slate in odds.slates]
    assert factors == pytest.approx([1.0, 1.0, 1.0])


def test_rates_are_ridge_regression_on_indicators_with_a_free_intercept() -> None:
    rng = np.random.default_rng(0)
    cell, weight, reward = rng.integers(0, 5, 60).astype(np.int32), rng.random(60), rng.random(60)
    fold = np.zeros(60, np.int32)
    total, whole = (cell_sums(cell, fold, of, 6, 1)[0] for of in (weight * reward, weight))
    columns = np.hstack([np.eye(6)[cell], np.ones((60, 1))])
    penalty = np.diag([10.0] * 6 + [0.0])
    solved = np.linalg.solve(columns.T @ (weight[:, None] * columns) + penalty, columns.T @ (weight * reward))
    np.testing.assert_allclose(shrunk_rates(total, whole, 10.0), solved[:6] + solved[6], rtol=1e-10)


def test_what_is_held_out_is_not_in_its_own_sums() -> None:
    fold, cell = np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32)
    sums = held_out(cell_sums(cell, fold, np.array([1.0, 2.0, 4.0]), 2, 2))
    assert sums.tolist() == [[0.0, 4.0], [1.0, 2.0]]


def test_resampling_draws_users_and_not_impressions() -> None:
    alike = user_sums(np.repeat([[0.0], [1.0]], 500, axis=0), np.repeat([0, 1], 500).astype(np.int32))
    drawn = bootstrap(alike, seed=0, resamples=400)
    assert set(np.round(drawn[:, 0], 9).tolist()) == {0.0, 0.5, 1.0}


def test_the_same_seed_gives_the_same_interval_and_a_constant_has_none() -> None:
    rng = np.random.default_rng(1)
    parts = np.stack([rng.random(300), np.full(300, 0.25), np.zeros(300)], 1)
    sums = user_sums(parts, np.arange(300, dtype=np.int32))
    first, second = (corrected(sums, bootstrap(sums, 3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    low, high = first
    assert low[0] < parts[:, 0].mean() < high[0]
    assert (low[1], high[1]) == pytest.approx((0.25, 0.25))
    assert (low[2], high[2]) == (0.0, 0.0)


def test_corrected_intervals_lean_to_the_side_of_the_rare_and_large() -> None:
    rare = (np.arange(1000) % 100 == 0).astype(float)
    sums = user_sums(rare[:, None], np.arange(1000, dtype=np.int32))
    drawn = bootstrap(sums, 0)
    low, high = corrected(sums, drawn)
    plain = np.percentile(drawn[:, 0], [2.5, 97.5])
    assert low[0] > plain[0] + 2e-4
    assert high[0] > plain[1] + 2e-4


def test_bernstein_bounds_are_wider_and_one_user_has_no_bounds() -> None:
    rng = np.random.default_rng(1)
    parts, user = rng.random(400), np.arange(400, dtype=np.int32)
    bound = bernstein(parts, user, span=1.0)
    spread = 1.96 * parts.std() / 20
    assert bound.high - bound.low > 2 * spread
    assert bound.value == pytest.approx(parts.mean())
    assert bernstein(parts, np.zeros(400, np.int32)).high == np.inf


def test_weights_that_average_one_and_are_many_raise_no_doubt() -> None:
    rng = np.random.default_rng(0)
    assert warnings(weigh(rng.exponential(size=5000))) == []


@pytest.mark.parametrize(
    ("weight", "word"),
    [
        (np.ones(99), "effective sample is 99 of 99"),
        (np.append(np.ones(999), 500.0), "one impression carries 33%"),
        ((1 - np.random.default_rng(0).random(20_000)) ** -0.9, "heavy tail"),
        (np.repeat([0.0, 1.0], 500), "average 0.500 ± 0.016 and should average 1: the log covers only part"),
        (np.repeat([1.0, 2.0], 500), "average 1.500 ± 0.016 and should average 1: propensities are too low"),
    ],
)
def test_each_doubt_says_its_number(weight: np.ndarray, word: str) -> None:
    assert any(word in doubt for doubt in warnings(weigh(weight)))


def test_weights_that_are_alike_but_for_rounding_have_no_tail() -> None:
    assert np.isnan(tail_shape(np.ones(1000) + 1e-15 * np.arange(1000)))
    assert np.isnan(tail_shape(np.zeros(1000)))
    assert np.isnan(tail_shape(np.ones(3)))


def test_the_coverage_benchmark_is_not_taken_for_the_package_of_that_name() -> None:
    """Numba tries to import `coverage`, and a script of benchmarks/ finds that folder first."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "benchmarks")}
    ask = [sys.executable, "-c", "import coverage"]
    done = subprocess.run(ask, env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "ImportError: this is a benchmark, not the package `coverage`"
