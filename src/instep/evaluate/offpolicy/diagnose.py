"""Whether an estimate may be trusted, in numbers: effective sample, heavy tails, average weight, overlap.

Every check gives a number, a limit, and a sentence for when the limit is passed. An estimator whose weights average
next to nothing is not estimated at all: the log says nothing of the candidate, whatever the formula gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from instep.evaluate.base import Float64

LEAST_OVERLAP: Final = 0.05
"""Average weight below which nothing is estimated."""
LEAST_SAMPLE: Final = 100.0
"""Effective impressions below which an estimate is not to be trusted."""
HEAVIEST: Final = 0.1
"""Share of all weight that one impression may carry."""
HEAVY_TAIL: Final = 0.7
"""Shape of the weights' tail from which on their mean converges too slowly to be of use."""
OFF: Final = 4.0
"""Standard errors by which the average weight may be off 1."""
LEAST_REPRODUCED: Final = 0.95
"""Share of the logged propensities that a replay should give again."""
ALIKE: Final = 1e-9
"""Relative difference below which weights are the same, but for rounding."""
TAIL: Final = 5
"""Fewest weights from which a tail is fitted."""


@dataclass(frozen=True)
class Weights:
    """What the weights of an estimator look like.

    Args:
        impressions: how many there are.
        effective: as many impressions of weight 1 would be worth as much: (sum w)² / sum w².
        mean: average weight: 1 if propensities are true and the log covers what the candidate shows.
        error: standard error of the average.
        heaviest: share of all weight that the heaviest impression carries.
        tail: shape of the generalised Pareto distribution of the largest weights; NaN where they are too few or alike.
    """

    impressions: int
    effective: float
    mean: float
    error: float
    heaviest: float
    tail: float


def weigh(weight: Float64) -> Weights:
    """Look at the weights of n impressions, float64 (n,).

    >>> flat = weigh(np.ones(50))
    >>> flat.effective, flat.mean, flat.heaviest
    (50.0, 1.0, 0.02)
    """
    n, total, square = len(weight), float(weight.sum()), float((weight**2).sum())
    error = float(weight.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    heaviest = float(weight.max()) / total if total > 0 else 0.0
    effective = total**2 / square if square > 0 else 0.0
    return Weights(n, effective, total / max(n, 1), error, heaviest, tail_shape(weight))


def warnings(weights: Weights) -> list[str]:
    """Why an estimate from these weights should not be trusted; nothing when it may be.

    >>> warnings(weigh(np.ones(5000)))
    []
    >>> warnings(weigh(np.ones(50)))
    ['the effective sample is 50 of 50 impressions; 100 are the least']
    """
    found = []
    if weights.effective < LEAST_SAMPLE:
        found.append(
            f"the effective sample is {weights.effective:,.0f} of {weights.impressions:,} impressions; "
            f"{LEAST_SAMPLE:,.0f} are the least"
        )
    if weights.heaviest > HEAVIEST:
        found.append(
            f"one impression carries {weights.heaviest:.0%} of all weight; {HEAVIEST:.0%} is the most"
        )
    if weights.tail > HEAVY_TAIL:
        found.append(
            f"the weights have a heavy tail (Pareto shape {weights.tail:.2f}, at most {HEAVY_TAIL}): the rare "
            "impressions that would decide are missing"
        )
    if abs(weights.mean - 1.0) > OFF * weights.error + 1e-9:
        why = (
            "the log covers only part of what the candidate shows"
            if weights.mean < 1
            else "propensities are too low"
        )
        found.append(
            f"the weights average {weights.mean:.3f} ± {weights.error:.3f} and should average 1: {why}"
        )
    return found


def tail_shape(weight: Float64) -> float:
    """Shape of the generalised Pareto distribution that the largest fifth of the weights follows.

    Args:
        weight: float64 (n,).

    Returns:
        The shape k: moments of order 1 / k and above do not exist. NaN where there is no tail to fit.

    Source: Zhang and Stephens 2009; Vehtari et al. 2024, "Pareto Smoothed Importance Sampling", for the share and the
    limit of 0.7.

    >>> heavy = (1 - np.random.default_rng(0).random(20_000)) ** -0.9
    >>> 0.7 < tail_shape(heavy) < 1.1
    True
    """
    n = len(weight)
    size = min(int(0.2 * n), int(3.0 * math.sqrt(n)))
    if size < TAIL:
        return math.nan
    ordered = np.sort(weight)
    excess = ordered[-size:] - ordered[-size - 1]
    excess = excess[excess > 0]
    if len(excess) < TAIL or excess[-1] <= ALIKE * ordered[-1]:
        return math.nan
    m = 30 + int(math.sqrt(len(excess)))
    quartile = excess[int(len(excess) / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3.0 * quartile)
    shape = np.log1p(-theta[:, None] * excess).mean(1)
    likelihood = len(excess) * (np.log(-theta / shape) - shape - 1.0)
    weight_of = np.exp(likelihood - likelihood.max())
    best = float((theta * weight_of).sum() / weight_of.sum())
    fitted = float(np.log1p(-best * excess).mean())
    return (len(excess) * fitted + 5.0) / (len(excess) + 10.0)  # drawn to 0.5, as where it was published
