"""What experiments are under way or over, and what was counted in each: part of the state."""

from __future__ import annotations

from typing import Literal

import msgspec

from instep.domain import Experiment
from instep.domain.experiments import Goal

Status = Literal["running", "stopped", "promoted", "rolled_back"]


class Moments(msgspec.Struct):
    """Sums over an arm's users of one metric, exact whole numbers.

    Args:
        y: slates that count (of a mixed slate: won minus lost).
        yy: squares of the users' `y`.
        ny: products of the users' slates and `y`.
    """

    y: int = 0
    yy: int = 0
    ny: int = 0


class ArmTally(msgspec.Struct):
    """What was counted of an arm: users, slates, the sum of the squares of the users' slates, and each metric."""

    users: int = 0
    slates: int = 0
    nn: int = 0
    metrics: list[Moments] = []
    wins: int = 0
    """Mixed slates of which this arm's items got more acts."""


class Unit(msgspec.Struct, array_like=True):
    """What was counted of one user: the arm's number, slates, and each metric."""

    arm: int
    slates: int
    metrics: list[int]


class OpenSlate(msgspec.Struct, array_like=True):
    """A slate that acts may still count for.

    Args:
        user_id: who saw it.
        at: when, seconds since the epoch.
        item_ids: what was on it.
        teams: for each place of a mixed slate, the arm's number.
        counted: for each metric, whether it counted; of a mixed slate, acts on the second arm's items minus those
            on the first's.
        acted: places that were acted on, of a mixed slate.
    """

    user_id: str
    at: float
    item_ids: tuple[str, ...]
    teams: tuple[int, ...]
    counted: list[int]
    acted: list[tuple[int, int]] = []


class Harm(msgspec.Struct, frozen=True):
    """Why an experiment must end: an arm that certainly has fewer, or more, slates with a type of act than it may."""

    arm: str
    type: str
    goal: Goal

    def __str__(self) -> str:
        """The harm as a sentence.

        >>> str(Harm("bold", "click", "increase"))
        'harm: arm bold certainly has fewer slates with click than the control'
        """
        direction = "fewer" if self.goal == "increase" else "more"
        return f"harm: arm {self.arm} certainly has {direction} slates with {self.type} than the control"


class Trial(msgspec.Struct):
    """An experiment and what was counted in it.

    Args:
        definition: as launched.
        launched: when, seconds since the epoch.
        buckets: the layer's buckets that it has, as ranges.
        status: what became of it.
        ended: when.
        reason: why it ended.
        harm: what it must end for; None while there is no harm.
        promoted: the arm that was promoted.
        arms: counts of each arm.
        users: counts of each user while it runs.
        recent: open slates since `since`.
        older: open slates of the period before.
        since: when the present period began.
    """

    definition: Experiment
    launched: float
    buckets: tuple[tuple[int, int], ...]
    status: Status = "running"
    ended: float | None = None
    reason: str = ""
    harm: Harm | None = None
    promoted: str = ""
    arms: list[ArmTally] = []
    users: dict[str, Unit] = {}
    recent: dict[str, OpenSlate] = {}
    older: dict[str, OpenSlate] = {}
    since: float = 0.0


class Trials(msgspec.Struct):
    """All experiments by name in the order of their launch, and which have their arm promoted, newest last."""

    by_name: dict[str, Trial] = {}
    running: list[str] = []
    promoted: list[str] = []
