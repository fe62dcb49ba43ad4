"""Thompson sampling with exact propensities: one of a fixed number of posterior draws rules each request.

Were the posterior drawn afresh for each request, the probability of a slate would be an integral. With a fixed set of
draws it is a count: of the draws that agree with the earlier positions, the share that puts this item next.

Source: Lu and Van Roy 2017, "Ensemble Sampling", section 3.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from instep.policy.base import Choice
from instep.policy.greedy import best_places


@njit(cache=True)
def _agreed(draws: NDArray[np.float32], k: int, ruling: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ruling draw's slate, int64 (k,), and how many draws agree with its first 0..k places, float64 (k + 1,)."""
    chosen = best_places(draws[ruling], k)
    count = np.zeros(k + 1)
    for row in range(len(draws)):
        places = best_places(draws[row], k)
        agreed = 0
        while agreed < k and places[agreed] == chosen[agreed]:
            agreed += 1
        count[: agreed + 1] += 1.0
    return chosen, count


class Thompson:
    """The k best under one draw of the ranker's posterior, chosen by the seed.

    Args:
        draws: how many draws there are; the smallest propensity is one over it.
    """

    name = "thompson"

    def __init__(self, draws: int = 16) -> None:
        self.draws = draws

    def choose(self, scores: NDArray[np.float32], k: int, seed: int) -> Choice:
        """See `Policy`."""
        chosen, count = _agreed(scores[1:], k, seed % self.draws)
        return Choice(chosen, count[1:] / count[:-1])
