"""How sure an estimate is: resampled users, and bounds that hold for any number of impressions.

A user's impressions are not independent, users are; so users are what is drawn anew.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from instep.evaluate.base import Float64, Int32
from instep.evaluate.bootstrap import Interval

RESAMPLES: Final = 2000
CELLS: Final = 4_000_000
"""Most numbers of the draws that are held at once."""
NOTHING: Final = 1e-150
RAREST: Final = 1e-4


def user_sums(parts: Float64, user: Int32) -> Float64:
    """Sums by user.

    Args:
        parts: float64 (n, e), what `e` estimators say of `n` impressions.
        user: int32 (n,), whose they are.

    Returns:
        float64 (users, e + 1); the last column counts the user's impressions.
    """
    place = np.unique(user, return_inverse=True)[1].reshape(-1)
    columns = [np.bincount(place, column) for column in parts.T]
    return np.stack([*columns, np.bincount(place).astype(np.float64)], 1)


def bootstrap(sums: Float64, seed: int = 0, resamples: int = RESAMPLES) -> Float64:
    """Estimates of logs in which the users were drawn anew, with replacement.

    Args:
        sums: float64 (users, e + 1), see `user_sums`.
        seed: of the draws.
        resamples: how many logs.

    Returns:
        float64 (resamples, e).

    Source: Efron and Tibshirani 1993, over clusters.
    """
    rng = np.random.default_rng(seed)
    users = len(sums)
    share = np.full(users, 1.0 / users)
    drawn = np.empty((resamples, sums.shape[1]))
    step = max(1, CELLS // users)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn[start:stop] = rng.multinomial(users, share, size=stop - start) @ sums
    return np.asarray(drawn[:, :-1] / drawn[:, -1:])


def corrected(sums: Float64, resampled: Float64, confidence: float = 0.95) -> tuple[Float64, Float64]:
    """Intervals from resampled estimates, corrected for bias and for skewed rewards (BCa).

    Plain percentiles are too low where a few large rewards carry an estimate, as rare clicks do.

    Args:
        sums: float64 (users, e + 1), see `user_sums`.
        resampled: float64 (resamples, e), see `bootstrap`.
        confidence: of the intervals.

    Returns:
        Lower and upper ends, float64 (e,) each.

    Source: Efron 1987, "Better Bootstrap Confidence Intervals", with the acceleration of a mean.
    """
    count = sums[:, -1:]
    value = sums[:, :-1].sum(0) / count.sum()
    pull = sums[:, :-1] - value * count  # what each user adds to the estimate
    square = (pull**2).sum(0)
    skew = (pull**3).sum(0) / np.where(square > NOTHING, 6.0 * square**1.5, 1.0)
    normal = NormalDist()
    below = ((resampled < value).mean(0) + (resampled <= value).mean(0)) / 2.0
    middle = np.array([normal.inv_cdf(min(max(share, RAREST), 1.0 - RAREST)) for share in below.tolist()])
    ends = []
    for tail in ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0):
        at = middle + normal.inv_cdf(tail)
        moved = middle + at / np.maximum(1.0 - skew * at, RAREST)
        share = np.array([normal.cdf(each) for each in moved.tolist()])
        ordered = np.sort(resampled, axis=0)
        place = np.clip(share * (len(ordered) - 1), 0, len(ordered) - 1)
        low, part = place.astype(np.int64), place % 1.0
        column = np.arange(ordered.shape[1])
        high = np.minimum(low + 1, len(ordered) - 1)
        ends.append(ordered[low, column] * (1.0 - part) + ordered[high, column] * part)
    return ends[0], ends[1]


def bernstein(parts: Float64, user: Int32, span: float | None = None, confidence: float = 0.95) -> Interval:
    """Empirical Bernstein bounds: they hold for any number of users, if `span` is right.

    Args:
        parts: float64 (n,), one number an impression.
        user: int32 (n,), whose it is.
        span: largest minus smallest sum that a user can have, over the usual number of impressions of a user; None
            takes the one observed, which makes the bounds a strong hint and no guarantee.
        confidence: of the interval.

    Source: Maurer and Pontil 2009, theorem 4, on both sides.

    >>> flat = np.tile([0.0, 1.0], 500)
    >>> str(bernstein(flat, np.arange(1000, dtype=np.int32), 1.0))
    '0.5000 [0.4429, 0.5571]'
    """
    sums = user_sums(parts[:, None], user)
    users = len(sums)
    each = sums[:, 0] * users / sums[:, 1].sum()
    value = float(each.mean())
    if users < 2:
        return Interval(value, -math.inf, math.inf)
    width = float(np.ptp(each)) if span is None else span
    doubt = math.log(4.0 / (1.0 - confidence))
    reach = math.sqrt(2.0 * float(each.var(ddof=1)) * doubt / users) + 7.0 * width * doubt / (
        3.0 * (users - 1)
    )
    return Interval(value, value - reach, value + reach)
