"""The system under test that is not a baseline: the real flow, the one that the service runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from instep.domain import Context, Feedback, Item, ItemPut, ItemVector, Record
from instep.evaluate.base import Int32
from instep.evaluate.stream import Stream
from instep.flow import Flow, Settings
from instep.log import MemoryLog

BATCH = 1000


class Instep:
    """`flow.observe` and `flow.rank` over a log in memory, greedy policy.

    The catalogue and the vectors of its texts are in the log before the first event, as in a shop.

    Args:
        stream: what will be replayed: ids, types of events, catalogue.
        vectors: the language model's vectors of the catalogue; empty leaves text out.
        repeat: whether consumed items may come back.
        name: what tables call it.
    """

    def __init__(
        self,
        stream: Stream,
        vectors: Sequence[ItemVector] = (),
        repeat: bool = False,
        name: str = "instep",
    ) -> None:
        self.name = name
        self.flow = Flow(MemoryLog(), Settings(policy="greedy", repeat=repeat))
        self._stream = stream
        self._repeat = repeat
        self._number = {item_id: number for number, item_id in enumerate(stream.items)}
        self._learned = 0
        self._known: list[set[int]] = [set() for _ in stream.users]
        for batch in _batches([*_catalogue(stream), *vectors]):
            self.flow.observe(batch)

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Observe one event."""
        number, self._learned = self._learned, self._learned + 1
        self._known[user].add(item)
        event = Feedback(
            event_id=f"event:{number}",
            user_id=self._stream.users[user],
            item_id=self._stream.items[item],
            timestamp=t,
            type=self._stream.kind[number],
            value=None if math.isnan(value) else value,
        )
        self.flow.observe([event])

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Rank, without logging an impression."""
        known = self._known[user]
        late = [item for item in exclude.tolist() if item not in known] if len(exclude) > len(known) else []
        context = Context(
            user_id=self._stream.users[user],
            n=k,
            now=t,
            request_id=f"replay:{self._learned}",
            exclude=tuple(self._stream.items[item] for item in late),
            repeat=self._repeat,
        )
        slate = self.flow.rank(context)
        return np.array([self._number[item.item_id] for item in slate.items], np.int32)


def _catalogue(stream: Stream) -> Iterator[Record]:
    start = float(stream.t[0])
    for item_id in stream.items:
        item = stream.catalogue.get(item_id, Item(item_id))
        fields = {name: getattr(item, name) for name in Item.__struct_fields__[1:-1] if getattr(item, name)}
        yield ItemPut(f"item:{item_id}", item_id, start, {**fields, **item.attributes})


def _batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]
