"""All estimates of one log, with intervals, diagnostics and a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.evaluate.base import Float64
from instep.evaluate.bootstrap import Interval
from instep.evaluate.offpolicy import estimators as by
from instep.evaluate.offpolicy.diagnose import LEAST_OVERLAP, LEAST_REPRODUCED, Weights, warnings, weigh
from instep.evaluate.offpolicy.intervals import bernstein, bootstrap, corrected, user_sums
from instep.evaluate.offpolicy.logged import Logged, Spread
from instep.evaluate.offpolicy.rates import FOLDS, RIDGE, cell_sums, held_out, robust_weights, shrunk_rates
from instep.evaluate.offpolicy.tuning import Noise, tuned_clip, tuned_shrinkage, tuned_switch

SINGLE: Final = "single"
SLATE: Final = "slate"
CASCADE: Final = "cascade"
ADDITIVE: Final = "additive"
ASSUMES: Final = {
    SINGLE: "what a place earns depends on its own item alone",
    SLATE: "nothing",
    CASCADE: "what a place earns depends on the items up to it",
    ADDITIVE: "a slate earns the sum of what each item earns at its place",
}
HEADLINES: Final = ("cascade-dr", "weighted-pseudo-inverse", "dr")
"""The verdict goes by the first of these that may be trusted, or else that there is; of single choices by the third."""


LEAST_KNOWN: Final = 0.5
"""Share of the impressions that an estimator must be made of."""


class NoOverlap(ConfigError):
    """The log says nothing of the candidate."""


@dataclass(frozen=True)
class Estimate:
    """What one estimator says.

    Args:
        name: of the estimator.
        value: reward an impression.
        interval: 95 %, by resampling users.
        bernstein: 95 %, by empirical Bernstein bounds with the observed range.
        gain: what is gained over the logging policy on the same impressions, 95 %, by resampling users.
        impressions: how many it is made of.
        assumes: what it takes for granted of users.
        settings: numbers that were tuned.
    """

    name: str
    value: float
    interval: Interval
    bernstein: Interval
    gain: Interval
    impressions: int
    assumes: str
    settings: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """What is to be thought of it.

    Args:
        logging: what the logging policy earned an impression.
        estimates: of the candidate.
        headline: name of the estimate to go by.
        weights: of each family of estimators.
        warnings: why the headline should not be trusted; none when it may be.
        missing: estimators that there are not, and why.
        notes: what was left out of the log, and how many.
        impressions: how many were judged.
        reproduced: share of them whose propensities a replay gives again; NaN where nothing was replayed.
    """

    logging: Interval
    estimates: list[Estimate]
    headline: str
    weights: dict[str, Weights]
    warnings: list[str]
    missing: dict[str, str]
    notes: dict[str, int]
    impressions: int
    reproduced: float

    @property
    def best(self) -> Estimate:
        """The headline's estimate."""
        return next(each for each in self.estimates if each.name == self.headline)

    @property
    def says(self) -> str:
        """``do not trust``, ``better``, ``worse``, or ``no difference seen``."""
        gain = self.best.gain
        if self.warnings:
            return "do not trust"
        return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference seen"


@dataclass(frozen=True)
class _Part:
    """An estimator's numbers for the impressions it is made of."""

    name: str
    family: str
    parts: Float64
    rows: NDArray[np.bool_]
    settings: dict[str, float]


