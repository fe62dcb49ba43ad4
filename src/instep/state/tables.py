"""What the learners write and requests read, as columns.

Each table is a NamedTuple of arrays, so that compiled code reads fields by name. The first axis is the dense index
of an item (`n`), a user, or a head slot; tables grow by doubling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from instep.state.ragged import Ragged, empty_ragged

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]

TEXT_WIDTH: Final = 128
TEXT_UNIT: Final = 127  # length of a reduced content vector, in bytes
VECTOR_WIDTH: Final = 32
CATEGORY_SLOTS: Final = 6
TERM_SLOTS: Final = 16
HEAD_SLOTS: Final = 1024
TRENDING_LENGTH: Final = 100

DECAY_NAMES: Final = ("last 300 events", "last 3,000 events", "3 hours", "day", "week", "30 days")
EVENT_HALF_LIVES: Final = (300.0, 3000.0)
SECOND_HALF_LIVES: Final = (10800.0, 86400.0, 604800.0, 2592000.0)
DECAYS: Final = len(DECAY_NAMES)
DAY, WEEK, MONTH = (DECAY_NAMES.index(name) for name in ("day", "week", "30 days"))
STAGE_STARTS: Final = (1, 4, 10, 25, 60, 150)
STAGES: Final = len(STAGE_STARTS) + 1


class Items(NamedTuple):
    """One row an item.

    Args:
        taken: float32 (n,), weighted positive events ever.
        popularity: float32 (n, DECAYS), decayed counts in units of `Clock.scale` (forward decay: a read multiplies
            by one scale for all items; Source: Cormode et al. 2009, "Forward Decay").
        stage: float32 (n, STAGES), decayed counts by how long the user's history was.
        first_seen, first_taken, last_seen: float64 (n,), when it came to be known, was first taken and last acted on,
            seconds; -1 before that.
        published, expires: float64 (n,), seconds; -1 and +inf where unknown.
        blocked: uint8 (n,), 1 while hidden, removed or out of stock.
        reward: float32 (n, 2), sum and weight of rewards.
        earned: float32 (n, 2), what judged impressions earned, freed from the place's own part, and how often they
            were looked at: one over the other is the item's rate.
        dwell: float32 (n, 2), decayed sum and weight of log dwell seconds.
        shown: float32 (n,), impressions.
        lead: float32 (n,), total weight of what followed this item.
        inward, outward: float32 (n, VECTOR_WIDTH), collaborative vectors: what the item leads to, what leads to it.
        bias: float32 (n,), of the collaborative vectors' model.
        squares: float32 (n, 2), decayed sums of the squared steps of the inward and of the outward vector.
        rehearsed: float32 (n,), choices of the item that `Rehearsal` holds.
        momentum: float32 (n,), running error of the ranker: above zero when the item is taken more than expected.
        text: int8 (n, TEXT_WIDTH), the reduced content vector, length TEXT_UNIT; zero when there is none.
        text_known: uint8 (n,).
        categories: int32 (n, CATEGORY_SLOTS), category numbers, -1 where unused.
        terms: int32 (n, TERM_SLOTS), numbers of the terms that name it, 0 where unused (`Terms`).
        head: int32 (n,), slot among the popular items that `Head` relates densely, or -1.
    """

    taken: F32
    popularity: F32
    stage: F32
    first_seen: F64
    first_taken: F64
    last_seen: F64
    published: F64
    expires: F64
    blocked: U8
    reward: F32
    earned: F32
    dwell: F32
    shown: F32
    lead: F32
    inward: F32
    outward: F32
    bias: F32
    squares: F32
    rehearsed: F32
    momentum: F32
    text: I8
    text_known: U8
    categories: I32
    terms: I32
    head: I32


class Users(NamedTuple):
    """One row a user: what rewards are judged against.

    Args:
        events: int64 (users,), feedback ever.
        rating: float32 (users, 2), sum and number of ratings.
        dwell: float32 (users, 2), decayed sum and weight of log dwell ratios.
        seed: uint64 (users,), hash of the user id: the user's part of any random choice while learning.
    """

    events: I64
    rating: F32
    dwell: F32
    seed: NDArray[np.uint64]


class Clock(NamedTuple):
    """Time as the events tell it.

    Args:
        now: float64 (1,), latest event time, seconds.
        events: int64 (1,), positive events learned.
        scale: float64 (DECAYS,), weight of one event of now in units of `Items.popularity`'s cells, inverted.
        stage_scale: float64 (STAGES,), the same for `Items.stage`.
        stage_total: float64 (STAGES,), decayed number of events of each stage.
        positive: float64 (1,), running mean of positive rewards.
    """

    now: F64
    events: I64
    scale: F64
    stage_scale: F64
    stage_total: F64
    positive: F64


class Head(NamedTuple):
    """The popular items, related densely: regressions of the next item on the history.

    Args:
        item: int32 (HEAD_SLOTS,), item of a slot, -1 when free.
        together: float32 (HEAD_SLOTS, HEAD_SLOTS), users who took both; the diagonal counts users.
        history: float32 (HEAD_SLOTS, HEAD_SLOTS), products of decayed history weights.
        following: float32 (HEAD_SLOTS, HEAD_SLOTS), decayed history weight (row) when an item
            (column) was taken.
        symmetric, directed: float32 (HEAD_SLOTS, HEAD_SLOTS), the solved weights that requests read.
        solving: int32 (HEAD_SLOTS,), item of a slot when the pending solution was asked for.
        schedule: int64 (4,): events at the last solve, events when the pending one takes effect (0: none),
            solves done, free.
    """

    item: I32
    together: F32
    history: F32
    following: F32
    symmetric: F32
    directed: F32
    solving: I32
    schedule: I64


class Trending(NamedTuple):
    """The top of each decayed popularity, kept exact at every event.

    Args:
        overall: int32 (DECAYS + 1, TRENDING_LENGTH), items, unordered, -1 where unused; the last row is
            of all time.
        category: int32 (categories, TRENDING_LENGTH), the same a category, by week.
        fresh: int32 (TRENDING_LENGTH,), the newest items, a ring.
        fresh_at: int64 (1,), where the ring is written next.
    """

    overall: I32
    category: I32
    fresh: I32
    fresh_at: I64


class Weights(NamedTuple):
    """The ranker's state.

    Args:
        shared: float32 (2, signals), for users without history and for the others.
        of_user: float32 (user cells, signals), added to `shared` by how much is known of the user.
        of_item: float32 (item cells, signals), added by how much is known of the item.
        covariance: float32 (2, signals, signals), of `shared`, for its second-order step.
        user_squares: float32 (user cells, signals), sums of squared gradients, for AdaGrad.
        item_squares: float32 (item cells, signals), the same.
        precision: float32 (signals,), of the posterior of `shared`.
    """

    shared: F32
    of_user: F32
    of_item: F32
    covariance: F32
    user_squares: F32
    item_squares: F32
    precision: F32


class TextSpace(NamedTuple):
    """The content vectors and the cells that make them quick to search.

    Args:
        raw: float16 (n, d), vectors as the encoder gave them, zero where there is none.
        mean: float32 (d,), subtracted before the reduction.
        basis: float32 (d, TEXT_WIDTH), principal directions.
        centre: float32 (cells, TEXT_WIDTH), of the search's cells.
        cell: int32 (n,), cell of an item, -1 if it has no vector.
        place: int32 (n,), place in that cell's row.
        members: a row a cell, of item numbers.
        fitted: int64 (2,), vectors known; vectors known when mean, basis and centres were last fitted.
    """

    raw: NDArray[np.float16]
    mean: F32
    basis: F32
    centre: F32
    cell: I32
    place: I32
    members: Ragged
    fitted: I64


def new_text_space(width: int = 0) -> TextSpace:
    """No vectors yet; `width` is the encoder's number of dimensions."""
    return TextSpace(
        np.zeros((0, width), np.float16),
        np.zeros(width, np.float32),
        np.zeros((width, TEXT_WIDTH), np.float32),
        np.zeros((0, TEXT_WIDTH), np.float32),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        empty_ragged(1),
        np.zeros(2, np.int64),
    )


