"""Thompson sampling with exact propensities: one of a fixed number of posterior draws rules each request.

Were the posterior drawn afresh for each request, the probability of a slate would be an integral. With a fixed set of
draws it is a count: of the draws that agree with the earlier positions, the share that puts this item next.

Source: Lu and Van Roy 2017, "Ensemble Sampling", section 3.
"""

from __future__ import annotations

from instep.domain import ConfigError
from instep.policy.base import Choice, Policy, shares
from instep.policy.budget import BUDGET, F32, F64, I64, checked_budget, follow

MOST_DRAWS = 256


class Thompson(Policy):
    """The k best under one draw of the ranker's posterior, chosen by the seed, as far as the budget goes.

    Args:
        draws: how many draws there are, 1 to 256; the smallest propensity is one over it.
        budget: share of the greedy slate's expected reward that a slate may give up; 1 for no limit.

    Raises:
        ConfigError: a number is out of range.
    """

    name = "thompson"

    def __init__(self, draws: int = 16, budget: float = BUDGET) -> None:
        if not (isinstance(draws, int) and 1 <= draws <= MOST_DRAWS):
            raise ConfigError(f"draws: must be a whole number between 1 and {MOST_DRAWS}, not {draws!r}")
        self.draws = draws
        self.budget = checked_budget(budget)

    def _slates(self, scores: F32, k: int) -> I64:
        """int64 (draws, k), each draw's slate."""
        return follow(scores[0], scores[1:], k, self.budget)

    def choose(self, scores: F32, k: int, seed: int) -> Choice:
        """See `Policy`."""
        slates = self._slates(scores, k)
        chosen = slates[seed % self.draws]
        return Choice(chosen, shares(slates, chosen))

    def propensities(self, scores: F32, places: I64) -> F64:
        """See `Policy`; exact."""
        return shares(self._slates(scores, len(places)), places)
