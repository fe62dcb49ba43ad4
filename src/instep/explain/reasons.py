"""Exact addends of a linear score, and the item of the history that each owes most to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import Reason
from instep.learn.histories import closeness
from instep.learn.positive import BACKWARD, FORWARD, TOGETHER
from instep.learn.vectors import shares_of
from instep.retrieve.alike import NEWEST_DECAY
from instep.retrieve.gather import AROUND_DECAY, BACK, DENSE_DECAY, NEXT_DECAY, SHARED_DECAY
from instep.retrieve.terms import rarities
from instep.score import SIGNALS
from instep.score.signals import CATEGORY_DECAY, TEXT_PROFILE_DECAY
from instep.state import State

STRONGEST: Final = 4
HISTORY: Final = 20


class Past(NamedTuple):
    """The newest of a liked history.

    Args:
        recent: int32 (m,), items, newest first.
        ages: float64 (m,), seconds since the act on each.
    """

    recent: NDArray[np.int32]
    ages: NDArray[np.float64]


def reasons(
    state: State,
    item: int,
    addends: NDArray[np.float32],
    recent: NDArray[np.int32],
    ages: NDArray[np.float64],
) -> tuple[Reason, ...]:
    """The strongest addends of one item's score.

    Args:
        state: read only.
        item: the item's number.
        addends: float32 (WIDTH,), weight times (signal minus the mean signal of the candidates): they sum to how
            far the item's score is above the average candidate's.
        recent: int32 (m,), the liked history, newest first.
        ages: float64 (c,), seconds since the acts on the newest of it.

    Returns:
        At most STRONGEST reasons, largest first, each with a positive contribution. If none rests on the
        history, the last gives way to the strongest that does: several popularities must not hide it.
    """
    past = Past(recent[:HISTORY], ages[:HISTORY])
    order = [f for f in np.argsort(-addends, kind="stable") if addends[f] > 0]
    found = [_reason(state, f, item, addends, past) for f in order[:STRONGEST]]
    if all(reason.because is None for reason in found):
        rest = (_reason(state, f, item, addends, past) for f in order[STRONGEST:])
        found[STRONGEST - 1 :] = next(([reason] for reason in rest if reason.because), found[STRONGEST - 1 :])
    return tuple(found)


def _reason(state: State, signal: int, item: int, addends: NDArray[np.float32], past: Past) -> Reason:
    name = SIGNALS[signal]
    return Reason(name, round(float(addends[signal]), 4), _because(state, name, item, past))


def _because(state: State, signal: str, item: int, past: Past) -> str | None:
    """The item of the history to which a signal from history owes most, if any."""
    shares = _SHARES.get(signal)
    if shares is None or len(past.recent) == 0:
        return None
    share = shares(state, item, past)
    best = int(np.argmax(share))
    return state.names.items[past.recent[best]] if share[best] > 0 else None


Shares = Callable[[State, int, Past], NDArray[np.float32]]
Fading = Callable[[Past], NDArray[np.float32]]


def _by_place(decay: float) -> Fading:
    """What each place of the history counts when the one behind the newest counts `decay` times as much."""
    return lambda past: np.float32(decay) ** np.arange(len(past.recent), dtype=np.float32)


def _by_time(past: Past) -> NDArray[np.float32]:
    return closeness(past.ages)


def _single(place: int) -> Fading:
    """One place of the history and no other."""
    return lambda past: (np.arange(len(past.recent)) == place).astype(np.float32)


def _from_pairs(columns: tuple[tuple[int, float], ...], fading: Fading) -> Shares:
    def shares(state: State, item: int, past: Past) -> NDArray[np.float32]:
        table, fade = state.neighbours, fading(past)
        out = np.zeros(len(past.recent), np.float32)
        for g, other in enumerate(past.recent):
            start, length = int(table.start[other]), int(table.length[other])
            for at in start + np.flatnonzero(table.ids[start : start + length] == item):
                strength = sum(times * float(table.values[at, column]) for column, times in columns)
                out[g] = fade[g] * strength / np.sqrt(float(state.items.lead[other]) + 5.0)
        return out

    return shares


def _from_dense(field: str) -> Shares:
    fading = _by_place(float(DENSE_DECAY))

    def shares(state: State, item: int, past: Past) -> NDArray[np.float32]:
        slot, slots = int(state.items.head[item]), state.items.head[past.recent]
        if slot < 0:
            return np.zeros(len(past.recent), np.float32)
        weights = getattr(state.head, field)[slots, slot] * (slots >= 0)
        out: NDArray[np.float32] = weights * fading(past)
        return out

    return shares


def _from_rows(left: str, right: str, fading: Fading) -> Shares:
    def shares(state: State, item: int, past: Past) -> NDArray[np.float32]:
        # Texts are bytes, whose products would not fit into bytes.
        dots = getattr(state.items, left)[past.recent].astype(np.float32) @ getattr(state.items, right)[item]
        out: NDArray[np.float32] = dots * fading(past)
        return out

    return shares


def _from_vectors(state: State, item: int, past: Past) -> NDArray[np.float32]:
    return shares_of(state.attention, state.items, past.recent, past.ages, item)


def _same_category(fading: Fading) -> Shares:
    def shares(state: State, item: int, past: Past) -> NDArray[np.float32]:
        mine = state.items.categories[item]
        theirs = state.items.categories[past.recent]
        shared = ((theirs[:, :, None] == mine) & (theirs[:, :, None] >= 0)).any((1, 2))
        out: NDArray[np.float32] = shared * fading(past)
        return out

    return shares


def _same_terms(fading: Fading) -> Shares:
    def shares(state: State, item: int, past: Past) -> NDArray[np.float32]:
        mine, theirs = state.items.terms[item], state.items.terms[past.recent]
        shared = (theirs[:, :, None] == mine).any(1) @ rarities(state.terms, mine)
        out: NDArray[np.float32] = shared * fading(past)
        return out

    return shares


_AROUND: Final = ((FORWARD, 1.0), (BACKWARD, float(BACK)))
# The users most alike are many: for them stands the item of the history that most of an item's takers share.
_ALIKE: Final = _from_pairs(((TOGETHER, 1.0),), _by_place(float(NEWEST_DECAY)))
_SHARES: Final[dict[str, Shares]] = {
    "next": _from_pairs(((FORWARD, 1.0),), _by_place(float(NEXT_DECAY))),
    "around": _from_pairs(_AROUND, _by_place(float(AROUND_DECAY))),
    "around_now": _from_pairs(_AROUND, _by_time),
    "together": _from_pairs(((TOGETHER, 1.0),), _by_place(float(SHARED_DECAY))),
    "together_now": _from_pairs(((TOGETHER, 1.0),), _by_time),
    "after_newest": _from_pairs(((FORWARD, 1.0),), _single(0)),
    "after_second": _from_pairs(((FORWARD, 1.0),), _single(1)),
    "support": _from_pairs(((TOGETHER, 1.0),), _by_place(1.0)),
    "strongest": _from_pairs(((TOGETHER, 1.0),), _by_place(1.0)),
    "alike": _ALIKE,
    "alike_lately": _ALIKE,
    "pattern": _from_dense("symmetric"),
    "sequence": _from_dense("directed"),
    "vectors": _from_vectors,
    "text_recent": _from_rows("text", "text", _by_time),
    "text_profile": _from_rows("text", "text", _by_place(float(TEXT_PROFILE_DECAY))),
    "text_newest": _from_rows("text", "text", _single(0)),
    "text_nearest": _from_rows("text", "text", _by_place(1.0)),
    "terms_recent": _same_terms(_by_time),
    "terms_newest": _same_terms(_single(0)),
    "category": _same_category(_by_place(float(CATEGORY_DECAY))),
    "category_now": _same_category(_by_time),
}
