"""Random numbers that compiled code draws the same way on every machine."""

from __future__ import annotations

import numpy as np
from numba import njit

from instep.state.tables import U64


@njit(cache=True)
def next_random(state: U64) -> np.uint64:
    """The next 64 random bits.

    Args:
        state: uint64 (1,), the seed at first; moved.

    Source: Steele, Lea and Flood 2014 (SplitMix64).

    >>> state = np.full(1, 7, np.uint64)
    >>> int(next_random(state)) != int(next_random(state))
    True
    """
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.uint64 = z ^ (z >> np.uint64(31))
    return mixed
