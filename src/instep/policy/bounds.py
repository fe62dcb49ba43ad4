"""Policies that rank by a bound on the score: the upper one explores, the lower one is careful."""

from __future__ import annotations

import numpy as np

from instep.domain import ConfigError
from instep.policy.base import Choice, Policy, shares
from instep.policy.budget import BUDGET, F32, F64, I64, checked_budget, follow


class _Bound(Policy):
    """The k best by expected score plus so many standard deviations; always the same slate, so propensity 1."""

    deviation = True
    step = 0.0
    budget = 1.0

    def _slate(self, scores: F32, k: int) -> I64:
        with np.errstate(invalid="ignore"):  # what is not finite ranks last
            bound = scores[0] + np.float32(self.step) * scores[1]
        return follow(scores[0], bound[None], k, self.budget)

    def choose(self, scores: F32, k: int, seed: int) -> Choice:
        """See `Policy`; the seed is not used."""
        return Choice(self._slate(scores, k)[0], np.ones(k))

    def propensities(self, scores: F32, places: I64) -> F64:
        """See `Policy`; exact."""
        return shares(self._slate(scores, len(places)), places)


class LinUCB(_Bound):
    """The k best by the upper bound: what may be good is shown until it is known.

    Args:
        alpha: standard deviations added, not negative.
        budget: share of the greedy slate's expected reward that a slate may give up; 1 for no limit.

    Raises:
        ConfigError: a number is out of range.

    Source: Li et al. 2010, "A Contextual-Bandit Approach to Personalized News Article Recommendation", on the
    ranker's posterior in place of one ridge regression an item: the cost does not grow with the catalogue.
    """

    name = "linucb"

    def __init__(self, alpha: float = 1.0, budget: float = BUDGET) -> None:
        self.step = _checked_alpha(alpha)
        self.budget = checked_budget(budget)


class Pessimistic(_Bound):
    """The k best by the lower bound: what is not known well must wait. For a new policy, or where a mistake is dear.

    Args:
        alpha: standard deviations taken off, not negative.

    Raises:
        ConfigError: alpha is out of range.

    Source: Swaminathan and Joachims 2015 (variance-penalised selection); Jin et al. 2021, "Is Pessimism Provably
    Efficient for Offline RL?".
    """

    name = "pessimistic"

    def __init__(self, alpha: float = 1.0) -> None:
        self.step = -_checked_alpha(alpha)


def _checked_alpha(alpha: float) -> float:
    if not 0.0 <= alpha < float("inf"):
        raise ConfigError(f"alpha: must not be negative, not {alpha!r}")
    return float(alpha)
