"""Many short rows of different lengths in one pair of arrays.

A row starts with room for four cells and doubles when it is full, so that memory follows the data: a user with
three events costs four cells, an item with two hundred neighbours two hundred and fifty-six. The cells that a moved
row leaves behind are swept when more than half of the arrays is waste.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FIRST_CAPACITY = 4


class Ragged(NamedTuple):
    """Rows of (id, values) cells.

    Args:
        start: int64 (rows,), where a row begins.
        capacity: int32 (rows,), cells it owns.
        length: int32 (rows,), cells it uses.
        ids: int32 (cells,).
        values: float (cells, width).
        tail: int64 (1,), first cell that no row owns.
    """

    start: NDArray[np.int64]
    capacity: NDArray[np.int32]
    length: NDArray[np.int32]
    ids: NDArray[np.int32]
    values: NDArray[Any]
    tail: NDArray[np.int64]


def empty_ragged(width: int, dtype: type[np.floating[Any]]) -> Ragged:
    """No rows yet.

    >>> empty_ragged(2, np.float32).values.shape
    (64, 2)
    """
    return Ragged(
        np.zeros(0, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(64, np.int32),
        np.zeros((64, width), dtype),
        np.zeros(1, np.int64),
    )


def extended(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """The array with zeros behind it; zeros that nobody has touched cost no memory yet.

    >>> extended(np.ones(2, np.int32), 3).tolist()
    [1, 1, 0]
    """
    longer = np.zeros((rows, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def with_rows(table: Ragged, rows: int) -> Ragged:
    """The same table with room for at least `rows` rows (doubling)."""
    have = len(table.start)
    if rows <= have:
        return table
    more = max(rows, 2 * have, 16) - have
    start, capacity, length = (
        extended(column, have + more) for column in (table.start, table.capacity, table.length)
    )
    return table._replace(start=start, capacity=capacity, length=length)


def with_cells(table: Ragged, cells: int) -> Ragged:
    """The same table with at least `cells` free cells behind the tail, swept first when half of it is waste."""
    if int(table.tail[0]) + cells <= len(table.ids):
        return table
    if 2 * int(table.capacity.sum()) < int(table.tail[0]):
        table = swept(table)
    short = int(table.tail[0]) + cells - len(table.ids)
    if short <= 0:
        return table
    more = max(short, len(table.ids) // 2)
    return table._replace(
        ids=extended(table.ids, len(table.ids) + more), values=extended(table.values, len(table.ids) + more)
    )


def swept(table: Ragged) -> Ragged:
    """The same rows, packed in order without waste."""
    ids = np.zeros_like(table.ids)
    values = np.zeros_like(table.values)
    start = np.zeros_like(table.start)
    tail = np.zeros(1, np.int64)
    _pack(table, start, ids, values, tail)
    return table._replace(start=start, ids=ids, values=values, tail=tail)


@njit(cache=True)
def _pack(
    table: Ragged,
    start: NDArray[np.int64],
    ids: NDArray[np.int32],
    values: NDArray[Any],
    tail: NDArray[np.int64],
) -> None:
    for row in range(len(table.start)):
        a, b = table.start[row], tail[0]
        start[row] = b
        for k in range(table.length[row]):
            ids[b + k] = table.ids[a + k]
            values[b + k] = table.values[a + k]
        tail[0] += table.capacity[row]


@njit(cache=True)
def grow_row(table: Ragged, row: int, limit: int) -> bool:
    """Double a full row's room up to `limit` cells; False when it is at the limit. Needs free cells behind the tail."""
    capacity = table.capacity[row]
    if capacity >= limit:
        return False
    wanted = min(limit, max(FIRST_CAPACITY, 2 * capacity))
    a, b = table.start[row], table.tail[0]
    for k in range(table.length[row]):
        table.ids[b + k] = table.ids[a + k]
        for c in range(table.values.shape[1]):
            table.values[b + k, c] = table.values[a + k, c]
    table.start[row] = b
    table.capacity[row] = wanted
    table.tail[0] = b + wanted
    return True


@njit(cache=True)
def append_cell(table: Ragged, row: int, cell_id: int, limit: int) -> int:
    """Index of a fresh cell at the row's end; at the limit the oldest quarter of the row is dropped first."""
    if table.length[row] == table.capacity[row] and not grow_row(table, row, limit):
        a, n = table.start[row], table.length[row]
        drop = max(1, n // 4)
        for k in range(n - drop):
            table.ids[a + k] = table.ids[a + k + drop]
            for c in range(table.values.shape[1]):
                table.values[a + k, c] = table.values[a + k + drop, c]
        table.length[row] = n - drop
    at = table.start[row] + table.length[row]
    table.length[row] += 1
    table.ids[at] = cell_id
    for c in range(table.values.shape[1]):
        table.values[at, c] = 0
    return int(at)


def tight(table: Ragged, rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[Any]]:
    """Lengths, ids and values of the first `rows` rows, packed without room: the same for the same content."""
    lengths = table.length[:rows]
    cells = int(lengths.sum())
    ids = np.empty(cells, np.int32)
    values = np.empty((cells, table.values.shape[1]), table.values.dtype)
    _pack_tight(table, rows, ids, values)
    return lengths, ids, values


@njit(cache=True)
def _pack_tight(table: Ragged, rows: int, ids: NDArray[np.int32], values: NDArray[Any]) -> None:
    at = 0
    for row in range(rows):
        a = table.start[row]
        for k in range(table.length[row]):
            ids[at] = table.ids[a + k]
            for c in range(values.shape[1]):
                values[at, c] = table.values[a + k, c]
            at += 1


def loosened(lengths: NDArray[np.int32], ids: NDArray[np.int32], values: NDArray[Any]) -> Ragged:
    """The table that `tight` packed, each row with the room it would have grown."""
    capacity = np.zeros(len(lengths), np.int32)
    used = lengths > 0
    steps = np.ceil(np.log2(np.maximum(lengths[used], FIRST_CAPACITY) / FIRST_CAPACITY))
    capacity[used] = FIRST_CAPACITY * (2 ** steps.astype(np.int32))
    start = np.zeros(len(lengths), np.int64)
    start[1:] = np.cumsum(capacity, dtype=np.int64)[:-1]
    cells = int(capacity.sum())
    table = Ragged(
        start,
        capacity,
        lengths.astype(np.int32),
        np.zeros(max(cells, 64), np.int32),
        np.zeros((max(cells, 64), values.shape[1]), values.dtype),
        np.array([cells], np.int64),
    )
    _unpack(table, ids, values)
    return table


@njit(cache=True)
def _unpack(table: Ragged, ids: NDArray[np.int32], values: NDArray[Any]) -> None:
    at = 0
    for row in range(len(table.start)):
        a = table.start[row]
        for k in range(table.length[row]):
            table.ids[a + k] = ids[at]
            for c in range(values.shape[1]):
                table.values[a + k, c] = values[at, c]
            at += 1
