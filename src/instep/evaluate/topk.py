"""Exact top k over a dense score vector, the floor every baseline stands on."""

from __future__ import annotations

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.state.loops import dot


@njit(cache=True)
def top_k(scores: Float32, exclude: Int32, k: int) -> Int32:
    """The k best items that are not excluded; equal scores go to the lower number, NaN goes nowhere.

    Args:
        scores: float32 (n,); **overwritten** at the excluded items.
        exclude: int32 (m,), items to leave out.
        k: how many at most.

    Returns:
        int32 (min(k, n - m),), best first.

    >>> import numpy as np
    >>> top_k(np.array([.1, .9, .5, .9], np.float32), np.array([1], np.int32), 2)
    array([3, 2], dtype=int32)
    """
    for item in exclude:
        scores[item] = -np.inf
    best = np.empty(k, np.int32)
    value = np.empty(k, np.float32)
    found = 0
    floor = np.float32(-np.inf)
    for item in range(scores.shape[0]):
        score = scores[item]
        if not score > floor:
            continue
        place = found if found < k else k - 1
        while place > 0 and value[place - 1] < score:
            value[place] = value[place - 1]
            best[place] = best[place - 1]
            place -= 1
        value[place] = score
        best[place] = item
        if found < k:
            found += 1
        if found == k:
            floor = value[k - 1]
    return best[:found]


@njit(cache=True)
def dots(matrix: Float32, vector: Float32) -> Float32:
    """float32 (n,), the dot product of each row with a vector; one thread, the same bits every time.

    Args:
        matrix: float32 (n, d).
        vector: float32 (d,).

    >>> import numpy as np
    >>> dots(np.eye(2, dtype=np.float32), np.array([3, 4], np.float32)).tolist()
    [3.0, 4.0]
    """
    out = np.empty(matrix.shape[0], np.float32)
    for row in range(matrix.shape[0]):
        out[row] = dot(matrix[row], vector)
    return out
