"""The log: every record, in one total order, durable before it is acknowledged.

Laws (checked by `instep.testing.LogContract`):
- `append` returns only after its records are durable and every subscriber has applied them.
- Offsets are strictly increasing, never reused, in the order of `append` calls from one caller.
- An event id is stored once: a repeat is acknowledged as a duplicate at the first one's offset, unapplied.
- Subscribers see each record exactly once, in offset order, before its acknowledgement, as `read` gives it.
- One batch is atomic: after a crash all of it is there or none.
- `erase` removes the named users' records physically: no byte of their ids stays in any file.
- A record that fails its checksum raises `LogCorrupt` with its offset; it is never skipped silently.
- A write that fails is neither acknowledged nor applied (`Unavailable`); the log works on after it.
- A subscriber that raises has left the state behind the log: its writer gets the exception, and the log
  refuses every further write with `Unavailable`, since only a restart (which replays) reunites the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol

from instep.domain import Entry, Receipt, Record

Apply = Callable[[Sequence[Entry]], None]


class Readable(Protocol):
    """What is read of a log: of an open one, or beside the process that has it open (`LogReader`)."""

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries with start <= offset < stop, in order; without `stop`, those there when `read` is called.

        Raises:
            LogCorrupt: at the first bad record.
        """
        ...

    @property
    def end(self) -> int:
        """The offset the next record will get: one more than the last one's; 0 in a new log."""
        ...


class Log(Readable, Protocol):
    """An append-only, totally ordered, durable sequence of records."""

    def append(self, records: Sequence[Record]) -> list[Receipt]:
        """Make records durable and applied; blocks.

        Args:
            records: one atomic batch.

        Returns:
            One receipt for each record, in order.

        Raises:
            InvalidRequest: a record that cannot be stored; nothing of the batch is.
            Unavailable: they could not be written, too many writes wait already, or the log is closed.
        """
        ...

    def submit(self, records: Sequence[Record]) -> Future[list[Receipt]]:
        """The same without blocking: the future resolves once durable and applied (group commit).

        `InvalidRequest` is raised at once; all else arrives through the future, which cannot be cancelled.
        """
        ...

    def subscribe(self, apply: Apply) -> None:
        """Have `apply` called with every batch of new entries, in order, before they are acknowledged.

        `apply` may call `submit` and `read`; `append` and `erase` would wait for themselves: `RuntimeError`.
        """
        ...

    def read_user(self, user_id: str) -> Iterator[Entry]:
        """Entries whose record's `user_id` is this one, in order (export, audit); "" is nobody."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes the log takes where it is stored."""
        ...

    def erase(self, user_ids: Collection[str]) -> int:
        """Physically remove all records of these users; returns how many went.

        A session that was merged into a named user (`SessionMerge`) goes with it, and so does a merge that
        names an erased session. Waits its turn among the writes; ids of removed events may be used again.
        """
        ...

    def close(self) -> None:
        """Finish what was submitted, release files. Idempotent."""
        ...
