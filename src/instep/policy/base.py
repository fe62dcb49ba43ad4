"""Policies: scored candidates to a slate with propensities.

Laws (checked by `instep.testing.PolicyContract`):
- k distinct places, each with a propensity in (0, 1]: the probability that this policy puts that candidate there,
  given the scores and the earlier positions.
- Over many seeds the frequencies match the propensities; the same seed gives the same slate.
- `propensities` tells of the slate that `choose` chose what `choose` told, and 0 of what it never shows.
- A candidate whose score is not finite comes after all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

SAMPLES: Final = 4096


class Choice(NamedTuple):
    """Places among the candidates, best first, int64 (k,), and propensities, float64 (k,)."""

    places: NDArray[np.int64]
    propensities: NDArray[np.float64]


class Policy(Protocol):
    """Chooses a slate. Inherit from it: what is not said stays as it is here.

    Attributes:
        name: what the log calls it.
        draws: how many draws of the ranker's posterior it wants to see.
        deviation: whether it wants to see the standard deviation of each candidate's score.
        tilt: signal name to what is added to the ranker's weight before anything is scored for it; None for nothing.

    A policy that sees neither draws nor deviations gets the k best candidates and no others.
    """

    name: str
    draws: int = 0
    deviation: bool = False
    tilt: Mapping[str, float] | None = None

    def choose(self, scores: NDArray[np.float32], k: int, seed: int) -> Choice:
        """Choose k of m candidates.

        Args:
            scores: float32 (1 + draws + deviation, m), in log-odds: expected scores, then one row a draw of the
                ranker's posterior, then the row of standard deviations.
            k: slate length, 1 <= k <= m.
            seed: the only source of randomness.
        """
        ...

    def propensities(self, scores: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float64]:
        """How likely this policy would have shown a slate, place by place.

        The default counts over 4,096 seeds: of the slates that begin like this one, the share that goes on like it. Its
        standard error is sqrt(p (1 - p) / slates that begin so). Every policy of Instep's own overrides it by
        the exact number.

        Args:
            scores: as for `choose`.
            places: int64 (k,), the slate, as places among the candidates.

        Returns:
            float64 (k,), each the probability given the places before it; 0 from where it could not be.
        """
        slates = np.array([self.choose(scores, len(places), seed).places for seed in range(SAMPLES)])
        return shares(slates, places)


@njit(cache=True)
def shares(slates: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the slates that begin like `places`, the share that goes on like it, place by place.

    Args:
        slates: int64 (s, k).
        places: int64 (k,).

    >>> shares(np.array([[1, 2], [1, 3], [2, 1], [1, 2]]), np.array([1, 2])).round(2).tolist()
    [0.75, 0.67]
    """
    k = len(places)
    agreeing = np.zeros(k + 1)
    for slate in slates:
        at = 0
        agreeing[0] += 1.0
        while at < k and slate[at] == places[at]:
            at += 1
            agreeing[at] += 1.0
    out = np.zeros(k)
    for at in range(k):
        if agreeing[at] > 0.0:
            out[at] = agreeing[at + 1] / agreeing[at]
    return out
