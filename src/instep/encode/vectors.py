"""Vectors as arrays and as the bytes that the log and the cache hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; a row without a direction becomes the first axis, so that all rows are finite.

    Args:
        vectors: float32 (n, d).

    Returns:
        float32 (n, d), a new array.

    >>> unit_rows(np.array([[3, 4], [0, 0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [1.0, 0.0]]
    """
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    bad = ~np.isfinite(lengths) | (lengths < 1e-12)
    lengths[bad] = 1.0
    rows: NDArray[np.float32] = (vectors / lengths[:, None]).astype(np.float32)
    rows[bad] = 0.0
    rows[bad, 0] = 1.0
    return rows


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """A vector (d,) as little-endian float16, the form in which `ItemVector` and the cache keep it."""
    return vector.astype("<f2").tobytes()


def from_bytes(data: bytes) -> NDArray[np.float32]:
    """The float32 (d,) vector that `to_bytes` wrote, to float16 precision.

    >>> from_bytes(to_bytes(np.array([0.6, -0.8], np.float32))).round(3).tolist()
    [0.6000000238418579, -0.800000011920929]
    """
    return np.frombuffer(data, "<f2").astype(np.float32)
