"""Thresholds and shrinkage, chosen from the log: the least estimated mean squared error.

Whatever limits the weights trades bias for noise. The noise is the spread of the estimate; the bias is what the
limited weights leave out, as the log shows it. A bound on the bias in its place, which would be safer, costs more than
any limit saves: nothing would ever be limited.

Source: Su et al. 2020, section 5, with the direct estimate of the bias (and Wang, Agarwal and Dudík 2017, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from instep.evaluate.base import Float64
from instep.evaluate.offpolicy.estimators import Rounds, clipped_ips, dros, ips, switch_dr

QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


def tuned_clip(rounds: Rounds) -> float:
    """The largest weight for `clipped_ips`; float64 (n, k) arrays only."""
    return _best(rounds, _levels(rounds.weight), clipped_ips, ips)


def tuned_switch(rounds: Rounds) -> float:
    """The largest weight for `switch_dr`; float64 (n, k) arrays only."""
    return _best(rounds, _levels(rounds.weight), switch_dr, lambda each: switch_dr(each, math.inf))


def tuned_shrinkage(rounds: Rounds) -> float:
    """Lambda for `dros`; float64 (n, k) arrays only.

    >>> rng = np.random.default_rng(0)
    >>> flat = np.ones((500, 1))
    >>> tuned_shrinkage(Rounds(flat, rng.random((500, 1)), flat, flat))  # a model that is far off
    inf
    """
    levels = _levels(rounds.weight)
    between = sorted(factor * level**2 for level in levels for factor in (0.1, 1.0, 10.0))
    return _best(rounds, [0.0, *between, math.inf], dros, lambda each: dros(each, math.inf))


def _levels(weight: Float64) -> list[float]:
    """Weights at the quantiles, ascending."""
    some = weight[weight > 0]
    levels: list[float] = np.unique(np.quantile(some, QUANTILES)).tolist() if len(some) else [1.0]
    return levels


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
    """Noise of an estimate, and its bias, as the log shows them."""
    return float(parts.var()) / len(parts) + float(left_out.mean()) ** 2
