"""The stream of a replay: events in the protocol's order, ids as dense integers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError, Item
from instep.evaluate.base import Float64, Int32

Ties = Literal["group", "file"]
UInt64 = NDArray[np.uint64]


@dataclass(frozen=True)
class Stream:
    """Events in the order in which a replay meets them, and the catalogue.

    Args:
        name: what reports call the data set.
        user: int32 (n,), who.
        item: int32 (n,), on what.
        t: float64 (n,), seconds since the epoch, never falling.
        value: float64 (n,), NaN where the event has none.
        group: int32 (n,), rises by one where a new group of ties begins: a group is scored whole before any
            of it is learned.
        kind: the type of each event (``view``, ``rating`` ...), n of them.
        users: the user ids behind the integers.
        items: the item ids behind the integers: the whole catalogue.
        catalogue: what is known about items, by item id.
    """

    name: str
    user: Int32
    item: Int32
    t: Float64
    value: Float64
    group: Int32
    kind: tuple[str, ...]
    users: tuple[str, ...]
    items: tuple[str, ...]
    catalogue: Mapping[str, Item] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.user)

    def first(self, n: int) -> Stream:
        """The first n events; the catalogue stays whole."""
        return replace(
            self,
            user=self.user[:n],
            item=self.item[:n],
            t=self.t[:n],
            value=self.value[:n],
            group=self.group[:n],
            kind=self.kind[:n],
        )

    def extended(self, rows: Rows, items: Sequence[str] = ()) -> Stream:
        """The same stream with more events at its end, as they come, each a group of its own.

        Users and items that are new get the next numbers; all others keep theirs.

        Args:
            rows: the events.
            items: ids of items that are there although nothing happened on them.

        >>> stream = arrange("toy", Rows(["u"], ["a"], np.array([1.0])), ties="file")
        >>> longer = stream.extended(Rows(["v", "u"], ["a", "b"], np.array([2.0, 3.0])))
        >>> longer.users, longer.item.tolist(), longer.group.tolist()
        (('u', 'v'), [0, 0, 1], [0, 1, 2])
        """
        user, users = _numbered(rows.user_id, self.users)
        item, known = _numbered((*rows.item_id, *items), self.items)
        first = int(self.group[-1]) + 1 if len(self) else 0
        return replace(
            self,
            user=np.append(self.user, user),
            item=np.append(self.item, item[: len(user)]),
            t=np.append(self.t, rows.t),
            value=np.append(self.value, rows.value),
            group=np.append(self.group, np.arange(first, first + len(user), dtype=np.int32)),
            kind=(*self.kind, *rows.kind),
            users=users,
            items=known,
        )


def digest(ids: Sequence[str], seed: int) -> UInt64:
    """A seeded 64-bit hash of every id, uint64 (n,), equal on every machine.

    >>> bool((digest(["a", "b"], 1) == digest(["a", "b"], 1)).all()), int(digest(["a"], 1)[0]) >> 60
    (True, 3)
    """
    key = seed.to_bytes(8, "little", signed=True)
    whole = b"".join(hashlib.blake2b(i.encode(), digest_size=8, key=key).digest() for i in ids)
    return np.frombuffer(whole, "<u8").astype(np.uint64)


def _mix(state: UInt64, word: UInt64) -> UInt64:
    """One round of splitmix64 over arrays. Source: Steele, Lea and Flood 2014."""
    z = (state ^ word) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def _dense(ids: Sequence[str], known: Sequence[str], seed: int) -> tuple[Int32, tuple[str, ...]]:
    """Numbers for ids: distinct ones (and the known ones) in the order of their seeded hash."""
    distinct = sorted(set(ids) | set(known))
    shuffled = [distinct[i] for i in np.argsort(digest(distinct, seed), kind="stable")]
    number = {name: place for place, name in enumerate(shuffled)}
    return np.fromiter((number[i] for i in ids), np.int32, len(ids)), tuple(shuffled)


def _numbered(ids: Sequence[str], known: tuple[str, ...]) -> tuple[Int32, tuple[str, ...]]:
    """Numbers for ids: those known keep theirs, new ones get the next."""
    number = {name: place for place, name in enumerate(known)}
    found = np.fromiter((number.setdefault(name, len(number)) for name in ids), np.int32, len(ids))
    return found, tuple(number) if len(number) > len(known) else known


def arrange(
    name: str,
    rows: Rows,
    catalogue: Mapping[str, Item] | None = None,
    seed: int = 0,
    ties: Ties = "group",
) -> Stream:
    """Put events in the protocol's order.

    With ``ties="group"`` the order is (timestamp, user, seeded hash of the row) and events of one user with
    one timestamp form a group, so the order of the rows in the file means nothing. With ``ties="file"`` it is
    (timestamp, place in the file) and every event is a group of its own.

    Args:
        name: what reports call the data set.
        rows: the events in file order.
        catalogue: items by id; the candidates are these and all ids in `rows`.
        seed: seeds the hashes.
        ties: see above.

    Raises:
        ConfigError: there are no events.

    >>> rows = Rows(["u", "u", "v"], ["a", "b", "a"], np.array([2.0, 2.0, 1.0]))
    >>> stream = arrange("toy", rows)
    >>> [stream.users[u] for u in stream.user], stream.group.tolist(), len(stream.items)
    (['v', 'u', 'u'], [0, 1, 1], 2)
    """
    if not rows.user_id:
        raise ConfigError(f"{name} holds no events: nothing to replay")
    known = list(catalogue or {})
    user, users = _dense(rows.user_id, (), seed)
    item, items = _dense(rows.item_id, known, seed)
    if ties == "group":
        rank = np.argsort(np.argsort(np.array(users)))
        order = np.lexsort((_row_hash(rows, seed), rank[user], rows.t))
    else:
        order = np.argsort(rows.t, kind="stable")
    user, item, t = user[order], item[order], rows.t[order]
    fresh = np.ones(len(user), bool)
    if ties == "group":
        fresh[1:] = (user[1:] != user[:-1]) | (t[1:] != t[:-1])
    group = np.cumsum(fresh, dtype=np.int32) - np.int32(1)
    kind = tuple(rows.kind[i] for i in order)
    return Stream(name, user, item, t, rows.value[order], group, kind, users, items, catalogue or {})


@dataclass(frozen=True)
class Rows:
    """Events as a file gives them.

    Args:
        user_id: n ids.
        item_id: n ids.
        t: float64 (n,), seconds since the epoch.
        value: float64 (n,), NaN where there is none; None when no event has one.
        kind: n types; empty means ``view`` throughout.
    """

    user_id: Sequence[str]
    item_id: Sequence[str]
    t: Float64
    value: Float64 = field(default_factory=lambda: np.empty(0))
    kind: Sequence[str] = ()

    def __post_init__(self) -> None:
        if len(self.value) != len(self.t):
            object.__setattr__(self, "value", np.full(len(self.t), np.nan))
        if len(self.kind) != len(self.t):
            object.__setattr__(self, "kind", ["view"] * len(self.t))


def _row_hash(rows: Rows, seed: int) -> UInt64:
    """A hash of the whole row, so that equal hashes mean rows that nobody can tell apart."""
    state = _mix(digest(rows.user_id, seed), digest(rows.item_id, seed))
    state = _mix(state, rows.value.view(np.uint64))
    return _mix(state, digest(rows.kind, seed))
