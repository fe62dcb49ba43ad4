"""Instep's own columns: CSV, JSON lines or Parquet with `user_id, item_id, timestamp` and so on.

A single file is told apart by its columns; a folder holds files whose names start with events, items, users.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from instep.domain import ConfigError, Feedback, ItemPut, Record, UserPut, session_user
from instep.domain.items import ITEM_FIELDS
from instep.files import values
from instep.files.base import KINDS, Kind, Outcome, Read, Rejected, Source
from instep.files.tables import SUFFIXES, Row, Table, mapping_for

EVENT_COLUMNS = frozenset(
    (
        "event_id",
        "user_id",
        "session",
        "item_id",
        "timestamp",
        "type",
        "value",
        "rating",
        "slate_id",
        "position",
        "context",
    )
)
ITEM_COLUMNS = ITEM_FIELDS | {"event_id", "item_id", "timestamp", "attributes"}
USER_COLUMNS = frozenset(("event_id", "user_id", "timestamp", "attributes"))

_CELLS: dict[str, Callable[[Any, str], Any]] = {
    "categories": values.names,
    "price": values.number,
    "stock": values.number,
    "published_at": values.timestamp,
    "expires_at": values.timestamp,
    "hidden": values.flag,
}


_SOUNDS = {
    "user_id": ("user", "customer", "client", "visitor", "member", "reader", "listener"),
    "item_id": (
        "item",
        "product",
        "article",
        "movie",
        "film",
        "song",
        "track",
        "news",
        "book",
        "code",
        "sku",
    ),
    "timestamp": ("time", "date", "when"),
}
"""What columns are often called in others' files; for advice, never for guessing."""


class GenericSource(Source):
    """Files in Instep's own columns.

    Args:
        path: a file, or a folder with events.*, items.* and users.*.
        mapping: our column name -> the file's, e.g. ``{"item_id": "StockCode"}``.
        kind: what a single file holds; None finds out from its columns.
    """

    format = "generic"

    def __init__(
        self, path: Path, mapping: Mapping[str, str] | None = None, kind: Kind | None = None
    ) -> None:
        super().__init__(path)
        self._mapping = dict(mapping or {})
        known = EVENT_COLUMNS | ITEM_COLUMNS | USER_COLUMNS
        if unknown := [name for name in self._mapping if not re.fullmatch(r"\w+", name)]:
            raise ConfigError(f"--map {unknown[0]}: a mapping is our_column=TheirColumn")
        self._tables: dict[Kind, list[Table]] = {}
        for each, files in (_files(path) if path.is_dir() else {kind: [path]}).items():
            for file in files:
                table = Table(
                    file, self._mapping if file == path else mapping_for(file, self._mapping), known
                )
                self._tables.setdefault(each or _kind_of(table), []).append(table)
        for found, tables in self._tables.items():
            for table in tables:
                _check_columns(table, found)
        self.kinds = tuple(kind for kind in KINDS if kind in self._tables)

    def read(self, kind: Kind) -> Iterator[Outcome]:
        """The rows of one kind, file after file."""
        build = _BUILD[kind]
        for table in self._tables.get(kind, []):
            if kind == "events":
                for extra in sorted(set(table.columns) - EVENT_COLUMNS):
                    self.notes[
                        f"column {extra} is not read (put it into the JSON column context to keep it)"
                    ] += 1
            yield from read_table(table, build)


def read_table(table: Table, build: Callable[[Row], Record]) -> Iterator[Outcome]:
    """Turn a table's rows into records, or into rejects where `build` raises `values.BadValue`.

    Args:
        table: the open file.
        build: a record out of a row; its event id may be "".

    Yields:
        One outcome a row, in the file's order.
    """
    for line, row, text in table.rows():
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            yield Read(build(row), line, table.path.name, raw=text)
        except values.BadValue as fault:
            yield table.rejected(line, str(fault), row, text)


def event_from_row(row: Row) -> Feedback:
    """A row of the event columns as feedback.

    Raises:
        BadValue: a cell is missing or wrong; the message starts with its column.

    >>> event_from_row({"user_id": "u1", "item_id": 7, "timestamp": "2020-01-01", "value": ""}).timestamp
    1577836800.0
    """
    cells = {name: row[name] for name in EVENT_COLUMNS & row.keys() if not values.missing(row[name])}
    if "user_id" not in cells and "session" in cells:
        user_id = session_user(values.identifier(cells["session"], "session"))
    else:
        user_id = values.identifier(cells.get("user_id"), "user_id")
    kind = values.text(cells.get("type", "rating" if "rating" in cells else "view"), "type")
    amount = "rating" if kind == "rating" and "rating" in cells else "value"
    if amount == "rating" and "value" in cells:
        raise values.BadValue("rating", "stands beside value; leave one of them empty")
    context = values.mapping(cells["context"], "context") if "context" in cells else None
    for name, value in (context or {}).items():
        if not isinstance(values.plain(value, f"context.{name}"), str | int | float | bool):
            raise values.BadValue(f"context.{name}", "must be text, a number, true or false")
    return Feedback(
        event_id=values.identifier(cells["event_id"], "event_id") if "event_id" in cells else "",
        user_id=user_id,
        item_id=values.identifier(cells.get("item_id"), "item_id"),
        timestamp=values.timestamp(cells.get("timestamp"), "timestamp"),
        type=kind,
        value=values.number(cells[amount], amount) if amount in cells else None,
        slate_id=values.identifier(cells["slate_id"], "slate_id") if "slate_id" in cells else None,
        position=values.integer(cells["position"], "position") if "position" in cells else None,
        context=context or None,
    )


