"""Policies: scored candidates to a slate with propensities.

Laws (checked by `instep.testing.PolicyContract`):
- k distinct places, each with a propensity in (0, 1]: the probability that this policy puts that candidate there,
  given the scores and the earlier positions.
- Over many seeds the frequencies match the propensities; the same seed gives the same slate.
- A candidate whose score is not finite comes after all others.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Choice(NamedTuple):
    """Places among the candidates, best first, int64 (k,), and propensities, float64 (k,)."""

    places: NDArray[np.int64]
    propensities: NDArray[np.float64]


class Policy(Protocol):
    """Chooses a slate."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    @property
    def draws(self) -> int:
        """How many draws of the posterior it wants to see; 0 for none."""
        ...

    def choose(self, scores: NDArray[np.float32], k: int, seed: int) -> Choice:
        """Choose k of m candidates.

        Args:
            scores: float32 (1 + draws, m): expected scores, then one row a draw of the ranker's posterior.
            k: slate length, 1 <= k <= m.
            seed: the only source of randomness.
        """
        ...
