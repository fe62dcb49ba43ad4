"""Thompson sampling with exact propensities: one of a fixed number of posterior draws rules each request.

Were the posterior drawn afresh for each request, the probability of a slate would be an integral. With a fixed set of
draws it is a count: of the draws that agree with the earlier positions, the share that puts this item next.

Source: Lu and Van Roy 2017, "Ensemble Sampling", section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from instep.policy.base import Choice
from instep.policy.greedy import best_places


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
        ruling = seed % self.draws
        slates = np.stack([best_places(row, k) for row in scores[1:]])
        chosen = slates[ruling]
        agrees = np.cumprod(slates == chosen, axis=1)
        count = np.concatenate([[self.draws], agrees.sum(0)])
        return Choice(chosen, count[1:] / count[:-1])