def item_from_row(row: Row) -> ItemPut:
    """A row of item columns as the whole item; columns Instep has no name for become attributes.

    Raises:
        BadValue: a cell is missing or wrong; the message starts with its column.
    """
    fields = _fields(row, ITEM_COLUMNS)
    for name in ITEM_FIELDS & row.keys():
        if not values.missing(row[name]):
            fields[name] = _cell(row[name], name)
    item_id = values.identifier(row.get("item_id"), "item_id")
    return ItemPut(_event_id(row), item_id, _time(row), dict(sorted(fields.items())))


def user_from_row(row: Row) -> UserPut:
    """A row of user columns: the id and attributes.

    Raises:
        BadValue: as for `item_from_row`.
    """
    user_id = values.identifier(row.get("user_id"), "user_id")
    return UserPut(_event_id(row), user_id, _time(row), dict(sorted(_fields(row, USER_COLUMNS).items())))


def build_record(kind: Kind, row: Row) -> Record:
    """A row of Instep's columns as the record of its kind.

    Args:
        kind: of the record.
        row: its cells by our column names.

    Raises:
        BadValue: as for `item_from_row`.
    """
    return _BUILD[kind](row)


_BUILD: dict[Kind, Callable[[Row], Record]] = {
    "events": event_from_row,
    "items": item_from_row,
    "users": user_from_row,
}


def _fields(row: Row, known: frozenset[str]) -> dict[str, Any]:
    """The attributes: unknown columns as they stand, and the object in the column `attributes`."""
    fields = {
        name: values.attribute(value, name)
        for name, value in row.items()
        if name and name not in known and not values.missing(value)
    }
    if not values.missing(row.get("attributes")):
        given = values.mapping(row["attributes"], "attributes")
        if clash := sorted(given.keys() & known):
            raise values.BadValue(f"attributes.{clash[0]}", "is the name of a column of its own")
        fields |= {name: values.plain(value, f"attributes.{name}") for name, value in given.items()}
    return fields


def _cell(value: Any, name: str) -> Any:
    convert: Callable[[Any, str], Any] = _CELLS.get(name, values.text)
    return convert(value, name)


def _event_id(row: Row) -> str:
    return "" if values.missing(row.get("event_id")) else values.identifier(row["event_id"], "event_id")


def _time(row: Row) -> float:
    given = row.get("timestamp")
    return time.time() if values.missing(given) else values.timestamp(given, "timestamp")


def _files(folder: Path) -> dict[Kind | None, list[Path]]:
    found: dict[Kind | None, list[Path]] = {}
    for kind in KINDS:
        files = sorted(
            file
            for file in folder.iterdir()
            if file.name.lower().startswith(kind)
            and file.suffix.lower() in SUFFIXES
            and ".rejects" not in file.name
        )
        if files:
            found[kind] = files
    if not found and (folder / "log.sqlite").exists():
        raise ConfigError(f"{folder}: is an instep folder; `instep export` writes files that can be read")
    if not found:
        raise ConfigError(
            f"{folder}: holds no file named events.*, items.* or users.* (.csv, .jsonl, .parquet) and no "
            "layout Instep knows; name one file"
        )
    return found


def _kind_of(table: Table) -> Kind:
    columns = set(table.columns)
    if {"user_id", "item_id"} <= columns or {"session", "item_id"} <= columns:
        return "events"
    if "item_id" in columns:
        return "items"
    if "user_id" in columns:
        return "users"
    for kind in KINDS:
        if table.path.name.lower().startswith(kind):
            return kind
    raise ConfigError(
        f"{table.path}, line 1: has neither a column item_id nor user_id (it has {_listed(table)}); the "
        "first line must name the columns: say which is which, e.g. "
        f"--map {_likely('item_id', table)}"
    )


def _check_columns(table: Table, kind: Kind) -> None:
    if table.kind == "jsonl":  # rows of their own: what is missing is missing in a row
        return
    needed = {"events": ("user_id", "item_id", "timestamp"), "items": ("item_id",), "users": ("user_id",)}[
        kind
    ]
    for name in needed:
        if name not in table.columns and not (name == "user_id" and "session" in table.columns):
            raise ConfigError(
                f"{table.path}, line 1: column {name} is missing (it has {_listed(table)}); say which one it "
                f"is, e.g. --map {_likely(name, table)}"
            )


def _likely(wanted: str, table: Table) -> str:
    """`wanted=theirs`, with a column that sounds like it, else the first that is not one of ours."""
    known = EVENT_COLUMNS | ITEM_COLUMNS | USER_COLUMNS
    free = [name for name in table.columns if name and name not in known]
    sound = [name for name in free if any(part in name.lower() for part in _SOUNDS[wanted])]
    return f"{wanted}={(sound or free or ['COLUMN'])[0]}"


def _listed(table: Table) -> str:
    return ", ".join(table.columns) or "no columns"
