"""Many short rows of different lengths in a few arrays.

A row that is full moves to a place with more room: see `room_for`. So memory follows the data: a user with three
events costs four cells, an item with a hundred and thirty neighbours a hundred and ninety-two. The cells that a moved
row leaves behind are swept when more than half of the arrays is waste.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FIRST_CAPACITY = 2
BLOCK = 16  # ids that are compared together


class Ragged(NamedTuple):
    """Rows of (id, values, times) cells.

    Args:
        start: int64 (rows,), where a row begins.
        capacity: int32 (rows,), cells it owns.
        length: int32 (rows,), cells it uses.
        ids: int32 (cells,).
        values: float32 (cells, width).
        times: float64 (cells, 1), seconds, or (cells, 0) where a table keeps none: float32 would tell minutes only.
        tail: int64 (1,), first cell that no row owns.
    """

    start: NDArray[np.int64]
    capacity: NDArray[np.int32]
    length: NDArray[np.int32]
    ids: NDArray[np.int32]
    values: NDArray[np.float32]
    times: NDArray[np.float64]
    tail: NDArray[np.int64]


Packed = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.float64]]


def empty_ragged(width: int, times: int = 0) -> Ragged:
    """No rows yet; so many values and times (0 or 1) a cell.

    >>> empty_ragged(2).values.shape
    (64, 2)
    """
    return Ragged(
        np.zeros(0, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(64, np.int32),
        np.zeros((64, width), np.float32),
        np.zeros((64, times)),
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
    ids, values, times = (
        extended(column, len(table.ids) + more) for column in (table.ids, table.values, table.times)
    )
    return table._replace(ids=ids, values=values, times=times)


def swept(table: Ragged) -> Ragged:
    """The same rows, packed in order without waste."""
    packed = table._replace(
        start=np.zeros_like(table.start),
        ids=np.zeros_like(table.ids),
        values=np.zeros_like(table.values),
        times=np.zeros_like(table.times),
        tail=np.zeros(1, np.int64),
    )
    _pack(table, packed)
    return packed


@njit(cache=True)
def _copy(table: Ragged, a: int, to: Ragged, b: int, cells: int) -> None:
    """Copy cells from `a` on to `b` on; where they overlap, `b` lies before `a`."""
    for k in range(cells):
        to.ids[b + k] = table.ids[a + k]
        for c in range(table.values.shape[1]):
            to.values[b + k, c] = table.values[a + k, c]
        for c in range(table.times.shape[1]):
            to.times[b + k, c] = table.times[a + k, c]


@njit(cache=True)
def _pack(table: Ragged, packed: Ragged) -> None:
    for row in range(len(table.start)):
        packed.start[row] = packed.tail[0]
        _copy(table, table.start[row], packed, packed.start[row], table.length[row])
        packed.tail[0] += table.capacity[row]


@njit(cache=True)
def room_for(length: int) -> int:
    """Cells that a row of some length owns: 2, 4, 6, 8, 12, 16, 24, 32, 48 and so on, two sizes a doubling.

    That is half too much at most. Every power of two is among the sizes, so that a row whose limit is one never owns
    more. All the places of a row that grew cell by cell, left ones included, take at most five times its length.

    >>> [room_for(length) for length in (1, 5, 9, 16, 17, 33, 64, 130)]
    [2, 6, 12, 16, 24, 48, 64, 192]
    """
    step = FIRST_CAPACITY
    while 4 * step <= length - 1:
        step *= 2
    return (length + step - 1) // step * step


@njit(cache=True)
def grow_row(table: Ragged, row: int, limit: int) -> bool:
    """Give a full row more room; False when it is at the limit. Needs as many free cells behind the tail.

    Args:
        table: written.
        row: the full row.
        limit: cells that a row has at most, a power of two.
    """
    capacity = table.capacity[row]
    if capacity >= limit:
        return False
    at = table.tail[0]
    _copy(table, table.start[row], table, at, table.length[row])
    table.start[row] = at
    table.capacity[row] = min(limit, room_for(capacity + 1))
    table.tail[0] = at + table.capacity[row]
    return True


@njit(cache=True)
def cell_of(table: Ragged, row: int, cell_id: int) -> int:
    """Index of a row's cell with an id, -1 if it has none.

    Cells are compared sixteen at a time: a loop that may end after each of them is one that no lanes are made of.
    """
    ids, at = table.ids, table.start[row]
    end = at + table.length[row]
    while at + BLOCK <= end:
        block, found = ids[at : at + BLOCK], False
        for k in range(BLOCK):
            found |= block[k] == cell_id
        if found:
            break
        at += BLOCK
    for cell in range(at, end):
        if ids[cell] == cell_id:
            return int(cell)
    return -1


@njit(cache=True)
def append_cell(table: Ragged, row: int, cell_id: int, limit: int) -> int:
    """Index of a fresh cell at the row's end; at the limit the oldest quarter of the row is dropped first."""
    if table.length[row] == table.capacity[row] and not grow_row(table, row, limit):
        a, n = table.start[row], table.length[row]
        drop = max(1, n // 4)
        _copy(table, a + drop, table, a, n - drop)
        table.length[row] = n - drop
    at = table.start[row] + table.length[row]
    table.length[row] += 1
    table.ids[at] = cell_id
    for c in range(table.values.shape[1]):
        table.values[at, c] = 0
    for c in range(table.times.shape[1]):
        table.times[at, c] = 0
    return int(at)


def tight(table: Ragged, rows: int) -> Packed:
    """Lengths, ids, values and times of the first `rows` rows, without room: the same for the same content."""
    lengths = table.length[:rows]
    cells = int(lengths.sum())
    packed = table._replace(
        start=np.zeros(rows, np.int64),
        capacity=lengths,
        ids=np.empty(cells, np.int32),
        values=np.empty((cells, table.values.shape[1]), np.float32),
        times=np.empty((cells, table.times.shape[1])),
        tail=np.zeros(1, np.int64),
    )
    _pack(table._replace(start=table.start[:rows], capacity=lengths), packed)
    return lengths, packed.ids, packed.values, packed.times


def loosened(
    lengths: NDArray[np.int32],
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    times: NDArray[np.float64],
) -> Ragged:
    """The table that `tight` packed, each row with the room it would have grown, and half as many cells free behind.

    The free ones cost no memory yet (`extended`); without them the first event would copy the whole table.
    """
    capacity = np.zeros(len(lengths), np.int32)
    cells = _rooms(lengths, capacity)
    start = np.zeros(len(lengths), np.int64)
    start[1:] = np.cumsum(capacity, dtype=np.int64)[:-1]
    room = max(cells + cells // 2, 64)
    table = Ragged(
        start,
        capacity,
        lengths.astype(np.int32),
        np.zeros(room, np.int32),
        np.zeros((room, values.shape[1]), np.float32),
        np.zeros((room, times.shape[1])),
        np.array([cells], np.int64),
    )
    _unpack(table._replace(ids=ids, values=values, times=times), table)
    return table


@njit(cache=True)
def _rooms(lengths: NDArray[np.int32], capacity: NDArray[np.int32]) -> int:
    cells = 0
    for row in range(len(lengths)):
        if lengths[row] > 0:
            capacity[row] = room_for(lengths[row])
            cells += capacity[row]
    return cells


@njit(cache=True)
def _unpack(packed: Ragged, table: Ragged) -> None:
    at = 0
    for row in range(len(table.start)):
        _copy(packed, at, table, table.start[row], table.length[row])
        at += table.length[row]
