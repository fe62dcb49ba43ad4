"""Always the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instep.policy.base import Choice


def best_places(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Places of the k highest scores, best first, ties by place, non-finite ones last.

    >>> best_places(np.array([1.0, np.nan, 3.0, 3.0], np.float32), 3).tolist()
    [2, 3, 0]
    """
    clean = np.where(np.isfinite(scores), scores, -np.inf)
    if k < len(clean):
        bar = np.partition(clean, len(clean) - k)[len(clean) - k]
        places = np.flatnonzero(clean >= bar)
    else:
        places = np.arange(len(clean))
    order = np.argsort(-clean[places], kind="stable")[:k]
    chosen: NDArray[np.int64] = places[order]
    return chosen


class Greedy:
    """The k best by expected score, each with propensity 1."""

    name = "greedy"
    draws = 0

    def choose(self, scores: NDArray[np.float32], k: int, seed: int) -> Choice:
        """See `Policy`; the seed is not used."""
        return Choice(best_places(scores[0], k), np.ones(k))
