"""From files to a stream: what `instep replay EVENTS --items ITEMS --positive EXPRESSION` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cel
import numpy as np

from instep.domain import ConfigError, Feedback, Item, ItemPut, item_from_fields
from instep.evaluate.stream import Rows, Stream, Ties, arrange
from instep.files import Kind, Rejected, Source, open_mapped
from instep.files.tables import mapping_for

POSITIVE_FIELDS = ("value", "type", "user_id", "item_id", "timestamp", "context")


@dataclass(frozen=True)
class Selection:
    """Which events of a file are replayed, and in which order.

    Args:
        items: file of the catalogue; None takes the ids of the events (and what EVENTS itself says of them).
        positive: CEL expression over `POSITIVE_FIELDS`; events for which it is not true are left out.
        limit: only the first so many events in time (0: all).
        seed: of the order of ties, and of everything random in the systems.
        ties: how events of one user at one time are ordered and scored.
        mapping: our column name -> the files', for those of the two that have the column.
    """

    items: Path | None = None
    positive: str = ""
    limit: int = 0
    seed: int = 0
    ties: Ties = "group"
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Notes:
    """What reading left out, in sentences for a person; empty when nothing was."""

    lines: list[str] = field(default_factory=list)
    rejected: int = 0


def read_stream(events: Path, selection: Selection, notes: Notes | None = None) -> Stream:
    """Read events and catalogue, and put them in the protocol's order.

    Args:
        events: a file or folder of any layout `instep import` reads.
        selection: which events.
        notes: gets what was left out.

    Raises:
        ConfigError: a file cannot be read, the expression is wrong, or no event is left.
    """
    notes = Notes() if notes is None else notes
    files = [events] if selection.items is None else [events, selection.items]
    maps = [_mapping_of(file, selection.mapping) for file in files]
    for ours, theirs in selection.mapping.items():
        if not any(ours in each for each in maps):
            raise ConfigError(f"--map {ours}={theirs}: no column {theirs} in {' or '.join(map(str, files))}")
    source = _opened(events, "events", maps[0])
    keep = positive_filter(selection.positive)
    kept: list[Feedback] = []
    dropped = 0
    for row in source.events():
        if isinstance(row, Rejected):
            _reject(notes, row)
        elif isinstance(row, Feedback):
            if keep(row):
                kept.append(row)
            else:
                dropped += 1
    if dropped:
        notes.lines.append(f"{dropped:,} events are not positive ({selection.positive}) and were left out")
    if not kept:
        why = f" for which {selection.positive!r} is true" if dropped else ""
        raise ConfigError(f"{events} holds no events{why}: nothing to replay")
    if selection.items is not None:
        source = _opened(selection.items, "items", maps[1])
    catalogue = _catalogue(source, selection.items, notes)
    if selection.items is None:
        used = {event.item_id for event in kept}
        catalogue = {item_id: item for item_id, item in catalogue.items() if item_id in used}
    stream = arrange(events.stem, rows_of(kept), catalogue, selection.seed, selection.ties)
    stray = len(set(stream.items) - set(catalogue)) if selection.items else 0
    if stray:
        notes.lines.append(
            f"{stray:,} items of {events} are not in {selection.items}; they are candidates too"
        )
    return stream.first(selection.limit) if selection.limit else stream


def positive_filter(expression: str) -> Callable[[Feedback], bool]:
    """A predicate out of a CEL expression; no expression is true of everything.

    An event without a value is not positive under an expression that compares its value.

    Raises:
        ConfigError: the expression cannot be parsed, names an unknown field, or is not true or false.

    >>> positive_filter("value >= 4")(Feedback("e", "u", "i", 0.0, "rating", 3.5))
    False
    """
    if not expression:
        return lambda event: True
    try:
        program = cel.compile(expression)
    except ValueError as error:
        raise ConfigError(f"--positive {expression!r}: {str(error).splitlines()[0]}") from None
    unknown = sorted(set(program.variables()) - set(POSITIVE_FIELDS))
    if unknown:
        raise ConfigError(
            f"--positive {expression!r}: no field {unknown[0]}; there are {', '.join(POSITIVE_FIELDS)}"
        )

    def keep(event: Feedback) -> bool:
        """Whether the expression holds of an act; what it cannot be asked of does not."""
        fields = {name: getattr(event, name) for name in POSITIVE_FIELDS}
        fields["context"] = event.context or {}
        try:
            verdict = program.execute(fields)
        except (TypeError, RuntimeError, KeyError) as error:
            if event.value is None or event.context is None:
                return False
            raise ConfigError(f"--positive {expression!r}: {str(error).split('.')[0]}") from None
        if not isinstance(verdict, bool):
            raise ConfigError(f"--positive {expression!r} is {verdict!r}; it must be true or false")
        return verdict

    return keep


def _mapping_of(path: Path, mapping: Mapping[str, str]) -> Mapping[str, str]:
    """What of the mapping a file gets; a folder gets all of it, and its files what they have."""
    return mapping if path.is_dir() else mapping_for(path, mapping)


def _opened(path: Path, kind: Kind, mapping: Mapping[str, str]) -> Source:
    """A file or folder; a single file whose columns say that it is of another kind is read as this one."""
    source = open_mapped(path, mapping=mapping)
    if path.is_dir() or kind in source.kinds:
        return source
    return open_mapped(path, kind=kind, mapping=mapping)


def _catalogue(source: Source, path: Path | None, notes: Notes) -> Mapping[str, Item]:
    catalogue: dict[str, Item] = {}
    for row in source.items():
        if isinstance(row, Rejected):
            _reject(notes, row)
        elif isinstance(row, ItemPut):
            catalogue[row.item_id] = item_from_fields(row.item_id, row.fields)
    if path is not None and not catalogue:
        raise ConfigError(f"{path} holds no items")
    return catalogue


def _reject(notes: Notes, row: Rejected) -> None:
    notes.rejected += 1
    if notes.rejected <= 3:
        notes.lines.append(f"{row.file}, line {row.line}: {row.reason}")


def rows_of(events: list[Feedback]) -> Rows:
    """Feedback as columns, in its order."""
    return Rows(
        [event.user_id for event in events],
        [event.item_id for event in events],
        np.array([event.timestamp for event in events], np.float64),
        np.array([np.nan if event.value is None else event.value for event in events], np.float64),
        [event.type for event in events],
    )
