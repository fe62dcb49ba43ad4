"""What users alike took around the same items: nearest neighbours among users, by the order of their histories.

A pair of items says that one goes with the other. A user who shares three of the newest items says more than three
pairs do, and the items closest to the shared ones in that user's history count most.

Source: Ludewig and Jannach 2018 (vector session-kNN), with closeness on both sides of every shared item.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.learn.histories import MOMENT, REWARD, TIME
from instep.retrieve.candidates import ALIKE, ALIKE_LATELY, FROM_ALIKE, Request, Scratch, consider
from instep.state import Items, Ragged
from instep.state.tables import F32, I32

HISTORY: Final = 15
USERS: Final = 30
READ: Final = 64
NEWEST_DECAY: Final = np.float32(0.85)
CLOSENESS_DECAY: Final = np.float32(0.9)
BEHIND: Final = np.float32(0.5)
APART: Final = 0.3  # what stays of closeness over a long pause
FAR: Final = np.float32(1e-4)
LATELY: Final = np.float32(86_400.0)  # seconds; behind it, an act counts as one over the root of its age


@njit(cache=True, error_model="numpy")
def _meet(items: Items, takers: Ragged, request: Request, scratch: Scratch) -> int:
    """Weigh the newest items in `mark` and everybody who took them in `likeness`; returns how many were met."""
    mark, likeness, met, counts = scratch.mark, scratch.likeness, scratch.met, items.taken
    ids, starts, lengths = takers.ids, takers.start, takers.length
    users, newest = 0, np.float32(1.0)
    for g in range(min(len(request.recent), HISTORY)):
        item = request.recent[g]
        weight = newest / np.sqrt(counts[item] + np.float32(5.0))
        mark[item] = weight
        for k in range(starts[item], starts[item] + lengths[item]):
            other = ids[k]
            if other == request.user:
                continue
            if likeness[other] == 0.0:
                met[users] = other
                users += 1
            likeness[other] += weight
        newest *= NEWEST_DECAY
    return users


@njit(cache=True, error_model="numpy")
def _walk(
    history: Ragged, cells: tuple[int, int, int], strength: float, now: float, scratch: Scratch, reached: int
) -> tuple[int, float]:
    """Walk through one history, first to last: what comes soon after a marked item is likely, by place and by time.

    Args:
        history: a row a user.
        cells: the first, the one behind the last, and the step.
        strength: of the likeness.
        now: seconds.
        scratch: `likely`, `lately` and `reached` are written.
        reached: items in `likely` so far.

    Returns:
        Items in `likely` now, and what was added.
    """
    mark, likely, lately, found = scratch.mark, scratch.likely, scratch.lately, scratch.reached
    ids, values, times = history.ids, history.values, history.times
    close, added = np.float32(0.0), np.float32(0.0)
    last = times[cells[0], TIME]
    for at in range(cells[0], cells[1], cells[2]):
        item, pause = ids[at], abs(times[at, TIME] - last)
        last = times[at, TIME]
        close *= np.float32(APART + (1.0 - APART) * MOMENT / (MOMENT + pause))
        if mark[item] > 0.0:
            close = close * CLOSENESS_DECAY + mark[item]
            continue
        if close > FAR and values[at, REWARD] >= 0.0:
            if likely[item] == 0.0:
                found[reached] = item
                reached += 1
            share = np.float32(strength) * close
            likely[item] += share
            age = np.float32(max(now - times[at, TIME], 0.0))
            lately[item] += share / np.sqrt(np.float32(1.0) + age / LATELY)
            added += share
        close *= CLOSENESS_DECAY
    return reached, float(added)


@njit(cache=True, error_model="numpy")
def walk_alike(
    items: Items, takers: Ragged, history: Ragged, request: Request, scratch: Scratch, m: int
) -> tuple[int, int, float]:
    """Take up what the users most alike took around the newest items.

    Args:
        items: the table.
        takers: a row an item: the newest users who took it.
        history: a row a user.
        request: for whom.
        scratch: `likely` holds the evidence until `note_alike` has noted it.
        m: candidates so far.

    Returns:
        Candidates now, items with evidence, and the sum of the evidence.
    """
    likely, reached = scratch.likely, scratch.reached
    users = _meet(items, takers, request, scratch)
    strength: F32 = np.empty(users, np.float32)
    for x in range(users):
        other = scratch.met[x]
        strength[x] = scratch.likeness[other] / np.sqrt(np.float32(history.length[other]) + np.float32(20.0))
        scratch.likeness[other] = 0.0
    least = np.partition(strength, users - USERS)[users - USERS] if users > USERS else np.float32(0.0)
    count, total = 0, np.float32(0.0)
    for x in range(users):
        if strength[x] < least:
            continue
        other = scratch.met[x]
        end = history.start[other] + history.length[other]
        first = max(history.start[other], end - READ)
        ahead, behind = (first, end, 1), (end - 1, first - 1, -1)
        count, added = _walk(history, ahead, strength[x], request.now, scratch, count)
        total += added
        count, added = _walk(history, behind, BEHIND * strength[x], request.now, scratch, count)
        total += added
    for g in range(min(len(request.recent), HISTORY)):
        scratch.mark[request.recent[g]] = 0.0
    mean = total / np.float32(max(count, 1))
    likeliest: I32 = np.empty(count, np.int32)
    wanted = 0
    for x in range(count):
        if likely[reached[x]] > mean:
            likeliest[wanted] = reached[x]
            wanted += 1
    return consider(items, scratch, m, likeliest[:wanted], request, FROM_ALIKE), count, float(total)


@njit(cache=True)
def note_alike(scratch: Scratch, count: int, total: float) -> None:
    """Note the evidence of `walk_alike` for every candidate, as shares of its sum, and clear it."""
    slot, evidence, likely, reached = scratch.slot, scratch.evidence, scratch.likely, scratch.reached
    lately = scratch.lately
    for x in range(count):
        item = reached[x]
        if slot[item] >= 0:
            evidence[slot[item], ALIKE] = likely[item] / total
            evidence[slot[item], ALIKE_LATELY] = lately[item] / total
        likely[item] = 0.0
        lately[item] = 0.0
