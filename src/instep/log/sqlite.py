"""The durable log: one SQLite file, one writer thread, group commit.

append, submit, erase  ->  bounded queue  ->  writer thread: one transaction for every writer waiting, fsync,
                                              subscribers, then the futures
read, read_user        ->  a read-only connection of their own, in chunks; nobody waits for a reader
"""

from __future__ import annotations

import atexit
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from instep.domain import ConfigError, Entry, Impression, InstepError, Receipt, Record, Unavailable
from instep.log import sqlite_rows
from instep.log.base import Apply
from instep.log.codec import Sealed, seal
from instep.log.sqlite_file import FileLock, open_reader, open_writer, repair_hint

T = TypeVar("T")
LINGER: Final = 0.005
"""Seconds that impressions wait for company: nobody waits for them, and each transaction stops a request."""


class _Batch(NamedTuple):
    sealed: list[Sealed]
    future: Future[list[Receipt]]


class _Erasure(NamedTuple):
    user_ids: Collection[str]
    future: Future[int]


class SqliteLog:
    """A log in one SQLite file that survives a kill or a power cut at any instant.

    Args:
        path: the database; made if it is missing, in a folder that exists.
        queue_limit: records that may wait for the writer; beyond it writes are refused with `Unavailable`.

    Raises:
        ConfigError: the file is in use by another process, damaged, not a log, or of a newer version.

    >>> from tempfile import TemporaryDirectory
    >>> from instep.domain import Feedback
    >>> with TemporaryDirectory() as folder:
    ...     log = SqliteLog(f"{folder}/log.db")
    ...     receipts = log.append([Feedback("e1", "u1", "i1", 0.0)])
    ...     log.close()
    ...     log = SqliteLog(f"{folder}/log.db")
    ...     entries = list(log.read())
    ...     log.close()
    >>> receipts[0].offset, entries[0].record.item_id
    (0, 'i1')
    """

    def __init__(self, path: str | Path, *, queue_limit: int = 65536) -> None:
        self.path = Path(path).resolve()
        self._queue_limit = queue_limit
        self._queue: list[_Batch | _Erasure] = []
        self._queued = 0
        self._urgent = False  # somebody waits for what is queued
        self._wake = threading.Condition()
        self._subscribers: list[Apply] = []
        self._closed = False
        self._broken: str | None = None  # why the state may no longer follow the log
        self._lock = FileLock(self.path)
        try:
            self._db = open_writer(self.path)
        except BaseException:
            self._lock.release()
            raise
        self._end: int = self._db.execute("SELECT next FROM tail").fetchone()[0]
        self._thread = threading.Thread(target=self._run, name=f"log {self.path.name}", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def append(self, records: Sequence[Record]) -> list[Receipt]:
        """Make records durable and applied (see `Log.append`)."""
        self._not_from_a_subscriber("append")
        return self.submit(records).result()

    def submit(self, records: Sequence[Record]) -> Future[list[Receipt]]:
        """The same without blocking (see `Log.submit`)."""
        sealed = seal(records)
        future: Future[list[Receipt]] = Future()
        urgent = any(type(one.record) is not Impression for one in sealed)
        self._enqueue(_Batch(sealed, future), len(sealed), urgent)
        return future

    def subscribe(self, apply: Apply) -> None:
        """Call `apply` with every batch of new entries, in the writer thread (see `Log.subscribe`)."""
        self._subscribers.append(apply)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries with start <= offset < stop; later writes do not change what it yields (see `Log.read`)."""
        last = self._end if stop is None else min(stop, self._end)

        def entries() -> Iterator[Entry]:
            with closing(open_reader(self.path)) as db:
                yield from sqlite_rows.read(self.path, db, max(start, 0), last)

        return entries()

    def read_user(self, user_id: str) -> Iterator[Entry]:
        """Entries of one user (see `Log.read_user`)."""
        last = self._end

        def entries() -> Iterator[Entry]:
            with closing(open_reader(self.path)) as db:
                yield from sqlite_rows.read_user(self.path, db, user_id, last)

        return entries()

    @property
    def end(self) -> int:
        """The offset the next record will get."""
        return self._end

    @property
    def size_bytes(self) -> int:
        """Bytes of the database and its write-ahead log."""
        size = 0
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                size += Path(f"{self.path}{suffix}").stat().st_size
        return size

    def counts(self) -> dict[str, int]:
        """Number of `records` and of `users` (sessions included) in the log, from the indexes alone."""
        with closing(open_reader(self.path)) as db:
            records, users = db.execute(
                "SELECT (SELECT count(*) FROM entries WHERE event_key IS NOT NULL),"
                " (SELECT count(DISTINCT user_key) FROM entries WHERE user_key IS NOT NULL)"
            ).fetchone()
        return {"records": records, "users": users}

    def erase(self, user_ids: Collection[str]) -> int:
        """Physically remove all records of these users and of sessions merged into them (see `Log.erase`).

        Takes time with the number of their records, not of the log's; readers go on; the file keeps its size.

        Raises:
            Unavailable: not done, or not yet out of the write-ahead log; erase again.
        """
        self._not_from_a_subscriber("erase")
        future: Future[int] = Future()
        self._enqueue(_Erasure(user_ids, future), 0, True)
        return future.result()

    def close(self) -> None:
        """Finish what was submitted, release the files. Idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:  # a subscriber or a future's callback may close
            self._thread.join()
        atexit.unregister(self.close)

    def _enqueue(self, work: _Batch | _Erasure, size: int, urgent: bool) -> None:
        work.future.set_running_or_notify_cancel()  # a caller that goes away cannot cancel a write
        with self._wake:
            if self._closed:
                refusal = "the log is closed"
            elif self._queued and self._queued + size > self._queue_limit:
                refusal = f"{self._queued} records wait for the disk already; try again in a moment"
            else:
                self._queue.append(work)
                self._queued += size
                if (urgent and not self._urgent) or len(self._queue) == 1:  # else it is awake already
                    self._urgent = self._urgent or urgent
                    self._wake.notify()
                return
        work.future.set_exception(self._unavailable(refusal))

    # -- below: the writer thread

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._queue or self._closed):
                    self._wake.wait()
                self._wake.wait_for(lambda: self._urgent or self._closed, LINGER)
                queue, self._queue, self._queued, self._urgent = self._queue, [], 0, False
            if not queue:
                break
            for _, group in groupby(queue, type):
                work = list(group)
                self._write([one for one in work if isinstance(one, _Batch)])
                for one in work:
                    if isinstance(one, _Erasure):
                        self._erase(one)
        self._db.close()
        self._lock.release()

    def _write(self, batches: list[_Batch]) -> None:
        """Store, apply, acknowledge: one transaction for all."""
        if not batches:
            return
        try:
            receipts, entries = self._in_transaction(
                lambda: sqlite_rows.insert(
                    self.path, self._db, [batch.sealed for batch in batches], self._end
                )
            )
            self._end += len(entries)
            self._apply(entries)
        except BaseException as error:
            for batch in batches:
                batch.future.set_exception(self._explained(error))
            return
        for batch, answer in zip(batches, receipts, strict=True):
            batch.future.set_result(answer)

    def _apply(self, entries: list[Entry]) -> None:
        try:
            for apply in self._subscribers if entries else ():
                apply(entries)
        except BaseException as error:
            span = f"offsets {entries[0].offset} to {entries[-1].offset}"
            self._broken = (
                f"a subscriber failed at {span}, which are stored: {error!r}; restart to replay them"
            )
            raise

    def _erase(self, erasure: _Erasure) -> None:
        try:
            gone = self._in_transaction(lambda: sqlite_rows.empty(self.path, self._db, erasure.user_ids))
            if self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise Unavailable(
                    f"{self.path}: {gone} records are erased, but their bytes stay in the write-ahead log"
                    " while another program reads it; end that and erase again"
                )
        except BaseException as error:
            erasure.future.set_exception(self._explained(error))
        else:
            erasure.future.set_result(gone)

    def _in_transaction(self, change: Callable[[], T]) -> T:
        if self._broken is not None:
            raise self._unavailable(self._broken)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = change()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return result

    def _explained(self, error: BaseException) -> BaseException:
        if not isinstance(error, sqlite3.Error) or isinstance(error, InstepError):
            return error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return ConfigError(f"{self.path}: {error}; {repair_hint(self.path)}")
        return self._unavailable(f"{error}; make room or mend the disk, then try again")

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(f"{self.path}: nothing was written: {reason}")

    def _not_from_a_subscriber(self, verb: str) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"{verb} from a subscriber would wait for itself; use submit")
