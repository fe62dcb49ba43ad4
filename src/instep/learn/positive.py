"""What one taken item teaches: popularity, pairs, dense regressions' sums and collaborative vectors."""

from __future__ import annotations

import numpy as np
from numba import njit

from instep.learn.histories import ages, recent_items
from instep.learn.vectors import note_choice, rehearse
from instep.state import (
    DECAYS,
    EVENT_HALF_LIVES,
    MONTH,
    SECOND_HALF_LIVES,
    STAGE_STARTS,
    WEEK,
    Clock,
    Head,
    Held,
    Items,
    Ragged,
    Tables,
    Trending,
    append_cell,
    cell_of,
    grow_row,
)
from instep.state.attention import READS
from instep.state.tables import F32, F64, I32
from instep.state.terms import bring_forward

PAIR_HISTORY = 40
PAIR_DECAY = 0.9
TOGETHER_DECAY = 0.97
NEIGHBOURS = 512
TAKERS = 64
DENSE_HISTORY = 30
DENSE_TOGETHER = 200
FORWARD, BACKWARD, TOGETHER = 0, 1, 2
_EVENT_STEPS = tuple(0.5 ** (1.0 / half) for half in EVENT_HALF_LIVES)
STAGE_HALF_LIFE = 500.0
_STAGE_STEP = 0.5 ** (1.0 / STAGE_HALF_LIFE)
_SMALLEST_SCALE = 1e-9


@njit(cache=True)
def advance_time(held: Held[Tables], now: float, n: int) -> None:
    """Let time pass up to an event: decayed counts shrink by shrinking their common scale.

    Args:
        held: the clock is moved to `now`; an earlier time moves nothing.
        now: the event's time, seconds.
        n: items in use.
    """
    items, clock = held.parts.items, held.parts.clock
    passed = now - clock.now[0]
    if clock.now[0] == 0.0 or passed <= 0.0:
        clock.now[0] = max(clock.now[0], now)
        return
    clock.now[0] = now
    fade(clock.scale, passed)
    for d in range(DECAYS):
        _rescale(items.popularity, clock.scale, d, n)


@njit(cache=True)
def fade(scale: F64, passed: float) -> None:
    """Shrink what one event counts, float64 (DECAYS,), by the seconds that have passed."""
    first = len(EVENT_HALF_LIVES)
    for d in range(first, DECAYS):
        scale[d] *= 0.5 ** (passed / SECOND_HALF_LIVES[d - first])


@njit(cache=True)
def _rescale(cells: F32, scale: F64, column: int, n: int) -> None:
    if scale[column] < _SMALLEST_SCALE:
        factor = np.float32(scale[column])
        for i in range(n):
            cells[i, column] *= factor
        scale[column] = 1.0


@njit(cache=True)
def stage_of(length: int) -> int:
    """Which stage a history of this length is in: 0 for none, then by STAGE_STARTS."""
    stage = 0
    for start in STAGE_STARTS:
        if length >= start:
            stage += 1
    return stage


@njit(cache=True)
def count_taken(
    items: Items, clock: Clock, trending: Trending, item: int, weight: float, length: int, n: int
) -> None:
    """Add one taken item to every popularity and keep the trending lists exact."""
    stage = stage_of(length)
    items.taken[item] += np.float32(weight)
    for d in range(DECAYS):
        items.popularity[item, d] += np.float32(weight / clock.scale[d])
        _keep_top(trending.overall[d], items.popularity[:, d], item)
    _keep_top(trending.overall[DECAYS], items.taken, item)
    for c in items.categories[item]:
        if c >= 0:
            _keep_top(trending.category[c], items.popularity[:, WEEK], item)
    items.stage[item, stage] += np.float32(weight / clock.stage_scale[stage])
    clock.stage_total[stage] = clock.stage_total[stage] * _STAGE_STEP + weight
    clock.stage_scale[stage] *= _STAGE_STEP
    _rescale(items.stage, clock.stage_scale, stage, n)
    for d in range(len(EVENT_HALF_LIVES)):
        clock.scale[d] *= _EVENT_STEPS[d]
        _rescale(items.popularity, clock.scale, d, n)
    clock.events[0] += 1


@njit(cache=True)
def _keep_top(top: I32, counts: F32, item: int) -> None:
    """Let an item whose count has just grown into a list of the highest, in the place of the lowest."""
    worst = 0
    for k in range(len(top)):
        held = top[k]
        if held == item:
            return
        if held < 0:
            top[k] = item
            return
        if counts[held] < counts[top[worst]]:
            worst = k
    if counts[item] > counts[top[worst]]:
        top[worst] = item


@njit(cache=True)
def _neighbour(neighbours: Ragged, row: int, other: int) -> int:
    """Index of the cell for `other`; the weakest cell gives way when the row is full."""
    known = cell_of(neighbours, row, other)
    if known >= 0:
        return known
    start, length = neighbours.start[row], neighbours.length[row]
    if length == neighbours.capacity[row] and not grow_row(neighbours, row, NEIGHBOURS):
        at = start
        weakest = np.float32(1e30)
        for k in range(start, start + length):
            strength = neighbours.values[k, 0] + neighbours.values[k, 1] + neighbours.values[k, 2]
            if strength < weakest:
                weakest, at = strength, k
    else:
        at = neighbours.start[row] + length
        neighbours.length[row] += 1
    neighbours.ids[at] = other
    for c in range(neighbours.values.shape[1]):
        neighbours.values[at, c] = 0
    return int(at)


