"""The whole learned state: names, items and the tables; a pure function of the log."""

from __future__ import annotations

import gc
import hashlib
import heapq
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from instep.domain import Item
from instep.state.attention import Attention, Rehearsal, new_attention, new_rehearsal
from instep.state.held import Held, Tables, hold
from instep.state.numbers import Numbers
from instep.state.ragged import Ragged, empty_ragged, extended, loosened, tight, with_cells, with_rows
from instep.state.slates import (
    SURFACES,
    Examination,
    Slates,
    kept_slates,
    new_examination,
    new_slates,
    ring_of,
    slate_numbers,
    with_surface,
)
from instep.state.tables import (
    CATEGORY_SLOTS,
    F32,
    ITEM_COLUMNS,
    TRENDING_LENGTH,
    USER_COLUMNS,
    Clock,
    Head,
    Items,
    Space,
    TextSpace,
    Trending,
    Users,
    Weights,
    new_clock,
    new_head,
    new_space,
    new_text_space,
    new_trending,
    with_room,
)
from instep.state.terms import Terms, new_terms, with_room_for_terms
from instep.state.trials import Trials

FORMAT = 10
Arrays = dict[str, NDArray[Any]]
PACKED = ("length", "ids", "values", "times")
ROOM_PER_ROW = 256  # an event lengthens one row of takers, and one of what was passed over up to 32 times
ROOM_PER_EVENT = 32768  # an event can lengthen the rows of all the neighbours it touches (tests/learn checks)


class Names(msgspec.Struct):
    """What has a name: items, users, categories, feedback types, in the order of their numbers.

    `content` holds the hash of the text that each item's vector was made of, `encoder` who made it; `beside` and
    `beside_content` are the same of the space beside.
    """

    items: list[str] = []
    users: list[str] = []
    categories: list[str] = []
    types: list[str] = []
    surfaces: list[str] = []
    catalogue: list[Item | None] = []
    content: list[str] = []
    attributes: dict[str, dict[str, Any]] = {}
    merged: dict[str, str] = {}
    encoder: str = ""
    beside: str = ""
    beside_content: list[str] = []
    trials: Trials = msgspec.field(default_factory=Trials)


