"""The candidates of one request with their signals and scores: one pass of compiled code each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numba import njit

from instep.learn import recent_items
from instep.learn.histories import TIME, ages, closeness
from instep.learn.passed import forget_passed
from instep.retrieve import (
    MOST,
    Request,
    Scratch,
    Tables,
    gather,
    nearest_items,
    new_scratch,
    release,
    text_profile,
)
from instep.retrieve.gather import READ_HISTORY
from instep.retrieve.text import PROBES
from instep.score.passed import note_passed
from instep.score.ranker import CELL_RATE, addends, learn_choice, score, user_cell
from instep.score.signals import WIDTH, fill_signals
from instep.state import STAGE_STARTS, Clock, Items, State, Weights
from instep.state.tables import F32, F64, I32

TEXT_HITS = 30
TEXT_READ = 16_384
LEAST_PROBES = 2
REFUSED = 10
HISTORY = max(READ_HISTORY, STAGE_STARTS[-1])
_NOTHING: I32 = np.zeros(0, np.int32)
_NO_LOOKS: F32 = np.zeros(0, np.float32)


@njit(cache=True)
def find(
    items: Items,
    clock: Clock,
    tables: Tables,
    weights: Weights,
    request: Request,
    scratch: Scratch,
    cell: int,
    categories: int,
    x: F32,
    scores: F32,
) -> int:
    """Candidates with their signals and scores: a single call, since handing over the tables costs as much as a step.

    Args:
        items, clock, tables, weights: read.
        request: for whom and when.
        scratch: the candidates; `release` must follow.
        cell: whose weights, as `user_cell` tells it.
        categories: number of categories in use.
        x: float32 (MOST, WIDTH), the signals; overwritten.
        scores: float32 (MOST,), overwritten.

    Returns:
        How many candidates there are.
    """
    m = gather(items, tables, request, scratch)
    fill_signals(items, clock, tables.attention, request, scratch, m, categories, x)
    score(weights, items, scratch, x, m, cell, scores)
    return m


@njit(cache=True)
def learn_found(
    items: Items,
    clock: Clock,
    tables: Tables,
    weights: Weights,
    request: Request,
    scratch: Scratch,
    cell: int,
    categories: int,
    item: int,
    weight: float,
    looks: F32,
    x: F32,
    scores: F32,
) -> None:
    """One ranker step: `item` was taken, not the other candidates. Nothing if it is no candidate.

    Args:
        items, clock, tables, request, scratch, cell, categories, x, scores: as for `find`.
        weights: written, as is what the user passed over.
        item: row of the taken item.
        weight: of the act.
        looks: float32 (a,), how often each item of `request.asked` was looked at when nothing else was to be had.
    """
    m = gather(items, tables, request, scratch)
    chosen = scratch.slot[item]
    if chosen >= 0:
        fill_signals(items, clock, tables.attention, request, scratch, m, categories, x)
        score(weights, items, scratch, x, m, cell, scores)
        for k in range(len(looks)):  # what stands high is taken more often for that alone
            place = scratch.slot[request.asked[k]]
            if place >= 0:
                scores[place] += np.log(looks[k])
        rate = 0.0 if request.closed else CELL_RATE
        learn_choice(weights, items, scratch, x, m, chosen, cell, weight, rate, scores)
        if request.closed:
            forget_passed(tables.passed, request.user, item)
        else:
            note_passed(tables.passed, request.user, scratch, scores, m, chosen)
    release(tables.history, request, scratch, m)


class Shortlist:
    """Working memory for requests, and what was found for the one at hand. Reads the state, never writes it.

    Args:
        state: read, and by `learn` only its ranker's weights written.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._scratch = new_scratch(64, 64)
        self._signals: F32 = np.zeros((MOST, WIDTH), np.float32)
        self._scores: F32 = np.zeros(MOST, np.float32)
        self.recent: I32 = _NOTHING
        self.ages: F64 = np.zeros(0)
        self.size = 0
        self.cell = 0

    @property
    def items(self) -> I32:
        """int32 (size,), item numbers of the candidates."""
        return self._scratch.items[: self.size]

    @property
    def sources(self) -> I32:
        """int32 (size,), bits by `retrieve.SOURCES`."""
        return self._scratch.sources[: self.size]

    @property
    def signals(self) -> F32:
        """float32 (size, WIDTH)."""
        return self._signals[: self.size]

    @property
    def scores(self) -> F32:
        """float32 (size,), expected scores."""
        return self._scores[: self.size]

    @contextmanager
    def gathered(
        self,
        user: int,
        now: float,
        repeat: bool,
        asked: I32 = _NOTHING,
        browsed: I32 = _NOTHING,
    ) -> Iterator[Shortlist]:
        """Hold the candidates for a user, with their signals, while the block runs.

        Args:
            user: row, -1 for an unknown one.
            now: seconds.
            repeat: whether consumed items may come back.
            asked: int32 (a,), items to consider whatever happens.
            browsed: int32 (c,), categories whose trending items are wanted.
        """
        request = self._request(user, now, repeat, asked, browsed)
        state, categories = self.state, len(self.state.names.categories)
        try:
            self.size = find(
                state.items,
                state.clock,
                self._tables(),
                state.weights,
                request,
                self._scratch,
                self.cell,
                categories,
                self._signals,
                self._scores,
            )
            yield self
        finally:
            release(state.history, request, self._scratch, self.size)

    def learn(
        self,
        user: int,
        item: int,
        now: float,
        weight: float,
        repeat: bool,
        asked: I32,
        looks: F32 | None = None,
    ) -> None:
        """One ranker step: a user took `item`, not the other candidates. Nothing if it is no candidate.

        Acts of the same moment (a basket's other lines) were not known when this one was chosen.

        Args:
            user, item: rows.
            now: of the act, seconds.
            weight: of the act.
            repeat, asked: as for `gathered`.
            looks: float32 (a,), when the choice was among `asked` and nothing else: how often each was looked at.
        """
        closed = looks is not None
        request = self._request(user, now, repeat, asked, before=now, closed=closed)
        state, categories = self.state, len(self.state.names.categories)
        learn_found(
            state.items,
            state.clock,
            self._tables(),
            state.weights,
            request,
            self._scratch,
            self.cell,
            categories,
            item,
            weight,
            looks if looks is not None else _NO_LOOKS,
            self._signals,
            self._scores,
        )

    def _request(
        self,
        user: int,
        now: float,
        repeat: bool,
        asked: I32,
        browsed: I32 = _NOTHING,
        before: float = np.inf,
        closed: bool = False,
    ) -> Request:
        """What is looked for; says whose history it is in `recent`, `ages` and `cell`.

        Args:
            user, now, repeat, asked, browsed: as for `gathered`.
            before: acts from then on are left out of the history, seconds.
            closed: whether nothing but `asked` is considered.
        """
        state = self.state
        self._make_room()
        self.recent = recent_items(state.history, user, HISTORY, -1, True, before)
        self.cell = user_cell(len(self.recent), now - self._newest(user, before))
        self.ages = ages(state.history, user, self.recent[:READ_HISTORY], now, before)
        close = closeness(self.ages)
        refused = recent_items(state.history, user, REFUSED, -1, False, before)
        near = _NOTHING
        if not closed and len(self.recent) and len(state.text.centre):
            profile = text_profile(state.items, self.recent, READ_HISTORY, 0.85)
            text, cells = state.text, len(state.text.centre)
            # Cells are no longer fitted in a very large catalogue: as they fill, fewer are read.
            probes = max(LEAST_PROBES, min(PROBES, TEXT_READ * cells // int(text.fitted[0])))
            near = nearest_items(state.items, text.centre, text.members, profile, TEXT_HITS, probes)
        return Request(
            user, now, repeat, self.recent, self.ages, close, refused, asked, closed, near, browsed
        )

    def _tables(self) -> Tables:
        state = self.state
        return Tables(
            state.neighbours,
            state.takers,
            state.history,
            state.passed,
            state.head,
            state.trending,
            state.attention,
        )

    def _make_room(self) -> None:
        """Working memory for every item and user that the tables have room for."""
        items, users = len(self.state.items.taken), len(self.state.users.events)
        if len(self._scratch.slot) < items or len(self._scratch.met) < users:
            self._scratch = new_scratch(items, users)

    def _newest(self, user: int, before: float) -> float:
        """Time of a user's newest act before a moment, seconds; -inf when there is none."""
        if user < 0:
            return -np.inf
        history = self.state.history
        start, length = int(history.start[user]), int(history.length[user])
        for at in range(start + length - 1, start - 1, -1):
            if history.times[at, TIME] < before:
                return float(history.times[at, TIME])
        return -np.inf

    def addends(self, place: int) -> F32:
        """float32 (WIDTH,), what each signal adds to one candidate's score above the candidates' mean."""
        weights, items = self.state.weights, self.state.items
        return addends(weights, items, self._scratch, self._signals, self.size, place, self.cell)
