"""From the model and the log to files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from instep.domain import ConfigError, Record
from instep.files import outside_folders, write_events, write_items, write_log, write_users
from instep.serve.terminal import Report

if TYPE_CHECKING:
    from instep.flow import Flow

PARTS: Final = ("items", "users", "events", "log")
STEP: Final = 1000
T = TypeVar("T")


def export_part(flow: Flow, path: Path, what: str, report: Report) -> int:
    """Write one part of a folder's data.

    Args:
        flow: where it comes from.
        path: the file; .jsonl, .csv or .parquet.
        what: one of `PARTS`.
        report: is told the progress.

    Returns:
        How many rows were written.

    Raises:
        ConfigError: there is no such part, the file cannot be written, or it lies inside an instep folder.
    """
    outside_folders(path, "an export")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path.parent}: cannot be made: {error.strerror or error}") from error
    if what == "items":
        return write_items(path, _counted(flow.items(), "Writing items", report))
    if what == "users":
        return write_users(path, _counted(_users(flow), "Writing users", report))
    if what == "events":
        return write_events(path, _records(flow, "Writing events", report))
    if what == "log":
        return write_log(path, _records(flow, "Writing the log", report))
    raise ConfigError(f"there is nothing named {what} to export; there are {', '.join(PARTS)}")


def _users(flow: Flow) -> Iterator[tuple[str, dict[str, Any]]]:
    for user_id in flow.users(sys.maxsize):
        user = flow.user(user_id)
        if user is not None and user["attributes"]:
            yield user_id, user["attributes"]


def _records(flow: Flow, work: str, report: Report) -> Iterator[Record]:
    end = flow.log.end
    for entry in flow.log.read(0, end):
        if entry.offset % STEP == 0:
            report(work, entry.offset, end, "records")
        yield entry.record
    report(work, end, end, "records")


def _counted(rows: Iterator[T], work: str, report: Report) -> Iterator[T]:
    number = 0
    for number, row in enumerate(rows, 1):
        yield row
        if number % STEP == 0:
            report(work, number)
    report(work, number)
