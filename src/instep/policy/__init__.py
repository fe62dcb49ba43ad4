"""Scored candidates to a slate with propensities."""

from instep.policy.base import Choice, Policy
from instep.policy.greedy import Greedy, best_places
from instep.policy.thompson import Thompson

__all__ = ["Choice", "Greedy", "Policy", "Thompson", "best_places"]