def predictions(
    log: Logged, weight: Float64 | None = None, folds: int = FOLDS, ridge: float = RIDGE
) -> Float64:
    """Expected reward of every item on every kind of place, fitted without each fold.

    Args:
        log: the impressions; users are dealt to folds.
        weight: float64 (n, k), of each place in the fit; None for 1.
        folds: how many; 1 fits on everything.
        ridge: see `shrunk_rates`.

    Returns:
        float64 (folds, kinds, items).
    """
    spreads = (log.anywhere, log.following)
    items = 1 + max(int(of.item.max(initial=0)) for of in (log, *spreads))
    kinds = 1 + max(int(of.kind.max(initial=0)) for of in (log, *spreads))
    there = log.item >= 0
    cell = np.where(there, log.kind * items + log.item, -1).astype(np.int32).reshape(-1)
    fold = np.repeat(log.user % folds, log.item.shape[1]).astype(np.int32)
    of = np.ones(log.reward.shape) if weight is None else weight
    total = held_out(cell_sums(cell, fold, (of * log.reward).reshape(-1), kinds * items, folds))
    whole = held_out(cell_sums(cell, fold, of.reshape(-1), kinds * items, folds))
    return shrunk_rates(total.reshape(folds, kinds, items), whole.reshape(folds, kinds, items), ridge)


def expectation(log: Logged, rates: Float64, spread: Spread) -> Float64:
    """What the rates expect at each place, averaged over a spread: float64 (n, k)."""
    k, fold = log.item.shape[1], log.user % len(rates)
    expected = np.zeros(log.reward.shape)
    for number, rate in enumerate(rates):
        mine = fold == number
        expected[mine] = spread.mean(rate[spread.kind, spread.item], k)[mine]
    return expected


def expected_of_logged(log: Logged, rates: Float64) -> Float64:
    """What the rates expect of the logged items: float64 (n, k), 0 where there is none."""
    fold = (log.user % len(rates))[:, None]
    return np.where(log.item >= 0, rates[fold, log.kind, np.maximum(log.item, 0)], 0.0)


def rounds_of(log: Logged, weight: Float64 | None = None, folds: int = FOLDS) -> by.Rounds:
    """What estimators of single choices read.

    Args:
        log: the impressions; every marginal must be known.
        weight: float64 (n, k), see `predictions`.
        folds: see `predictions`.
    """
    rates = predictions(log, weight, folds)
    return by.Rounds(
        log.candidate_marginal / log.logged_marginal,
        log.reward,
        expected_of_logged(log, rates),
        expectation(log, rates, log.anywhere),
    )


def judge(log: Logged, seed: int = 0) -> Verdict:
    """Estimate what a candidate would have earned.

    Args:
        log: what was logged, and both policies' odds.
        seed: of the resampling.

    Returns:
        Every estimate that the log allows, with intervals, and what to think of them.

    Raises:
        NoOverlap: the log covers next to nothing of what the candidate shows; says how much.
    """
    missing: dict[str, str] = {}
    weights = _family_weights(log, missing)
    if not weights:
        raise NoOverlap("no overlap, so nothing is estimated: " + "; ".join(missing.values()))
    parts: list[_Part] = []
    for family, build in _BUILDERS.items():
        if family in weights:
            parts += build(log)
    estimates, logging = _with_intervals(log, parts, seed)
    doubts = {part.name: warnings(weights[part.family]) for part in parts}
    headline = _headline(log, doubts)
    known = log.reproduced[np.isfinite(log.reproduced)]
    reproduced = float(known.mean()) if len(known) else float("nan")
    found = list(doubts[headline])
    if reproduced < LEAST_REPRODUCED:
        found.append(
            f"a replay gives {reproduced:.0%} of the logged propensities again; below {LEAST_REPRODUCED:.0%} the log "
            "was made by other settings, or by requests with filters, which are not logged"
        )
    return Verdict(
        logging, estimates, headline, weights, found, missing, dict(log.notes), len(log), reproduced
    )


