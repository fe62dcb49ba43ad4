"""The system under test that is not a baseline: the real flow, the one that the service runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from instep.domain import Context, Feedback, Item, ItemPut, ItemVector, Record, Slate
from instep.evaluate.base import Int32
from instep.evaluate.stream import Stream
from instep.flow import Flow, Settings
from instep.guard import Limits
from instep.learn import fields_of
from instep.learn.histories import remember
from instep.log import MemoryLog
from instep.score.signals import SIGNALS

BATCH: Final = 1000
HELD: Final = 2000
"""Of a longer history than this, the older part is excluded by name: the flow's own is bounded."""
AS_IT_IS: Final = frozenset(
    ("view", "click", "like", "cart", "purchase", "share", "skip", "dislike", "return")
)


class Instep:
    """`flow.observe` and `flow.rank` over a log in memory, greedy policy.

    The catalogue and the vectors of its texts are in the log before the first event, as in a shop. A replay
    takes every event for positive, so types whose reward depends on their value (ratings, dwell), and types
    the rewards table does not know, are observed as clicks.

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
        any_time = Limits(earliest=-math.inf, skew=math.inf)
        self.flow = Flow(MemoryLog(), Settings(policy="greedy", repeat=repeat, limits=any_time))
        self._repeat = repeat
        self._number: dict[str, int] = {}
        self._learned = 0
        self._remembered = 0
        self._known: list[set[int]] = []  # items the flow learned
        self._ahead: list[list[Feedback]] = []  # remembered, not yet learned
        self.grow(stream)
        self.change([*_catalogue(stream), *vectors])

    def grow(self, stream: Stream) -> None:
        """Go on with a longer stream, whose first events, users and items are those of the one before."""
        self._stream = stream
        for item_id in stream.items[len(self._number) :]:
            self._number[item_id] = len(self._number)
        more = range(len(self._known), len(stream.users))
        self._known += [set() for _ in more]
        self._ahead += [[] for _ in more]

    def change(self, records: Sequence[Record]) -> None:
        """Observe what is no event: items and their vectors, as they are from here on."""
        for batch in _batches(records):
            self.flow.observe(batch)

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Observe one event."""
        self.learn_shared(user, item, t, value)
        self.remember(user, item, t, value)

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Observe one event, which may be late."""
        event = self._event(self._learned, user, item, t, value)
        self._learned += 1
        self._known[user].add(item)
        self.flow.observe([event])
        if self._ahead[user]:
            self._ahead[user].pop(0)

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Note an event for its user's history alone, until the flow observes it."""
        number, self._remembered = self._remembered, self._remembered + 1
        if number >= self._learned:
            self._ahead[user].append(self._event(number, user, item, t, value))

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Rank, without logging an impression."""
        known = self._known[user]
        unseen: list[int] = []
        if len(exclude) > min(len(known), HELD):
            old = exclude[: max(0, len(exclude) - HELD)].tolist()
            unseen = [*old, *(item for item in exclude[len(old) :].tolist() if item not in known)]
        context = Context(
            user_id=self._stream.users[user],
            n=k,
            now=t or 1e-9,
            request_id=f"replay:{self._learned}",
            exclude=tuple(self._stream.items[item] for item in unseen),
            repeat=self._repeat,
        )
        slate = self._rank_ahead(user, context) if self._ahead[user] else self.flow.rank(context)
        return np.array([self._number[item.item_id] for item in slate.items], np.int32)

    def weights(self) -> dict[str, float]:
        """The ranker's shared weights by signal, as they stand."""
        return dict(zip(SIGNALS, self.flow.model.state.weights.shared[1].tolist(), strict=True))

    def _event(self, number: int, user: int, item: int, t: float, value: float) -> Feedback:
        kind = self._stream.kind[number]
        as_it_is = kind in AS_IT_IS
        return Feedback(
            event_id=f"event:{number}",
            user_id=self._stream.users[user],
            item_id=self._stream.items[item],
            timestamp=t,
            type=kind if as_it_is else "click",
            value=None if math.isnan(value) or not as_it_is else value,
        )

    def _rank_ahead(self, user: int, context: Context) -> Slate:
        """Rank with what the flow has yet to observe in the user's own history, then take it out."""
        state, judge = self.flow.model.state, self.flow.model.learner.judge
        row = state.user_row(context.user_id)
        length = int(state.history.length[row])
        for event in self._ahead[user]:
            state.reserve()
            item, kind = state.item_number[event.item_id], state.type_row(event.type)
            number = math.nan if event.value is None else event.value
            remember(state.held(), row, item, event.timestamp, judge(event), kind, number)
        slate = self.flow.rank(context)
        state.history.length[row] = length
        return slate


def _catalogue(stream: Stream) -> Iterator[Record]:
    start = float(stream.t[0])
    for item_id in stream.items:
        item = stream.catalogue.get(item_id, Item(item_id))
        yield ItemPut(f"item:{item_id}", item_id, start, fields_of(item))


def _batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]
