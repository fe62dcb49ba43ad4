"""Candidates from everything that is known, with the raw evidence for each, in one pass."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.learn.histories import REWARD
from instep.learn.positive import BACKWARD, FORWARD, TOGETHER
from instep.retrieve.alike import note_alike, walk_alike
from instep.retrieve.candidates import (
    AFTER_NEWEST,
    AGAIN,
    AGAIN_COUNT,
    AROUND,
    AROUND_NOW,
    DISLIKED,
    EVIDENCE,
    FROM_AGAIN,
    FROM_ASKED,
    FROM_CATEGORY,
    FROM_DENSE,
    FROM_FRESH,
    FROM_NEIGHBOURS,
    FROM_TEXT,
    FROM_TRENDING,
    MOST,
    NEXT,
    PASSED,
    PASSED_LATELY,
    SHARED,
    SHARED_NOW,
    STRONGEST,
    SUPPORT,
    Request,
    Scratch,
    consider,
    take_up,
)
from instep.retrieve.request import READ_HISTORY
from instep.retrieve.terms import add_sharing, weigh_terms
from instep.state import DECAYS, Head, Items, Ragged, Tables
from instep.state.tables import I32

AGAIN_HISTORY: Final = 200
FAINT_LEAST: Final = 128
FAINT = np.float32(4.0)  # times the neighbours' mean: a tie above keeps a candidate
NEXT_DECAY = np.float32(0.8)
AROUND_DECAY = np.float32(0.85)
SHARED_DECAY = np.float32(0.95)
SUPPORT_DECAY = np.float32(0.95)
DENSE_DECAY = np.float32(0.9)
_AGAIN_DECAY = np.float32(0.9)
BACK = np.float32(0.5)


@njit(cache=True, error_model="numpy")
def _add_neighbours(items: Items, neighbours: Ragged, request: Request, scratch: Scratch, m: int) -> int:
    """Take up the neighbours of the history and sum their ties: most of a request's time, so all in one loop.

    Unsigned numbers spare the check for indices from the end.
    """
    most = 0 if request.closed else MOST
    slot, evidence, sources = scratch.slot, scratch.evidence, scratch.sources
    leads, counts, blocked, expires = items.lead, items.taken, items.blocked, items.expires
    starts, lengths, ids, values = neighbours.start, neighbours.length, neighbours.ids, neighbours.values
    recent, closeness, now = request.recent, request.closeness, request.now
    near, around, shared, support = np.float32(1.0), np.float32(1.0), np.float32(1.0), np.float32(1.0)
    for g in range(min(len(recent), READ_HISTORY)):
        other = recent[g]
        lead = np.float32(1.0) / np.sqrt(leads[other] + np.float32(5.0))
        often = np.float32(1.0) / np.sqrt(counts[other] + np.float32(5.0))
        wn, wa, ws = near * lead, around * lead, shared * often
        wa_now, ws_now = closeness[g] * lead, closeness[g] * often
        for k in range(np.uintp(starts[other]), np.uintp(starts[other] + lengths[other])):
            item = np.uintp(ids[k])
            place = slot[item]
            if place < 0:
                if place != -1 or m >= most or blocked[item] != 0 or expires[item] <= now:
                    continue
                place = m
                take_up(scratch, m, ids[k])
                m += 1
            at = np.uintp(place)
            sources[at] |= FROM_NEIGHBOURS
            forward, together = values[k, FORWARD], values[k, TOGETHER]
            either = forward + BACK * values[k, BACKWARD]
            evidence[at, NEXT] += wn * forward
            evidence[at, AROUND] += wa * either
            evidence[at, SHARED] += ws * together
            evidence[at, AROUND_NOW] += wa_now * either
            evidence[at, SHARED_NOW] += ws_now * together
            if g < 2:
                evidence[at, AFTER_NEWEST + g] = lead * forward  # AFTER_SECOND is the next column
            evidence[at, SUPPORT] += support
            evidence[at, STRONGEST] = max(evidence[at, STRONGEST], often * together)
        near *= NEXT_DECAY
        around *= AROUND_DECAY
        shared *= SHARED_DECAY
        support *= SUPPORT_DECAY
    return m


@njit(cache=True, error_model="numpy")
def _add_dense(items: Items, head: Head, request: Request, scratch: Scratch, m: int) -> int:
    symmetric, directed = scratch.dense[0], scratch.dense[1]
    symmetric[:] = 0.0
    directed[:] = 0.0
    if head.schedule[2] == 0 or len(request.recent) == 0:
        return m
    relate, follow, slots, members = head.symmetric, head.directed, items.head, head.item
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
    return consider(items, scratch, m, members[both > bar], request, FROM_DENSE)


@njit(cache=True, error_model="numpy")
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
    slot, ids, values = scratch.slot, history.ids, history.values
    start, length = history.start[request.user], history.length[request.user]
    if not request.repeat:
        for at in range(start, start + length):
            slot[ids[at]] = -2
        return m
    oldest = max(start, start + length - AGAIN_HISTORY)
    for at in range(start + length - 1, oldest - 1, -1):
        if slot[ids[at]] == -1 and values[at, REWARD] < 0.0:
            slot[ids[at]] = -2
        m = consider(items, scratch, m, ids[at : at + 1], request, FROM_AGAIN)
    return m


@njit(cache=True)
def _move(scratch: Scratch, c: int, to: int) -> None:
    """Put a candidate into an earlier place."""
    if to == c:
        return
    scratch.slot[scratch.items[c]] = to
    scratch.items[to] = scratch.items[c]
    scratch.sources[to] = scratch.sources[c]
    for k in range(EVIDENCE):
        scratch.evidence[to, k] = scratch.evidence[c, k]


@njit(cache=True, error_model="numpy")
def _drop_faint(items: Items, scratch: Scratch, m: int) -> int:
    """Let go of neighbours whose every tie is below FAINT times the neighbours' mean; returns how many stay."""
    slot, candidates, evidence, sources = scratch.slot, scratch.items, scratch.evidence, scratch.sources
    counts = items.taken
    n, near, around, shared = 0, np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for c in range(m):
        if sources[c] & FROM_NEIGHBOURS:
            often = np.float32(1.0) / np.sqrt(counts[candidates[c]] + np.float32(5.0))
            near += evidence[c, NEXT]
            around += evidence[c, AROUND] * often
            shared += evidence[c, SHARED] * often
            n += 1
    if n < FAINT_LEAST:
        return m
    bar = FAINT / np.float32(n)
    near, around, shared = near * bar, around * bar, shared * bar
    kept = 0
    for c in range(m):
        item = candidates[c]
        if sources[c] == FROM_NEIGHBOURS and evidence[c, NEXT] < near:
            often = np.float32(1.0) / np.sqrt(counts[item] + np.float32(5.0))
            if evidence[c, AROUND] * often < around and evidence[c, SHARED] * often < shared:
                slot[item] = -1
                continue
        _move(scratch, c, kept)
        kept += 1
    return kept


