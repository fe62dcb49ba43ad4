"""Data sets with impressions: MIND (news) and Open Bandit (fashion, with propensities).

A row of MIND's behaviors.tsv becomes an impression and a `click` for each item that was clicked. What the
publisher's propensities were is not known: they are written as 1 with the policy ``mind``, and say nothing
for off-policy estimates. The click history in each row has no times and is not read.

A row of Open Bandit becomes an impression of one item with its true propensity, on the surface
``position-<k>``, with the policy that the folder is named after (``random`` or ``bts``), and a `click` if
there was one. The data set has no user ids: each row is an anonymous session of its own.

Sources: Wu et al. 2020, MIND, ACL; Saito et al. 2021, Open Bandit Dataset and Pipeline, NeurIPS Datasets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from instep.domain import ConfigError, Feedback, Impression, ItemPut, Record, session_user
from instep.files import values
from instep.files.base import RAW_LIMIT, Kind, Outcome, Read, Rejected, Source
from instep.files.order import content_id
from instep.files.tables import Row, Table, csv_records

NOT_READ = "click history without times is not read"


class MindSource(Source):
    """A MIND folder with behaviors.tsv and news.tsv.

    Args:
        path: the folder, or one of its files.

    Raises:
        ConfigError: behaviors.tsv is missing.
    """

    format = "mind"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        folder = path if path.is_dir() else path.parent
        self._behaviors, self._news = folder / "behaviors.tsv", folder / "news.tsv"
        if not self._behaviors.is_file():
            raise ConfigError(f"{path}: has no behaviors.tsv; unpack the MIND archive")
        self.kinds = ("items", "events") if self._news.is_file() else ("events",)

    def read(self, kind: Kind) -> Iterator[Outcome]:
        """News, or impressions and clicks."""
        path = self._news if kind == "items" else self._behaviors
        start = self._first_time() if kind == "items" else 0.0
        for line, cells, text in csv_records(path, "\t", quoted=False):
            if isinstance(cells, Rejected):
                yield cells
                continue
            try:
                if kind == "items":
                    yield Read(_news(cells, start), line, path.name, raw=text)
                    continue
                if len(cells) > 3 and cells[3].strip():
                    self.notes[NOT_READ] += 1
                for record in _behavior(cells):
                    yield Read(record, line, path.name, raw=text)
            except values.BadValue as fault:
                yield Rejected(line, str(fault), text[:RAW_LIMIT], path.name)

    def _first_time(self) -> float:
        rows = (cells for _, cells, _ in csv_records(self._behaviors, "\t", quoted=False))
        times = (_american(row[2]) for row in rows if not isinstance(row, Rejected) and len(row) == 5)
        return min((time for time in times if time is not None), default=0.0)


class OpenBanditSource(Source):
    """A campaign of the Open Bandit Dataset: the folder with ``<campaign>.csv`` and ``item_context.csv``.

    Args:
        path: the folder, or the campaign's file.

    Raises:
        ConfigError: the campaign's file is missing or lacks a column.
    """

    format = "open-bandit"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        folder = (path if path.is_dir() else path.parent).resolve()
        file = folder / f"{folder.name}.csv" if path.is_dir() else path
        self._log = Table(file)
        if absent := sorted(OPEN_BANDIT_COLUMNS - set(self._log.columns)):
            raise ConfigError(f"{file}, line 1: column {', '.join(absent)} is missing")
        self._policy = folder.parent.name if folder.parent.name in ("random", "bts") else "unknown"
        self._items = folder / "item_context.csv"
        self.kinds = ("items", "events") if self._items.is_file() else ("events",)

    def read(self, kind: Kind) -> Iterator[Outcome]:
        """Items with their features as attributes, or impressions and clicks."""
        table = Table(self._items) if kind == "items" else self._log
        start = self._first_time() if kind == "items" else 0.0
        for line, row, text in table.rows():
            if isinstance(row, Rejected):
                yield row
                continue
            try:
                for record in [_article(row, start)] if kind == "items" else self._shown(row):
                    yield Read(record, line, table.path.name, raw=text)
            except values.BadValue as fault:
                yield table.rejected(line, str(fault), row, text)

    def _first_time(self) -> float:
        reads = (each.record.timestamp for each in self.read("events") if isinstance(each, Read))
        return min(reads, default=0.0)

    def _shown(self, row: Row) -> list[Record]:
        propensity = values.number(row["propensity_score"], "propensity_score")
        if not 0.0 < propensity <= 1.0:
            raise values.BadValue("propensity_score", f"is not above 0 and at most 1: {propensity}")
        impression = Impression(
            event_id="",
            user_id=session_user("|".join(str(cell) for cell in row.values())),  # until it has its own id
            timestamp=values.timestamp(row["timestamp"], "timestamp"),
            item_ids=(values.identifier(row["item_id"], "item_id"),),
            propensities=(propensity,),
            surface=f"position-{values.integer(row['position'], 'position')}",
            policy=self._policy,
        )
        impression = replace(impression, user_id=session_user(content_id(impression)))
        return _with_clicks(impression, [0] if values.flag(row["click"], "click") else [])


OPEN_BANDIT_COLUMNS = frozenset(("timestamp", "item_id", "position", "click", "propensity_score"))


def _with_clicks(impression: Impression, clicked: list[int]) -> list[Record]:
    """An impression with its id, and a click on each of these positions."""
    impression = replace(impression, event_id=content_id(impression))
    user_id, time, slate_id = impression.user_id, impression.timestamp, impression.event_id
    return [
        impression,
        *(
            Feedback("", user_id, impression.item_ids[place], time, "click", None, slate_id, place)
            for place in clicked
        ),
    ]


def _article(row: Row, start: float) -> ItemPut:
    features: dict[str, Any] = {
        name: values.attribute(cell, name)
        for name, cell in row.items()
        if name.startswith("item_feature") and not values.missing(cell)
    }
    return ItemPut(
        "", values.identifier(row.get("item_id"), "item_id"), start, dict(sorted(features.items()))
    )


def _news(cells: list[str], start: float) -> ItemPut:
    if len(cells) < 5:
        raise values.BadValue("row", f"has {len(cells)} fields, news has at least 5")
    news, category, subcategory, title, abstract = cells[:5]
    fields = {"categories": [name for name in (category, subcategory) if name], "title": title}
    if abstract.strip():
        fields["description"] = abstract
    return ItemPut("", values.identifier(news, "news id"), start, dict(sorted(fields.items())))


def _behavior(cells: list[str]) -> list[Record]:
    if len(cells) != 5:
        raise values.BadValue("row", f"has {len(cells)} fields instead of 5")
    _, user, time, _, shown = cells
    moment = _american(time)
    if moment is None:
        raise values.BadValue("time", f"is not like 11/15/2019 9:05:58 AM: {time[:60]!r}")
    items, clicked = [], []
    for place, entry in enumerate(shown.split()):
        item, dash, click = entry.rpartition("-")
        if not item or not dash or click not in ("0", "1"):
            raise values.BadValue("impressions", f"an entry is not ITEM-0 or ITEM-1: {entry[:60]!r}")
        items.append(item)
        if click == "1":
            clicked.append(place)
    user_id = values.identifier(user, "user id")
    impression = Impression("", user_id, moment, tuple(items), (1.0,) * len(items), policy="mind")
    return _with_clicks(impression, clicked)


def _american(text: str) -> float | None:
    try:
        return datetime.strptime(text.strip(), "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
