"""The log: every record, in one total order, durable before it is acknowledged.

Laws (checked by `instep.testing.LogContract`):
- `append` returns only after its records are durable and every subscriber has applied them.
- Offsets are strictly increasing, never reused, in the order of `append` calls from one caller.
- An event id is stored once: a repeat is acknowledged as a duplicate with the first one's offset and not applied.
- Subscribers see each record exactly once, in offset order, before its acknowledgement.
- One batch is atomic: after a crash all of it is there or none.
- `erase` removes the named users' records physically: no byte of their ids stays in any file.
- A record that fails its checksum raises `LogCorrupt` with its offset; it is never skipped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol

from instep.domain import Entry, Receipt, Record

Apply = Callable[[Sequence[Entry]], None]


class Log(Protocol):
    """An append-only, totally ordered, durable sequence of records."""

    def append(self, records: Sequence[Record]) -> list[Receipt]:
        """Make records durable and applied; blocks. Raises `Unavailable` when they could not be written."""
        ...

    def submit(self, records: Sequence[Record]) -> Future[list[Receipt]]:
        """The same without blocking: the future resolves once durable and applied (group commit)."""
        ...

    def subscribe(self, apply: Apply) -> None:
        """Have `apply` called with every batch of new entries, in order, before they are acknowledged."""
        ...

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries with start <= offset < stop, in order. Raises `LogCorrupt` at the first bad one."""
        ...

    def read_user(self, user_id: str) -> Iterator[Entry]:
        """Entries whose record's `user_id` is this one, in order (export, audit)."""
        ...

    @property
    def end(self) -> int:
        """The offset the next record will get (one more than the last one's); 0 when nothing was ever written."""
        ...

    def erase(self, user_ids: Collection[str]) -> int:
        """Physically remove all records of these users; returns how many went."""
        ...

    def close(self) -> None:
        """Finish what was submitted, release files. Idempotent."""
        ...
