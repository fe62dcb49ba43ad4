"""What the counts say of an arm: better, worse, or nothing yet. The same rule stops an arm that does harm."""

from __future__ import annotations

from typing import Final, Literal

from instep.domain import Experiment, Metric
from instep.experiment.sequential import Interval, Rate, difference, interval_of, rate_of
from instep.state.trials import ArmTally, Harm, Trial

LEAST_ACTS: Final = 20
Verdict = Literal["too early", "undecided", "better", "worse"]


def compared(trial: Trial, arm: int, metric: int, factor: float = 1.0) -> Interval:
    """An arm beside the control, with bounds that hold at every moment for all arms and metrics at once.

    Args:
        trial: the experiment.
        arm: the arm's number, 1 or more.
        metric: the metric's number.
        factor: what the control's rate is multiplied by before (for a tolerance).

    Returns:
        The difference of the rates; of an interleaved experiment, slates won minus lost, per slate.
    """
    definition, tally = trial.definition, trial.arms[arm]
    rate, users = arm_rate(tally, metric), tally.users
    if definition.kind == "split":
        rate = difference(rate, arm_rate(trial.arms[0], metric), factor)
        users += trial.arms[0].users
    return interval_of(rate, users, alpha_each(definition), definition.planned_users)


def arm_rate(tally: ArmTally, metric: int) -> Rate:
    """An arm's rate in one metric."""
    sums = tally.metrics[metric]
    return rate_of(tally.users, tally.slates, tally.nn, sums.y, sums.yy, sums.ny)


def alpha_each(definition: Experiment) -> float:
    """The chance of a wrong verdict that each comparison may have.

    >>> from instep.domain import Arm
    >>> alpha_each(Experiment("e", (Arm("a", 0.3), Arm("b", 0.3), Arm("c", 0.3)), alpha=0.05))
    0.025
    """
    return definition.alpha / ((len(definition.arms) - 1) * len(definition.metrics))


def too_early(trial: Trial, arm: int, metric: int) -> bool:
    """Whether there are too few users or acts for the interval to be trusted."""
    tally, control = trial.arms[arm], trial.arms[0]
    if trial.definition.kind == "interleave":
        return tally.users < trial.definition.least_users or tally.metrics[metric].yy < LEAST_ACTS
    acts = tally.metrics[metric].y + control.metrics[metric].y
    return min(tally.users, control.users) < trial.definition.least_users or acts < LEAST_ACTS


def verdict(trial: Trial, arm: int, metric: int) -> Verdict:
    """What may be said of an arm in one metric."""
    if too_early(trial, arm, metric):
        return "too early"
    found = compared(trial, arm, metric)
    if found.low <= 0.0 <= found.high:
        return "undecided"
    wanted = trial.definition.metrics[metric].goal == "increase"
    return "better" if (found.low > 0.0) == wanted else "worse"


def harm_of(trial: Trial, arm: int) -> Harm | None:
    """Why an arm must stop: the metric that is certainly worse than is tolerated; None when none is."""
    for number, metric in enumerate(trial.definition.metrics):
        if not too_early(trial, arm, number) and _is_worse(trial, arm, number, metric):
            return Harm(trial.definition.arms[arm].name, metric.type, metric.goal)
    return None


def _is_worse(trial: Trial, arm: int, number: int, metric: Metric) -> bool:
    sign = 1.0 if metric.goal == "increase" else -1.0
    if trial.definition.kind == "interleave":
        found = compared(trial, arm, number)
        worst = found.high if sign > 0 else -found.low
        return worst < -metric.tolerance
    found = compared(trial, arm, number, factor=1.0 - sign * metric.tolerance)
    return (found.high if sign > 0 else -found.low) < 0.0
