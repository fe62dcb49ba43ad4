"""Versions of the language model in a folder: which serves, what is told of each, and how another one takes over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from instep.domain import ConfigError
from instep.log import Log, LogReader, SqliteLog
from instep.tune.registry import BASE, Registry, Version, check_whole
from instep.tune.version import read_json, told

EVERY_SECONDS: Final = 1.0
POINTS: Final = 400
"""Of a longer loss curve, so many points are told."""
Count = Callable[[int, int], int]
_log = logging.getLogger("instep.models")


class VersionReport(msgspec.Struct, frozen=True, kw_only=True):
    """A version and how it stands.

    Args:
        version: what it is.
        status: ``live``, ``previous`` or ``stored``.
        verdict: of the gate: ``passed``, ``refused`` or ``not judged``.
        records_now: how many records the log has now in the range of its data.
        erased: whether some were erased since: it cannot be promoted any more.
        fault: what is wrong with its files; "" when nothing was found.
        gate: all that the gate recorded; null where it was not asked.
        shadow: how it does on live traffic that it is not shown to; null where it was not scored on any.
        losses: points of its loss curve, the lines of losses.jsonl.
    """

    version: Version
    status: str
    verdict: str
    records_now: int
    erased: bool
    fault: str = ""
    gate: dict[str, Any] | None = None
    shadow: dict[str, Any] | None = None
    losses: list[dict[str, Any]] = []


class ModelList(msgspec.Struct, frozen=True):
    """All versions, the newest first; ``live`` and ``previous`` are ``base`` for the configured encoder."""

    live: str
    previous: str
    versions: list[VersionReport]


class Models:
    """The versions of a folder, for whoever may change which one serves.

    Args:
        registry: where they are.
        count: how many records the log has in a range of offsets.
        configured: the encoder that the configuration names: ``auto``, ``english`` ...

    Attributes:
        want: is told which encoder is to serve, by the name that opens it; None where no service runs.
    """

    def __init__(self, registry: Registry, count: Count, configured: str = "auto") -> None:
        self.registry = registry
        self.want: Callable[[str], object] | None = None
        self._count = count
        self._configured = configured
        self._counted: dict[tuple[int, int], int] = {}
        self._wanted: str | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def list(self) -> ModelList:
        """All versions that can be read, the newest first."""
        now = self.registry.standing
        found = [self._report(each) for each in reversed(self.registry.versions())]
        return ModelList(now.live or BASE, now.previous or BASE, found)

    def show(self, name: str) -> VersionReport:
        """One version with its loss curve and the gate's numbers; its files are compared with its hash.

        Raises:
            UnknownVersion: there is none of this name.
            ConfigError: its description is damaged.
        """
        version, fault = self.registry.get(name), ""
        try:
            self.registry.verify(name)
        except ConfigError as error:
            fault = str(error)
        found = self._report(version)
        return msgspec.structs.replace(
            found, fault=fault or found.fault, losses=_losses(self.registry.path(name))
        )

    def promote(self, name: str, anyway: bool = False) -> ModelList:
        """Make a version serve; ``base`` is the configured encoder.

        Args:
            name: which.
            anyway: although the gate refused it, or was not asked.

        Returns:
            All versions as they stand now.

        Raises:
            UnknownVersion: there is none of this name.
            ConfigError: it may not serve; says why.
        """
        if name not in ("", BASE):
            version = self.registry.get(name)
            records = self._records(version)
            check_whole(version, records)
            if self.registry.verdict(name) is None and not anyway:
                raise ConfigError(
                    f"{name}: the gate was not asked: `instep models judge` asks it; or promote it anyway (--anyway)"
                )
        else:
            records = 0
        self.registry.promote(name, records_now=records, anyway=anyway)
        self.apply()
        return self.list()

    def roll_back(self) -> ModelList:
        """Exchange the live version and the one before it.

        Returns:
            All versions as they stand now.

        Raises:
            ConfigError: there is nothing to go back to, or it may not serve any more.
        """
        before = self.registry.previous
        records = self._records(self.registry.get(before)) if before else None
        self.registry.rollback(records_now=records)
        self.apply()
        return self.list()

    def forget_counts(self) -> None:
        """Count the log's records anew: somebody was erased."""
        self._counted.clear()

    def opening(self) -> str:
        """The name that opens the encoder which is to serve. Never fails: a folder with a bad version still serves.

        Returns:
            The folder of the live version; of the previous one when that cannot serve; else what is configured.
        """
        try:
            now = self.registry.standing
        except ConfigError as error:
            _log.warning("%s; the configured encoder serves", error)
            return self._configured
        if not now.live:
            return self._configured
        for name in (now.live, now.previous):
            if not name:
                break
            try:
                self.registry.verify(name)
                folder = self.registry.path(name) / "model"
                if not (folder / "model.onnx").is_file():
                    raise ConfigError(f"{name}: was not exported: it has no model/model.onnx")
                return str(folder)
            except (ConfigError, OSError) as error:
                _log.warning("the language model %s cannot serve: %s", name, error)
        _log.warning("the configured encoder (%s) serves in its place", self._configured)
        return self._configured

    def apply(self) -> None:
        """Tell the service which encoder is to serve, if that is another one than it was told before."""
        if self.want is None:
            return
        name = self.opening()
        if name != self._wanted:
            self._wanted = name
            self.want(name)

    def watch(self, want: Callable[[str], object], now: str) -> None:
        """Keep a service in step with live.json, whoever changes it.

        Args:
            want: see the class.
            now: what `opening` gave when the service started.
        """
        self.want, self._wanted = want, now
        self._thread = threading.Thread(target=self._follow, name="instep-models", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        file = self.registry.folder / "live.json"
        seen = _changed(file)
        while not self._stopped.wait(EVERY_SECONDS):
            now = _changed(file)
            if now != seen:
                seen = now
                try:
                    self.apply()
                except Exception as error:  # the one that serves goes on
                    _log.error("the live language model was not changed: %s", error)

    def _report(self, version: Version) -> VersionReport:
        name, now = version.name, self.registry.standing
        fault, verdict, gate, shadow = "", None, None, None
        try:
            verdict = self.registry.verdict(name)
            gate = self._note(name, "gate.json")
            shadow = self._note(name, "shadow.json")
        except ConfigError as error:
            fault = str(error)
        records = self._records(version)
        return VersionReport(
            version=version,
            status="live" if name == now.live else "previous" if name == now.previous else "stored",
            verdict="not judged" if verdict is None else "passed" if verdict.passed else "refused",
            records_now=records,
            erased=records < version.records,
            fault=fault,
            gate=gate,
            shadow=shadow,
        )

    def _note(self, name: str, file: str) -> dict[str, Any] | None:
        """What was found out about a version and put beside it; None without such a file."""
        path = self.registry.path(name) / file
        if not path.exists():
            return None
        found: dict[str, Any] | None = read_json(path, dict[str, Any])
        if found is None:
            raise ConfigError(f"{told(path)}: is corrupt; delete it")
        return found

    def _records(self, version: Version) -> int:
        span = (version.start, version.end)
        if span not in self._counted:
            self._counted[span] = self._count(*span)
        return self._counted[span]


def counted_in(log: Log) -> Count:
    """Counts records of an open log."""
    if isinstance(log, SqliteLog):
        return counted_in_file(log.path)
    return lambda start, end: sum(1 for _ in log.read(start, end)) if end > start else 0


def counted_in_file(path: Path) -> Count:
    """Counts records of a SQLite log beside the process that has it open."""
    return LogReader(path).count


def _changed(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_mtime_ns
    return 0


def _losses(folder: Path) -> list[dict[str, Any]]:
    """The loss curve; lines that a kill cut short are left out."""
    found = []
    with suppress(OSError):
        for line in (folder / "losses.jsonl").read_bytes().splitlines():
            with suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(line, type=dict[str, Any]))
    step = max(1, -(-len(found) // POINTS))
    return found[::step]
