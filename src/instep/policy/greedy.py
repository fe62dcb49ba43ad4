"""Always the best."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from instep.policy.base import Choice, Policy, shares

SORTED_FROM: Final = 128  # longer slates are cheaper to sort whole


@njit(cache=True)
def best_places(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Places of the k highest scores, best first, ties by place, non-finite ones last.

    Args:
        scores: float32 (m,).
        k: at most m.

    >>> best_places(np.array([1.0, np.nan, 3.0, 3.0], np.float32), 3).tolist()
    [2, 3, 0]
    """
    clean = np.empty(len(scores), np.float32)
    for place in range(len(scores)):
        clean[place] = scores[place] if np.isfinite(scores[place]) else -np.inf
    if k > SORTED_FROM:
        return np.argsort(-clean, kind="mergesort")[:k].astype(np.int64)
    best = np.empty(k, np.int64)
    held = 0
    for place in range(len(clean)):
        if held == k and not clean[place] > clean[best[k - 1]]:
            continue
        at = held if held < k else k - 1
        while at > 0 and clean[best[at - 1]] < clean[place]:
            best[at] = best[at - 1]
            at -= 1
        best[at] = place
        held = min(held + 1, k)
    return best


class Greedy(Policy):
    """The k best by expected score, each with propensity 1.

    >>> Greedy().choose(np.array([[0.1, 0.9, 0.5]], np.float32), 2, 8).places.tolist()
    [1, 2]
    """

    name = "greedy"

    def choose(self, scores: NDArray[np.float32], k: int, seed: int) -> Choice:
        """See `Policy`; the seed is not used."""
        return Choice(best_places(scores[0], k), np.ones(k))

    def propensities(self, scores: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `Policy`; exact."""
        return shares(best_places(scores[0], len(places))[None], places)
