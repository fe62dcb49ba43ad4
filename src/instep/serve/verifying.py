"""Is the log sound, and does every way to the model lead to the same state, to the bit?"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from instep.domain import ConfigError
from instep.flow import Flow
from instep.log import examine, open_log, repair
from instep.serve.config import Config, load_config
from instep.serve.folder import Folder
from instep.serve.settings import flow_settings
from instep.serve.terminal import Report, silent


class Verdict(msgspec.Struct):
    """What was found.

    Args:
        records: records in the log.
        state_hash: the hash of the state that a replay from the first record gives.
        snapshots: for each snapshot, the hash of its state after the rest of the log; "" when it cannot be
        read. problems: one sentence each; none when everything is sound.
    """

    records: int = 0
    state_hash: str = ""
    snapshots: dict[str, str] = msgspec.field(default_factory=dict)
    problems: list[str] = msgspec.field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def __str__(self) -> str:
        """The verdict in a few lines, for people."""
        lines = [f"{self.records:,} records; a clean replay gives {self.state_hash or 'nothing'}"]
        lines += [f"from {name}: {found or 'unreadable'}" for name, found in self.snapshots.items()]
        return "\n".join([*lines, *(self.problems or ["All is identical."])])


def verify_folder(place: Folder, report: Report = silent) -> Verdict:
    """Check a folder that no process has open.

    Args:
        place: the folder.
        report: is told the progress.

    Returns:
        What was found; `Verdict.sound` says whether all is well.

    Raises:
        ConfigError: the folder is in use, or has no log file.
    """
    config = load_config(place.path)
    verdict = Verdict(problems=list(examine(log_file(place, config))))
    if verdict.problems:
        return verdict
    with TemporaryDirectory() as empty:
        verdict.records, verdict.state_hash = _replayed(
            place, config, Path(empty), "Replaying the log", report
        )
    for snapshot in sorted(place.snapshots(config).glob("*.npz")):
        with TemporaryDirectory(dir=snapshot.parent.parent) as alone:
            os.link(snapshot, Path(alone, snapshot.name))
            work = f"From {snapshot.name}"
            found = _replayed(place, config, Path(alone), work, report, needed=True)[1]
        verdict.snapshots[snapshot.name] = found
        if found != verdict.state_hash:
            wrong = f"leads to another state ({found})" if found else "cannot be read, so it is not used"
            verdict.problems.append(f"snapshot {snapshot.name} {wrong}; delete it")
    return verdict


def repair_folder(place: Folder) -> str:
    """Save what can be saved of a folder's log; snapshots that may know lost records are deleted.

    Returns:
        What was done, in a sentence or two.
    """
    done = repair(log_file(place, load_config(place.path)))
    if done.lost:
        place.drop_snapshots()
    return str(done)


def log_file(place: Folder, config: Config) -> Path:
    """The log's file. Raises `ConfigError` when the log is not a file, or there is none yet.

    Args:
        place: the folder.
        config: its settings.
    """
    file = place.log_file(config)
    if file is None:
        raise ConfigError(f"{config.log.url}: only a log in a file can be verified")
    if not file.exists() and not any(file.parent.glob(f"{file.name}.*")):
        raise ConfigError(f"{file}: there is no log in this folder yet")
    return file


def _replayed(
    place: Folder, config: Config, snapshots: Path, work: str, report: Report, needed: bool = False
) -> tuple[int, str]:
    """Number of records, and the hash of the state that the newest snapshot and the rest of the log give.

    Where a snapshot is `needed` and cannot be read, the hash is "".
    """
    log = open_log(place.log_url(config))
    try:
        flow = Flow(log, flow_settings(config))
        found = flow.restore(snapshots, lambda at: report(work, at, log.end, "records"))
        report(work, log.end, log.end, "records")
        return log.end, "" if needed and not found else flow.state_hash()
    finally:
        log.close()
