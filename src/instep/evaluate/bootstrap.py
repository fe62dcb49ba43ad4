"""Intervals by resampling users: events of one user are not independent, users are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instep.evaluate.base import Float64, Int32


@dataclass(frozen=True)
class Interval:
    """A value and the 95 % interval around it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def mean_interval(values: Float64, user: Int32, seed: int = 0, resamples: int = 1000) -> Interval:
    """The mean over events, with users drawn anew.

    Args:
        values: float64 (n,), one an event.
        user: int32 (n,), whose event it is.
        seed: of the draws.
        resamples: how many.

    Source: Efron and Tibshirani 1993, percentile interval over clusters.

    >>> str(mean_interval(np.ones(4), np.array([0, 0, 1, 2], np.int32)))
    '1.0000 [1.0000, 1.0000]'
    """
    total, count = _by_user(values, user)
    drawn = _draws(len(count), seed, resamples)
    return _interval(float(values.mean()), (drawn @ total) / (drawn @ count))


def ratio_interval(
    above: Float64, below: Float64, user: Int32, seed: int = 0, resamples: int = 1000
) -> Interval:
    """The ratio of two systems' means over the same events, both with the same users drawn anew.

    Args:
        above: float64 (n,), of the system in the numerator.
        below: float64 (n,), of the other one.
        user: int32 (n,), whose event it is.
        seed: of the draws.
        resamples: how many.
    """
    upper, _ = _by_user(above, user)
    lower, _ = _by_user(below, user)
    drawn = _draws(len(upper), seed, resamples)
    tiny = np.finfo(np.float64).tiny
    return _interval(
        float(above.sum() / max(below.sum(), tiny)), (drawn @ upper) / np.maximum(drawn @ lower, tiny)
    )


def _by_user(values: Float64, user: Int32) -> tuple[Float64, Float64]:
    place = np.unique(user, return_inverse=True)[1].reshape(-1)
    return np.bincount(place, values).astype(np.float64), np.bincount(place).astype(np.float64)


def _draws(users: int, seed: int, resamples: int) -> Float64:
    """float64 (resamples, users), how often each user was drawn."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(users, np.full(users, 1 / users), size=resamples).astype(np.float64)


def _interval(value: float, resampled: Float64) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high))
