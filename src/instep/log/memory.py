"""The log in memory: for tests, notebooks and `replay`. The whole contract, but for a process's life."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from operator import attrgetter

from instep.domain import Entry, Receipt, Record, SessionMerge, Unavailable
from instep.log.base import Apply
from instep.log.codec import Sealed, seal

_offset = attrgetter("offset")


class MemoryLog:
    """A log that lives and dies with the process. Writes are applied inline, under a lock, without a thread.

    >>> from instep.domain import Feedback
    >>> log = MemoryLog()
    >>> log.append([Feedback("e1", "u1", "i1", 0.0), Feedback("e1", "u1", "i1", 0.0)])[1].duplicate
    True
    >>> [entry.offset for entry in log.read()], log.end
    ([0], 1)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0  # thread that holds the lock: a subscriber's own writes come from it
        self._entries: list[Entry] = []  # replaced, never shortened, so that an iterator keeps its prefix
        self._offsets: dict[str, int] = {}  # event id -> offset
        self._users: dict[str, list[Entry]] = {}
        self._deferred: deque[tuple[list[Sealed], Future[list[Receipt]]]] = deque()
        self._subscribers: list[Apply] = []
        self._end = 0
        self._size = 0
        self._refusal: str | None = None

    def append(self, records: Sequence[Record]) -> list[Receipt]:
        """Store and apply records (see `Log.append`)."""
        self._not_from_a_subscriber("append")
        sealed = seal(records)
        with self._lock:
            self._owner = threading.get_ident()
            try:
                return self._write(sealed)
            finally:
                self._write_deferred()
                self._owner = 0

    def submit(self, records: Sequence[Record]) -> Future[list[Receipt]]:
        """Store and apply records; it is done at once, unless a subscriber submits (see `Log.submit`)."""
        future: Future[list[Receipt]] = Future()
        future.set_running_or_notify_cancel()
        sealed = seal(records)
        if self._owner == threading.get_ident():
            self._deferred.append((sealed, future))
            return future
        with self._lock:
            self._owner = threading.get_ident()
            try:
                self._settle(sealed, future)
                self._write_deferred()
            finally:
                self._owner = 0
        return future

    def subscribe(self, apply: Apply) -> None:
        """Call `apply` with every batch of new entries (see `Log.subscribe`)."""
        self._subscribers.append(apply)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries with start <= offset < stop (see `Log.read`)."""
        entries = self._entries
        last = len(entries) if stop is None else bisect_left(entries, stop, key=_offset)
        return iter(entries[bisect_left(entries, start, key=_offset) : last])

    def read_user(self, user_id: str) -> Iterator[Entry]:
        """Entries of one user (see `Log.read_user`)."""
        return iter(self._users.get(user_id, [])[:])

    @property
    def end(self) -> int:
        """The offset the next record will get."""
        return self._end

    @property
    def size_bytes(self) -> int:
        """Bytes of the records' encoded form."""
        return self._size

    def erase(self, user_ids: Collection[str]) -> int:
        """Remove all records of these users and of sessions merged into them (see `Log.erase`)."""
        self._not_from_a_subscriber("erase")
        with self._lock:
            self._refuse_if_stopped()
            named = self._with_their_sessions(user_ids)
            kept: list[Entry] = []
            gone: list[Entry] = []
            for entry in self._entries:
                (gone if _concerns(entry.record, named) else kept).append(entry)
            for entry in gone:
                del self._offsets[entry.record.event_id]
            for user_id in {entry.record.user_id for entry in gone}:
                left = [e for e in self._users[user_id] if not _concerns(e.record, named)]
                self._users[user_id] = left
                if not left:
                    del self._users[user_id]
            self._size -= sum(len(one.payload) for one in seal([entry.record for entry in gone]))
            self._entries = kept
            return len(gone)

    def close(self) -> None:
        """Refuse further writes."""
        with self._lock:
            self._refusal = self._refusal or "the log is closed"

    def _write(self, sealed: list[Sealed]) -> list[Receipt]:
        self._refuse_if_stopped()
        receipts, fresh = [], []
        for record, payload in sealed:
            event_id = record.event_id
            offset = self._offsets.setdefault(event_id, self._end)
            receipts.append(Receipt(event_id, offset, offset != self._end))
            if offset == self._end:
                entry = Entry(offset, record)
                fresh.append(entry)
                self._end += 1
                self._size += len(payload)
                if record.user_id:
                    self._users.setdefault(record.user_id, []).append(entry)
        self._entries.extend(fresh)
        if fresh:
            self._apply(fresh)
        return receipts

    def _apply(self, entries: list[Entry]) -> None:
        try:
            for apply in self._subscribers:
                apply(entries)
        except BaseException as error:
            self._refusal = (
                f"a subscriber failed at offsets {entries[0].offset} to {entries[-1].offset}: {error!r}"
            )
            raise

    def _settle(self, sealed: list[Sealed], future: Future[list[Receipt]]) -> None:
        try:
            receipts = self._write(sealed)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(receipts)

    def _write_deferred(self) -> None:
        while self._deferred:
            self._settle(*self._deferred.popleft())

    def _with_their_sessions(self, user_ids: Collection[str]) -> set[str]:
        named = set(user_ids) - {""}
        merges = [e.record for e in self._entries if isinstance(e.record, SessionMerge)]
        while more := {m.session_user_id for m in merges if m.user_id in named} - named - {""}:
            named |= more
        return named

    def _refuse_if_stopped(self) -> None:
        if self._refusal is not None:
            raise Unavailable(f"no further writes: {self._refusal}")

    def _not_from_a_subscriber(self, verb: str) -> None:
        if self._owner == threading.get_ident():
            raise RuntimeError(f"{verb} from a subscriber would wait for itself; use submit")


def _concerns(record: Record, user_ids: set[str]) -> bool:
    return record.user_id in user_ids or (
        isinstance(record, SessionMerge) and record.session_user_id in user_ids
    )
