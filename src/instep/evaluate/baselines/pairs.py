"""Weights between pairs of items: a dense matrix while that is small, a hash table a row beyond."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32

DENSE_LIMIT = 12_000
"""Items up to which the matrix is dense (576 MB of address space, touched only where pairs exist)."""


class Pairs(Protocol):
    """float32 (items, items), almost all zero."""

    def link(self, history: Int32, item: int, weights: Float32, back: float) -> None:
        """Add weights[j] at (history[j], item), and back * weights[j] at (item, history[j])."""
        ...

    def gather(self, history: Int32, weights: Float32) -> Float32:
        """float32 (items,), the sum of weights[j] * row history[j]."""
        ...


def make_pairs(items: int, dense_limit: int = DENSE_LIMIT) -> Pairs:
    """The representation that suits a catalogue of this size.

    >>> type(make_pairs(10)).__name__, type(make_pairs(1_000_000)).__name__
    ('DensePairs', 'HashedPairs')
    """
    return DensePairs(items) if items <= dense_limit else HashedPairs(items)


class DensePairs:
    """The matrix as it is."""

    def __init__(self, items: int) -> None:
        self._matrix = np.zeros((items, items), np.float32)

    def link(self, history: Int32, item: int, weights: Float32, back: float) -> None:
        """See `Pairs.link`."""
        _link(self._matrix, history, item, weights, np.float32(back))

    def gather(self, history: Int32, weights: Float32) -> Float32:
        """See `Pairs.gather`."""
        return _gather(self._matrix, history, weights)


class HashedPairs:
    """A row is an open-addressed hash table from item to weight that doubles when half full."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._rows: dict[int, tuple[Int32, Float32]] = {}
        self._filled: dict[int, int] = {}

    def link(self, history: Int32, item: int, weights: Float32, back: float) -> None:
        """See `Pairs.link`."""
        target = np.array([item], np.int32)
        for place, other in enumerate(history.tolist()):
            self._add(other, target, weights[place : place + 1])
        if back:
            self._add(item, history, weights * np.float32(back))

    def gather(self, history: Int32, weights: Float32) -> Float32:
        """See `Pairs.gather`."""
        scores = np.zeros(self._items, np.float32)
        for other, weight in zip(history.tolist(), weights, strict=True):
            row = self._rows.get(other)
            if row is not None:
                _scatter(row[0], row[1], weight, scores)
        return scores

    def _add(self, row: int, columns: Int32, weights: Float32) -> None:
        filled = self._filled.get(row, 0)
        keys, values = self._rows.get(row) or _empty(8)
        if 2 * (filled + len(columns)) > len(keys):
            old_keys, old_values = keys, values
            keys, values = _empty(4 * (filled + len(columns)))
            used = old_keys >= 0
            _bump(keys, values, old_keys[used], old_values[used])
        self._filled[row] = filled + _bump(keys, values, columns, weights)
        self._rows[row] = (keys, values)


def _empty(at_least: int) -> tuple[Int32, Float32]:
    size = 1 << (at_least - 1).bit_length()
    return np.full(size, -1, np.int32), np.zeros(size, np.float32)


@njit(cache=True)
def _link(matrix: Float32, history: Int32, item: int, weights: Float32, back: np.float32) -> None:
    for place in range(history.shape[0]):
        matrix[history[place], item] += weights[place]
        if back != 0:
            matrix[item, history[place]] += back * weights[place]


@njit(cache=True)
def _gather(matrix: Float32, history: Int32, weights: Float32) -> Float32:
    scores = np.zeros(matrix.shape[1], np.float32)
    for place in range(history.shape[0]):
        row, weight = matrix[history[place]], weights[place]
        for item in range(scores.shape[0]):
            scores[item] += weight * row[item]
    return scores


@njit(cache=True)
def _bump(keys: Int32, values: Float32, columns: Int32, weights: Float32) -> int:
    mask, fresh = keys.shape[0] - 1, 0
    for place in range(columns.shape[0]):
        column = columns[place]
        slot = (column * 40503) & mask
        while keys[slot] >= 0 and keys[slot] != column:
            slot = (slot + 1) & mask
        if keys[slot] < 0:
            keys[slot] = column
            fresh += 1
        values[slot] += weights[place]
    return fresh


@njit(cache=True)
def _scatter(keys: Int32, values: Float32, weight: np.float32, scores: Float32) -> None:
    for slot in range(keys.shape[0]):
        if keys[slot] >= 0:
            scores[keys[slot]] += weight * values[slot]
