"""How near items are by who took them: factors of the positive pointwise mutual information of being taken together.

Source: Levy and Goldberg 2014, "Neural Word Embedding as Implicit Matrix Factorization".
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEAST: Final = 3
"""An item taken less often says nothing of its own."""
MOST: Final = 6000
"""The most taken so many items have factors: the matrix is dense."""
WIDTH: Final = 64
SMOOTH: Final = 0.05
NEWEST: Final = 200
"""Of a user's acts, the newest so many count."""


def factors(
    user: NDArray[Any], item: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """Factors of the items that were taken often enough.

    Args:
        user: int (n,), who.
        item: int (n,), took what.

    Returns:
        Items, int64 (m,); their factors, float32 (m, `WIDTH`), rows of length 1; and the probabilities to draw them by,
        float64 (m,), as the root of how often they were taken.

    >>> users = np.repeat(np.arange(12), 2)
    >>> items, vectors, _ = factors(users, np.array([0, 1] * 6 + [2, 3] * 6))
    >>> bool(vectors[0] @ vectors[1] > 0.9 > 0.1 > vectors[0] @ vectors[2])
    True
    """
    pairs = np.unique(np.stack([user, item], axis=1), axis=0)
    count = np.bincount(pairs[:, 1])
    items = np.sort(np.argsort(-count, kind="stable")[:MOST])
    items = items[count[items] >= LEAST].astype(np.int64)
    place = np.full(len(count), -1)
    place[items] = np.arange(len(items))
    pairs = pairs[place[pairs[:, 1]] >= 0]
    together = np.zeros((len(items), len(items)), np.float32)
    starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
    for mine in np.split(place[pairs[:, 1]], starts[1:]):
        if len(mine) >= 2:
            newest = mine[-NEWEST:]
            together[np.ix_(newest, newest)] += np.float32(1.0 / len(newest))
    np.fill_diagonal(together, 0.0)
    often = np.sqrt(count[items].astype(np.float64))
    return items, _factored(together), often / max(often.sum(), 1e-9)


def _factored(together: NDArray[np.float32]) -> NDArray[np.float32]:
    """The strongest directions of the positive mutual information, rows of length 1."""
    if not len(together):
        return np.zeros((0, WIDTH), np.float32)
    whole = together.sum(1)
    expected = whole[:, None] * whole[None, :] / max(float(whole.sum()), 1e-9)
    information = np.maximum(np.log((together + SMOOTH) / (expected + SMOOTH)), 0.0)
    np.fill_diagonal(information, information.max(1, initial=0.0))
    strength, directions = np.linalg.eigh(information)
    kept = np.argsort(-strength)[:WIDTH]
    found = directions[:, kept] * np.sqrt(np.maximum(strength[kept], 0.0))
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    vectors = np.zeros((len(together), WIDTH), np.float32)
    vectors[:, : found.shape[1]] = found
    return vectors
