"""A log read beside its writer: what is acknowledged is there, what is erased is not, and no lock is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from instep.domain import ConfigError, Feedback, LogCorrupt
from instep.log import LogReader, SqliteLog


def feedback(number: int, user: str = "u1") -> Feedback:
    return Feedback(f"e{number}", user, f"i{number}", 1e9 + number)


def test_what_is_acknowledged_can_be_read_while_the_writer_has_the_file(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    reader = LogReader(log.path)
    for number in range(5):
        (receipt,) = log.append([feedback(number)])
        assert reader.end == receipt.offset + 1
    assert list(reader.read(1, 4)) == list(log.read(1, 4))
    assert list(reader.read(4, 99)) == list(log.read(4))
    log.close()
    assert SqliteLog(log.path).end == 5  # nobody held a lock


def test_erased_records_are_not_counted(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    log.append([feedback(number, f"u{number % 2}") for number in range(6)])
    reader = LogReader(log.path)
    assert reader.count(0, 6) == 6
    log.erase({"u1"})
    assert (reader.end, reader.count(0, 6), reader.count(2, 4)) == (6, 3, 1)
    log.close()


def test_bad_files_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no log"):
        LogReader(tmp_path / "log.sqlite")
    other = tmp_path / "other.sqlite"
    other.write_bytes(b"no database at all, but long enough to look at")
    with pytest.raises(ConfigError, match=r"other\.sqlite: cannot be read"):
        assert LogReader(other).end


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    log.append([feedback(1)])
    log.close()
    content = log.path.read_bytes()
    at = content.index(b"u1")
    log.path.write_bytes(content[:at] + b"x" + content[at + 1 :])
    with pytest.raises(LogCorrupt, match="offset 0"):
        list(LogReader(log.path).read())
