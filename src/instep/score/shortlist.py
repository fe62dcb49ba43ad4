"""The candidates of one request with their signals and scores: one pass of compiled code each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from instep.learn import recent_items
from instep.learn.histories import TIME
from instep.learn.passed import forget_passed
from instep.retrieve import (
    FROM_TEXT,
    MOST,
    Request,
    Tables,
    gather,
    keep_only,
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
from instep.state import STAGE_STARTS, State
from instep.state.tables import F32, I32

TEXT_HITS = 30
TEXT_READ = 16_384
LEAST_PROBES = 2
REFUSED = 10
HISTORY = max(READ_HISTORY, STAGE_STARTS[-1])
_NOTHING: I32 = np.zeros(0, np.int32)


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
        request = self._gather(user, now, repeat, asked, browsed)
        try:
            self._fill(request)
            yield self
        finally:
            release(self.state.history, request, self._scratch, self.size)

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
        request = self._gather(user, now, repeat, asked, before=now, read_text=looks is None)
        try:
            if looks is not None:
                self.size = keep_only(self._scratch, self.size, asked)
            place = int(self._scratch.slot[item])
            if place < 0:
                return
            self._fill(request)
            weights, items, scores = self.state.weights, self.state.items, self.scores()
            cell_rate = CELL_RATE
            if looks is not None:  # what stands high is taken more often for that alone
                places = self._scratch.slot[asked]
                scores[places[places >= 0]] += np.log(looks[places >= 0])
                cell_rate = 0.0
            learn_choice(
                weights,
                items,
                self._scratch,
                self._signals,
                self.size,
                place,
                self.cell,
                weight,
                cell_rate,
                scores,
            )
            if looks is not None:
                forget_passed(self.state.passed, user, item)
            else:
                note_passed(self.state.passed, user, self._scratch, scores, self.size, place)
        finally:
            release(self.state.history, request, self._scratch, self.size)

    def _gather(
        self,
        user: int,
        now: float,
        repeat: bool,
        asked: I32,
        browsed: I32 = _NOTHING,
        before: float = np.inf,
        read_text: bool = True,
    ) -> Request:
        """Candidates and their evidence; `release` must follow.

        Args:
            user, now, repeat, asked, browsed: as for `gathered`.
            before: acts from then on are left out of the history, seconds.
            read_text: whether what is near in text is looked up.
        """
        state = self.state
        self._make_room()
        self.recent = recent_items(state.history, user, HISTORY, -1, True, before)
        self.cell = user_cell(len(self.recent), now - self._newest(user, before))
        refused = recent_items(state.history, user, REFUSED, -1, False, before)
        if read_text and len(self.recent) and len(state.text.centre):
            profile = text_profile(state.items, self.recent, READ_HISTORY, 0.85)
            text, cells = state.text, len(state.text.centre)
            # Cells are no longer fitted in a very large catalogue: as they fill, fewer are read.
            probes = max(LEAST_PROBES, min(PROBES, TEXT_READ * cells // int(text.fitted[0])))
            hits = nearest_items(state.items, text.centre, text.members, profile, TEXT_HITS, probes)
            asked = np.concatenate([asked, hits]) if len(asked) else hits
        request = Request(user, now, repeat, self.recent, refused, asked, FROM_TEXT, browsed)
        tables = Tables(
            state.neighbours, state.takers, state.history, state.passed, state.head, state.trending
        )
        self.size = gather(state.items, tables, request, self._scratch)
        return request

    def _fill(self, request: Request) -> None:
        state, categories = self.state, len(self.state.names.categories)
        fill_signals(state.items, state.clock, request, self._scratch, self.size, categories, self._signals)

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
            if history.values[at, TIME] < before:
                return float(history.values[at, TIME])
        return -np.inf

    def scores(self) -> F32:
        """float32 (size,), expected scores."""
        weights, items = self.state.weights, self.state.items
        score(
            weights,
            items,
            self._scratch,
            self._signals,
            self.size,
            self.cell,
            self._scores,
        )
        return self._scores[: self.size]

    def addends(self, place: int) -> F32:
        """float32 (WIDTH,), what each signal adds to one candidate's score above the candidates' mean."""
        weights, items = self.state.weights, self.state.items
        return addends(weights, items, self._scratch, self._signals, self.size, place, self.cell)
