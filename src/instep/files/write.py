"""Write events, items, users or the whole log to CSV, JSON lines or Parquet; reading gives the same back."""

from __future__ import annotations

import base64
import csv
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from instep.domain import ConfigError, Feedback, Item, Record
from instep.domain.items import ITEM_FIELDS
from instep.files.tables import SUFFIXES

FLOATS: Final = frozenset(("timestamp", "value", "price", "stock", "published_at", "expires_at"))
INTEGERS: Final = frozenset(("position", "as_of"))
FLAGS: Final = frozenset(("hidden",))
EVENT_COLUMNS: Final = (
    "event_id", "user_id", "item_id", "timestamp", "type", "value", "slate_id", "position", "context",
)  # fmt: skip
ITEM_COLUMNS: Final = ("item_id", *sorted(ITEM_FIELDS), "attributes")
USER_COLUMNS: Final = ("user_id", "attributes")
LOG_COLUMNS: Final = (
    "kind",
    *dict.fromkeys((*EVENT_COLUMNS, *(name for kind in get_args(Record) for name in kind.__struct_fields__))),
)


def write_events(path: Path, records: Iterable[Record]) -> int:
    """Write the feedback among the records; returns how many rows. The file's suffix says the format.

    Args:
        path: a .csv, .jsonl or .parquet file; replaced when all is written.
        records: any records.

    Raises:
        ConfigError: the suffix is another, or the file cannot be written.
    """
    rows = (
        {name: getattr(record, name) for name in EVENT_COLUMNS}
        for record in records
        if isinstance(record, Feedback)
    )
    return _write(path, EVENT_COLUMNS, rows)


def write_items(path: Path, items: Iterable[Item]) -> int:
    """Write the catalogue; returns how many rows.

    Args:
        path: as for `write_events`.
        items: of the catalogue.

    Raises:
        ConfigError: as for `write_events`.
    """
    return _write(path, ITEM_COLUMNS, (_item_row(item) for item in items))


def write_users(path: Path, users: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Write users' ids and attributes; returns how many rows.

    Args:
        path: as for `write_events`.
        users: ids and attributes.

    Raises:
        ConfigError: as for `write_events`.
    """
    rows = ({"user_id": user_id, "attributes": dict(fields) or None} for user_id, fields in users)
    return _write(path, USER_COLUMNS, rows)


def write_log(path: Path, records: Iterable[Record]) -> int:
    """Write every record of every kind in order; reading it into an empty folder gives an identical log.

    Args:
        path: as for `write_events`.
        records: in the log's order.

    Returns:
        How many rows.

    Raises:
        ConfigError: as for `write_events`.
    """
    return _write(path, LOG_COLUMNS, map(record_row, records))


def record_row(record: Record) -> dict[str, Any]:
    """A record as a row of `LOG_COLUMNS`, without what it leaves at its default.

    >>> record_row(Feedback("e1", "u1", "i1", 5.0))
    {'kind': 'feedback', 'event_id': 'e1', 'user_id': 'u1', 'item_id': 'i1', 'timestamp': 5.0}
    """
    row: dict[str, Any] = msgspec.to_builtins(record, builtin_types=(bytes,))
    if "vector" in row:
        row["vector"] = base64.b64encode(row["vector"]).decode()
    return row


def _item_row(item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {"item_id": item.item_id, "attributes": item.attributes or None}
    for name in ITEM_FIELDS:
        value = getattr(item, name)
        if not (value is None or value is False or value == "" or value == ()):
            row[name] = list(value) if isinstance(value, tuple) else value
    return row


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write to a neighbour, then rename: a reader sees the old file or the whole new one."""
    write = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}.get(SUFFIXES.get(path.suffix.lower(), ""))
    if write is None:
        raise ConfigError(f"{path}: the name must end in .csv, .jsonl or .parquet")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        count = write(partial, columns, rows)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _jsonl(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    with path.open("wb") as file:
        for row in rows:
            count += 1
            kept = {name: row[name] for name in columns if row.get(name) is not None}
            file.write(msgspec.json.encode(kept) + b"\n")
    return count


def _csv(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        for row in rows:
            count += 1
            writer.writerow([_cell(row.get(name)) for name in columns])
    return count


def _parquet(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError(f"{path}: Parquet needs pyarrow: pip install 'instep[parquet]'") from None
    schema = pa.schema([(name, _arrow_type(pa, name)) for name in columns])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        source = iter(rows)
        while chunk := list(islice(source, 4096)):
            cells = {
                name: [value if name in FLOATS | INTEGERS | FLAGS else _cell(value) for value in column]
                for name, column in ((name, [row.get(name) for row in chunk]) for name in columns)
            }
            writer.write_table(pa.table(cells, schema=schema))
            count += len(chunk)
    return count


def _arrow_type(pa: Any, name: str) -> Any:
    if name in FLOATS:
        return pa.float64()
    return pa.int64() if name in INTEGERS else pa.bool_() if name in FLAGS else pa.string()


def _cell(value: Any) -> str | None:
    """A value as text: lists and objects as JSON, numbers so that they come back exactly."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return msgspec.json.encode(value).decode()
