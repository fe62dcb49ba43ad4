"""Experiments: what is compared, and what a slate says of the arm that made it. Plain, frozen, no I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["split", "interleave"]
Goal = Literal["increase", "decrease"]
INTERLEAVED = "interleaved"


class Overrides(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Settings of ``[recommend]`` that an arm replaces; what is not given stays as it is.

    Args:
        policy: name of a policy.
        parameters: arguments of that policy.
        budget: share of the greedy slate's expected reward that a slate may give up to explore.
        explore: False for never; a surface that must not be explored stays so, whatever an arm says.
        surface: the configured surface whose policy is taken, wherever the request comes from.
        retrievers: plugins that propose more candidates, instead of the configured ones.
        scorers: plugins that add to the ranker's scores, instead of the configured ones.
        repeat: whether consumed items may come back.
    """

    policy: str | None = None
    parameters: dict[str, int | float | str] = {}
    budget: float | None = None
    explore: bool | None = None
    surface: str | None = None
    retrievers: tuple[str, ...] | None = None
    scorers: tuple[str, ...] | None = None
    repeat: bool | None = None

    @property
    def keys(self) -> frozenset[str]:
        """Which settings it replaces; all that says how a slate is chosen is one of them.

        >>> sorted(Overrides(policy="greedy", repeat=False).keys)
        ['policy', 'repeat']
        """
        given = {name for name in ("retrievers", "scorers", "repeat") if getattr(self, name) is not None}
        chosen = (self.policy, self.budget, self.explore, self.surface, self.parameters or None)
        return frozenset(given if chosen == (None,) * 5 else given | {"policy"})

    def over(self, other: Overrides) -> Overrides:
        """The other's settings with these in their place. What is said of a policy goes with that policy.

        >>> merged = Overrides(budget=0.1).over(Overrides(policy="linucb", parameters={"alpha": 2.0}))
        >>> merged.policy, merged.parameters, merged.budget
        ('linucb', {'alpha': 2.0}, 0.1)
        >>> Overrides(policy="thompson").over(Overrides(policy="linucb", parameters={"alpha": 2.0})).parameters
        {}
        """
        base = other if self.policy is None and self.surface is None else Overrides()
        return Overrides(
            base.policy if self.policy is None else self.policy,
            self.parameters or base.parameters,
            base.budget if self.budget is None else self.budget,
            base.explore if self.explore is None else self.explore,
            base.surface if self.surface is None else self.surface,
            other.retrievers if self.retrievers is None else self.retrievers,
            other.scorers if self.scorers is None else self.scorers,
            other.repeat if self.repeat is None else self.repeat,
        )


class Arm(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One of the ways that are compared.

    Args:
        name: within the experiment.
        share: of all users, in (0, 1]; whoever is in no arm is served as ever.
        settings: what is different for its users; nothing for a control.
    """

    name: str
    share: float
    settings: Overrides = Overrides()


class Metric(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is counted: the share of slates that led to at least one act of a type.

    Args:
        type: a feedback type, e.g. ``click``.
        goal: which way is better.
        tolerance: how much worse than the control an arm may be, relative to the control's value: 0.02 is 2 %.
    """

    type: str
    goal: Goal = "increase"
    tolerance: float = 0.0


class Experiment(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A comparison of arms on live traffic. The first arm is the control.

    Args:
        name: unique for ever: results stay under it.
        arms: at least two.
        kind: ``split`` gives every user one arm; ``interleave`` mixes the slates of two arms into one.
        metric: what decides.
        guardrails: what must not get worse either.
        layer: a user is in at most one experiment of a layer.
        surfaces: only requests of these surfaces take part; empty for all.
        window_seconds: how long after a slate an act still counts for it.
        alpha: chance of any wrong verdict, over the whole life of the experiment and all its comparisons.
        least_users: users that each arm must have before there is any verdict.
        planned_users: users, of both arms, at which the intervals are tightest.
    """

    name: str
    arms: tuple[Arm, ...]
    kind: Kind = "split"
    metric: Metric = Metric("click")
    guardrails: tuple[Metric, ...] = ()
    layer: str = "default"
    surfaces: tuple[str, ...] = ()
    window_seconds: float = 86_400.0
    alpha: float = 0.05
    least_users: int = 100
    planned_users: int = 5_000

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metric that decides, then the guardrails."""
        return (self.metric, *self.guardrails)


class Assignment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Under which arm of which experiment a slate was made.

    Args:
        experiment: its name.
        arm: the arm's name; ``interleaved`` when the slate mixes two arms.
        teams: for each place of a mixed slate, the number of the arm that put the item there.
    """

    experiment: str
    arm: str
    teams: tuple[int, ...] = ()
