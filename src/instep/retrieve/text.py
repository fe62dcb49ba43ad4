"""Items nearest to a text vector: the cells nearest to it, scanned exactly."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from instep.state import Items, Ragged
from instep.state.loops import dot, read_ahead
from instep.state.tables import F32, I32

PROBES: Final = 6
AHEAD: Final = 8  # rows that are asked for before they are needed


@njit(cache=True)
def _put_in_order(best: F32, found: I32, z: Any, number: Any) -> Any:
    """Put a number among the best, best first, in the place of the last; returns what the next has to exceed."""
    p = len(best) - 1
    while p > 0 and best[p - 1] < z:
        best[p], found[p] = best[p - 1], found[p - 1]
        p -= 1
    best[p], found[p] = z, number
    return best[-1]


@njit(cache=True, error_model="numpy")
def nearest_items(items: Items, centre: F32, members: Ragged, vector: F32, k: int, probes: int) -> I32:
    """Items whose reduced vectors are nearest to `vector`, best first.

    Args:
        items: the table.
        centre: float32 (cells, TEXT_WIDTH).
        members: a row a cell, of item numbers.
        vector: float32 (TEXT_WIDTH,), of any length.
        k: at most so many.
        probes: cells to scan; all of them make the answer exact.

    Returns:
        int32 (<= k,).
    """
    near = np.full(min(probes, len(centre)), -1e30, np.float32)
    order = np.arange(len(near), dtype=np.int32)
    bar = np.float32(-1e30)
    for c in range(len(centre)):
        z = dot(centre[c], vector)
        if z > bar:
            bar = _put_in_order(near, order, z, c)
    # Taken apart outside the loops: reading a field of a tuple counts a reference each time.
    text, blocked = items.text, items.blocked
    starts, lengths, ids = members.start, members.length, members.ids
    best = np.full(k, -1e30, np.float32)
    found = np.full(k, -1, np.int32)
    bar = np.float32(-1e30)
    for cell in order:
        end = starts[cell] + lengths[cell]
        for at in range(starts[cell], end):
            read_ahead(text, np.uintp(ids[min(at + AHEAD, end - 1)]))
            item = np.uintp(ids[at])
            z = dot(text[item], vector)
            if z > bar and blocked[item] == 0:
                bar = _put_in_order(best, found, z, item)
    used = 0
    while used < k and found[used] >= 0:
        used += 1
    return found[:used]


@njit(cache=True, error_model="numpy")
def text_profile(items: Items, recent: I32, limit: int, decay: float) -> F32:
    """The history as one text vector, decayed, length 1; zero without any text."""
    profile = np.zeros(items.text.shape[1], np.float32)
    a = np.float32(1.0)
    for g in range(min(len(recent), limit)):
        if items.text_known[recent[g]]:
            for d in range(len(profile)):
                profile[d] += a * np.float32(items.text[recent[g], d])
        a *= np.float32(decay)
    length = dot(profile, profile)
    if length > 0:
        for d in range(len(profile)):
            profile[d] /= np.sqrt(length)
    return profile
