"""How an experiment begins and ends, and what it leaves behind."""

from __future__ import annotations

from instep.domain import Experiment, ExperimentChange, InvalidRequest, Overrides
from instep.experiment.place import BUCKETS, buckets_wanted, free_buckets
from instep.state.trials import ArmTally, Moments, Trial, Trials


def check_launch(trials: Trials, definition: Experiment) -> None:
    """Whether an experiment can begin beside those that run.

    Raises:
        InvalidRequest: its name was used, its layer has not enough users left, or another layer's experiment changes
            the same settings; names the field.
    """
    if definition.name in trials.by_name:
        raise InvalidRequest(
            f"there was an experiment named {definition.name!r} already; results stay under their name, "
            "so give this one another",
            "name",
        )
    running = [trials.by_name[name].definition for name in trials.running]
    wanted = buckets_wanted(_share(definition))
    if free_buckets(trials, definition.layer, wanted) is None:
        beside = [other for other in running if other.layer == definition.layer]
        taken = sum(buckets_wanted(_share(other)) for other in beside) / BUCKETS
        names = ", ".join(repr(other.name) for other in beside)
        raise InvalidRequest(
            f"the shares of layer {definition.layer!r} would add up to {taken + _share(definition):g}, more than "
            f"1: {names} has {taken:g} of it; stop it, take less, or use another layer",
            "arms",
        )
    changed = _changed(definition)
    for other in running:
        both = changed & _changed(other)
        apart = definition.surfaces and other.surfaces and not set(definition.surfaces) & set(other.surfaces)
        if other.layer != definition.layer and both and not apart:
            raise InvalidRequest(
                f"experiment {other.name!r} of layer {other.layer!r} changes {', '.join(sorted(both))} too, and a user "
                f"may be in both; put this one in layer {other.layer!r}",
                "layer",
            )


def check_change(trials: Trials, change: ExperimentChange) -> None:
    """Whether an experiment can be stopped, promoted or rolled back now.

    Raises:
        InvalidRequest: there is no such experiment or arm, or it is not in a state for that; names the field.
    """
    trial = trials.by_name.get(change.experiment)
    if trial is None:
        known = ", ".join(trials.by_name) or "none"
        raise InvalidRequest(
            f"there is no experiment named {change.experiment!r}; there are: {known}", "name"
        )
    name, ended = trial.definition.name, trial.status.replace("_", " ")
    if change.action == "stop" and trial.status != "running":
        raise InvalidRequest(f"experiment {name!r} has ended: it was {ended}", "name")
    if change.action == "roll_back" and trial.status != "promoted":
        raise InvalidRequest(f"no arm of experiment {name!r} is promoted: it is {ended}", "name")
    if change.action == "promote":
        arms = [arm.name for arm in trial.definition.arms]
        if change.arm not in arms:
            raise InvalidRequest(f"must be one of {', '.join(arms)}, not {change.arm!r}", "arm")
        if trial.status == "promoted":
            raise InvalidRequest(
                f"arm {trial.promoted!r} of experiment {name!r} is promoted already; roll it back first",
                "name",
            )


def apply_change(trials: Trials, change: ExperimentChange) -> None:
    """Do what a record says. One that cannot be done any more, because another came first, does nothing."""
    try:
        if change.action == "launch":
            if change.definition is not None:
                check_launch(trials, change.definition)
                _launch(trials, change.definition, change.timestamp)
            return
        check_change(trials, change)
    except InvalidRequest:
        return
    trial = trials.by_name[change.experiment]
    if trial.status == "running":
        _end(trials, trial, change)
    if change.action == "promote":
        trial.status, trial.promoted = "promoted", change.arm
        trials.promoted.append(change.experiment)
    elif change.action == "roll_back":
        trial.status = "rolled_back"
        trials.promoted.remove(change.experiment)


def promoted_settings(trials: Trials) -> Overrides:
    """What the promoted arms change for everybody, the newest first in force."""
    settings = Overrides()
    for name in trials.promoted:
        trial = trials.by_name[name]
        arm = next(arm for arm in trial.definition.arms if arm.name == trial.promoted)
        settings = arm.settings.over(settings)
    return settings


def _launch(trials: Trials, definition: Experiment, now: float) -> None:
    buckets = free_buckets(trials, definition.layer, buckets_wanted(_share(definition)))
    assert buckets is not None  # check_launch has looked
    arms = [ArmTally(metrics=[Moments() for _ in definition.metrics]) for _ in definition.arms]
    trials.by_name[definition.name] = Trial(definition, now, buckets, arms=arms, since=now)
    trials.running.append(definition.name)


def _end(trials: Trials, trial: Trial, change: ExperimentChange) -> None:
    """The counts stay; what was kept by user and by slate goes."""
    trial.status, trial.ended = "stopped", change.timestamp
    trial.reason = change.reason
    trial.users, trial.recent, trial.older = {}, {}, {}
    trials.running.remove(trial.definition.name)


def _share(definition: Experiment) -> float:
    return sum(arm.share for arm in definition.arms)


def _changed(definition: Experiment) -> frozenset[str]:
    """Which settings differ between its arms; slates can be mixed only while nobody else changes policies."""
    given = frozenset().union(*(arm.settings.keys for arm in definition.arms))
    return given | {"policy"} if definition.kind == "interleave" else given
