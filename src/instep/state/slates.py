"""Which slates may still earn something, and how far down users look: the tables that attribution needs.

`Slates` is a ring of the newest slates of all users. A slate has a number that never changes; its row is the number
modulo the ring's size, which is a power of two and grows by doubling up to a bound that the configuration sets.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

PLACES: Final = 20
"""Places of a slate that are joined with feedback; what is below is learned as plain feedback."""
SAMPLED: Final = 1024
"""Items from which the examination of a surface is estimated."""
SURFACES: Final = 16
"""Surfaces with an estimate of their own; all others share the last one."""
OLDEST, NEXT, OPEN = range(3)


class Slates(NamedTuple):
    """One row a slate.

    Args:
        key: int64 (room,), hash of the slate id; 0 once it is forgotten.
        user: int64 (room,), hash of the id of who saw it; 0 once it is forgotten.
        at: float64 (room,), when, seconds.
        before: int64 (room,), number of the slate that the user saw before it, or -1.
        surface: int32 (room,), number of the surface.
        worth: float64 (room,), discounted return: what it and the later slates of the same session earned.
        items: int32 (room, PLACES), item rows, -1 where there is none.
        reward: float32 (room, PLACES), what each place was credited with.
        acts: int64 (room, PLACES), a bit for each type of feedback that it was credited with.
        weight: float32 (room, PLACES), one over the propensity (limited); 0 where the slate was not drawn at random.
        number: int64 (3,), of the oldest slate kept, of the next one to come, of the first whose window is open.
        now: float64 (1,), latest time that a record told, seconds.
    """

    key: I64
    user: I64
    at: F64
    before: I64
    surface: I32
    worth: F64
    items: I32
    reward: F32
    acts: I64
    weight: F32
    number: I64
    now: F64


class Examination(NamedTuple):
    """How far down users look, one row a surface.

    Args:
        item: int32 (surfaces, SAMPLED), the items that are watched, -1 where there is none.
        votes: int32 (surfaces, SAMPLED), how firmly an item holds its slot.
        shown: float32 (surfaces, SAMPLED, PLACES), weighted number of times a place showed the item.
        acted: float32 (surfaces, SAMPLED, PLACES), of these, followed by a positive act.
        slope: float32 (surfaces, PLACES), share of an item's worth that gets through at a place, the first being 1.
        trust: float32 (surfaces, PLACES), acts an impression that the place alone earns, whatever the item.
        positive: float64 (surfaces, 2), sum and number of rewards above zero.
        judged: int64 (surfaces, 2), slates drawn at random whose window is over; their number at the last fit.
    """

    item: I32
    votes: I32
    shown: F32
    acted: F32
    slope: F32
    trust: F32
    positive: F64
    judged: I64


_ROWS: Final = tuple(name for name in Slates._fields if name not in ("number", "now"))


def new_slates(room: int = 64) -> Slates:
    """No slates yet.

    Args:
        room: rows, a power of two.

    >>> new_slates().items.shape
    (64, 20)
    """
    return Slates(
        np.zeros(room, np.int64),
        np.zeros(room, np.int64),
        np.zeros(room),
        np.full(room, -1, np.int64),
        np.zeros(room, np.int32),
        np.zeros(room),
        np.full((room, PLACES), -1, np.int32),
        np.zeros((room, PLACES), np.float32),
        np.zeros((room, PLACES), np.int64),
        np.zeros((room, PLACES), np.float32),
        np.zeros(3, np.int64),
        np.zeros(1),
    )


def key_of(name: str) -> int:
    """An id's hash, 63 bits, never 0.

    >>> key_of("s1") == key_of("s1") != key_of("s2")
    True
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1 | 1


def kept_slates(slates: Slates) -> Slates:
    """The rows in use, oldest first: the same for the same content, whatever the room."""
    rows = np.arange(slates.number[OLDEST], slates.number[NEXT]) % len(slates.key)
    return slates._replace(**{name: getattr(slates, name)[rows] for name in _ROWS})


def ring_of(kept: Slates) -> Slates:
    """The ring that `kept_slates` told, with room for what it holds."""
    return _placed(kept, max(64, 1 << max(len(kept.key) - 1, 0).bit_length()))


def slate_numbers(slates: Slates) -> tuple[dict[int, int], dict[int, int]]:
    """Where slates are found: the number by the slate's key, and of the newest one by the user's key."""
    kept, first = kept_slates(slates), int(slates.number[OLDEST])
    by_key = {key: first + row for row, key in enumerate(kept.key.tolist()) if key}
    by_user = {user: first + row for row, user in enumerate(kept.user.tolist()) if user}
    return by_key, by_user


def grown(slates: Slates) -> Slates:
    """The same slates in a ring with twice the room."""
    return _placed(kept_slates(slates), 2 * len(slates.key))


def _placed(kept: Slates, room: int) -> Slates:
    ring = new_slates(room)
    rows = np.arange(kept.number[NEXT] - len(kept.key), kept.number[NEXT]) % room
    for name in _ROWS:
        getattr(ring, name)[rows] = getattr(kept, name)
    return ring._replace(number=kept.number.copy(), now=kept.now.copy())


def new_examination(surfaces: int = 0) -> Examination:
    """Nothing observed: until something is, one user in k looks at the k-th place, as policies take it."""
    usual = (1.0 / np.arange(1, PLACES + 1)).astype(np.float32)
    return Examination(
        np.full((surfaces, SAMPLED), -1, np.int32),
        np.zeros((surfaces, SAMPLED), np.int32),
        np.zeros((surfaces, SAMPLED, PLACES), np.float32),
        np.zeros((surfaces, SAMPLED, PLACES), np.float32),
        np.tile(usual, (surfaces, 1)),
        np.zeros((surfaces, PLACES), np.float32),
        np.zeros((surfaces, 2)),
        np.zeros((surfaces, 2), np.int64),
    )


def with_surface(examination: Examination) -> Examination:
    """The same with one more surface."""
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(examination, new_examination(1), strict=True))
    return Examination(*(np.concatenate(pair) for pair in pairs))
