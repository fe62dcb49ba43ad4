"""What is counted: slates by arm, joined to the acts they led to, exactly once, in the log's order.

The counts are part of the state: a replay, a snapshot and an erasure treat them like everything else that was learned.
All sums are whole numbers, so that no order of adding changes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from instep.domain import ExperimentChange, Feedback, Impression, Record
from instep.experiment.change import apply_change
from instep.experiment.judge import harm_of
from instep.state.trials import Moments, OpenSlate, Trial, Trials, Unit

MOST_OPEN: Final = 200_000
"""Open slates of a period; when there are more, a period is shorter than the window, and late acts do not count."""


def count_record(trials: Trials, merged: Mapping[str, str], record: Record) -> None:
    """Count what a record means for the experiments that are under way.

    Args:
        trials: moved.
        merged: sessions and the users that they turned out to be.
        record: the next one of the log.
    """
    kind = type(record)
    if kind is Feedback:
        if trials.running and record.slate_id is not None:  # type: ignore[union-attr]
            _count_act(trials, merged, record)  # type: ignore[arg-type]
    elif kind is Impression:
        if trials.running and record.experiments:  # type: ignore[union-attr]
            _count_slate(trials, record)  # type: ignore[arg-type]
    elif kind is ExperimentChange:
        apply_change(trials, record)  # type: ignore[arg-type]


def _count_slate(trials: Trials, shown: Impression) -> None:
    for assignment in shown.experiments:
        trial = trials.by_name.get(assignment.experiment)
        if trial is None or trial.status != "running":
            continue
        arm = 1 if assignment.teams else _arm_number(trial, assignment.arm)
        if arm is None:
            continue
        unit = trial.users.get(shown.user_id)
        tally = trial.arms[arm]
        if unit is None:
            unit = trial.users[shown.user_id] = Unit(arm, 0, [0] * len(trial.definition.metrics))
            tally.users += 1
        if unit.arm != arm:
            continue  # an arm is for good: this slate was not made by us
        tally.nn += 2 * unit.slates + 1
        tally.slates += 1
        unit.slates += 1
        for sums, y in zip(tally.metrics, unit.metrics, strict=True):
            sums.ny += y
        _turn_period(trial, shown.timestamp)
        trial.recent[shown.event_id] = OpenSlate(
            shown.user_id, shown.timestamp, shown.item_ids, assignment.teams, [0] * len(unit.metrics)
        )


def _arm_number(trial: Trial, name: str) -> int | None:
    return next((n for n, arm in enumerate(trial.definition.arms) if arm.name == name), None)


def _turn_period(trial: Trial, now: float) -> None:
    """Drop, all at once, what was shown so long ago that no act counts for it any more."""
    if now - trial.since > trial.definition.window_seconds or len(trial.recent) >= MOST_OPEN:
        trial.older, trial.recent, trial.since = trial.recent, {}, now


def _count_act(trials: Trials, merged: Mapping[str, str], act: Feedback) -> None:
    slate_id = act.slate_id or ""
    for name in trials.running:
        trial = trials.by_name[name]
        shown = trial.recent.get(slate_id) or trial.older.get(slate_id)
        if shown is None or act.timestamp > shown.at + trial.definition.window_seconds:
            continue
        if merged.get(act.user_id, act.user_id) != merged.get(shown.user_id, shown.user_id):
            continue
        if act.item_id not in shown.item_ids:
            continue
        for number, metric in enumerate(trial.definition.metrics):
            if metric.type == act.type:
                _count_metric(trial, shown, number, shown.item_ids.index(act.item_id))


def _count_metric(trial: Trial, shown: OpenSlate, metric: int, place: int) -> None:
    unit = trial.users[shown.user_id]
    if not shown.teams:
        if shown.counted[metric]:
            return
        shown.counted[metric] = change = 1
    else:
        if (metric, place) in shown.acted:
            return
        shown.acted.append((metric, place))
        before = _sign(shown.counted[metric])
        shown.counted[metric] += 1 if shown.teams[place] == 1 else -1
        after = _sign(shown.counted[metric])
        change = after - before
        if metric == 0:
            _count_wins(trial, before, after)
    _add(trial.arms[unit.arm].metrics[metric], unit, metric, change)
    _stop_harm(trial, unit.arm)


def _count_wins(trial: Trial, before: int, after: int) -> None:
    for sign, arm in ((-1, trial.arms[0]), (1, trial.arms[1])):
        arm.wins += (after == sign) - (before == sign)


def _add(sums: Moments, unit: Unit, metric: int, change: int) -> None:
    y = unit.metrics[metric]
    sums.y += change
    sums.yy += change * (2 * y + change)
    sums.ny += change * unit.slates
    unit.metrics[metric] = y + change


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _stop_harm(trial: Trial, arm: int) -> None:
    """Note an arm that does harm: from the next request on it is not served, and its experiment is to be stopped.

    Asked after every act: an arm that gets none is found out by the control's.
    """
    if trial.harm is not None:
        return
    for number in range(1, len(trial.arms)) if arm == 0 else (arm,):
        trial.harm = trial.harm or harm_of(trial, number)


def forget_users(trials: Trials, user_ids: Iterable[str]) -> None:
    """Drop what is kept by user at once; the rebuild of an erasure takes them out of the sums."""
    gone = set(user_ids)
    for name in trials.running:
        trial = trials.by_name[name]
        for slates in (trial.recent, trial.older):
            for slate_id in [key for key, slate in slates.items() if slate.user_id in gone]:
                del slates[slate_id]
        for user_id in gone:
            trial.users.pop(user_id, None)
