"""Policies that draw place after place: epsilon-greedy and Plackett-Luce, both within the budget, both exact."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from instep.domain import ConfigError
from instep.policy.base import Choice, Policy
from instep.policy.budget import BUDGET, F32, F64, I64, checked_budget, walk


class _PlaceByPlace(Policy):
    """What epsilon-greedy and Plackett-Luce have in common."""

    deviation = True
    share = 1.0
    budget = BUDGET

    @abstractmethod
    def _weights(self, expected: F32) -> F64:
        """float64 (m,), the weight with which each candidate is drawn."""

    def choose(self, scores: F32, k: int, seed: int) -> Choice:
        """See `Policy`."""
        unknown = np.full(k, -1, np.int64)
        return Choice(*walk(scores, self._weights(scores[0]), self.share, self.budget, seed, unknown))

    def propensities(self, scores: F32, places: I64) -> F64:
        """See `Policy`; exact."""
        return walk(scores, self._weights(scores[0]), self.share, self.budget, 0, places)[1]


class EpsilonGreedy(_PlaceByPlace):
    """At each place the best that remains or, with a small probability, any that the budget covers and that may pay.

    Args:
        epsilon: the probability, 0 to 1.
        budget: share of the greedy slate's expected reward that a slate may give up; 1 for no limit.

    Raises:
        ConfigError: a number is out of range.
    """

    name = "epsilon-greedy"

    def __init__(self, epsilon: float = 0.1, budget: float = BUDGET) -> None:
        if not 0.0 <= epsilon <= 1.0:
            raise ConfigError(f"epsilon: must be between 0 and 1, not {epsilon!r}")
        self.share = float(epsilon)
        self.budget = checked_budget(budget)

    def _weights(self, expected: F32) -> F64:
        return np.ones(len(expected))


class PlackettLuce(_PlaceByPlace):
    """At each place one of those that remain, by the softmax of their scores.

    Args:
        temperature: divides the scores; near 0 it is greedy, large it is uniform.
        budget: share of the greedy slate's expected reward that a slate may give up; 1 for no limit.

    Raises:
        ConfigError: a number is out of range.

    Source: Plackett 1975; Luce 1959.
    """

    name = "plackett-luce"

    def __init__(self, temperature: float = 1.0, budget: float = BUDGET) -> None:
        if not 0.0 < temperature < float("inf"):
            raise ConfigError(f"temperature: must be above 0, not {temperature!r}")
        self.temperature = float(temperature)
        self.budget = checked_budget(budget)

    def _weights(self, expected: F32) -> F64:
        scores = np.where(np.isfinite(expected), expected, -np.inf).astype(np.float64)
        highest = scores.max()
        return np.exp((scores - highest) / self.temperature) if np.isfinite(highest) else np.ones(len(scores))
