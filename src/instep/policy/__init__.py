"""Scored candidates to a slate with propensities."""

from instep.policy.base import Choice, Policy
from instep.policy.bounds import LinUCB, Pessimistic
from instep.policy.budget import BUDGET
from instep.policy.choose import POLICIES, Parameters, Surface, default_policy, make_policy, surface_policy
from instep.policy.greedy import Greedy, best_places
from instep.policy.reinforce import Reinforce, Taught
from instep.policy.sampled import EpsilonGreedy, PlackettLuce
from instep.policy.thompson import Thompson

__all__ = [
    "BUDGET",
    "POLICIES",
    "Choice",
    "EpsilonGreedy",
    "Greedy",
    "LinUCB",
    "Parameters",
    "Pessimistic",
    "PlackettLuce",
    "Policy",
    "Reinforce",
    "Surface",
    "Taught",
    "Thompson",
    "best_places",
    "default_policy",
    "make_policy",
    "surface_policy",
]
