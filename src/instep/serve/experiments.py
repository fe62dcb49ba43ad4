"""Launching, stopping, promoting and rolling back experiments of a flow, by anybody who may."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

import structlog

from instep.domain import Entry, Experiment, ExperimentChange, InvalidRequest, Receipt
from instep.experiment import (
    Report,
    check_change,
    check_launch,
    compile_bounds,
    promoted_settings,
    report,
    reports,
)
from instep.guard.experiments import check_experiment

if TYPE_CHECKING:
    from instep.flow import Flow
    from instep.state.trials import Trials

_log = structlog.get_logger("instep.experiments")


class Experiments:
    """The experiments of a flow. Each change is a record of the log: durable, replayed, in force with the next request.

    Args:
        flow: whose requests take part.

    >>> from instep.domain import Arm, Overrides
    >>> from instep.flow import Flow
    >>> from instep.log import MemoryLog
    >>> experiments = Experiments(Flow(MemoryLog()))
    >>> arms = (Arm("control", 0.5), Arm("best", 0.5, Overrides(policy="greedy")))
    >>> experiments.launch(Experiment("greedy or not", arms)).status
    'running'
    >>> experiments.promote("greedy or not", "best").status
    'promoted'
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._changing = threading.Lock()
        self._stopping: set[str] = set()

    def launch(self, definition: Experiment) -> Report:
        """Begin an experiment.

        Raises:
            InvalidRequest: it cannot be, or not beside those that run; names the field.
        """
        limits = self._flow.settings.limits
        check_experiment(definition, None if limits.any_type else limits.event_types)
        self._flow.variants.check(definition, promoted_settings(self._trials))
        compile_bounds()
        with self._changing:
            check_launch(self._trials, definition)
            self._append(
                ExperimentChange(_new_id(), definition.name, time.time(), "launch", definition=definition)
            )
        return self.report(definition.name)

    def stop(self, name: str, reason: str = "") -> Report:
        """End an experiment: everybody is served as usual again. Raises `InvalidRequest` when it has ended.

        Args:
            name: of the experiment.
            reason: for the record.

        Returns:
            What it has shown until now.
        """
        return self._change(ExperimentChange(_new_id(), name, time.time(), "stop", reason=reason))

    def promote(self, name: str, arm: str) -> Report:
        """Give an arm's settings to everybody, and end the experiment if it runs.

        Args:
            name: of the experiment.
            arm: whose settings.

        Returns:
            What it has shown until now.

        Raises:
            InvalidRequest: there is no such arm, or one is promoted already.
        """
        return self._change(ExperimentChange(_new_id(), name, time.time(), "promote", arm=arm))

    def roll_back(self, name: str) -> Report:
        """Take a promoted arm's settings back. Raises `InvalidRequest` when none is promoted."""
        return self._change(ExperimentChange(_new_id(), name, time.time(), "roll_back"))

    def report(self, name: str) -> Report:
        """What an experiment has shown so far. Raises `InvalidRequest` when there is none of this name."""
        with self._flow.reading() as model:
            trials = model.state.names.trials
            if name not in trials.by_name:
                known = ", ".join(trials.by_name) or "none"
                raise InvalidRequest(f"there is no experiment named {name!r}; there are: {known}", "name")
            return report(trials.by_name[name])

    def reports(self) -> list[Report]:
        """All experiments, the newest first."""
        with self._flow.reading() as model:
            return reports(model.state.names.trials)

    def watch(self) -> None:
        """From now on, end every experiment in which an arm does harm, as soon as the counts say so."""
        if self._trials.promoted:  # they win over the configuration, which somebody may wonder about
            _log.info("promoted settings are in force", experiments=list(self._trials.promoted))
        if self._trials.running:
            compile_bounds()
        self._flow.log.subscribe(self._stop_harmful)
        self._stop_harmful(())

    def launch_configured(self, definition: Experiment) -> None:
        """Launch what the configuration has, unless the log has it already.

        Raises:
            InvalidRequest: it cannot be launched, or was launched with other settings.
        """
        trial = self._trials.by_name.get(definition.name)
        if trial is None:
            self.launch(definition)
        elif trial.definition != definition:
            raise InvalidRequest(
                "was launched with other settings, and its results stay under its name; give the changed one another "
                "name, or take it out of the configuration"
            )

    @property
    def _trials(self) -> Trials:
        return self._flow.model.state.names.trials

    def _change(self, change: ExperimentChange) -> Report:
        with self._changing:
            check_change(self._trials, change)
            self._append(change)
        return self.report(change.experiment)

    def _append(self, change: ExperimentChange) -> None:
        self._flow.observe([change])

    def _stop_harmful(self, entries: Sequence[Entry]) -> None:
        """A subscriber of the log: what the counts have just shown becomes a record of its own."""
        trials = self._trials
        for name in trials.running:
            harm = trials.by_name[name].harm
            if harm is not None and name not in self._stopping:
                self._stopping.add(name)
                # The id is made of the name: whoever else notices it too adds nothing.
                event_id = f"experiment-harm-{blake2b(name.encode(), digest_size=12).hexdigest()}"
                change = ExperimentChange(event_id, name, time.time(), "stop", reason=str(harm))
                self._flow.log.submit((change,)).add_done_callback(partial(self._stopped, name, str(harm)))

    def _stopped(self, name: str, why: str, written: Future[list[Receipt]]) -> None:
        """The stop is on disk, or could not be written: then the next record brings another attempt."""
        self._stopping.discard(name)
        if written.exception() is None:
            _log.warning("experiment stopped", name=name, why=why)


def _new_id() -> str:
    return uuid.uuid4().hex
