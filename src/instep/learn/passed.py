"""What a user passed over: items that were shown, or were likely to be taken, and were left for something else.

A slate that the log holds says what was shown. Without one nobody knows what a user saw; what is left to go by is what
the ranker held likely when something else was taken (`score/passed.py`). Both go into the same cells.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.state import Ragged, cell_of, grow_row
from instep.state.tables import I32

LIMIT: Final = 32
LATELY_DECAY: Final = np.float32(0.9)
EVER, LATELY = 0, 1


@njit(cache=True)
def note_shown(passed: Ragged, user: int, shown: I32) -> None:
    """A slate was shown: each of its items is passed over, until one is taken.

    Args:
        passed: a row a user; cells (ever, lately). Written; needs room for a row of LIMIT.
        user: the row.
        shown: int32 (k,), the slate's items.
    """
    values, ids = passed.values, passed.ids
    share = np.float32(1.0 / max(len(shown), 1))
    for at in range(passed.start[user], passed.start[user] + passed.length[user]):
        values[at, LATELY] *= LATELY_DECAY
    for item in shown:
        at = cell_of(passed, user, item)
        if at < 0:
            at = free_cell(passed, user, float(share))
            if at < 0:
                continue
            ids[at] = item
            values[at, EVER], values[at, LATELY] = 0.0, 0.0
        values[at, EVER] += share
        values[at, LATELY] += share


@njit(cache=True)
def forget_passed(passed: Ragged, user: int, item: int) -> None:
    """An item was taken after all: its cell is free."""
    at = cell_of(passed, user, item)
    if at >= 0:
        last = passed.start[user] + passed.length[user] - 1
        passed.ids[at] = passed.ids[last]
        for k in range(passed.values.shape[1]):
            passed.values[at, k] = passed.values[last, k]
        passed.length[user] -= 1


@njit(cache=True)
def free_cell(passed: Ragged, user: int, strength: float) -> int:
    """A new cell of a user's row; when it is full the weakest one, or -1 if that is stronger than `strength`."""
    if passed.length[user] < passed.capacity[user] or grow_row(passed, user, LIMIT):
        passed.length[user] += 1
        return int(passed.start[user] + passed.length[user] - 1)
    weakest = passed.start[user]
    for at in range(weakest, passed.start[user] + passed.length[user]):
        if passed.values[at, EVER] < passed.values[weakest, EVER]:
            weakest = at
    return int(weakest) if passed.values[weakest, EVER] < strength else -1
