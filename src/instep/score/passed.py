"""What a user passed over, where no slate says it: items that were likely to be taken when another one was.

An item that the ranker held likely for one choice after the other, and that was never taken, tells of the user's taste
what no count over all users can. What slates showed is noted by `learn/passed.py`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.learn.passed import EVER, LATELY, LATELY_DECAY, free_cell
from instep.retrieve.candidates import Scratch
from instep.state import Ragged

LEAST: Final = np.float32(0.003)


@njit(cache=True)
def note_passed(passed: Ragged, user: int, scratch: Scratch, m: int, chosen: int) -> None:
    """Add one choice's probabilities to what its user passed over.

    Args:
        passed: a row a user; cells (ever, lately): sums of probabilities. Written.
        user: the row.
        scratch: the candidates; their `scores`, which are overwritten, are probabilities up to a common factor.
        m: how many.
        chosen: place of the taken item.
    """
    slot, candidates, probabilities = scratch.slot, scratch.items, scratch.scores
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
        at = free_cell(passed, user, p)
        if at >= 0:
            ids[at] = candidates[c]
            values[at, EVER], values[at, LATELY] = p, p
