"""Content vectors into the state: reduced to 128 principal directions, in bytes, filed in cells for a quick search.

Mean, directions and cell centres are fitted on the catalogue itself: for every vector of a small one, and whenever a
larger one has grown fourfold; in between a vector is one projection and one insertion, and a cell that has become
large is split in two, so that a search reads as much of a million items as of a hundred thousand. Everything is part
of the state, so requests, learners and replays see the same search results to the bit.

Source: Jégou et al. 2011 (inverted file); Steinbach et al. 2000 (bisecting k-means); principal components centre the
compressed cosines of some encoders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from instep.state import (
    TEXT_WIDTH,
    Ragged,
    Space,
    State,
    TextSpace,
    append_cell,
    empty_ragged,
    extended,
    new_text_space,
    with_cells,
    with_rows,
)
from instep.state.loops import dot
from instep.state.tables import F32, I8, I32, I64, TEXT_UNIT

CENTRE_FROM: Final = 8
FIT_EACH: Final = 64  # vectors up to which every one is fitted anew
FIT_FACTOR: Final = 4
FIT_SAMPLE: Final = 4096
FIT_MOST: Final = 200_000
ONE_CELL_UP_TO: Final = 2000
ROUNDS: Final = 8
CELL_MOST: Final = 1024  # vectors in a cell before it is split
SPLIT_ROUNDS: Final = 4
_KNOWN, _FITTED = 0, 1
_NO_LIMIT = 1 << 30


def add_live(state: State, row: int, vector: NDArray[np.float16]) -> None:
    """Give an item its content vector in the space that requests read, replacing an earlier one.

    Args:
        state: written.
        row: the item's number.
        vector: float16 (d,), as the encoder gave it; a width other than the first one's starts the space anew.
    """
    items = state.items
    state.text = add_vector(Space(state.text, items.text, items.text_known), row, vector).text


def add_beside(state: State, row: int, vector: NDArray[np.float16]) -> None:
    """The same in the space beside, which no request reads."""
    state.lengthen_beside()
    state.beside = add_vector(state.beside, row, vector)


def add_vector(space: Space, row: int, vector: NDArray[np.float16]) -> Space:
    """A vector into a space.

    Args:
        space: `reduced` and `known` are written in place, and have a row for every item.
        row: the item's number.
        vector: float16 (d,).

    Returns:
        The space with the vector in it; the same `reduced` and `known`.
    """
    text = space.text
    if text.raw.shape[1] != len(vector):
        text = new_text_space(len(vector))
        space.reduced[:] = 0
        space.known[:] = 0
    text = _with_items(text, len(space.known))
    if text.cell[row] >= 0:
        _leave(text.cell, text.place, text.members, row)
    elif space.known[row] == 0:
        text.fitted[_KNOWN] += 1
    text.raw[row] = vector
    space.known[row] = 1
    space = space._replace(text=text)
    known, fitted = int(text.fitted[_KNOWN]), int(text.fitted[_FITTED])
    # A catalogue of no more items than directions loses nothing in them, if they are its own.
    if known <= FIT_EACH or FIT_FACTOR * fitted <= known <= FIT_MOST:
        return _fit(space)
    return _file(space, row) if fitted else space


def reduce(text: TextSpace, vectors: F32) -> I8:
    """Vectors in the encoder's space to the fitted directions, length TEXT_UNIT.

    In bytes, since a request reads thousands of them: a cosine of two is off by .002.

    Args:
        text: the fitted space.
        vectors: float32 (m, d).

    Returns:
        int8 (m, TEXT_WIDTH).
    """
    small = (vectors - text.mean) @ text.basis
    length = np.sqrt((small * small).sum(1, keepdims=True))
    reduced: I8 = np.rint(small * (TEXT_UNIT / np.maximum(length, 1e-9))).astype(np.int8)
    return reduced


def _with_items(text: TextSpace, rows: int) -> TextSpace:
    more = rows - len(text.cell)
    if more <= 0:
        return text
    return text._replace(
        raw=extended(text.raw, rows),
        cell=np.concatenate([text.cell, np.full(more, -1, np.int32)]),
        place=np.concatenate([text.place, np.full(more, -1, np.int32)]),
    )


def _fit(space: Space) -> Space:
    text, reduced = space.text, space.reduced
    rows = np.flatnonzero(space.known)
    sample = rows[np.linspace(0, len(rows) - 1, min(len(rows), FIT_SAMPLE)).astype(np.int64)]
    vectors = text.raw[sample].astype(np.float32)
    # The mean of a handful of vectors says more about them than about the language.
    mean = vectors.mean(0) if len(rows) >= CENTRE_FROM else np.zeros(vectors.shape[1], np.float32)
    centred = vectors - mean
    text = text._replace(mean=mean, basis=_directions(centred))
    text.fitted[_FITTED] = text.fitted[_KNOWN]
    for start in range(0, len(rows), FIT_SAMPLE):
        part = rows[start : start + FIT_SAMPLE]
        reduced[part] = reduce(text, text.raw[part].astype(np.float32))
    cells = 1 if len(rows) <= ONE_CELL_UP_TO else int(np.sqrt(len(rows)))
    centre = _centres(reduced[sample].astype(np.float32), cells)
    members = with_cells(with_rows(empty_ragged(1), cells), 8 * len(rows) + 64)
    text.cell[:] = -1
    _file_all(reduced, centre, text.cell, text.place, members, rows)
    text = text._replace(centre=centre, members=members)
    return space._replace(text=_split_large(text, reduced, range(cells)))


def _directions(centred: F32) -> F32:
    """Principal directions of rows, float32 (d, TEXT_WIDTH), strongest first, zero where there are fewer.

    Few rows span few directions: those of their products with each other are then the smaller problem, and a
    model with thousands of dimensions does not stall the first event.
    """
    rows, width = centred.shape
    basis = np.zeros((width, TEXT_WIDTH), np.float32)
    kept = min(TEXT_WIDTH, width, rows)
    if rows >= width:
        _, found = np.linalg.eigh(centred.T @ centred)
        basis[:, :kept] = found[:, ::-1][:, :kept]
        return basis
    strengths, found = np.linalg.eigh(centred @ centred.T)
    strong = strengths[::-1][:kept] > 1e-6 * max(float(strengths[-1]), 1e-9)
    found = centred.T @ found[:, ::-1][:, :kept][:, strong]
    basis[:, : found.shape[1]] = found / np.linalg.norm(found, axis=0)
    return basis


@njit(cache=True, error_model="numpy")
def _nearest(centre: F32, vector: F32) -> int:
    best, at = np.float32(-1e30), 0
    for c in range(len(centre)):
        z = dot(centre[c], vector)
        if z > best:
            best, at = z, c
    return at


@njit(cache=True, error_model="numpy")
def _centres(sample: F32, cells: int) -> F32:
    """Spherical k-means from evenly spaced members of the sample, a fixed number of rounds."""
    centre = np.empty((cells, sample.shape[1]), np.float32)
    for c in range(cells):
        centre[c] = sample[c * len(sample) // cells]
    for _ in range(ROUNDS):
        total = np.zeros_like(centre)
        for s in range(len(sample)):
            total[_nearest(centre, sample[s])] += sample[s]
        for c in range(cells):
            length = np.sqrt((total[c] * total[c]).sum())
            if length > 0:
                centre[c] = total[c] / length
    return centre


@njit(cache=True)
def _leave(cell: I32, place: I32, members: Ragged, row: int) -> None:
    c, p = cell[row], place[row]
    start = members.start[c]
    members.length[c] -= 1
    last = members.ids[start + members.length[c]]
    members.ids[start + p] = last
    place[last] = p
    cell[row] = -1


@njit(cache=True)
def _enter(reduced: I8, centre: F32, cell: I32, place: I32, members: Ragged, row: int) -> None:
    c = _nearest(centre, reduced[row].astype(np.float32))
    append_cell(members, c, row, _NO_LIMIT)
    cell[row] = c
    place[row] = members.length[c] - 1


@njit(cache=True)
def _file_all(reduced: I8, centre: F32, cell: I32, place: I32, members: Ragged, rows: I64) -> None:
    for row in rows:
        _enter(reduced, centre, cell, place, members, row)


def _file(space: Space, row: int) -> Space:
    text, reduced = space.text, space.reduced
    reduced[row] = reduce(text, text.raw[row : row + 1].astype(np.float32))[0]
    widest = int(text.members.capacity.max()) if len(text.members.capacity) else 0
    text = text._replace(members=with_cells(text.members, 2 * widest + 64))
    _enter(reduced, text.centre, text.cell, text.place, text.members, row)
    return space._replace(text=_split_large(text, reduced, [int(text.cell[row])]))


def _split_large(text: TextSpace, reduced: I8, cells: Iterable[int]) -> TextSpace:
    """Split those of some cells that are too large, and what comes of them; a single cell, searched exactly, stays."""
    waiting = list(cells) if len(text.centre) > 1 else []
    while waiting:
        cell, new = waiting.pop(), len(text.centre)
        length = int(text.members.length[cell])
        if length <= CELL_MOST:
            continue
        members = with_cells(with_rows(text.members, new + 1), 5 * length + 64)  # see `room_for`
        centre = np.concatenate([text.centre, text.centre[cell : cell + 1]])
        text = text._replace(centre=centre, members=members)
        _split(reduced, centre, text.cell, text.place, members, cell)
        waiting += [cell, new]
    return text


@njit(cache=True, error_model="numpy")
def _split(reduced: I8, centre: F32, cell: I32, place: I32, members: Ragged, old: int) -> None:
    """Let about half of a cell's members go over to the last cell: two means of them, or else their two halves."""
    start, length = members.start[old], members.length[old]
    rows = members.ids[start : start + length].copy()
    new = len(centre) - 1
    pair = np.empty((2, centre.shape[1]), np.float32)
    pair[0] = reduced[_farthest(reduced, rows, centre[old])]
    pair[1] = reduced[_farthest(reduced, rows, pair[0])]
    lean = np.empty(length, np.float32)
    for _ in range(SPLIT_ROUNDS):
        _centre_halves(reduced, rows, _leaning(reduced, rows, pair, lean), pair)
    over = _leaning(reduced, rows, pair, lean)
    if min(over.sum(), length - over.sum()) < length // 4:  # many alike
        over[np.argsort(lean, kind="mergesort")] = np.arange(length) >= length // 2
    _centre_halves(reduced, rows, over, pair)
    centre[old], centre[new] = pair[0], pair[1]
    members.length[old] = 0
    for k in range(length):
        c = new if over[k] else old
        append_cell(members, c, rows[k], _NO_LIMIT)
        cell[rows[k]] = c
        place[rows[k]] = members.length[c] - 1


