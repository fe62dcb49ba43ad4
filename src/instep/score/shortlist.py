"""The candidates of one request with their signals and scores: one pass of compiled code each."""

from __future__ import annotations

import numpy as np
from numba import njit

from instep.learn import recent_items
from instep.learn.histories import ages
from instep.learn.passed import forget_passed
from instep.retrieve import (
    Question,
    Scratch,
    gather,
    new_scratch,
    read_request,
    release,
)
from instep.retrieve.request import HISTORY, READ_HISTORY
from instep.score.passed import note_passed
from instep.score.posterior import score_deviations, score_draws, user_doubt
from instep.score.ranker import CELL_RATE, Taken, addends, learn_choice, score, user_cell
from instep.score.signals import WIDTH, fill_signals
from instep.state import Held, State, Tables, hold
from instep.state.tables import F32, F64, I32, I64

_NOTHING: I32 = np.zeros(0, np.int32)
_NO_LOOKS: F32 = np.zeros(0, np.float32)


@njit(cache=True)
def find(held: Held[Tables], question: Question, working: Held[Scratch]) -> tuple[int, int, int]:
    """Candidates with their signals and scores, in a single call.

    Args:
        held: read.
        question: for whom and when.
        working: written: `items`, `sources`, `signals` and `scores` of the candidates.

    Returns:
        How many candidates there are, whose weights they have, as `user_cell` tells it, and how many items of the
        history were read.
    """
    tables, scratch = held.parts, working.parts
    request = read_request(tables, question)
    cell = user_cell(len(request.recent), request.idle)
    m = gather(tables, request, scratch)
    fill_signals(tables, request, scratch, m, question.categories)
    score(tables.weights, tables.items, scratch, m, cell)
    release(tables.history, request, scratch, m)
    return m, cell, len(request.recent)


@njit(cache=True)
def learn_found(
    held: Held[Tables],
    question: Question,
    working: Held[Scratch],
    item: int,
    weight: float,
    looks: F32,
) -> None:
    """One ranker step: `item` was taken, not the other candidates. Nothing if it is no candidate.

    Args:
        held: read; the ranker's weights and what the user passed over are written.
        question, working: as for `find`.
        item: row of the taken item.
        weight: of the act.
        looks: float32 (a,), how often each item of `question.asked` was looked at when nothing else was to be had.
    """
    tables, scratch = held.parts, working.parts
    request = read_request(tables, question)
    cell = user_cell(len(request.recent), request.idle)
    m = gather(tables, request, scratch)
    chosen = scratch.slot[item]
    if chosen >= 0:
        fill_signals(tables, request, scratch, m, question.categories)
        score(tables.weights, tables.items, scratch, m, cell)
        for k in range(len(looks)):  # what stands high is taken more often for that alone
            place = scratch.slot[question.asked[k]]
            if place >= 0:
                scratch.scores[place] += np.log(looks[k])
        taken = Taken(chosen, cell, weight, 0.0 if question.closed else CELL_RATE)
        learn_choice(tables.weights, tables.items, scratch, m, taken)
        if question.closed:
            forget_passed(tables.passed, question.user, item)
        else:
            note_passed(tables.passed, question.user, scratch, m, chosen)
    release(tables.history, request, scratch, m)


class Shortlist:
    """Working memory for requests, and what was found for the one at hand. Reads the state, never writes it.

    Args:
        state: read, and by `learn` only its ranker's weights written.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._make_room(64, 64)
        self.size = 0
        self.cell = 0
        self.length = 0
        self._asker = -1, 0.0

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
        return self._scratch.signals[: self.size]

    @property
    def scores(self) -> F32:
        """float32 (size,), expected scores."""
        return self._scratch.scores[: self.size]

    def gather(
        self,
        user: int,
        now: float,
        repeat: bool,
        asked: I32 = _NOTHING,
        browsed: I32 = _NOTHING,
    ) -> Shortlist:
        """Find the candidates for a user, with their signals and scores; they stand until the next are found.

        Args:
            user: row, -1 for an unknown one.
            now: seconds.
            repeat: whether consumed items may come back.
            asked: int32 (a,), items to consider whatever happens.
            browsed: int32 (c,), categories whose trending items are wanted.

        Returns:
            This.
        """
        question = self._question(user, now, repeat, asked, browsed)
        self.size, self.cell, self.length = find(self.state.held(), question, self._working)
        self._asker = user, now
        return self

    def draws(self, places: I64, expected: F32, noise: F32, item_noise: F32) -> F32:
        """Scores of some candidates, and below them scores under draws of the posterior: see `score_draws`."""
        doubt, held = user_doubt(self.length), self.state.held()
        return score_draws(held, self._working, places, expected, doubt, noise, item_noise)

    def deviations(self, places: I64) -> F32:
        """How unsure the scores of some candidates are, float32 (p,): see `score_deviations`."""
        doubt, held = user_doubt(self.length), self.state.held()
        return score_deviations(held, self._working, places, doubt)

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
            repeat, asked: as for `gather`.
            looks: float32 (a,), when the choice was among `asked` and nothing else: how often each was looked at.
        """
        question = self._question(user, now, repeat, asked, _NOTHING, now, looks is not None)
        looks = _NO_LOOKS if looks is None else looks
        learn_found(self.state.held(), question, self._working, item, weight, looks)

    def past(self) -> tuple[I32, F64]:
        """The history that the candidates were found for: items, int32 (m,), newest first; ages, float64 (c,)."""
        user, now = self._asker
        recent = recent_items(self.state.history, user, HISTORY, -1, True)
        return recent, ages(self.state.history, user, recent[:READ_HISTORY], now)

    def _make_room(self, items: int, users: int) -> None:
        self._scratch = new_scratch(items, users, WIDTH)
        self._working: Held[Scratch] = hold(self._scratch)

    def _question(
        self,
        user: int,
        now: float,
        repeat: bool,
        asked: I32,
        browsed: I32,
        before: float = np.inf,
        closed: bool = False,
    ) -> Question:
        """Make room for the answer and say what is looked for."""
        state = self.state
        items, users = len(state.items.taken), len(state.users.events)
        if len(self._scratch.slot) < items or len(self._scratch.met) < users:
            self._make_room(items, users)
        return Question(user, now, before, repeat, closed, asked, browsed, len(state.names.categories))

    def addends(self, place: int) -> F32:
        """float32 (WIDTH,), what each signal adds to one candidate's score above the candidates' mean."""
        weights, items = self.state.weights, self.state.items
        return addends(weights, items, self._scratch, self.size, place, self.cell)