def _family_weights(log: Logged, missing: dict[str, str]) -> dict[str, Weights]:
    """The weights of every family of estimators that has overlap; the others are told in `missing`."""
    prefix = log.prefix
    single = log.candidate_marginal / log.logged_marginal
    many = log.item.shape[1] > 1
    there = log.item >= 0
    of = {SINGLE: np.where(there, single, 0.0).sum(1) / there.sum(1)}
    if many:
        of |= {SLATE: prefix[:, -1], CASCADE: prefix.mean(1), ADDITIVE: log.factor}
    weights = {}
    for family, weight in of.items():
        known = np.isfinite(weight)
        if known.mean() < LEAST_KNOWN:
            missing[family] = (
                f"{family}: the odds of {known.sum():,} of {len(log):,} logged slates are known, which is less than "
                f"{LEAST_KNOWN:.0%}: the log was made by other settings, or by a policy that only tells samples"
            )
            continue
        found = weigh(weight[known])
        if found.mean < LEAST_OVERLAP:
            missing[family] = (
                f"{family}: the weights of {found.impressions:,} impressions average {found.mean:.4f}, where 1 is full "
                f"overlap and {LEAST_OVERLAP} the least (effective sample {found.effective:,.1f})"
            )
            continue
        weights[family] = found
    return weights


def _known(log: Logged) -> tuple[Logged, NDArray[np.bool_]]:
    """The part of a log whose marginals are known."""
    rows = np.asarray(np.isfinite(log.logged_marginal).all(1))
    return (log if rows.all() else _rows_of(log, rows)), rows


def _rows_of(log: Logged, rows: NDArray[np.bool_]) -> Logged:
    """Some of the impressions, bool (n,)."""
    arrays = ("item", "kind", "reward", "logged", "candidate", "user", "logged_marginal")
    more = ("candidate_marginal", "factor", "reproduced")
    return replace(
        log,
        anywhere=replace(log.anywhere, pattern=log.anywhere.pattern[rows]),
        following=replace(log.following, pattern=log.following.pattern[rows]),
        **{name: getattr(log, name)[rows] for name in (*arrays, *more)},
    )


def _single(log: Logged) -> list[_Part]:
    some, rows = _known(log)
    rounds = rounds_of(some)
    noise = model_noise(some, rounds)
    clip, switch = tuned_clip(rounds), tuned_switch(rounds, noise)
    shrinkage = tuned_shrinkage(rounds, noise)
    robust = robust_weights(some.candidate_marginal, some.logged_marginal)
    mrdr = by.dr(rounds_of(some, robust)) if robust.any() else by.dr(rounds)
    weight = rounds.weight
    made: list[tuple[str, Float64, dict[str, float]]] = [
        ("ips", by.ips(rounds), {}),
        ("snips", by.snips(rounds), {}),
        ("clipped-ips", by.clipped_ips(rounds, clip), {"most": clip}),
        ("dm", by.dm(rounds) + noise(0.0 * weight), {}),
        ("dr", by.dr(rounds), {}),
        ("sndr", by.sndr(rounds), {}),
        ("switch-dr", by.switch_dr(rounds, switch) + noise(by.switched(weight, switch)), {"most": switch}),
        ("dr-os", by.dros(rounds, shrinkage) + noise(by.shrunk(weight, shrinkage)), {"lambda": shrinkage}),
        ("mrdr", mrdr, {}),
    ]
    return [_Part(name, SINGLE, parts, rows, settings) for name, parts, settings in made]


def model_noise(log: Logged, rounds: by.Rounds) -> Noise:
    """What impressions' luck does through the model that they helped to fit, by how much of it is corrected.

    Without it the direct method would look certain: its own numbers hardly differ between impressions. What a model
    has wrong of an item is corrected by the weights of the item's impressions; the rest of what the candidate
    shows of the item is left to the model's luck.

    Args:
        log: the impressions.
        rounds: what was made of them.

    Returns:
        Weights float64 (n, k) of the correction, all 0 for the direct method, to float64 (n,), which average 0.
    """
    items = 1 + max(int(log.item.max(initial=0)), int(log.anywhere.item.max(initial=0)))
    cells = items * (1 + max(int(log.kind.max(initial=0)), int(log.anywhere.kind.max(initial=0))))
    there = log.item >= 0
    cell = np.where(there, log.kind * items + log.item, 0)
    counted = np.bincount(cell[there], minlength=cells)
    patterns = np.bincount(log.anywhere.pattern, minlength=int(log.anywhere.of.max(initial=0)) + 1)
    of = log.anywhere.kind * items + log.anywhere.item
    asked = np.bincount(of, log.anywhere.share * patterns[log.anywhere.of], minlength=cells)
    wrong = rounds.reward - rounds.predicted

    def noise(weight: Float64) -> Float64:
        left = asked - np.bincount(cell[there], weight[there], minlength=cells)
        luck = (np.where(there, (left / (counted + RIDGE))[cell], 0.0) * wrong).sum(1)
        return np.asarray(luck - luck.mean(), np.float64)

    return noise


