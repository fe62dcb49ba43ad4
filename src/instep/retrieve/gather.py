"""Candidates from everything that is known, with the raw evidence for each, in one pass."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from instep.learn.histories import REWARD
from instep.learn.positive import BACKWARD, FORWARD, TOGETHER
from instep.state import DECAYS, HEAD_SLOTS, Head, Items, Ragged, Trending
from instep.state.tables import F32, I32

MOST: Final = 2048
READ_HISTORY: Final = 40
AGAIN_HISTORY: Final = 200
(NEXT, AROUND, SHARED, SYMMETRIC, DIRECTED, DISLIKED, AGAIN, AGAIN_COUNT) = range(8)
EVIDENCE: Final = 8

SOURCES: Final = ("neighbours", "trending", "category", "fresh", "text", "dense", "again", "asked")
(FROM_NEIGHBOURS, FROM_TRENDING, FROM_CATEGORY, FROM_FRESH, FROM_TEXT, FROM_DENSE, FROM_AGAIN, FROM_ASKED) = (
    1 << k for k in range(len(SOURCES))
)

NEXT_DECAY = np.float32(0.8)
AROUND_DECAY = np.float32(0.85)
SHARED_DECAY = np.float32(0.95)
DENSE_DECAY = np.float32(0.9)
_AGAIN_DECAY = np.float32(0.9)
BACK = np.float32(0.5)


class Scratch(NamedTuple):
    """Working memory of one request, reused; never part of the state.

    Args:
        slot: int32 (n,), place among the candidates, -1 if none, -2 if not allowed.
        items: int32 (MOST,), the candidates.
        evidence: float32 (MOST, EVIDENCE), raw sums.
        sources: int32 (MOST,), bits by SOURCES.
        dense: float32 (2, HEAD_SLOTS).
    """

    slot: I32
    items: I32
    evidence: F32
    sources: I32
    dense: F32


def new_scratch(items: int) -> Scratch:
    """Working memory for a catalogue of up to `items`."""
    return Scratch(
        np.full(items, -1, np.int32),
        np.zeros(MOST, np.int32),
        np.zeros((MOST, EVIDENCE), np.float32),
        np.zeros(MOST, np.int32),
        np.zeros((2, HEAD_SLOTS), np.float32),
    )


class Request(NamedTuple):
    """What the kernels need to know of a request.

    Args:
        user: row of the user, -1 if unknown.
        now: seconds.
        repeat: whether consumed items may come back.
        recent: int32 (m,), liked items, newest first.
        refused: int32 (r,), refused items, newest first.
        asked: int32 (a,), items to consider whatever happens (text hits, a category's items, a learned item).
        asked_source: the source bit of `asked`.
        browsed: int32 (c,), category numbers whose trending items are wanted.
    """

    user: int
    now: float
    repeat: bool
    recent: I32
    refused: I32
    asked: I32
    asked_source: int
    browsed: I32


@njit(cache=True)
def _consider_all(items: Items, scratch: Scratch, m: int, wanted: I32, now: float, source: int) -> int:
    """Take items up as candidates unless they may not be shown; returns how many there are now.

    Here and below tables are taken apart outside the loops: reading a field of a tuple counts a reference each time.
    """
    slot, candidates, evidence, sources = scratch.slot, scratch.items, scratch.evidence, scratch.sources
    blocked, expires = items.blocked, items.expires
    for item in wanted:
        if item < 0:
            continue
        at = slot[item]
        if at >= 0:
            sources[at] |= source
        elif at == -1 and m < MOST and blocked[item] == 0 and expires[item] > now:
            slot[item] = m
            candidates[m] = item
            sources[m] = source
            for c in range(EVIDENCE):
                evidence[m, c] = 0.0
            m += 1
    return m


@njit(cache=True, fastmath=True)
def _add_neighbours(items: Items, neighbours: Ragged, request: Request, scratch: Scratch, m: int) -> int:
    slot, evidence = scratch.slot, scratch.evidence
    leads, counts = items.lead, items.taken
    starts, lengths, ids, values = neighbours.start, neighbours.length, neighbours.ids, neighbours.values
    recent = request.recent
    near, around, shared = np.float32(1.0), np.float32(1.0), np.float32(1.0)
    for g in range(min(len(recent), READ_HISTORY)):
        other = recent[g]
        lead = np.float32(1.0) / np.sqrt(leads[other] + np.float32(5.0))
        often = np.float32(1.0) / np.sqrt(counts[other] + np.float32(5.0))
        wn, wa, ws = near * lead, around * lead, shared * often
        start, end = starts[other], starts[other] + lengths[other]
        m = _consider_all(items, scratch, m, ids[start:end], request.now, FROM_NEIGHBOURS)
        for k in range(start, end):
            at = slot[ids[k]]
            if at < 0:
                continue
            forward = values[k, FORWARD]
            evidence[at, NEXT] += wn * forward
            evidence[at, AROUND] += wa * (forward + BACK * values[k, BACKWARD])
            evidence[at, SHARED] += ws * values[k, TOGETHER]
        near *= NEXT_DECAY
        around *= AROUND_DECAY
        shared *= SHARED_DECAY
    return m


@njit(cache=True, fastmath=True)
def _add_dense(items: Items, head: Head, request: Request, scratch: Scratch, m: int) -> int:
    if head.schedule[2] == 0 or len(request.recent) == 0:
        return m
    symmetric, directed = scratch.dense[0], scratch.dense[1]
    relate, follow, slots, members = head.symmetric, head.directed, items.head, head.item
    symmetric[:] = 0.0
    directed[:] = 0.0
    a = np.float32(1.0)
    for g in range(min(len(request.recent), READ_HISTORY)):
        slot = slots[request.recent[g]]
        if slot >= 0:
            for k in range(len(symmetric)):
                symmetric[k] += a * relate[slot, k]
                directed[k] += a * follow[slot, k]
        a *= DENSE_DECAY
    # Candidates: every slot that stands out, about one in fifteen.
    both = symmetric + np.float32(4.0) * directed
    mean, square = np.float32(0.0), np.float32(0.0)
    for k in range(len(both)):
        mean += both[k]
        square += both[k] * both[k]
    mean /= len(both)
    bar = mean + np.float32(1.5) * np.sqrt(max(square / len(both) - mean * mean, np.float32(0.0)))
    m = _consider_all(items, scratch, m, members[both > bar], request.now, FROM_DENSE)
    candidates, evidence = scratch.items, scratch.evidence
    for c in range(m):
        slot = slots[candidates[c]]
        if slot >= 0:
            evidence[c, SYMMETRIC] = symmetric[slot]
            evidence[c, DIRECTED] = directed[slot]
    return m


@njit(cache=True, fastmath=True)
def _add_refused(items: Items, neighbours: Ragged, request: Request, scratch: Scratch) -> None:
    slot, evidence = scratch.slot, scratch.evidence
    ids, values = neighbours.ids, neighbours.values
    for other in request.refused:
        often = np.float32(1.0) / np.sqrt(items.taken[other] + np.float32(5.0))
        start = neighbours.start[other]
        for k in range(start, start + neighbours.length[other]):
            at = slot[ids[k]]
            if at >= 0:
                evidence[at, DISLIKED] += often * values[k, TOGETHER]


@njit(cache=True)
def _mark_history(items: Items, history: Ragged, request: Request, scratch: Scratch, m: int) -> int:
    """Without repeats, bar what the user consumed or refused; with them, bar what was refused last."""
    if request.user < 0:
        return m
    slot, evidence = scratch.slot, scratch.evidence
    ids, values = history.ids, history.values
    start, length = history.start[request.user], history.length[request.user]
    if not request.repeat:
        for at in range(start, start + length):
            slot[ids[at]] = -2
        return m
    oldest = max(start, start + length - AGAIN_HISTORY)
    for at in range(start + length - 1, oldest - 1, -1):
        if slot[ids[at]] == -1 and values[at, REWARD] < 0.0:
            slot[ids[at]] = -2
        m = _consider_all(items, scratch, m, ids[at : at + 1], request.now, FROM_AGAIN)
    a = np.float32(1.0)
    for at in range(start + length - 1, oldest - 1, -1):
        place = slot[ids[at]]
        if place >= 0:
            evidence[place, AGAIN] += a
            evidence[place, AGAIN_COUNT] += np.float32(1.0)
        a *= _AGAIN_DECAY
    return m


@njit(cache=True)
def gather(
    items: Items,
    neighbours: Ragged,
    history: Ragged,
    head: Head,
    trending: Trending,
    request: Request,
    scratch: Scratch,
) -> int:
    """Fill `scratch` with candidates and their evidence; returns how many (m <= MOST).

    Nothing but `scratch` is written. `release` must follow when the candidates have been used.
    """
    now = request.now
    m = _mark_history(items, history, request, scratch, 0)
    m = _consider_all(items, scratch, m, request.asked, now, request.asked_source)
    for d in range(DECAYS + 1):
        m = _consider_all(items, scratch, m, trending.overall[d], now, FROM_TRENDING)
    for c in request.browsed:
        m = _consider_all(items, scratch, m, trending.category[c], now, FROM_CATEGORY)
    m = _consider_all(items, scratch, m, trending.fresh, now, FROM_FRESH)
    m = _add_neighbours(items, neighbours, request, scratch, m)
    m = _add_dense(items, head, request, scratch, m)
    _add_refused(items, neighbours, request, scratch)
    return m


@njit(cache=True)
def release(history: Ragged, request: Request, scratch: Scratch, m: int) -> None:
    """Leave `scratch.slot` as it was found: -1 everywhere."""
    slot, candidates, ids = scratch.slot, scratch.items, history.ids
    for c in range(m):
        slot[candidates[c]] = -1
    if request.user >= 0:
        start = history.start[request.user]
        for at in range(start, start + history.length[request.user]):
            slot[ids[at]] = -1


@njit(cache=True)
def in_categories(categories: I32, wanted: I32, most: int) -> I32:
    """The first items that are in one of some categories.

    Args:
        categories: int32 (n, CATEGORY_SLOTS), category numbers.
        wanted: int32 (c,), category numbers.
        most: at most so many; the search ends there.

    Returns:
        int32 (m,), ascending.
    """
    found = np.empty(most, np.int32)
    m = 0
    for item in range(len(categories)):
        if m == most:
            break
        inside = False
        for number in categories[item]:
            for other in wanted:
                inside = inside or number == other
        if inside:
            found[m] = item
            m += 1
    return found[:m]
