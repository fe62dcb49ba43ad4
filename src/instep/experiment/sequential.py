"""What may be said at any time: intervals that hold at all moments at once, however often one looks.

An ordinary 95 % interval misses the truth now and then; who looks at it after every event and stops at the first
miss is wrong nearly always. A confidence sequence is wider, and with probability 1 - alpha it holds the truth at
*every* moment.

The unit is the user, who is what an arm is drawn for: a user's slates are alike, and slates taken as units would make
the intervals too short. The rate of an arm is a ratio of sums over users, its variance that of the linearised ratio.
Users come back, so that their sums grow; that makes neighbouring moments more alike than the theory's independent
increments, and the chance of ever leaving the interval smaller, not larger (Slepian's inequality).

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021, "Time-uniform central limit theory and asymptotic
confidence sequences", theorem 2.2 (the interval) and appendix B.2 (rho); Deng, Knoblich and Lu 2018, "Applying the
Delta Method in Metric Analytics" (the variance of a ratio); Lindon and Malek 2022, "Anytime-Valid Inference for
Multinomial Count Data" (the check of the shares). The packages that have such intervals are not light: `savvi` needs
SciPy and CVXPY, `confseq` a C++ compiler and Boost.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, lgamma, log, sqrt
from typing import Final, NamedTuple

from numba import njit

SHARES_DOUBTED: Final = 1000.0


class Rate(NamedTuple):
    """An arm's rate, and the variance of that."""

    value: float
    variance: float


class Interval(NamedTuple):
    """A value and the bounds that hold at every moment."""

    value: float
    low: float
    high: float


@njit(cache=True)
def rate_of(users: int, slates: int, nn: int, y: int, yy: int, ny: int) -> Rate:
    """Acts a slate, and the variance that comes from the users.

    Args:
        users: how many.
        slates: of all of them.
        nn: sum over users of the squares of their slates.
        y: acts of all users.
        yy: sum over users of the squares of their acts.
        ny: sum over users of slates times acts.

    >>> rate_of(4, 8, 16, 4, 8, 8)
    Rate(value=0.5, variance=0.08333333333333333)
    """
    value = y / slates if slates > 0 else 0.0
    if users < 2:
        return Rate(value, inf)
    squares = max(yy - 2.0 * value * ny + value * value * nn, 0.0)
    return Rate(value, squares * users / (users - 1.0) / slates / slates)


@njit(cache=True)
def interval_of(rate: Rate, users: int, alpha: float, planned: int) -> Interval:
    """The confidence sequence of a rate, or of a difference of rates.

    Args:
        rate: the estimate and its variance.
        users: how many it rests on.
        alpha: chance of ever leaving the interval.
        planned: the number of users at which it is to be tightest.

    >>> found = interval_of(Rate(0.1, 1e-4), 5000, 0.05, 5000)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0696, 0.1304)
    """
    if not 0.0 < rate.variance < inf:
        return Interval(rate.value, -inf, inf)
    spent = -2.0 * log(alpha)
    scaled = users * (spent + log(spent + 1.0)) / planned
    half = sqrt(rate.variance * 2.0 * (scaled + 1.0) / scaled * log(sqrt(scaled + 1.0) / alpha))
    return Interval(rate.value, rate.value - half, rate.value + half)


@njit(cache=True)
def difference(arm: Rate, control: Rate, factor: float) -> Rate:
    """How much more an arm has than `factor` times the control."""
    return Rate(arm.value - factor * control.value, arm.variance + factor * factor * control.variance)


def compile_bounds() -> None:
    """Compile now what the counts will need: later, everybody would wait for it. Numba keeps it in a cache on disk."""
    rate = rate_of(2, 2, 2, 1, 1, 1)
    interval_of(difference(rate, rate, 1.0), 4, 0.05, 10)


def shares_doubt(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Evidence that users do not come to the arms in the shares that were set: a Bayes factor, at any time.

    However long one watches arms that are filled as they should be, it exceeds 1,000 with a chance of 1 in 1,000.

    Args:
        counts: users of each arm.
        shares: of each arm; they need not add up to 1.

    >>> shares_doubt([5000, 5000], [0.5, 0.5]) < 1 < 1000 < shares_doubt([5300, 4700], [0.5, 0.5])
    True
    """
    whole, total = sum(shares), sum(counts)
    weight = 100.0 * len(shares)  # the prior: shares that are off by a few per cent
    evidence = lgamma(weight) - lgamma(weight + total)
    for count, share in zip(counts, shares, strict=True):
        part = share / whole
        evidence += lgamma(weight * part + count) - lgamma(weight * part) - count * log(part)
    return exp(min(evidence, 700.0))
