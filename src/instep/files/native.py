"""The log itself as rows: every kind of record, with its ids, in the log's order.

The column `kind` marks the layout. What `instep export --what log` wrote comes back as the same records, so
that the copy's log equals the original's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from instep.domain import Record
from instep.files.base import Kind, Outcome, Read, Rejected, Source
from instep.files.order import named
from instep.files.tables import Row, Table

NESTED: Final = ("context", "fields", "item_ids", "propensities", "experiments", "asked", "definition")


class NativeSource(Source):
    """Rows of records; all of them come as `events`, in the file's order."""

    format = "instep"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._table = Table(path)
        self.kinds = ("events",)

    def rows(self, kind: Kind) -> Iterator[Outcome]:
        """The records in the file's order: it is the order in which they were learned."""
        if kind not in self.kinds:
            return iter(())
        watched = self._watched(self.read(kind))
        return (named(each) if isinstance(each, Read) else each for each in watched)

    def read(self, kind: Kind) -> Iterator[Outcome]:
        """Each row as the record it was."""
        table = self._table
        for line, row, text in table.rows():
            if isinstance(row, Rejected):
                yield row
                continue
            try:
                record = record_from_row(row, table.kind == "jsonl")
                yield Read(record, line, self.path.name, raw=text)
            except (msgspec.DecodeError, ValueError, RecursionError) as fault:
                yield table.rejected(line, f"is not a record: {fault}", row, text)


def record_from_row(row: Row, strict: bool) -> Record:
    """The record a row stands for.

    Args:
        row: as `write.record_row` made it.
        strict: whether cells have their types already (JSON); otherwise text becomes what the field wants.

    Returns:
        The record, with its event id.

    Raises:
        msgspec.ValidationError: a cell does not fit its field, or `kind` is not a kind of record.
    """
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if value is None or (value == "" and not strict):
            continue
        cells[name] = msgspec.json.decode(value) if name in NESTED and isinstance(value, str) else value
    record: Record = msgspec.convert(cells, Record, strict=strict)
    return record
