"""From a file to the log: check, compare, submit in batches, keep what is refused.

It can be killed at any instant and run again: rows that are in the log already have the same event ids and
are not added twice, and an item or user that is as the file says is left alone.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

import msgspec

from instep.domain import InvalidRequest, ItemPut, Receipt, Record, UserPut, item_from_fields
from instep.files import KINDS, Kind, Read, Rejected, RejectsFile, Source
from instep.serve.terminal import Report, silent

if TYPE_CHECKING:
    from instep.flow import Flow

BATCH: Final = 500
IN_FLIGHT: Final = 4
Flying = deque[Future[list[Receipt]]]


class Count(msgspec.Struct):
    """What became of one kind of rows."""

    added: int = 0
    known: int = 0
    rejected: int = 0


class ImportReport(msgspec.Struct):
    """What an import did.

    Args:
        format: the layout that was read.
        items: rows of items: added or changed, known already, rejected.
        users: rows of users.
        events: rows of events.
        notes: rows left out on purpose, by reason.
        rejects: the file with the rejected rows; None when there are none.
        seconds: how long it took.
    """

    format: str
    items: Count = msgspec.field(default_factory=Count)
    users: Count = msgspec.field(default_factory=Count)
    events: Count = msgspec.field(default_factory=Count)
    notes: dict[str, int] = msgspec.field(default_factory=dict)
    rejects: str | None = None
    seconds: float = 0.0

    @property
    def rejected(self) -> int:
        """Rows that were refused."""
        return self.items.rejected + self.users.rejected + self.events.rejected

    def __str__(self) -> str:
        """The report in a few lines, for people."""
        lines = []
        for kind in KINDS:
            count: Count = getattr(self, kind)
            if count != Count():
                known = f"{count.known:,} known already"
                lines.append(f"{kind}: {count.added:,} added, {known}, {count.rejected:,} rejected")
        lines += [f"left out: {number:,} x {reason}" for reason, number in sorted(self.notes.items())]
        if self.rejects:
            lines.append(f"rejected rows with their reasons: {self.rejects}")
        return "\n".join(lines) or "nothing was found"


class Importer:
    """Takes a source into a flow.

    Args:
        flow: where records go.
        check: raises `InvalidRequest` for a record that may not be stored; returns it as it is stored.
        rejects: where refused rows go.
        report: is told the progress.
    """

    def __init__(
        self, flow: Flow, check: Callable[[Record], Record], rejects: RejectsFile, report: Report = silent
    ) -> None:
        self._flow = flow
        self._check = check
        self._rejects = rejects
        self._report = report

    def run(self, source: Source, kinds: Collection[Kind] = KINDS) -> ImportReport:
        """Import what a source holds: the catalogue, the users, then the events in time order.

        Args:
            source: what is read.
            kinds: what to read of it.

        Returns:
            What became of the rows.

        Raises:
            ConfigError: the file as a whole cannot be read, or the rejects cannot be written.
        """
        began = time.monotonic()
        report = ImportReport(source.format)
        notes: Counter[str] = Counter()
        for kind in filter(kinds.__contains__, source.kinds):
            source.notes.clear()
            self._run(source, kind, getattr(report, kind))
            notes += source.notes
        report.notes = dict(notes)
        report.rejects = str(self._rejects.path) if self._rejects.count else None
        report.seconds = time.monotonic() - began
        return report

    def _run(self, source: Source, kind: Kind, count: Count) -> None:
        reading = f"Reading {kind}"
        source.on_read = lambda rows: self._report(reading, rows, None, "rows")
        flying: Flying = deque()

        def land(allowed: int) -> None:
            while len(flying) > allowed:
                receipts = flying.popleft().result()
                known = sum(receipt.duplicate for receipt in receipts)
                count.known += known
                count.added += len(receipts) - known
                total = source.total if kind == "events" else None
                self._report(f"Importing {kind}", count.known + count.added, total, kind)

        for batch in _batches(self._accepted(source.rows(kind), count)):
            reads = batch if kind == "events" else self._changed(batch, count)
            if reads:
                self._send(reads, flying, count)
            land(IN_FLIGHT if kind == "events" else 0)
        land(0)

    def _accepted(self, outcomes: Iterator[Read | Rejected], count: Count) -> Iterator[Read]:
        for outcome in outcomes:
            if isinstance(outcome, Rejected):
                self._refuse(outcome, count)
                continue
            try:
                yield msgspec.structs.replace(outcome, record=self._check(outcome.record))
            except InvalidRequest as fault:
                self._refuse(outcome.rejected(str(fault)), count)

    def _refuse(self, rejected: Rejected, count: Count) -> None:
        count.rejected += 1
        self._rejects.add(rejected)

    def _changed(self, batch: list[Read], count: Count) -> list[Read]:
        """The items and users that are not yet as their rows say.

        A row without an event id gets one that depends on where the log stands: a price that goes back to
        what it was is a change like any other.
        """
        changed = []
        for read in batch:
            if read.derived and self._is_known(read.record):
                count.known += 1
            elif read.derived:
                event_id = f"{read.record.event_id}-{self._flow.log.end:x}"
                record = msgspec.structs.replace(read.record, event_id=event_id)
                changed.append(msgspec.structs.replace(read, record=record))
            else:
                changed.append(read)
        return changed

    def _is_known(self, record: Record) -> bool:
        if isinstance(record, ItemPut):
            return self._flow.item(record.item_id) == item_from_fields(record.item_id, record.fields)
        if isinstance(record, UserPut):
            user = self._flow.user(record.user_id)
            return user is not None and user["attributes"] == record.fields
        return False

    def _send(self, reads: list[Read], flying: Flying, count: Count) -> None:
        try:
            flying.append(self._flow.submit([read.record for read in reads]))
            return
        except InvalidRequest as fault:
            if len(reads) == 1:
                self._refuse(reads[0].rejected(str(fault)), count)
                return
        # One record is refused for what the model knows (an unknown item, where those are not created).
        for read in reads:
            self._send([read], flying, count)


def _batches(reads: Iterator[Read]) -> Iterator[list[Read]]:
    while batch := list(itertools.islice(reads, BATCH)):
        yield batch
