"""Who plays: Instep itself, through the flow that serves, and the random one that everybody must beat."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np

from instep.domain import Context, Feedback, ItemPut, ItemRemoval, ItemVector, Record
from instep.encode import Encoder, content_hash, to_bytes
from instep.evaluate.simulate.world import I64, START, Outcome, Visit, World
from instep.flow import Flow, Settings
from instep.guard import Limits
from instep.log import MemoryLog

DAY = 86_400.0


class Agent(Protocol):
    """Shows slates and learns from what comes of them."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def show(self, visit: Visit, k: int) -> I64:
        """A slate of at most k of the available items, int64 (k,)."""
        ...

    def learn(self, visit: Visit, slate: I64, outcome: Outcome) -> None:
        """What came of the slate. Late purchases come with later visits."""
        ...


class Random:
    """Any of the available items.

    Args:
        seed: of its choices.
    """

    name = "random"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def show(self, visit: Visit, k: int) -> I64:
        """See `Agent`."""
        available = np.flatnonzero(visit.available)
        return self._rng.permutation(available)[:k].astype(np.int64)

    def learn(self, visit: Visit, slate: I64, outcome: Outcome) -> None:
        """Nothing."""


class Oracle:
    """The truly best of the available items: what everybody else is measured against.

    Args:
        world: that it plays in, and whose truth it reads.
    """

    name = "oracle"

    def __init__(self, world: World) -> None:
        self._world = world

    def show(self, visit: Visit, k: int) -> I64:
        """See `Agent`."""
        length = min(k, int(visit.available.sum()))
        return np.argsort(-self._world.truth(visit.user), kind="stable")[:length].astype(np.int64)

    def learn(self, visit: Visit, slate: I64, outcome: Outcome) -> None:
        """Nothing."""


class Instep:
    """`flow.recommend` and `flow.observe` over a log in memory: what a shop would run.

    Args:
        settings: of the flow: policy, budget, surfaces ... Its limits are set to the world's time.
        seed: of the request ids, from which all of the flow's chance follows.
        encoder: reads the titles; None leaves text out.
        name: what tables call it; the policy's name by default.
    """

    def __init__(self, settings: Settings, seed: int, encoder: Encoder | None = None, name: str = "") -> None:
        limits = Limits(earliest=START - DAY, skew=max(DAY, START + 1000 * DAY - time.time()))
        self.name = name or f"instep {settings.policy}"
        self.flow = Flow(MemoryLog(), msgspec.structs.replace(settings, limits=limits), encoder)
        self._seed = seed
        self._encoder = encoder
        self._events = 0

    def show(self, visit: Visit, k: int) -> I64:
        """See `Agent`."""
        records: list[Record] = [*self._arrived(visit)]
        records += [ItemRemoval(self._id(), f"i{item}", visit.now) for item in visit.departures]
        records += [
            Feedback(
                self._id(), f"u{act.user}", f"i{act.item}", act.time, act.type, None, self._slate(act.visit)
            )
            for act in visit.late
        ]
        if records:
            self.flow.observe(records)
        context = Context(f"u{visit.user}", n=k, now=visit.now, request_id=self._slate(visit.number))
        slate = self.flow.recommend(context)
        return np.array([int(item.item_id[1:]) for item in slate.items], np.int64)

    def learn(self, visit: Visit, slate: I64, outcome: Outcome) -> None:
        """See `Agent`."""
        acts = [
            Feedback(
                self._id(),
                f"u{act.user}",
                f"i{act.item}",
                act.time,
                act.type,
                slate_id=self._slate(act.visit),
                position=act.place,
            )
            for act in outcome.acts
        ]
        if acts:
            self.flow.observe(acts)

    def _arrived(self, visit: Visit) -> Sequence[Record]:
        records: list[Record] = []
        for each in visit.arrivals:
            item_id, fields = f"i{each.item}", {"title": each.title, "categories": [each.topic]}
            records.append(ItemPut(self._id(), item_id, visit.now, fields))
        if self._encoder is not None and visit.arrivals:
            titles = [each.title for each in visit.arrivals]
            name = self._encoder.name
            for each, title, vector in zip(visit.arrivals, titles, self._encoder.encode(titles), strict=True):
                text = content_hash(title, name)
                stored = to_bytes(vector)
                records.append(ItemVector(self._id(), f"i{each.item}", visit.now, name, text, stored))
        return records

    def _slate(self, visit: int) -> str:
        return f"slate:{self._seed}:{visit}"

    def _id(self) -> str:
        self._events += 1
        return f"e{self._events}"
