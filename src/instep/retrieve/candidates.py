"""One request's candidates while they are gathered: who is asked for, what is found, the raw evidence for each."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from instep.state import HEAD_SLOTS, Items
from instep.state.tables import F32, F64, I32

MOST: Final = 2048
(
    NEXT,
    AROUND,
    SHARED,
    AROUND_NOW,
    SHARED_NOW,
    AFTER_NEWEST,
    AFTER_SECOND,
    SUPPORT,
    STRONGEST,
    DISLIKED,
    AGAIN,
    AGAIN_COUNT,
    ALIKE,
    ALIKE_LATELY,
    PASSED,
    PASSED_LATELY,
) = range(16)
EVIDENCE: Final = 16  # a row is a cache line
SLOTS: Final = 512  # of a hash table of the terms of a history

SOURCES: Final = (
    "neighbours",
    "trending",
    "category",
    "fresh",
    "text",
    "dense",
    "again",
    "asked",
    "alike",
    "terms",
)
(
    FROM_NEIGHBOURS,
    FROM_TRENDING,
    FROM_CATEGORY,
    FROM_FRESH,
    FROM_TEXT,
    FROM_DENSE,
    FROM_AGAIN,
    FROM_ASKED,
    FROM_ALIKE,
    FROM_TERMS,
) = (np.int64(1 << k) for k in range(len(SOURCES)))
# As plain ints, each would have the functions that take it compiled once more.


class Scratch(NamedTuple):
    """Working memory of one request, reused; never part of the state.

    Args:
        slot: int32 (n,), place among the candidates, -1 if none, -2 if not allowed.
        items: int32 (MOST,), the candidates.
        evidence: float32 (MOST, EVIDENCE), raw sums.
        sources: int32 (MOST,), bits by SOURCES.
        dense: float32 (2, HEAD_SLOTS), what both regressions expect of the history; 0 where there is none.
        mark: float32 (n,), weight of an item in the history at hand, 0 elsewhere.
        likely: float32 (n,), what users alike took around it, 0 elsewhere.
        lately: float32 (n,), the same, old acts counting less.
        reached: int32 (n,), the items with something in `likely`.
        likeness: float32 (users,), 0 between requests.
        met: int32 (users,), the users with something in `likeness`.
        keys: int32 (SLOTS,), a hash table of the terms of the history at hand.
        weights: float32 (SLOTS, 3), what each of them weighs (`retrieve.terms`).
        signals: float32 (MOST, signals), of the candidates.
        scores: float32 (MOST,), of the candidates.
    """

    slot: I32
    items: I32
    evidence: F32
    sources: I32
    dense: F32
    mark: F32
    likely: F32
    lately: F32
    reached: I32
    likeness: F32
    met: I32
    keys: I32
    weights: F32
    signals: F32
    scores: F32


def new_scratch(items: int, users: int, signals: int) -> Scratch:
    """Working memory for up to so many items and users, and for so many signals a candidate."""
    return Scratch(
        np.full(items, -1, np.int32),
        np.zeros(MOST, np.int32),
        np.zeros((MOST, EVIDENCE), np.float32),
        np.zeros(MOST, np.int32),
        np.zeros((2, HEAD_SLOTS), np.float32),
        np.zeros(items, np.float32),
        np.zeros(items, np.float32),
        np.zeros(items, np.float32),
        np.zeros(items, np.int32),
        np.zeros(users, np.float32),
        np.zeros(users, np.int32),
        np.zeros(SLOTS, np.int32),
        np.zeros((SLOTS, 3), np.float32),
        np.zeros((MOST, signals), np.float32),
        np.zeros(MOST, np.float32),
    )


class Question(NamedTuple):
    """What is asked.

    Args:
        user: row of the user, -1 if unknown.
        now: seconds.
        before: acts from then on are left out of the history, seconds.
        repeat: whether consumed items may come back.
        closed: whether nothing but `asked` is to be considered.
        asked: int32 (a,), items to consider whatever happens (a small catalogue, a category's items, a slate's).
        browsed: int32 (c,), category numbers whose trending items are wanted.
        categories: categories in use.
    """

    user: int
    now: float
    before: float
    repeat: bool
    closed: bool
    asked: I32
    browsed: I32
    categories: int


class Request(NamedTuple):
    """The question with what the user's history says to it.

    Args:
        user, now, repeat, closed, asked, browsed: as in `Question`.
        recent: int32 (m,), liked items, newest first.
        ages: float64 (c,), seconds since the acts on the newest of them.
        closeness: float32 (c,), how close in time those are, 1 for the newest (`learn.histories.closeness`).
        refused: int32 (r,), refused items, newest first.
        near: int32 (h,), what is near the history in text.
        idle: seconds since the newest act.
    """

    user: int
    now: float
    repeat: bool
    closed: bool
    asked: I32
    browsed: I32
    recent: I32
    ages: F64
    closeness: F32
    refused: I32
    near: I32
    idle: float


@njit(cache=True, inline="always")
def take_up(scratch: Scratch, m: int, item: int) -> None:
    """Make an item the candidate at place `m`, without evidence or source."""
    scratch.slot[item] = m
    scratch.items[m] = item
    scratch.sources[m] = 0
    for c in range(EVIDENCE):
        scratch.evidence[m, c] = 0.0


def may_be_shown(items: Items, rows: I32 | slice, now: float) -> NDArray[np.bool_]:
    """Which items are neither hidden nor expired, and published or taken already, as `consider` has it."""
    published = (items.published[rows] <= now) | (items.taken[rows] > 0.0)
    shown: NDArray[np.bool_] = (items.blocked[rows] == 0) & (items.expires[rows] > now) & published
    return shown


@njit(cache=True)
def consider(items: Items, scratch: Scratch, m: int, wanted: I32, request: Request, source: np.int64) -> int:
    """Take items up as candidates unless they may not be shown; returns how many there are now.

    What is published later is not shown yet, unless somebody has taken it already.

    Here and below tables are taken apart outside the loops: reading a field of a tuple counts a reference each time.
    """
    slot, sources = scratch.slot, scratch.sources
    if request.closed and source != FROM_ASKED:
        return m
    blocked, expires, published, taken = items.blocked, items.expires, items.published, items.taken
    now = request.now
    for item in wanted:
        if item < 0:
            continue
        at = slot[item]
        if at >= 0:
            sources[at] |= source
        elif at == -1 and m < MOST and blocked[item] == 0 and expires[item] > now:
            if published[item] > now and taken[item] == 0.0:
                continue
            take_up(scratch, m, item)
            sources[m] = source
            m += 1
    return m