def _slate(log: Logged) -> list[_Part]:
    everyone = np.ones(len(log), bool)
    return [_Part("slate-ips", SLATE, by.slate_ips(log.prefix, log.reward), everyone, {})]


def _cascade(log: Logged) -> list[_Part]:
    everyone, prefix = np.ones(len(log), bool), log.prefix
    rates = predictions(log)
    predicted, expected = expected_of_logged(log, rates), expectation(log, rates, log.following)
    told = log.following.mean(np.ones(len(log.following.item)), log.item.shape[1]) > 0
    # Where no slate of the candidate begins like the logged one, the model has no say, on either side.
    robust = by.cascade_dr(prefix, log.reward, np.where(told, predicted, 0.0), expected)
    return [
        _Part("cascade-ips", CASCADE, by.cascade_ips(prefix, log.reward), everyone, {}),
        _Part("cascade-dr", CASCADE, robust, everyone, {}),
    ]


def _additive(log: Logged) -> list[_Part]:
    rows = np.isfinite(log.factor)
    factor, reward = log.factor[rows], log.reward[rows]
    return [
        _Part("pseudo-inverse", ADDITIVE, by.pseudo_inverse(factor, reward), rows, {}),
        _Part("weighted-pseudo-inverse", ADDITIVE, by.weighted_pseudo_inverse(factor, reward), rows, {}),
    ]


_BUILDERS: Final[dict[str, Callable[[Logged], list[_Part]]]] = {
    SINGLE: _single,
    SLATE: _slate,
    CASCADE: _cascade,
    ADDITIVE: _additive,
}


def _with_intervals(log: Logged, parts: list[_Part], seed: int) -> tuple[list[Estimate], Interval]:
    """Estimates with their intervals, and what the logging policy earned; the same users drawn for all."""
    earned = log.reward.sum(1)
    (logging,) = _intervals(earned[:, None], log, seed)
    found: dict[str, Estimate] = {}
    for rows in _distinct([part.rows for part in parts]):
        group = [part for part in parts if (part.rows == rows).all()]
        some, ours = _rows_of(log, rows), earned[rows]
        columns = [part.parts for part in group] + [part.parts - ours for part in group]
        intervals = _intervals(np.stack(columns, 1), some, seed)
        for part, interval, gain in zip(group, intervals, intervals[len(group) :], strict=False):
            bounds = bernstein(part.parts, some.user)
            count, assumes = int(rows.sum()), ASSUMES[part.family]
            found[part.name] = Estimate(
                part.name, interval.value, interval, bounds, gain, count, assumes, part.settings
            )
    return [found[part.name] for part in parts], logging


def _intervals(columns: Float64, log: Logged, seed: int) -> list[Interval]:
    """Means of float64 (n, e) columns with their intervals."""
    sums = user_sums(columns, log.user)
    low, high = corrected(sums, bootstrap(sums, seed))
    ends = zip(columns.mean(0).tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(*each) for each in ends]


def _distinct(masks: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    found: list[NDArray[np.bool_]] = []
    for mask in masks:
        if not any((mask == other).all() for other in found):
            found.append(mask)
    return found


def _headline(log: Logged, doubts: dict[str, list[str]]) -> str:
    wanted = HEADLINES if log.item.shape[1] > 1 else HEADLINES[2:]
    there = [name for name in wanted if name in doubts] or list(doubts)
    return next((name for name in there if not doubts[name]), there[0])
