"""Records as rows of the SQLite file: in, out, and out for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from instep.domain import Entry, LogCorrupt, Receipt, Record, SessionMerge
from instep.log.codec import Sealed, checksum, key, unseal
from instep.log.sqlite_file import repair_hint, set_tail

COLUMNS: Final = "SELECT offset, checksum, payload FROM entries"
INSERT: Final = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)"
CHUNK: Final = 2048  # rows a reader fetches at a time

Row = tuple[int, int, bytes, int | None, int | None, int | None]


def corrupt(path: Path, offset: int, found: str) -> LogCorrupt:
    """The error for a bad record."""
    return LogCorrupt(f"{path}: offset {offset}: {found}; {repair_hint(path)}", offset)


def row_of(offset: int, record: Record, payload: bytes) -> Row:
    """The row that stores a record: offset, checksum, payload and the keys it is found by.

    Args:
        offset: where it goes.
        record: what is stored.
        payload: its encoded form.
    """
    return (
        offset,
        checksum(offset, payload),
        payload,
        key(record.event_id),
        key(record.user_id) if record.user_id else None,
        key(record.session_user_id) if isinstance(record, SessionMerge) else None,
    )


def emptied_row(offset: int) -> Row:
    """The row that stays where a record was erased."""
    return offset, checksum(offset, b""), b"", None, None, None


def is_sound(offset: int, kept: object, payload: object) -> bool:
    """Whether a row's payload is what was written at this offset."""
    return isinstance(payload, bytes) and checksum(offset, payload) == kept


def record_of(path: Path, offset: int, kept: object, payload: bytes) -> Record:
    """The record in a row.

    Raises:
        LogCorrupt: its checksum fails.
    """
    if not is_sound(offset, kept, payload):
        raise corrupt(path, offset, "the record does not match its checksum")
    return _decoded(path, offset, payload)


def _decoded(path: Path, offset: int, payload: bytes) -> Record:
    try:
        return unseal(payload)
    except msgspec.MsgspecError as error:
        raise corrupt(path, offset, f"the record is of no kind this version knows ({error})") from error


def insert(
    path: Path, db: sqlite3.Connection, batches: Sequence[Sequence[Sealed]], end: int
) -> tuple[list[list[Receipt]], list[Entry]]:
    """Store the new ones of these records from offset `end` on, inside the caller's transaction.

    Returns:
        Receipts, batch by batch, and the entries that are new.
    """
    offsets = _stored_offsets(path, db, [one.record.event_id for batch in batches for one in batch])
    rows: list[Row] = []
    entries: list[Entry] = []
    receipts: list[list[Receipt]] = []
    for batch in batches:
        answer = []
        for record, payload in batch:
            offset = offsets.setdefault(record.event_id, end)
            answer.append(Receipt(record.event_id, offset, offset != end))
            if offset == end:
                rows.append(row_of(offset, record, payload))
                entries.append(Entry(offset, record))
                end += 1
        receipts.append(answer)
    if rows:
        db.executemany(INSERT, rows)
        set_tail(db, end)
    return receipts, entries


def _stored_offsets(path: Path, db: sqlite3.Connection, event_ids: list[str]) -> dict[str, int]:
    keys = [key(event_id) for event_id in event_ids]
    if len(keys) == 1:
        rows = db.execute(f"{COLUMNS} WHERE event_key = ?", keys)
    else:
        rows = db.execute(
            f"{COLUMNS} WHERE event_key IN (SELECT value FROM json_each(?)) AND event_key IS NOT NULL",
            (msgspec.json.encode(keys).decode(),),
        )
    return {record_of(path, *row).event_id: row[0] for row in rows}


def read(path: Path, db: sqlite3.Connection, start: int, stop: int) -> Iterator[Entry]:
    """Entries with start <= offset < stop (stop <= end); every row of that range must be there."""
    position = start
    try:
        while position < stop:
            last = min(stop, position + CHUNK)
            rows = db.execute(f"{COLUMNS} WHERE offset >= ? AND offset < ? ORDER BY offset", (position, last))
            for offset, kept, payload in rows.fetchall():
                if offset != position:
                    break
                if not is_sound(offset, kept, payload):
                    raise corrupt(path, offset, "the record does not match its checksum")
                position += 1
                if payload:
                    yield Entry(offset, _decoded(path, offset, payload))
            if position != last:
                raise corrupt(path, position, "the record is missing")
    except sqlite3.DatabaseError as error:
        raise corrupt(path, position, f"the file cannot be read from here on: {error}") from error


def read_user(path: Path, db: sqlite3.Connection, user_id: str, stop: int) -> Iterator[Entry]:
    """Entries of one user with offset < stop."""
    position = 0
    try:
        while rows := db.execute(
            f"{COLUMNS} WHERE user_key = ? AND offset >= ? AND offset < ? ORDER BY offset LIMIT {CHUNK}",
            (key(user_id), position, stop),
        ).fetchall():
            for row in rows:
                record = record_of(path, *row)
                if record.user_id == user_id:
                    yield Entry(row[0], record)
            position = rows[-1][0] + 1
    except sqlite3.DatabaseError as error:
        raise corrupt(path, position, f"the file cannot be read from here on: {error}") from error


def empty(path: Path, db: sqlite3.Connection, user_ids: Collection[str]) -> int:
    """Empty the rows of these users and of the sessions merged into them, inside the caller's transaction.

    Returns:
        How many records went.
    """
    named, todo = set(user_ids), list(user_ids)
    offsets: set[int] = set()
    while todo:
        user_id = todo.pop()
        for column in ("user_key", "session_key"):
            for row in db.execute(f"{COLUMNS} WHERE {column} = ?", (key(user_id),)):
                record = record_of(path, *row)
                session = record.session_user_id if isinstance(record, SessionMerge) else ""
                if user_id not in (record.user_id, session):
                    continue  # another id with the same key
                offsets.add(row[0])
                if record.user_id == user_id and session and session not in named:
                    named.add(session)
                    todo.append(session)
    db.executemany(
        "UPDATE entries SET checksum = ?2, payload = ?3, event_key = ?4, user_key = ?5, session_key = ?6"
        " WHERE offset = ?1",
        [emptied_row(offset) for offset in sorted(offsets)],
    )
    return len(offsets)
