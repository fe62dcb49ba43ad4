"""Data sets as other recommendation services take or dump them: Amazon Personalize and Gorse.

| | Amazon Personalize | Gorse |
|---|---|---|
| events | USER_ID, ITEM_ID, TIMESTAMP | feedback_type, user_id, item_id, timestamp |
| items | ITEM_ID, PRICE, CREATION_TIMESTAMP, GENRES | item_id, is_hidden, categories, timestamp |
| users | USER_ID | user_id, labels |

Event types are compared in lower case. An item's creation time becomes `published_at`; Gorse's comment on an
item becomes its title. Columns that Instep has no name for become attributes of items and users; in
interactions they are not read, nor are Personalize's impressions, because they come without propensities.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from instep.domain import ConfigError
from instep.files import values
from instep.files.base import KINDS, Kind, Outcome, Source
from instep.files.generic import build_record, read_table
from instep.files.tables import SUFFIXES, Row, Table


class ServiceSource(Source):
    """Tables whose columns are told apart by their names, whatever the files are called.

    Args:
        path: a file, or a folder of files.

    Raises:
        ConfigError: no file has the columns of the layout.
    """

    names: ClassVar[dict[Kind, dict[str, str]]]
    """For each kind: their column in its plain form -> ours."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        self._tables: dict[Kind, list[Table]] = {}
        for file in files:
            if file.suffix.lower() in SUFFIXES and ".rejects" not in file.name:
                table = Table(file)
                kind = self.kind_of({self.plain(column) for column in table.columns})
                if kind:
                    self._tables.setdefault(kind, []).append(table)
        if not self._tables:
            raise ConfigError(f"{path}: has no file with the columns of {self.format}; see docs/files.md")
        self.kinds = tuple(kind for kind in KINDS if kind in self._tables)

    def plain(self, column: str) -> str:
        """A column's name in the form in which `names` has it."""
        return column.lower()

    def kind_of(self, columns: set[str]) -> Kind | None:
        """What a table with these columns holds."""
        user, item = "user_id" in columns, "item_id" in columns
        if user and item:
            return "events"
        return "items" if item else "users" if user else None

    def read(self, kind: Kind) -> Iterator[Outcome]:
        """The rows of one kind, file after file."""
        for table in self._tables.get(kind, []):
            if kind == "events":
                unread = {self.plain(column) for column in table.columns} - self.names["events"].keys()
                for column in sorted(unread):
                    self.notes[f"column {column} is not read"] += 1
            yield from read_table(table, lambda row: build_record(kind, self._row(kind, row)))

    def _row(self, kind: Kind, row: Row) -> Row:
        names = self.names[kind]
        renamed: Row = {}
        for column, value in row.items():
            ours = names.get(self.plain(column), self.plain(column) if kind != "events" else "")
            if ours == "categories" and not values.missing(value):
                renamed[ours] = renamed.get(ours, []) + values.names(value, column)
            elif ours:
                renamed[ours] = value
        if isinstance(renamed.get("type"), str):
            renamed["type"] = renamed["type"].lower()
        return renamed


class PersonalizeSource(ServiceSource):
    """Amazon Personalize's interactions, items and users."""

    format = "amazon-personalize"
    names: ClassVar[dict[Kind, dict[str, str]]] = {
        "events": {
            "user_id": "user_id",
            "item_id": "item_id",
            "timestamp": "timestamp",
            "event_type": "type",
            "event_value": "value",
            "event_id": "event_id",
        },
        "items": {
            "creation_timestamp": "published_at",
            "genres": "categories",
            "genre": "categories",
            "category_l1": "categories",
            "category_l2": "categories",
            "category_l3": "categories",
            "item_name": "title",
            "product_description": "description",
            "text": "description",
        },
        "users": {},
    }


class GorseSource(ServiceSource):
    """Gorse's dumps, CSV or JSON lines, with names like user_id or UserId."""

    format = "gorse"
    names: ClassVar[dict[Kind, dict[str, str]]] = {
        "events": {
            "feedback_type": "type",
            "user_id": "user_id",
            "item_id": "item_id",
            "timestamp": "timestamp",
            "value": "value",
        },
        "items": {"timestamp": "published_at", "is_hidden": "hidden", "comment": "title"},
        "users": {},
    }

    def plain(self, column: str) -> str:
        """``ItemId`` is ``item_id``."""
        parts = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in column)
        return parts.lstrip("_")


def is_personalize(columns: set[str]) -> bool:
    """Whether a table's columns are those of Personalize's interactions."""
    return {"USER_ID", "ITEM_ID", "TIMESTAMP"} <= columns


def is_gorse(columns: set[str]) -> bool:
    """Whether a table's columns are those of Gorse's feedback."""
    return {"feedback_type", "user_id", "item_id"} <= columns or {
        "FeedbackType",
        "UserId",
        "ItemId",
    } <= columns
