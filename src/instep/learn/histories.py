"""A user's history: the cells that requests read instead of a user's parameters."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.state import Held, Ragged, Tables, append_cell
from instep.state.tables import F32, F64, I32

REWARD, TYPE, VALUE = 0, 1, 2
"""Columns of an act's values: seven digits are enough for them, and a type's number is small."""
TIME = 0
"""Column of its times."""
LIMIT = 4096
MOMENT: Final = 15.0
"""Seconds: acts this close to each other are of one moment."""
LARGEST: Final = float(np.finfo(np.float32).max)


@njit(cache=True)
def remember(
    held: Held[Tables], user: int, item: int, time: float, reward: float, kind: int, value: float
) -> None:
    """Append one act. Args: reward: of the act; kind: number of its type; value: its amount or NaN."""
    history = held.parts.history
    at = append_cell(history, user, item, LIMIT)
    history.times[at, TIME] = time
    history.values[at, REWARD] = _bounded(reward)
    history.values[at, TYPE] = kind
    history.values[at, VALUE] = _bounded(value)


@njit(cache=True, inline="always")
def _bounded(number: float) -> float:
    """What float32 can hold; NaN stays."""
    return LARGEST if number > LARGEST else -LARGEST if number < -LARGEST else number


@njit(cache=True, inline="always")
def _is_among(items: I32, count: int, item: int) -> bool:
    found = False
    for k in range(count):
        found |= items[k] == item
    return found


@njit(cache=True)
def recent_items(
    history: Ragged, user: int, limit: int, without: int, liked: bool, before: float = np.inf
) -> I32:
    """Distinct items of a history, newest first.

    Args:
        history: a row a user.
        user: the row; -1 for an unknown user.
        limit: at most so many.
        without: an item to leave out, or -1.
        liked: True for items whose newest act was no refusal (reward >= 0), False for the others.
        before: only acts earlier than this, seconds.

    Returns:
        int32 (m,), m <= limit.
    """
    found = np.empty(limit, np.int32)
    others = np.empty(4 * limit, np.int32)  # whose newest act was of the other sort: older acts do not count
    m, o = 0, 0
    if user < 0:
        return found[:0]
    start, length = history.start[user], history.length[user]
    oldest = max(start, start + length - 4 * limit)
    for at in range(start + length - 1, oldest - 1, -1):
        if m == limit:
            break
        item = history.ids[at]
        if history.times[at, TIME] >= before:
            continue
        if item == without or _is_among(found, m, item) or _is_among(others, o, item):
            continue
        if (history.values[at, REWARD] >= 0.0) == liked:
            found[m] = item
            m += 1
        else:
            others[o] = item
            o += 1
    return found[:m]


@njit(cache=True)
def ages(history: Ragged, user: int, recent: I32, now: float, before: float = np.inf) -> F64:
    """How long ago the items of a history were acted upon.

    Args:
        history: a row a user.
        user: the row.
        recent: int32 (m,), as `recent_items` found them, newest first.
        now: seconds.
        before: as for `recent_items`, seconds.

    Returns:
        float64 (m,), seconds, none below 0.
    """
    ago = np.zeros(len(recent))
    g, at = 0, history.start[user] + history.length[user] - 1
    while g < len(recent):
        time = history.times[at, TIME]
        if history.ids[at] == recent[g] and time < before:
            ago[g] = max(now - time, 0.0)
            g += 1
        at -= 1
    return ago


@njit(cache=True)
def closeness(ages: F64) -> F32:
    """How close in time to now the items of a history are, as a share of how close the newest is.

    A share has no scale of its own: items of one moment count alike, whatever their number, and what lies further back
    counts less whether the user returns after a minute or a month.

    Args:
        ages: float64 (m,), seconds since each act, newest first.

    Returns:
        float32 (m,), in (0, 1]; the first is 1.

    >>> closeness(np.array([0.0, 15.0])).tolist()
    [1.0, 0.5]
    """
    close = np.ones(len(ages), np.float32)
    for g in range(len(ages)):
        close[g] = min((ages[0] + MOMENT) / (ages[g] + MOMENT), 1.0)
    return close
