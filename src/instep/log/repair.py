"""Finding out whether a log's file is sound, and making a sound one out of what is left."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from instep.domain import ConfigError
from instep.log.carve import Pages
from instep.log.codec import unseal
from instep.log.sqlite_file import (
    FileLock,
    NewerVersion,
    create,
    finish_repair,
    open_writer,
    remove,
    set_tail,
    sync_folder,
    tail_checksum,
)
from instep.log.sqlite_rows import INSERT, Row, emptied_row, is_sound, read, row_of


class RepairReport(msgspec.Struct, frozen=True):
    """What a repair did.

    Args:
        path: the log, now sound.
        problems: what was found wrong, one sentence each; nothing was done when there is none.
        kept: records in the log now.
        lost: ranges of offsets (first, last) that could not be saved; a range may include erased records.
        end: the offset the next record gets.
        damaged: where the damaged file is kept. It still holds personal data that a later erasure does not
            reach: delete it once it is of no more use.
    """

    path: Path
    problems: tuple[str, ...]
    kept: int
    lost: tuple[tuple[int, int], ...]
    end: int
    damaged: Path | None

    def __str__(self) -> str:
        """The report in a sentence or two, for the operator."""
        if self.damaged is None:
            return f"{self.path}: sound, {self.kept} records."
        spans = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in self.lost) or "none"
        return (
            f"{self.path}: kept {self.kept} records; lost offsets: {spans}. The damaged file is "
            f"{self.damaged}: it still holds personal data, so delete it when it is of no more use."
        )


def examine(path: str | Path) -> tuple[str, ...]:
    """Say what is wrong with a log's file: every record's checksum, every index, SQLite's own structure.

    Args:
        path: the database of a log that nobody has open.

    Returns:
        One sentence for each problem; empty when the file is sound.

    Raises:
        ConfigError: the file is missing or in use.
    """
    path = _existing(path)
    lock = FileLock(path)
    try:
        return _examine(path)[0]
    finally:
        lock.release()


def repair(path: str | Path) -> RepairReport:
    """Copy every sound record of a damaged log to a new file, which takes its place.

    The damaged file is kept beside it as ``<path>.damaged-1`` (or the next free number). Offsets stay what
    they were; a lost one stays unused. Safe to repeat when it was interrupted. A sound file is left as it is.

    A snapshot of the state that reaches into the lost offsets no longer agrees with the log: delete it.

    Args:
        path: the database of a log that nobody has open.

    Returns:
        What was kept and what was lost.

    Raises:
        ConfigError: the file is missing, in use, of a newer version or not a log; or there is no room.
    """
    path = _existing(path)
    lock = FileLock(path)
    try:
        finish_repair(path)
        problems, kept, end = _examine(path)
        if not problems:
            return RepairReport(path, (), kept, (), end, None)
        rescued, repaired = Path(f"{path}.rescued"), Path(f"{path}.repaired")
        remove(rescued)
        try:
            create(rescued)
            kept, lost, end = _rescue(path, rescued)
            if not end:
                raise ConfigError(
                    f"{path} is unchanged: no record of a log was found in it; restore a backup"
                )
            os.replace(rescued, repaired)
            sync_folder(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"{path} is unchanged: its repair could not be written: {error}") from error
        finally:
            remove(rescued)
        return RepairReport(path, problems, kept, lost, end, finish_repair(path))
    finally:
        lock.release()


def _existing(path: str | Path) -> Path:
    path = Path(path).resolve()
    if not path.exists() and not Path(f"{path}.repaired").exists():
        raise ConfigError(f"{path}: there is no log here")
    return path


def _examine(path: Path) -> tuple[tuple[str, ...], int, int]:
    """Problems, number of records, end."""
    kept = 0
    problems: list[str] = []
    try:
        with closing(open_writer(path)) as db:
            end = db.execute("SELECT next FROM tail").fetchone()[0]
            db.text_factory = bytes
            for entry in read(path, db, 0, end):
                kept += 1
                keys = db.execute(
                    "SELECT event_key, user_key, session_key FROM entries WHERE offset = ?", (entry.offset,)
                ).fetchone()
                if keys != row_of(entry.offset, entry.record, b"")[3:]:
                    problems.append(f"{path}: offset {entry.offset}: the record is indexed under another id")
            found = [row[0].decode() for row in db.execute("PRAGMA integrity_check(10)")]
            problems += [f"{path}: {line}" for line in found if line != "ok"]
            return tuple(problems), kept, end
    except NewerVersion:
        raise
    except ConfigError as error:
        return (*problems, str(error)), kept, 0
    except sqlite3.Error as error:
        return (*problems, f"{path}: {error}"), kept, 0


def _rescue(damaged: Path, rescued: Path) -> tuple[int, tuple[tuple[int, int], ...], int]:
    """Fill an empty log with the sound rows of a damaged one; returns number kept, ranges lost, end."""
    with closing(open_writer(rescued)) as db:
        pages = Pages(damaged)
        db.execute("BEGIN")
        db.executemany(INSERT.replace("INSERT", "INSERT OR IGNORE"), _sound_rows(pages))
        last = db.execute("SELECT max(offset) FROM entries").fetchone()[0]
        end = max(0 if last is None else last + 1, _written_end(pages))
        lost = tuple(_gaps(db, end))
        db.executemany(
            INSERT, (emptied_row(offset) for first, last in lost for offset in range(first, last + 1))
        )
        set_tail(db, end)
        db.execute("COMMIT")
        kept = db.execute("SELECT count(*) FROM entries WHERE event_key IS NOT NULL").fetchone()[0]
    return kept, lost, end


def _sound_rows(pages: Pages) -> Iterator[Row]:
    for offset, columns in pages.rows():
        if len(columns) != 6 or columns[0] is not None:
            continue
        kept, payload = columns[1], columns[2]
        if not isinstance(payload, bytes) or not is_sound(offset, kept, payload):
            continue
        if payload:
            yield row_of(offset, unseal(payload), payload)
        elif columns[3:] == [None, None, None]:
            yield emptied_row(offset)


def _written_end(pages: Pages) -> int:
    """The end as the damaged log's tail gives it; 0 if that is damaged too."""
    tails = (columns for offset, columns in pages.rows() if offset == 0 and len(columns) == 3)
    return max((c[1] for c in tails if isinstance(c[1], int) and c[2] == tail_checksum(c[1])), default=0)


def _gaps(db: sqlite3.Connection, end: int) -> Iterator[tuple[int, int]]:
    expected = 0
    for (offset,) in db.execute("SELECT offset FROM entries ORDER BY offset"):
        if offset > expected:
            yield expected, offset - 1
        expected = offset + 1
    if expected < end:
        yield expected, end - 1
