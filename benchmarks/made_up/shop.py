"""A made-up shop of any size, with users who have tastes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import Context, Feedback, ItemPut, ItemVector, Record

USERS: Final = 4_000
CLUSTERS: Final = 100
CATEGORIES: Final = 20
WIDTH: Final = 384
BATCH: Final = 1_000
KINDS: Final = ("click", "view", "like", "purchase")
LOOKS: Final = ("amber", "blue", "coral", "dusk", "ember", "grey", "jade", "opal", "pine", "rose")
THINGS: Final = ("lamp", "bowl", "chair", "kite", "drum", "clock", "scarf", "spade", "vase", "tent")


class Shop:
    """A made-up shop.

    Args:
        items: how many.
        events: how many.
        users: how many may act; from as many events on, every one of them does.
    """

    def __init__(self, items: int, events: int, users: int = USERS) -> None:
        rng = np.random.default_rng(1)
        self.items, self.events = items, events
        self.start = time.time() - 10 * 86_400.0
        self.centre = _unit(rng.standard_normal((CLUSTERS, WIDTH)).astype(np.float32))
        self.cluster = np.sort(rng.integers(0, CLUSTERS, items))
        self.name = rng.permutation(items)
        mass = np.concatenate([[0.0], np.cumsum(1.0 / (rng.permutation(items) + 10.0))])
        edge = np.searchsorted(self.cluster, np.arange(CLUSTERS + 1))
        # A user acts often or seldom, has three tastes, and follows one of them in four acts of five.
        active = 1.0 / (np.arange(users) + 50.0)
        self.user = rng.choice(users, events, p=active / active.sum())
        if users > USERS and events >= users:
            self.user[:users] = rng.permutation(users)
        taste = rng.integers(0, CLUSTERS, (users, 3))[self.user, rng.integers(0, 3, events)]
        follows = rng.random(events) < 0.8
        low, high = (
            np.where(follows, mass[edge[taste]], 0.0),
            np.where(follows, mass[edge[taste + 1]], mass[-1]),
        )
        drawn = np.searchsorted(mass, low + rng.random(events) * (high - low), side="right") - 1
        self.item = np.clip(drawn, 0, items - 1)
        self.kind = rng.choice(len(KINDS), events, p=(0.7, 0.2, 0.05, 0.05))
        apart = min(5.0, 8 * 86_400.0 / events)  # seconds; all of them have happened by now
        self.at = self.start + np.cumsum(rng.exponential(apart, events))

    def catalogue(self) -> Iterator[list[Record]]:
        """Items and their vectors, in batches."""
        rng = np.random.default_rng(2)
        for first in range(0, self.items, BATCH):
            rows = np.arange(first, min(first + BATCH, self.items))
            noise = rng.standard_normal((len(rows), WIDTH), np.float32) / np.sqrt(WIDTH)
            vectors = _unit(self.centre[self.cluster[rows]] + noise).astype("<f2")
            batch: list[Record] = []
            for row, vector in zip(rows.tolist(), vectors, strict=True):
                item_id = self.item_id(row)
                kind = int(self.cluster[row])
                title = f"{LOOKS[kind % 10]} {THINGS[kind // 10]} {item_id}"
                fields = {
                    "title": title,
                    "categories": [f"category-{kind % CATEGORIES}"],
                    "price": kind + 0.5,
                }
                batch.append(ItemPut(f"put-{item_id}", item_id, self.start, fields))
                text = ItemVector(
                    f"text-{item_id}", item_id, self.start, "made-up", f"{row:032x}", vector.tobytes()
                )
                batch.append(text)
            yield batch

    def item_id(self, row: int) -> str:
        """The id of an item."""
        return f"i{self.name[row]}"

    def acts(self, start: int = 0) -> Iterator[list[Record]]:
        """Events from one on, in batches."""
        for first in range(start, self.events, BATCH):
            yield [
                Feedback(
                    f"act-{n}",
                    f"u{self.user[n]}",
                    self.item_id(int(self.item[n])),
                    float(self.at[n]),
                    KINDS[self.kind[n]],
                )
                for n in range(first, min(first + BATCH, self.events))
            ]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


class Clicks:
    """Events and requests of the shop's users, new ones each time."""

    def __init__(self, shop: Shop, name: str) -> None:
        self._shop, self._name, self._n = shop, name, 0
        self._order = np.random.default_rng(3).permutation(shop.events)

    def next(self) -> tuple[Feedback, Context]:
        """An event like the shop's earlier ones, and a request of its user."""
        shop, n = self._shop, self._n
        self._n += 1
        at = int(self._order[n % shop.events])
        now = float(shop.at[-1]) + n
        user = f"u{shop.user[at]}"
        event = Feedback(f"{self._name}-{n}", user, shop.item_id(int(shop.item[at])), now, "click")
        return event, Context(user, 10, now, f"{self._name}-request-{n}")