@njit(cache=True)
def relate_pairs(items: Items, neighbours: Ragged, item: int, recent: I32, weight: float) -> None:
    """Relate a taken item to the history, in both directions.

    Args:
        items: the table; `lead` grows.
        neighbours: a row an item; cells (forward, backward, together).
        item: what was taken.
        recent: int32 (m,), the history, newest first, without `item`.
        weight: of this event.

    Source: space-saving rows after Metwally et al. 2005, without inherited counts.
    """
    near, close = weight, weight
    for g in range(min(len(recent), PAIR_HISTORY)):
        other = recent[g]
        at = _neighbour(neighbours, other, item)
        neighbours.values[at, FORWARD] += np.float32(near)
        neighbours.values[at, TOGETHER] += np.float32(close)
        back = _neighbour(neighbours, item, other)
        neighbours.values[back, BACKWARD] += np.float32(near)
        neighbours.values[back, TOGETHER] += np.float32(close)
        items.lead[other] += np.float32(near)
        near *= PAIR_DECAY
        close *= TOGETHER_DECAY


@njit(cache=True)
def keep_taker(takers: Ragged, item: int, user: int) -> None:
    """Note who took an item, each user once; at the limit the oldest quarter is dropped."""
    if cell_of(takers, item, user) < 0:
        append_cell(takers, item, user, TAKERS)


@njit(cache=True)
def enter_head(items: Items, head: Head, item: int) -> None:
    """Give a taken item a head slot if one is free or if it clearly outgrew the weakest holder."""
    if items.head[item] >= 0:
        return
    weakest = 0
    for k in range(len(head.item)):
        if head.item[k] < 0:
            weakest = k
            break
        if items.popularity[head.item[k], MONTH] < items.popularity[head.item[weakest], MONTH]:
            weakest = k
    holder = head.item[weakest]
    if holder >= 0:
        if items.popularity[item, MONTH] < 2.0 * items.popularity[holder, MONTH]:
            return
        items.head[holder] = -1
        for k in range(len(head.item)):
            for square in (head.together, head.history, head.following, head.symmetric, head.directed):
                square[weakest, k] = 0.0
                square[k, weakest] = 0.0
    head.item[weakest] = item
    items.head[item] = weakest


@njit(cache=True)
def sum_dense(items: Items, head: Head, item: int, recent: I32, weight: float) -> None:
    """Add an event to the sums that the dense regressions are solved from (head items only).

    Args:
        items, head: the tables.
        item: what was taken.
        recent: int32 (m,), the history, newest first, without `item`.
        weight: of this event.
    """
    slot = items.head[item]
    if slot < 0:
        return
    m = min(len(recent), DENSE_TOGETHER)
    slots = np.empty(m, np.int32)
    decay = np.empty(m, np.float32)
    a = np.float32(1.0)
    for g in range(m):
        slots[g] = items.head[recent[g]]
        decay[g] = a
        a *= np.float32(PAIR_DECAY)
    head.together[slot, slot] += np.float32(1.0)
    w = np.float32(weight)
    for g in range(m):
        s = slots[g]
        if s < 0:
            continue
        head.together[s, slot] += np.float32(1.0)
        head.together[slot, s] += np.float32(1.0)
        if g < DENSE_HISTORY:
            head.following[s, slot] += w * decay[g]
            for h in range(min(m, DENSE_HISTORY)):
                if slots[h] >= 0:
                    head.history[s, slots[h]] += w * decay[g] * decay[h]


@njit(cache=True)
def learn_taken(
    held: Held[Tables], user: int, item: int, now: float, weight: float, seed: int, n: int
) -> None:
    """All that one taken item teaches.

    Args:
        held: moved, but for the history, which does not yet have the act.
        user, item: rows.
        now: of the act, seconds.
        weight: of the act.
        seed: of what is drawn.
        n: items in use.
    """
    tables = held.parts
    items, clock, history = tables.items, tables.clock, tables.history
    recent = recent_items(history, user, DENSE_TOGETHER, item, True)
    if items.first_taken[item] < 0.0:
        items.first_taken[item] = now
    count_taken(items, clock, tables.trending, item, weight, len(recent), n)
    enter_head(items, tables.head, item)
    keep_taker(tables.takers, item, user)
    bring_forward(tables.terms, items.terms, item)
    relate_pairs(items, tables.neighbours, item, recent, weight)
    sum_dense(items, tables.head, item, recent, weight)
    known = recent_items(history, user, READS, -1, True, now)  # acts of the same moment are no history
    note_choice(items, tables.rehearsal, item, known, ages(history, user, known, now, now))
    rehearse(items, tables.attention, tables.rehearsal, seed, n)