class State:
    """Columns that grow, and the names of their rows.

    Args:
        weights: the ranker's prior.
        fresh_vectors: called with `items` and a number when an item is created, to fill its starting vectors.

    Source: layout after Metarank's and River's columnar stores; growth by doubling.
    """

    def __init__(self, weights: Weights, fresh_vectors: Callable[[Items, int], None]) -> None:
        self.names = Names()
        self.item_number: dict[str, int] = {}
        self.user_number = Numbers(self.names.users)
        self.category_number: dict[str, int] = {}
        self.type_number: dict[str, int] = {}
        self.items: Items = with_room(Items, ITEM_COLUMNS, None, 64)
        self.users: Users = with_room(Users, USER_COLUMNS, None, 64)
        self.history: Ragged = empty_ragged(3, times=1)
        self.neighbours: Ragged = empty_ragged(3)
        self.takers: Ragged = empty_ragged(0)
        self.passed: Ragged = empty_ragged(2)
        self.clock: Clock = new_clock()
        self.head: Head = new_head()
        self.attention: Attention = new_attention()
        self.rehearsal: Rehearsal = new_rehearsal()
        self.trending: Trending = new_trending()
        self.terms: Terms = new_terms()
        self.text: TextSpace = new_text_space()
        self.beside: Space = new_space()
        self.slates: Slates = new_slates()
        self.slate_number: dict[int, int] = {}
        self.newest_slate: dict[int, int] = {}
        self.examination: Examination = new_examination()
        self.weights = weights
        self.solved: Callable[[], tuple[F32, F32]] | None = None
        self.offset = 0
        self._upcoming: list[tuple[float, int]] = []  # a heap of when items are published, and their rows
        self._fresh_vectors = fresh_vectors
        self._tables = self._current_tables()
        self._held: Held[Tables] | None = None

    @property
    def n_items(self) -> int:
        """Items known."""
        return len(self.names.items)

    @property
    def n_users(self) -> int:
        """Users known, visitors included."""
        return len(self.names.users)

    def item_row(self, item_id: str, now: float) -> int:
        """Number of an item, created (unlisted text, servable at once) when it is new."""
        row = self.item_number.get(item_id)
        if row is not None:
            return row
        row = len(self.names.items)
        self.item_number[item_id] = row
        self.names.items.append(item_id)
        self.names.catalogue.append(None)
        self.names.content.append("")
        self.items = with_room(Items, ITEM_COLUMNS, self.items, row + 1)
        self.neighbours = with_rows(self.neighbours, len(self.items.taken))
        self.takers = with_rows(self.takers, len(self.items.taken))
        self._fresh_vectors(self.items, row)
        self.items.first_seen[row] = now
        self._enter_fresh(row)
        return row

    def _enter_fresh(self, row: int) -> None:
        at = int(self.trending.fresh_at[0])
        self.trending.fresh[at] = row
        self.trending.fresh_at[0] = (at + 1) % TRENDING_LENGTH

    def publish(self) -> None:
        """Items whose time has come since this was last called are new from now on."""
        now, upcoming = float(self.clock.now[0]), self._upcoming
        while upcoming and upcoming[0][0] <= now:
            time, row = heapq.heappop(upcoming)
            again = bool(upcoming) and upcoming[0] == (time, row)
            if self.items.published[row] == time and not again:  # else it was put off meanwhile
                self._enter_fresh(row)

    def user_row(self, user_id: str) -> int:
        """Number of a user, created when new."""
        row = self.user_number.get(user_id)
        if row is not None:
            return row
        self.names.users.append(user_id)
        row = self.user_number.add(user_id)
        self.users = with_room(Users, USER_COLUMNS, self.users, row + 1)
        self.history = with_rows(self.history, len(self.users.events))
        self.passed = with_rows(self.passed, len(self.users.events))
        seed = hashlib.blake2b(user_id.encode(), digest_size=8).digest()
        self.users.seed[row] = int.from_bytes(seed, "little") >> 1
        return row

    def category_row(self, name: str) -> int:
        """Number of a category, created when new."""
        row = self.category_number.get(name)
        if row is None:
            row = len(self.names.categories)
            self.category_number[name] = row
            self.names.categories.append(name)
            have = self.trending.category
            if row >= len(have):
                fresh = np.full((max(8, len(have)), TRENDING_LENGTH), -1, np.int32)
                self.trending = self.trending._replace(category=np.concatenate([have, fresh]))
        return row

    def type_row(self, name: str) -> int:
        """Number of a feedback type, created when new."""
        row = self.type_number.get(name)
        if row is None:
            row = len(self.names.types)
            self.type_number[name] = row
            self.names.types.append(name)
        return row

    def surface_row(self, name: str) -> int:
        """Number of a surface, created when new; those beyond the last that there is room for share its number."""
        names = self.names.surfaces
        if name in names:
            return names.index(name)
        if len(names) == SURFACES:
            return SURFACES - 1
        names.append(name)
        self.examination = with_surface(self.examination)
        return len(names) - 1

    def set_item(self, row: int, item: Item | None) -> None:
        """Write an item's servable facts; None takes it out of the catalogue."""
        self.names.catalogue[row] = item
        gone = item is None or item.hidden or (item.stock is not None and item.stock <= 0)
        self.items.blocked[row] = gone
        if item is None:
            return
        self.items.published[row] = -1.0 if item.published_at is None else item.published_at
        if self.items.published[row] > self.clock.now[0]:
            heapq.heappush(self._upcoming, (float(self.items.published[row]), row))
        self.items.expires[row] = np.inf if item.expires_at is None else item.expires_at
        numbers = [self.category_row(name) for name in item.categories[:CATEGORY_SLOTS]]
        self.items.categories[row] = numbers + [-1] * (CATEGORY_SLOTS - len(numbers))

    def exchange_spaces(self) -> None:
        """The space beside becomes the one that requests read, and the other way round; nothing is copied."""
        n, items, names = self.n_items, self.items, self.names
        self.lengthen_beside()
        was = Space(self.text, items.text, items.text_known)
        self.text = self.beside.text
        self.items = items._replace(text=self.beside.reduced, text_known=self.beside.known)
        self.beside = was
        names.encoder, names.beside = names.beside, names.encoder
        names.content, names.beside_content = names.beside_content, names.content
        assert len(names.content) == n

    def lengthen_beside(self) -> None:
        """Rows for every item in the space beside. It is lengthened only when it is written: many items at once."""
        space, rows, names = self.beside, len(self.items.taken), self.names
        if len(space.known) < rows:
            self.beside = space._replace(
                reduced=extended(space.reduced, rows), known=extended(space.known, rows)
            )
        names.beside_content.extend([""] * (self.n_items - len(names.beside_content)))

    def held(self) -> Held[Tables]:
        """The tables as compiled code is handed them; held anew when one of them was replaced."""
        tables = self._current_tables()
        if self._held is None or not all(map(operator.is_, tables, self._tables)):
            self._tables, self._held = tables, hold(tables)
        return self._held

    def _current_tables(self) -> Tables:
        return Tables(
            self.items,
            self.clock,
            self.weights,
            self.neighbours,
            self.takers,
            self.history,
            self.passed,
            self.head,
            self.trending,
            self.attention,
            self.rehearsal,
            self.terms,
            self.text.centre,
            self.text.members,
        )

    def reserve(self) -> None:
        """Make room for everything one event can add, so that compiled code never runs out."""
        self.history = with_cells(self.history, ROOM_PER_EVENT)
        self.neighbours = with_cells(self.neighbours, ROOM_PER_EVENT)
        self.takers = with_cells(self.takers, ROOM_PER_ROW)
        self.passed = with_cells(self.passed, ROOM_PER_ROW)
        self.terms = with_room_for_terms(self.terms)

    def arrays(self) -> Arrays:
        """Every table cut to what is used, by dotted name; the names as MessagePack bytes. Independent of room."""
        self.finish_solving()
        n, users = self.n_items, self.n_users
        out: Arrays = {}
        _put(out, "items", self.items, n)
        _put(out, "users", self.users, users)
        _put(out, "clock", self.clock)
        _put(out, "head", self.head)
        _put(out, "attention", self.attention)
        _put(out, "rehearsal", self.rehearsal)
        _put(out, "weights", self.weights)
        _put(out, "slates", kept_slates(self.slates))
        _put(out, "examination", self.examination)
        _put(
            out,
            "trending",
            self.trending._replace(category=self.trending.category[: len(self.names.categories)]),
        )
        out["terms.held"], out["terms.size"] = self.terms.held, self.terms.size
        _put_ragged(out, "terms.holders", self.terms.holders, len(self.terms.held))
        _put_ragged(out, "history", self.history, users)
        _put_ragged(out, "neighbours", self.neighbours, n)
        _put_ragged(out, "takers", self.takers, n)
        _put_ragged(out, "passed", self.passed, users)
        _put_text(out, "text", self.text, n)
        beside = n if self.names.beside else 0
        _put_text(out, "beside.text", self.beside.text, beside)
        out["beside.reduced"] = _rows(self.beside.reduced, beside, 0)
        out["beside.known"] = _rows(self.beside.known, beside, 0)
        if self.solved is not None:
            out["solved.symmetric"], out["solved.directed"] = self.solved()
        out["names"] = np.frombuffer(msgspec.msgpack.encode(self.names), np.uint8)
        return out

    def load(self, arrays: Arrays) -> None:
        """Become the state that `arrays()` told, and own the arrays; when they do not fit, stay as it was."""
        names = _decoded(arrays["names"])
        items = with_room(Items, ITEM_COLUMNS, Items(*_get(arrays, "items", Items)), len(names.items) + 1)
        users = with_room(Users, USER_COLUMNS, Users(*_get(arrays, "users", Users)), len(names.users) + 1)
        text, beside = _get_text(arrays, "text"), _get_text(arrays, "beside.text")
        beside_rows = (arrays["beside.reduced"], arrays["beside.known"])
        history = with_rows(_get_ragged(arrays, "history"), len(users.events))
        neighbours = with_rows(_get_ragged(arrays, "neighbours"), len(items.taken))
        takers = with_rows(_get_ragged(arrays, "takers"), len(items.taken))
        passed = with_rows(_get_ragged(arrays, "passed"), len(users.events))
        clock, head = Clock(*_get(arrays, "clock", Clock)), Head(*_get(arrays, "head", Head))
        weights = Weights(*_get(arrays, "weights", Weights))
        attention = Attention(*_get(arrays, "attention", Attention))
        rehearsal = Rehearsal(*_get(arrays, "rehearsal", Rehearsal))
        trending = Trending(*_get(arrays, "trending", Trending))
        terms = Terms(arrays["terms.held"], _get_ragged(arrays, "terms.holders"), arrays["terms.size"])
        slates = ring_of(Slates(*_get(arrays, "slates", Slates)))
        examination = Examination(*_get(arrays, "examination", Examination))
        pending = "solved.symmetric" in arrays
        solved = _ready((arrays["solved.symmetric"], arrays["solved.directed"])) if pending else None
        self.names, self.items, self.users, self.text = names, items, users, text
        self.beside = Space(beside, *beside_rows)
        self.history, self.neighbours, self.clock, self.head = history, neighbours, clock, head
        self.takers, self.passed, self.terms = takers, passed, terms
        self.attention, self.rehearsal = attention, rehearsal
        self.weights, self.trending, self.solved = weights, trending, solved
        self.slates, self.examination = slates, examination
        self.slate_number, self.newest_slate = slate_numbers(slates)
        later = np.flatnonzero(items.published[: len(names.items)] > clock.now[0])
        self._upcoming = sorted(zip(items.published[later].tolist(), later.tolist(), strict=True))
        self.item_number = {name: row for row, name in enumerate(names.items)}
        self.user_number = Numbers(names.users)
        self.category_number = {name: row for row, name in enumerate(names.categories)}
        self.type_number = {name: row for row, name in enumerate(names.types)}

    def finish_solving(self) -> None:
        """Wait for the dense regressions that are being solved beside; they take effect at their own event."""
        if self.solved is not None:
            self.solved = _ready(self.solved())

    def digest(self) -> str:
        """BLAKE2b over every table's bytes: equal digests mean the same state to the bit."""
        whole = hashlib.blake2b(digest_size=16)
        for name, array in sorted(self.arrays().items()):
            whole.update(f"{name}{array.dtype}{array.shape}".encode())
            whole.update(bytes_of(array))
        return whole.hexdigest()


