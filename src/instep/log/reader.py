"""A log read beside the process that has it open: for what learns from it on another clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from instep.domain import ConfigError, Entry
from instep.log import sqlite_rows
from instep.log.sqlite_file import open_reader


class LogReader:
    """Reads a SQLite log and takes no lock; what is written meanwhile is there at the next call.

    Args:
        path: the log's file.

    Raises:
        ConfigError: there is no such file.

    >>> from tempfile import TemporaryDirectory
    >>> from instep.domain import Feedback
    >>> from instep.log import SqliteLog
    >>> with TemporaryDirectory() as place:
    ...     log = SqliteLog(f"{place}/log.sqlite")
    ...     _ = log.append([Feedback("e1", "u1", "i1", 1e9), Feedback("e2", "u1", "i2", 1e9)])
    ...     reader = LogReader(log.path)
    ...     (reader.end, reader.count(0, 2), [entry.record.item_id for entry in reader.read(1)])
    ...     log.close()
    (2, 2, ['i2'])
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ConfigError(f"{self.path}: there is no log; `instep import` or `instep serve` makes one")

    @property
    def end(self) -> int:
        """The offset that the next record will get."""
        return self._number("SELECT next FROM tail")

    def count(self, start: int, stop: int) -> int:
        """How many records there are with start <= offset < stop; erased ones are none."""
        asked = "SELECT count(*) FROM entries WHERE offset >= ? AND offset < ? AND length(payload) > 0"
        return self._number(asked, start, stop)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries with start <= offset < stop, as `Log.read` gives them.

        Raises:
            LogCorrupt: a record's checksum fails.
            ConfigError: the file cannot be read.
        """
        end = self.end
        last = end if stop is None else min(stop, end)
        try:
            with closing(open_reader(self.path)) as db:
                yield from sqlite_rows.read(self.path, db, max(start, 0), last)
        except sqlite3.Error as error:
            raise ConfigError(f"{self.path}: cannot be read: {error}") from error

    def _number(self, asked: str, *values: int) -> int:
        try:
            with closing(open_reader(self.path)) as db:
                return int(db.execute(asked, values).fetchone()[0])
        except sqlite3.Error as error:
            raise ConfigError(f"{self.path}: cannot be read: {error}") from error