class Space(NamedTuple):
    """One encoder's text space: its vectors and, a row an item, their reduced form.

    Args:
        text: the vectors and the cells.
        reduced: int8 (n, TEXT_WIDTH), length TEXT_UNIT; zero where there is none.
        known: uint8 (n,), whether the item has a vector.
    """

    text: TextSpace
    reduced: I8
    known: U8


def new_space() -> Space:
    """A space of no encoder, without rows: it costs nothing."""
    return Space(new_text_space(), np.zeros((0, TEXT_WIDTH), np.int8), np.zeros(0, np.uint8))


Column = tuple[str, type[Any], tuple[int, ...], float]

ITEM_COLUMNS: Final[tuple[Column, ...]] = (
    ("taken", np.float32, (), 0),
    ("popularity", np.float32, (DECAYS,), 0),
    ("stage", np.float32, (STAGES,), 0),
    ("first_seen", np.float64, (), -1),
    ("first_taken", np.float64, (), -1),
    ("last_seen", np.float64, (), -1),
    ("published", np.float64, (), -1),
    ("expires", np.float64, (), np.inf),
    ("blocked", np.uint8, (), 0),
    ("reward", np.float32, (2,), 0),
    ("earned", np.float32, (2,), 0),
    ("dwell", np.float32, (2,), 0),
    ("shown", np.float32, (), 0),
    ("lead", np.float32, (), 0),
    ("inward", np.float32, (VECTOR_WIDTH,), 0),
    ("outward", np.float32, (VECTOR_WIDTH,), 0),
    ("bias", np.float32, (), 0),
    ("squares", np.float32, (2,), 0),
    ("rehearsed", np.float32, (), 0),
    ("momentum", np.float32, (), 0),
    ("text", np.int8, (TEXT_WIDTH,), 0),
    ("text_known", np.uint8, (), 0),
    ("categories", np.int32, (CATEGORY_SLOTS,), -1),
    ("terms", np.int32, (TERM_SLOTS,), 0),
    ("head", np.int32, (), -1),
)
USER_COLUMNS: Final[tuple[Column, ...]] = (
    ("events", np.int64, (), 0),
    ("rating", np.float32, (2,), 0),
    ("dwell", np.float32, (2,), 0),
    ("seed", np.uint64, (), 0),
)

