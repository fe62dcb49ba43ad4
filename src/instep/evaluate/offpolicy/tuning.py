"""Thresholds and shrinkage, chosen from the log: the least estimated mean squared error.

Whatever limits the weights trades bias for noise. The bias is what the limited weights leave out, as the log shows it;
a bound on it in its place costs more than any limit saves, so that nothing would ever be limited. The noise is that of
the impressions and that of the model of rewards: the less the log corrects the model, the more its own luck counts.
Were that left out, the model alone would always look best.

Source: Su et al. 2020, section 5, with the direct estimate of the bias (and Wang, Agarwal and Dudík 2017, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from instep.evaluate.base import Float64
from instep.evaluate.offpolicy.estimators import Rounds, clipped_ips, dros, ips, shrunk, switch_dr, switched

QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
Noise = Callable[[Float64], Float64]
"""Weights that correct a model, float64 (n, k), to what each impression's luck does through it, float64 (n,)."""


def no_noise(weight: Float64) -> Float64:
    """Of a model that was not fitted on this log."""
    return np.zeros(len(weight))


def tuned_clip(rounds: Rounds) -> float:
    """The largest weight for `clipped_ips`; float64 (n, k) arrays only."""
    whole = ips(rounds)
    return _best([(most, clipped_ips(rounds, most)) for most in _levels(rounds.weight)], whole, [])


def tuned_switch(rounds: Rounds, noise: Noise = no_noise) -> float:
    """The largest weight for `switch_dr`; float64 (n, k) arrays only."""
    grid = _levels(rounds.weight)
    whole = switch_dr(rounds, math.inf)
    luck = [noise(switched(rounds.weight, most)) for most in grid]
    return _best([(most, switch_dr(rounds, most)) for most in grid], whole, luck)


def tuned_shrinkage(rounds: Rounds, noise: Noise = no_noise) -> float:
    """Lambda for `dros`; float64 (n, k) arrays only.

    >>> rng = np.random.default_rng(0)
    >>> flat = np.ones((500, 1))
    >>> tuned_shrinkage(Rounds(flat, rng.random((500, 1)), flat, flat))  # a model that is far off
    inf
    """
    levels = _levels(rounds.weight)
    between = sorted(factor * level**2 for level in levels for factor in (0.1, 1.0, 10.0))
    grid = [0.0, *between, math.inf]
    luck = [noise(shrunk(rounds.weight, value)) for value in grid]
    return _best([(value, dros(rounds, value)) for value in grid], dros(rounds, math.inf), luck)


def _levels(weight: Float64) -> list[float]:
    """Weights at the quantiles, ascending."""
    some = weight[weight > 0]
    levels: list[float] = np.unique(np.quantile(some, QUANTILES)).tolist() if len(some) else [1.0]
    return levels


def _best(made: list[tuple[float, Float64]], whole: Float64, luck: list[Float64]) -> float:
    """The largest of the values with the least estimated mean squared error.

    Args:
        made: values and the numbers float64 (n,) that they give.
        whole: float64 (n,), without a limit.
        luck: float64 (n,) each, of the model; empty where there is none.
    """
    best, least = made[-1][0], math.inf
    for place in reversed(range(len(made))):
        value, parts = made[place]
        noisy = parts + luck[place] if luck else parts
        error = float(noisy.var()) / len(parts) + float((whole - parts).mean()) ** 2
        if error < least:
            best, least = value, error
    return best
