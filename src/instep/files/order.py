"""Event ids out of content, and time order with bounded memory."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import msgspec

from instep.domain import Record
from instep.files.base import RAW_LIMIT, Outcome, Read, Rejected

REPLACED = "row replaced by a later one of the same id"
_RECORD = msgspec.msgpack.Decoder(Record)
_Row = tuple[float, int, str, str, str, bytes]


def content_id(record: Record, occurrence: int = 0) -> str:
    """The event id of a record that has none: a hash of what it says and of how many like it came before.

    Args:
        record: the record; its own event id does not count.
        occurrence: 0 for the first of several identical rows, 1 for the second ...

    Returns:
        32 hexadecimal digits.

    >>> from instep.domain import Feedback
    >>> content_id(Feedback("", "u1", "i1", 5.0)) == content_id(Feedback("other", "u1", "i1", 5.0))
    True
    """
    return _hash(msgspec.msgpack.encode(msgspec.structs.replace(record, event_id="")), occurrence)


def _hash(body: bytes, occurrence: int) -> str:
    return hashlib.blake2b(body + occurrence.to_bytes(8, "little"), digest_size=16).hexdigest()


def named(outcome: Read) -> Read:
    """An item's or user's record with an id: its own, or the hash of what it says, whenever it was read."""
    if outcome.record.event_id:
        return msgspec.structs.replace(outcome, derived=False)
    timeless = msgspec.structs.replace(outcome.record, timestamp=0.0)
    record = msgspec.structs.replace(outcome.record, event_id=content_id(timeless))
    return msgspec.structs.replace(outcome, record=record)


def last_of_each(outcomes: Iterator[Outcome], notes: Counter[str]) -> Iterator[Outcome]:
    """Rejects at once; then one record for each item or user: the last one, for it would replace the others.

    Args:
        outcomes: rows of items or of users, in the file's order.
        notes: where the rows that were replaced are counted.
    """
    columns = "id TEXT UNIQUE, line INT, file TEXT, derived INT, raw TEXT, body BLOB"
    with closing(_spill(columns)) as spill:
        for outcome in outcomes:
            if isinstance(outcome, Rejected):
                yield outcome
                continue
            read = named(outcome)
            key = getattr(read.record, "item_id", read.record.user_id)
            body = msgspec.msgpack.encode(read.record)
            row = (key, read.line, read.file, read.derived, read.raw[:RAW_LIMIT], body)
            if spill.execute("DELETE FROM rows WHERE id = ?", (key,)).rowcount:
                notes[REPLACED] += 1
            spill.execute(
                "INSERT INTO rows (id, line, file, derived, raw, body) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        for line, file, derived, raw, body in spill.execute(
            "SELECT line, file, derived, raw, body FROM rows ORDER BY seq"
        ):
            yield Read(_RECORD.decode(body), line, file, bool(derived), raw)


def in_time_order(outcomes: Iterator[Outcome], counted: Callable[[int], None]) -> Iterator[Outcome]:
    """Rejects at once; then the records by timestamp, same times in the file's order, each with an event id.

    Records wait in a temporary SQLite database, which lives in memory while it is small and spills to a file
    without a name (nothing is left behind, whatever happens).

    Args:
        outcomes: rows in the file's order.
        counted: called with the number of records before the first one is yielded.
    """
    with closing(_spill("time REAL, line INT, file TEXT, id TEXT, raw TEXT, body BLOB")) as spill:
        batch: list[_Row] = []
        total = 0
        for outcome in outcomes:
            if isinstance(outcome, Rejected):
                yield outcome
                continue
            record = outcome.record
            body = msgspec.msgpack.encode(msgspec.structs.replace(record, event_id=""))
            raw = outcome.raw[:RAW_LIMIT]
            batch.append((record.timestamp, outcome.line, outcome.file, record.event_id, raw, body))
            total += 1
            if len(batch) == 1000:
                _insert(spill, batch)
                batch = []
        _insert(spill, batch)
        counted(total)
        yield from _sorted(spill)


def _spill(columns: str) -> sqlite3.Connection:
    spill = sqlite3.connect("")
    spill.execute("PRAGMA journal_mode = OFF")
    spill.execute(f"CREATE TABLE rows (seq INTEGER PRIMARY KEY, {columns})")
    return spill


def _insert(spill: sqlite3.Connection, batch: list[_Row]) -> None:
    spill.executemany("INSERT INTO rows (time, line, file, id, raw, body) VALUES (?, ?, ?, ?, ?, ?)", batch)


def _sorted(spill: sqlite3.Connection) -> Iterator[Read]:
    same: Counter[bytes] = (
        Counter()
    )  # identical rows have the same time: only the current time's rows are counted
    now = None
    for time, line, file, event_id, raw, body in spill.execute(
        "SELECT time, line, file, id, raw, body FROM rows ORDER BY time, seq"
    ):
        record = _RECORD.decode(body)
        if event_id:
            yield Read(msgspec.structs.replace(record, event_id=event_id), line, file, False, raw)
            continue
        if time != now:
            now = time
            same.clear()
        yield Read(msgspec.structs.replace(record, event_id=_hash(body, same[body])), line, file, True, raw)
        same[body] += 1