@njit(cache=True)
def _add_again(history: Ragged, request: Request, scratch: Scratch) -> None:
    if request.user < 0 or not request.repeat:
        return
    start, length = history.start[request.user], history.length[request.user]
    a = np.float32(1.0)
    for at in range(start + length - 1, max(start, start + length - AGAIN_HISTORY) - 1, -1):
        place = scratch.slot[history.ids[at]]
        if place >= 0:
            scratch.evidence[place, AGAIN] += a
            scratch.evidence[place, AGAIN_COUNT] += np.float32(1.0)
        a *= _AGAIN_DECAY


@njit(cache=True)
def _add_passed(passed: Ragged, request: Request, scratch: Scratch) -> None:
    if request.user < 0:
        return
    start = passed.start[request.user]
    for at in range(start, start + passed.length[request.user]):
        place = scratch.slot[passed.ids[at]]
        if place >= 0:
            scratch.evidence[place, PASSED] = passed.values[at, 0]
            scratch.evidence[place, PASSED_LATELY] = passed.values[at, 1]


@njit(cache=True)
def gather(tables: Tables, request: Request, scratch: Scratch) -> int:
    """Fill `scratch` with candidates and their evidence; returns how many (m <= MOST).

    Nothing but `scratch` is written. `release` must follow when the candidates have been used.
    """
    items, trending = tables.items, tables.trending
    m = _mark_history(items, tables.history, request, scratch, 0)
    m = consider(items, scratch, m, request.asked, request, FROM_ASKED)
    m = consider(items, scratch, m, request.near, request, FROM_TEXT)
    for d in range(DECAYS + 1):
        m = consider(items, scratch, m, trending.overall[d], request, FROM_TRENDING)
    for c in request.browsed:
        m = consider(items, scratch, m, trending.category[c], request, FROM_CATEGORY)
    m = consider(items, scratch, m, trending.fresh, request, FROM_FRESH)
    weigh_terms(items, tables.terms, request, scratch)
    m = add_sharing(items, tables.terms, request, scratch, m)
    m, reached, total = walk_alike(items, tables.takers, tables.history, request, scratch, m)
    m = _add_neighbours(items, tables.neighbours, request, scratch, m)
    m = _add_dense(items, tables.head, request, scratch, m)
    note_alike(scratch, reached, total)
    if not request.closed:
        m = _drop_faint(items, scratch, m)
    _add_again(tables.history, request, scratch)
    _add_refused(items, tables.neighbours, request, scratch)
    _add_passed(tables.passed, request, scratch)
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
