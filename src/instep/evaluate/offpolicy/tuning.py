"""Thresholds and shrinkage, chosen from the log: the least estimated mean squared error.

Whatever limits the weights trades bias for noise. The noise is the spread of the estimate; the bias is what the
limited weights leave out of the correction, as far as the log shows it, plus what it may hide.

Source: Su et al. 2020, section 5 (and Wang, Agarwal and Dudík 2017, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from instep.evaluate.base import Float64
from instep.evaluate.offpolicy.estimators import Rounds, clipped_ips, dros, ips, switch_dr

QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
CONFIDENCE: Final = 0.05


def tuned_clip(rounds: Rounds) -> float:
    """The largest weight for `clipped_ips`; float64 (n, k) arrays only."""
    return _best(rounds, list(_levels(rounds.weight)), clipped_ips, ips)


def tuned_switch(rounds: Rounds) -> float:
    """The largest weight for `switch_dr`; float64 (n, k) arrays only."""
    return _best(rounds, list(_levels(rounds.weight)), switch_dr, lambda each: switch_dr(each, math.inf))


def tuned_shrinkage(rounds: Rounds) -> float:
    """Lambda for `dros`; float64 (n, k) arrays only.

    >>> rng = np.random.default_rng(0)
    >>> flat = np.ones((500, 1))
    >>> tuned_shrinkage(Rounds(flat, rng.random((500, 1)), flat / 2, flat / 2))
    inf
    """
    square = _levels(rounds.weight) ** 2
    grid = [0.0, *(factor * level for level in square for factor in (0.1, 1.0, 10.0)), math.inf]
    return _best(rounds, grid, dros, lambda each: dros(each, math.inf))


def _levels(weight: Float64) -> Float64:
    some = weight[weight > 0]
    return np.unique(np.quantile(some, QUANTILES)) if len(some) else np.ones(1)


def _best(
    rounds: Rounds,
    grid: list[float],
    limited: Callable[[Rounds, float], Float64],
    unlimited: Callable[[Rounds], Float64],
) -> float:
    """The largest of the grid's values with the least estimated mean squared error."""
    whole = unlimited(rounds)
    best, least = grid[-1], math.inf
    for value in reversed(grid):
        parts = limited(rounds, value)
        error = _mean_squared_error(parts, whole - parts)
        if error < least:
            best, least = value, error
    return best


def _mean_squared_error(parts: Float64, left_out: Float64) -> float:
    """Noise of an estimate, and the square of a bound on its bias that holds with 95 %."""
    n = len(parts)
    bias = abs(float(left_out.mean()))
    if left_out.any():
        bias += math.sqrt(2.0 * float((left_out**2).mean()) * math.log(2.0 / CONFIDENCE) / n)
    return float(parts.var()) / n + bias**2
