"""Files in and out: a source yields, for every row of a file, a record or the reason why there is none.

Laws (checked by `tests/files`):
- Every row ends as a record, as a `Rejected`, or as a count in `Source.notes` (rows left out on purpose).
- A bad row never stops the rest, whatever bytes it holds. What stops a file is a `ConfigError` about the file
  as a whole (missing, unreadable, without a needed column), and it names the file.
- Memory is bounded: rows stream, sorting spills to disk, a line is at most `text.LINE_LIMIT` bytes. Layouts
  that aggregate (a catalogue out of invoice lines) hold one entry for each distinct item or user.
- Events come in time order; rows of the same time keep the file's order. Of several rows of one item or user
  the last one counts.
- Event ids are a function of the rows alone, neither of the file's name nor of when it was read: reading a
  file twice, or a longer version of it, gives the same rows the same ids.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from instep.domain import Record

Kind = Literal["items", "users", "events"]
KINDS: tuple[Kind, ...] = ("items", "users", "events")


class Rejected(msgspec.Struct, frozen=True):
    """A row that could not become a record.

    Args:
        line: 1-based line of the file (of the row for Parquet).
        reason: what is wrong, starting with the column when one is to blame.
        raw: the row as it stands in the file, without its line end, cut after 10,000 characters; of Parquet the
            cells, or the record that they made.
        file: name of the file, without its folder.
    """

    line: int
    reason: str
    raw: str
    file: str = ""


class Read(msgspec.Struct, frozen=True):
    """A record and where it came from.

    Args:
        record: the record; its event id is filled in by `Source.rows`.
        line: 1-based line (row for Parquet).
        file: name of the file, without its folder.
        derived: whether the event id was derived from the row's content (False: the file named it).
        raw: the row as it stands in the file, without its line end; "" for Parquet, which is not text.
    """

    record: Record
    line: int
    file: str = ""
    derived: bool = True
    raw: str = ""

    def rejected(self, reason: str) -> Rejected:
        """The same row as a reject, for a check that comes after reading."""
        raw = self.raw or msgspec.json.encode(self.record).decode(errors="replace")
        return Rejected(self.line, reason, raw[:RAW_LIMIT], self.file)


RAW_LIMIT = 10_000
Outcome = Read | Rejected


class Source(ABC):
    """A file or folder in a known layout.

    Attributes:
        path: the file or folder.
        kinds: which of items, users and events it holds.
        notes: rows left out on purpose, counted by reason; complete once an iterator is exhausted.
        total: number of events, known from the moment the first one is yielded.
        on_read: called with the number of rows read so far, now and then (progress).
    """

    format: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kinds: tuple[Kind, ...] = ()
        self.notes: Counter[str] = Counter()
        self.total: int | None = None
        self.on_read: Callable[[int], None] | None = None

    @abstractmethod
    def read(self, kind: Kind) -> Iterator[Outcome]:
        """The rows of one kind in the file's order; a record without an id has the event id ``""``."""

    def rows(self, kind: Kind) -> Iterator[Outcome]:
        """The rows of one kind with their lines; event ids filled in; events in time order."""
        from instep.files.order import in_time_order, last_of_each

        if kind not in self.kinds:
            return iter(())
        outcomes = self._watched(self.read(kind))
        if kind == "events":
            return in_time_order(outcomes, self._counted)
        return last_of_each(outcomes, self.notes)

    def items(self) -> Iterator[Record | Rejected]:
        """The catalogue, as `ItemPut` records."""
        return map(_bare, self.rows("items"))

    def users(self) -> Iterator[Record | Rejected]:
        """Users' attributes, as `UserPut` records."""
        return map(_bare, self.rows("users"))

    def events(self) -> Iterator[Record | Rejected]:
        """What users did, in time order."""
        return map(_bare, self.rows("events"))

    def _counted(self, total: int) -> None:
        self.total = total

    def _watched(self, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        count = 0
        for count, outcome in enumerate(outcomes, 1):
            yield outcome
            if self.on_read and count % 1000 == 0:
                self.on_read(count)
        if self.on_read:
            self.on_read(count)


def _bare(outcome: Outcome) -> Record | Rejected:
    return outcome.record if isinstance(outcome, Read) else outcome