APART: Final = ("inward", "outward", "text", "text_known")  # long rows, and those that may change place
LINE: Final = 64  # bytes of a cache line

Table = TypeVar("Table", Items, Users)


def _beside(columns: tuple[Column, ...]) -> np.dtype[Any]:
    """All of a row's short columns side by side; a row of more than one cache line fills whole ones."""
    fields = [(name, dtype, shape) for name, dtype, shape, _ in columns if name not in APART]
    size = np.dtype(fields, align=True).itemsize
    spare = -size % LINE if size > LINE else 0
    return np.dtype([*fields, ("spare", np.uint8, (spare,))], align=True)


def _filled(columns: tuple[Column, ...], rows: int) -> list[NDArray[Any]]:
    """Columns of defaults, the short ones views of one block.

    A request reads a dozen numbers of each candidate, from tables that no cache holds: side by side they are three
    cache lines, each in a column of its own a dozen. Zeros that nobody has touched cost no memory yet.
    """
    layout = _beside(columns)
    memory = np.zeros(rows * layout.itemsize + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    block = memory[start : start + rows * layout.itemsize].view(layout)
    filled = []
    for name, dtype, shape, fill in columns:
        column = np.zeros((rows, *shape), dtype) if name in APART else block[name]
        if fill:
            column[...] = fill
        filled.append(column)
    return filled


def with_room(
    make: Callable[..., Table], columns: tuple[Column, ...], table: Table | None, rows: int
) -> Table:
    """A table with at least `rows` rows: the old ones kept, new ones filled with each column's default."""
    have = 0 if table is None else len(table[0])
    if table is not None and rows <= have:
        return table
    grown = _filled(columns, max(rows, 2 * have, 64))
    if table is not None:
        old: list[NDArray[Any]] = list(table)
        for column, kept in zip(grown, old, strict=True):
            column[:have] = kept
    return make(*grown)


def new_clock() -> Clock:
    """Time before the first event."""
    return Clock(
        np.zeros(1),
        np.zeros(1, np.int64),
        np.ones(DECAYS),
        np.ones(STAGES),
        np.zeros(STAGES),
        np.ones(1),
    )


def new_head() -> Head:
    """No popular items yet."""

    def square() -> F32:
        return np.zeros((HEAD_SLOTS, HEAD_SLOTS), np.float32)

    return Head(
        np.full(HEAD_SLOTS, -1, np.int32),
        square(),
        square(),
        square(),
        square(),
        square(),
        np.full(HEAD_SLOTS, -1, np.int32),
        np.zeros(4, np.int64),
    )


def new_trending() -> Trending:
    """Nothing popular, no categories, nothing fresh."""
    return Trending(
        np.full((DECAYS + 1, TRENDING_LENGTH), -1, np.int32),
        np.full((0, TRENDING_LENGTH), -1, np.int32),
        np.full(TRENDING_LENGTH, -1, np.int32),
        np.zeros(1, np.int64),
    )
