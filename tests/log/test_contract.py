"""Both logs keep the contract."""

from __future__ import annotations

from pathlib import Path

from instep.log import Log, MemoryLog, SqliteLog
from instep.testing import LogContract


class TestMemoryLog(LogContract):
    durable = False

    def open(self, folder: Path) -> Log:
        return MemoryLog()


class TestSqliteLog(LogContract):
    def open(self, folder: Path) -> Log:
        return SqliteLog(folder / "log.db")