def bytes_of(array: NDArray[Any]) -> memoryview:
    """An array's bytes in C order, of the array's own memory where that is in this order.

    >>> bytes_of(np.ones((2, 1), "<i2")).tolist()
    [1, 0, 1, 0]
    """
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _decoded(names: NDArray[np.uint8]) -> Names:
    """The names; while they are made, nobody looks for garbage among the millions that are none."""
    looked = gc.isenabled()
    gc.disable()
    try:
        return msgspec.msgpack.decode(names.data, type=Names)
    finally:
        if looked:
            gc.enable()


def _put(out: Arrays, prefix: str, table: NamedTuple, rows: int | None = None) -> None:
    for field, array in zip(table._fields, table, strict=True):
        out[f"{prefix}.{field}"] = array if rows is None else array[:rows]


def _ready(pair: tuple[F32, F32]) -> Callable[[], tuple[F32, F32]]:
    return lambda: pair


def _rows(array: NDArray[Any], rows: int, fill: int) -> NDArray[Any]:
    """Exactly so many rows: the text columns grow only when a vector comes, and may lag behind the items."""
    missing = np.full((max(0, rows - len(array)), *array.shape[1:]), fill, array.dtype)
    return np.concatenate([array, missing]) if len(missing) else array[:rows]


def _put_text(out: Arrays, prefix: str, text: TextSpace, rows: int) -> None:
    for field in ("mean", "basis", "centre", "fitted"):
        out[f"{prefix}.{field}"] = getattr(text, field)
    for field, fill in (("raw", 0), ("cell", -1), ("place", -1)):
        out[f"{prefix}.{field}"] = _rows(getattr(text, field), rows, fill)
    _put_ragged(out, f"{prefix}.members", text.members, len(text.centre))


def _get_text(arrays: Arrays, prefix: str) -> TextSpace:
    fields = {field: arrays[f"{prefix}.{field}"] for field in TextSpace._fields if field != "members"}
    return TextSpace(members=_get_ragged(arrays, f"{prefix}.members"), **fields)


def _put_ragged(out: Arrays, prefix: str, table: Ragged, rows: int) -> None:
    packed: tuple[NDArray[Any], ...] = tight(table, rows)
    for field, array in zip(PACKED, packed, strict=True):
        out[f"{prefix}.{field}"] = array


def _get(arrays: Arrays, prefix: str, table: Any) -> list[NDArray[Any]]:
    return [arrays[f"{prefix}.{field}"] for field in table._fields]


def _get_ragged(arrays: Arrays, prefix: str) -> Ragged:
    return loosened(*(arrays[f"{prefix}.{field}"] for field in PACKED))
