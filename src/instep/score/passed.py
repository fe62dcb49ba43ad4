"""What a user passed over: how often an item was likely to be taken, and another one was.

Without impressions nobody knows what a user saw and left. But an item that the ranker held likely for one choice after
the other, and that was never taken, tells of the user's taste what no count over all users can.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.retrieve.candidates import Scratch
from instep.state import Ragged, grow_row
from instep.state.tables import F32

LIMIT: Final = 32
LEAST: Final = np.float32(0.003)
LATELY_DECAY: Final = np.float32(0.9)
EVER, LATELY = 0, 1


@njit(cache=True)
def note_passed(passed: Ragged, user: int, scratch: Scratch, probabilities: F32, m: int, chosen: int) -> None:
    """Add one choice's probabilities to what its user passed over.

    Args:
        passed: a row a user; cells (ever, lately): sums of probabilities. Written.
        user: the row.
        scratch: the candidates.
        probabilities: float32 (>= m,), of the candidates, up to a common factor; overwritten.
        m: how many.
        chosen: place of the taken item.
    """
    slot, candidates = scratch.slot, scratch.items
    ids, values, lengths = passed.ids, passed.values, passed.length
    mass = np.float32(0.0)
    for c in range(m):
        mass += probabilities[c]
    at, end = passed.start[user], passed.start[user] + lengths[user]
    while at < end:
        place = slot[ids[at]]
        values[at, LATELY] *= LATELY_DECAY
        if place < -1 or place == chosen:  # taken or refused: its cell is free
            end -= 1
            ids[at] = ids[end]
            values[at, EVER], values[at, LATELY] = values[end, EVER], values[end, LATELY]
            continue
        if place >= 0:
            values[at, EVER] += probabilities[place] / mass
            values[at, LATELY] += probabilities[place] / mass
            probabilities[place] = 0.0
        at += 1
    lengths[user] = end - passed.start[user]
    for c in range(m):
        p = probabilities[c] / mass
        if p <= LEAST or c == chosen:
            continue
        at = _free_cell(passed, user, p)
        if at >= 0:
            ids[at] = candidates[c]
            values[at, EVER], values[at, LATELY] = p, p


@njit(cache=True)
def _free_cell(passed: Ragged, user: int, p: float) -> int:
    """A new cell of the row; when it is full the weakest one, or -1 if that is stronger than `p`."""
    if passed.length[user] < passed.capacity[user] or grow_row(passed, user, LIMIT):
        passed.length[user] += 1
        return int(passed.start[user] + passed.length[user] - 1)
    weakest = passed.start[user]
    for at in range(weakest, passed.start[user] + passed.length[user]):
        if passed.values[at, EVER] < passed.values[weakest, EVER]:
            weakest = at
    return int(weakest) if passed.values[weakest, EVER] < p else -1