@njit(cache=True, error_model="numpy")
def _farthest(reduced: I8, rows: I32, vector: F32 | I8) -> int:
    """Which of some rows is farthest from a vector."""
    least, at = np.float32(1e30), rows[0]
    for row in rows:
        z = dot(vector, reduced[row])
        if z < least:
            least, at = z, row
    return int(at)


@njit(cache=True, error_model="numpy")
def _leaning(reduced: I8, rows: I32, pair: F32, lean: F32) -> NDArray[np.bool_]:
    """Which of some rows are nearer to the second centre of a pair, bool (m,); `lean` tells by how much."""
    between = pair[1] - pair[0]
    for k in range(len(rows)):
        lean[k] = dot(between, reduced[rows[k]])
    return lean > 0


@njit(cache=True, error_model="numpy")
def _centre_halves(reduced: I8, rows: I32, over: NDArray[np.bool_], pair: F32) -> None:
    """Make a pair the unit means of the rows on its two sides; an empty side keeps its centre."""
    total = np.zeros_like(pair)
    for k in range(len(rows)):
        side = 1 if over[k] else 0
        for d in range(pair.shape[1]):
            total[side, d] += np.float32(reduced[rows[k], d])
    for side in range(2):
        length = np.sqrt(dot(total[side], total[side]))
        if length > 0:
            for d in range(pair.shape[1]):
                pair[side, d] = total[side, d] / length
