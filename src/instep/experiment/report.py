"""What an experiment has shown so far: counts and intervals, and no user's id."""

from __future__ import annotations

from math import isfinite
from typing import Literal

import msgspec

from instep.domain import Experiment, Metric, Overrides
from instep.experiment.judge import Verdict, arm_rate, compared, verdict
from instep.experiment.sequential import SHARES_DOUBTED, shares_doubt
from instep.state.trials import Harm, Status, Trial, Trials


class MetricReport(msgspec.Struct, frozen=True):
    """One metric of one arm.

    Args:
        type: the feedback type.
        goal: which way is better.
        rate: share of the arm's slates with such an act; of mixed slates, won minus lost, per slate.
        difference: from the control; None for the control itself.
        low: the difference is at least this, at every moment at once; None while nothing can be said.
        high: at most this.
        verdict: what may be said now.
    """

    type: str
    goal: Literal["increase", "decrease"]
    rate: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: Verdict | Literal["control"] = "control"


class ArmReport(msgspec.Struct, frozen=True):
    """One arm: its share of all users, its settings, who saw it, and every metric, the deciding one first."""

    name: str
    share: float
    settings: Overrides
    users: int
    slates: int
    wins: int
    metrics: list[MetricReport]


class Report(msgspec.Struct, frozen=True):
    """What an experiment has shown.

    Args:
        name: of the experiment.
        kind: ``split`` or ``interleave``.
        status: ``running``, ``stopped``, ``promoted`` or ``rolled_back``.
        layer: whose users it shares with no other.
        surfaces: where; empty for everywhere.
        launched: seconds since the epoch.
        ended: seconds since the epoch.
        reason: why it was stopped.
        harm: what it was stopped for, or is about to be; None for none.
        promoted: the arm that was promoted.
        alpha: chance of any wrong verdict over its whole life.
        shares_doubted: whether users certainly do not come to the arms in the shares that were set: then something is
            broken, and no result holds.
        arms: the control first.
    """

    name: str
    kind: Literal["split", "interleave"]
    status: Status
    layer: str
    surfaces: tuple[str, ...]
    launched: float
    ended: float | None
    reason: str
    harm: Harm | None
    promoted: str
    alpha: float
    shares_doubted: bool
    arms: list[ArmReport]


def report(trial: Trial) -> Report:
    """What an experiment has shown so far."""
    definition = trial.definition
    shares = [arm.share for arm in definition.arms]
    counts = [tally.users for tally in trial.arms]
    doubt = shares_doubt(counts, shares) if definition.kind == "split" else 0.0
    return Report(
        definition.name,
        definition.kind,
        trial.status,
        definition.layer,
        definition.surfaces,
        trial.launched,
        trial.ended,
        trial.reason,
        trial.harm,
        trial.promoted,
        definition.alpha,
        doubt > SHARES_DOUBTED,
        [_arm(trial, definition, number) for number in range(len(definition.arms))],
    )


def reports(trials: Trials) -> list[Report]:
    """All experiments, the newest first."""
    return [report(trial) for trial in reversed(trials.by_name.values())]


def _arm(trial: Trial, definition: Experiment, number: int) -> ArmReport:
    arm, tally = definition.arms[number], trial.arms[number]
    seen = trial.arms[1] if definition.kind == "interleave" else tally
    metrics = [_metric(trial, number, place, metric) for place, metric in enumerate(definition.metrics)]
    return ArmReport(arm.name, arm.share, arm.settings, seen.users, seen.slates, tally.wins, metrics)


def _metric(trial: Trial, arm: int, number: int, metric: Metric) -> MetricReport:
    rate = arm_rate(trial.arms[arm], number).value
    if arm == 0:
        return MetricReport(metric.type, metric.goal, rate)
    found = compared(trial, arm, number)
    low, high = (bound if isfinite(bound) else None for bound in (found.low, found.high))
    return MetricReport(metric.type, metric.goal, rate, found.value, low, high, verdict(trial, arm, number))
