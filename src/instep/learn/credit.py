"""Compiled steps of attribution: find the slate of an act, share its reward, judge a slate when its window is over."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from instep.learn.examination import FIT_EVERY, fade, fit, watch
from instep.learn.histories import TYPE
from instep.state import PLACES, Examination, Items, Ragged, Slates
from instep.state.slates import NEXT, OLDEST, OPEN

CHAIN = 32
"""So many of a user's newest slates are looked through."""


@njit(cache=True)
def newest_acts(history: Ragged, user: int, item: int, kind: int, kinds: int) -> tuple[int, int]:
    """Cells of a user's newest acts on an item.

    Args:
        history: a row a user.
        user, item: rows.
        kind: number of a type.
        kinds: a bit for each type of another search.

    Returns:
        The newest one of type `kind`, and of a type in `kinds`; -1 where there is none.
    """
    same, among = -1, -1
    start, ids, values = history.start[user], history.ids, history.values
    for at in range(start + history.length[user] - 1, start - 1, -1):
        if ids[at] != item:
            continue
        its = np.int64(values[at, TYPE])
        if same < 0 and its == kind:
            same = at
        if among < 0 and its < 62 and (kinds >> its) & 1:
            among = at
        if same >= 0 and (among >= 0 or kinds == 0):
            break
    return same, among


@njit(cache=True)
def place_of(slates: Slates, number: int, item: int) -> int:
    """Place of an item in a slate, or -1."""
    row = number % len(slates.key)
    for k in range(PLACES):
        if slates.items[row, k] == item:
            return k
    return -1


@njit(cache=True)
def find_slate(slates: Slates, number: int, item: int, now: float, window: float) -> int:
    """The newest slate with an item that a user saw within a window, or -1.

    Args:
        slates: the ring.
        number: the user's newest slate.
        item: row of the item.
        now: when it was acted on, seconds.
        window: how long before that the slate may have been shown, seconds.
    """
    for _ in range(CHAIN):
        if number < slates.number[OLDEST]:
            break
        row = number % len(slates.key)
        age = now - slates.at[row]
        if 0.0 <= age <= window and place_of(slates, number, item) >= 0:
            return number
        number = slates.before[row]
    return -1


@njit(cache=True)
def find_credit(slates: Slates, number: int, item: int, bit: int) -> int:
    """The newest slate of a user that was credited with a type of act on an item, or -1."""
    for _ in range(CHAIN):
        if number < slates.number[OLDEST]:
            break
        place = place_of(slates, number, item)
        if place >= 0 and slates.acts[number % len(slates.key), place] & bit:
            return number
        number = slates.before[number % len(slates.key)]
    return -1


@njit(cache=True)
def turn_place(slates: Slates, examination: Examination, row: int, place: int, turned: int) -> None:
    """Tell the estimate that a judged place has turned from unrewarded to rewarded (1), or back (-1).

    Args:
        slates, examination: the tables.
        row: of the slate.
        place: in it.
        turned: 1 or -1.
    """
    weight = slates.weight[row, place]
    item, surface = slates.items[row, place], slates.surface[row]
    slot = item % examination.item.shape[1]
    if weight > 0.0 and examination.item[surface, slot] == item:
        acted = examination.acted[surface, slot, place] + np.float32(turned) * weight
        examination.acted[surface, slot, place] = max(acted, np.float32(0.0))


@njit(cache=True)
def share_reward(
    slates: Slates, number: int, reward: float, discount: float, session: float
) -> NDArray[np.float64]:
    """Add a reward to a slate's return, and discounted to those of the slates before it in the same session.

    Returns:
        float64 (m,), what the slates before it got, newest first.
    """
    shares = np.zeros(CHAIN)
    shares[0] = reward
    row = number % len(slates.key)
    slates.worth[row] += reward
    m = 1
    while m < CHAIN:
        earlier = slates.before[row]
        if earlier < slates.number[OLDEST]:
            break
        earlier_row = earlier % len(slates.key)
        if slates.at[row] - slates.at[earlier_row] > session:
            break
        row = earlier_row
        shares[m] = shares[m - 1] * discount
        slates.worth[row] += shares[m]
        m += 1
    return shares[1:m]


@njit(cache=True)
def judge_due(slates: Slates, items: Items, examination: Examination, window: float, at_least: int) -> None:
    """Judge the slates whose window is over, in the order they were shown.

    Each place counts as looked at as often as the estimate says, with what it earned. Slates drawn at random feed
    the estimate.

    Args:
        slates, items, examination: the tables.
        window: seconds after which a slate is judged, by the latest time that a record told.
        at_least: slates up to this number are judged though their window is not over, since the ring is full.
    """
    number, now = slates.number, slates.now[0]
    while number[OPEN] < number[NEXT]:
        row = number[OPEN] % len(slates.key)
        if slates.at[row] + window > now and number[OPEN] > at_least:
            break
        if slates.user[row] != 0:
            _judge(slates, items, examination, row)
        number[OPEN] += 1


@njit(cache=True)
def _judge(slates: Slates, items: Items, examination: Examination, row: int) -> None:
    surface = slates.surface[row]
    slope, trust = examination.slope[surface], examination.trust[surface]
    total, count = examination.positive[surface]
    usual = np.float32(total / count) if count > 0.0 else np.float32(0.0)
    drawn = False
    for k in range(PLACES):
        item = slates.items[row, k]
        if item < 0:
            continue
        reward, weight = slates.reward[row, k], slates.weight[row, k]
        items.earned[item, 0] += reward - trust[k] * usual
        items.earned[item, 1] += slope[k]
        if weight > 0.0:
            drawn = True
            slot = watch(examination, surface, item)
            if slot >= 0:
                examination.shown[surface, slot, k] += weight
                if reward > 0.0:
                    examination.acted[surface, slot, k] += weight
    if drawn:
        judged = examination.judged[surface]
        judged[0] += 1
        if judged[0] - judged[1] >= FIT_EVERY:
            judged[1] = judged[0]
            fade(examination, surface)
            fit(examination, surface)
