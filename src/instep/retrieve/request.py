"""From a question to a request: what is read of the user's history before candidates are gathered."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.learn.histories import TIME, ages, closeness, recent_items
from instep.retrieve.candidates import Question, Request
from instep.retrieve.text import PROBES, nearest_items, text_profile
from instep.state import STAGE_STARTS, Ragged, Tables

READ_HISTORY: Final = 40
HISTORY: Final = max(READ_HISTORY, STAGE_STARTS[-1])
REFUSED: Final = 10
TEXT_HITS: Final = 30
TEXT_DECAY: Final = 0.85


@njit(cache=True)
def newest_act(history: Ragged, user: int, before: float) -> float:
    """Time of a user's newest act before a moment, seconds; -inf when there is none."""
    if user >= 0:
        start = history.start[user]
        for at in range(start + history.length[user] - 1, start - 1, -1):
            if history.times[at, TIME] < before:
                return float(history.times[at, TIME])
    return -np.inf


@njit(cache=True)
def read_request(tables: Tables, question: Question) -> Request:
    """Read what a question needs of its user's history."""
    history, user, before = tables.history, question.user, question.before
    recent = recent_items(history, user, HISTORY, -1, True, before)
    ago = ages(history, user, recent[:READ_HISTORY], question.now, before)
    near = np.zeros(0, np.int32)
    if not question.closed and len(recent) > 0 and len(tables.centre) > 0:
        profile = text_profile(tables.items, recent, READ_HISTORY, TEXT_DECAY)
        near = nearest_items(tables.items, tables.centre, tables.members, profile, TEXT_HITS, PROBES)
    return Request(
        user,
        question.now,
        question.repeat,
        question.closed,
        question.asked,
        question.browsed,
        recent,
        ago,
        closeness(ago),
        recent_items(history, user, REFUSED, -1, False, before),
        near,
        question.now - newest_act(history, user, before),
    )
