"""Which policy a surface has: by name, with its parameters and its budget."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Final

import msgspec

from instep.domain import ConfigError, find_part
from instep.policy.base import Policy
from instep.policy.bounds import LinUCB, Pessimistic
from instep.policy.greedy import Greedy
from instep.policy.reinforce import Reinforce
from instep.policy.sampled import EpsilonGreedy, PlackettLuce
from instep.policy.thompson import Thompson

POLICIES: Final[Mapping[str, type[Policy]]] = {
    "greedy": Greedy,
    "epsilon-greedy": EpsilonGreedy,
    "plackett-luce": PlackettLuce,
    "thompson": Thompson,
    "linucb": LinUCB,
    "pessimistic": Pessimistic,
    "reinforce": Reinforce,
}
Parameters = dict[str, int | float | str]


class Surface(msgspec.Struct, frozen=True):
    """How slates of one surface are chosen.

    Args:
        policy: a name of `POLICIES` or of a plugin (entry-point group `instep.policies`); None for the default's.
        budget: share of the greedy slate's expected reward that a slate may give up; None for the default's.
        explore: False for never: the same as a budget of 0.
        parameters: of the policy, by name.
    """

    policy: str | None = None
    budget: float | None = None
    explore: bool = True
    parameters: Parameters = {}


def make_policy(
    name: str, parameters: Mapping[str, int | float | str] | None = None, budget: float | None = None
) -> Policy:
    """A policy by its name.

    Args:
        name: of `POLICIES`, or a plugin's.
        parameters: what its constructor takes beside the budget.
        budget: its exploration budget; None for its own default.

    Raises:
        ConfigError: there is no such policy, it has no such parameter, or a value is out of range.

    >>> make_policy("epsilon-greedy", {"epsilon": 0.2}, budget=0.01).name
    'epsilon-greedy'
    >>> make_policy("thompson", {"epsilon": 0.2})
    Traceback (most recent call last):
    instep.domain.errors.ConfigError: policy 'thompson' has no parameter 'epsilon'; it has: draws, budget
    """
    made = find_part("instep.policies", name, POLICIES)
    given = dict(parameters or {}) | ({} if budget is None else {"budget": budget})
    known = _parameters(made)
    for parameter in given:
        if parameter not in known:
            its = f"it has: {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"policy {name!r} has no parameter {parameter!r}; {its}")
    try:
        policy: Policy = made(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"policy {name!r}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"policy {name!r}: {error}") from None
    return policy


def surface_policy(surface: Surface, default: Surface) -> Policy:
    """The policy of a surface; what it does not say is as by default.

    Args:
        surface: the surface's own settings.
        default: the settings of `[recommend]`, with a policy.

    Raises:
        ConfigError: as for `make_policy`, or the policy cannot be told what the surface asks for.

    >>> surface_policy(Surface(explore=False), Surface("thompson", 0.05)).budget
    0.0
    """
    name = surface.policy or default.policy or "thompson"
    inherits = name == default.policy and not surface.parameters
    parameters = default.parameters if inherits else surface.parameters
    limited = "budget" in _parameters(find_part("instep.policies", name, POLICIES))
    settled = name in ("greedy", "pessimistic")  # they never explore
    if not limited and not settled and not surface.explore:
        raise ConfigError(
            f'policy {name!r} takes no budget, so it cannot be told not to explore; set policy = "greedy"'
        )
    if not limited and surface.budget is not None:
        raise ConfigError(f"policy {name!r} takes no budget; leave `budget` out")
    budget = surface.budget if surface.budget is not None else default.budget
    return make_policy(name, parameters, None if not limited else budget if surface.explore else 0.0)


def default_policy(default: Surface) -> Policy:
    """The policy where a surface has no settings of its own; its budget is ignored where the policy takes none."""
    return surface_policy(Surface(explore=default.explore), default)


def _parameters(made: object) -> list[str]:
    """Names that a policy's constructor takes."""
    if getattr(made, "__init__", None) is object.__init__ or not callable(made):
        return []
    return [name for name in inspect.signature(made).parameters if name not in ("args", "kwargs")]
