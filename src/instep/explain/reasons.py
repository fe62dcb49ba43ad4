"""Exact addends of a linear score, and the item of the history that each owes most to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import Reason
from instep.learn.positive import BACKWARD, FORWARD, PAIR_DECAY, TOGETHER
from instep.retrieve.gather import AROUND_DECAY, BACK, DENSE_DECAY, NEXT_DECAY, SHARED_DECAY
from instep.score import SIGNALS
from instep.score.signals import TEXT_PROFILE_DECAY, TEXT_RECENT_DECAY
from instep.state import State

STRONGEST: Final = 4
HISTORY: Final = 20


def reasons(
    state: State,
    item: int,
    addends: NDArray[np.float32],
    recent: NDArray[np.int32],
) -> tuple[Reason, ...]:
    """The strongest addends of one item's score.

    Args:
        state: read only.
        item: the item's number.
        addends: float32 (WIDTH,), weight times (signal minus the mean signal of the candidates): they sum to how
            far the item's score is above the average candidate's.
        recent: int32 (m,), the liked history, newest first.

    Returns:
        At most STRONGEST reasons, largest first, each with a positive contribution. If none rests on the
        history, the last gives way to the strongest that does: several popularities must not hide it.
    """
    order = [f for f in np.argsort(-addends, kind="stable") if addends[f] > 0]
    found = [_reason(state, f, item, addends, recent) for f in order[:STRONGEST]]
    if all(reason.because is None for reason in found):
        rest = (_reason(state, f, item, addends, recent) for f in order[STRONGEST:])
        found[STRONGEST - 1 :] = next(([reason] for reason in rest if reason.because), found[STRONGEST - 1 :])
    return tuple(found)


def _reason(
    state: State, signal: int, item: int, addends: NDArray[np.float32], recent: NDArray[np.int32]
) -> Reason:
    name = SIGNALS[signal]
    return Reason(name, round(float(addends[signal]), 4), _because(state, name, item, recent[:HISTORY]))


def _because(state: State, signal: str, item: int, recent: NDArray[np.int32]) -> str | None:
    """The item of the history to which a signal from history owes most, if any."""
    shares = _SHARES.get(signal)
    if shares is None or len(recent) == 0:
        return None
    share = shares(state, item, recent)
    best = int(np.argmax(share))
    return state.names.items[recent[best]] if share[best] > 0 else None


Shares = Callable[[State, int, NDArray[np.int32]], NDArray[np.float32]]


def _from_pairs(columns: tuple[tuple[int, float], ...], decay: float) -> Shares:
    def shares(state: State, item: int, recent: NDArray[np.int32]) -> NDArray[np.float32]:
        table = state.neighbours
        out = np.zeros(len(recent), np.float32)
        for g, other in enumerate(recent):
            start, length = int(table.start[other]), int(table.length[other])
            for at in start + np.flatnonzero(table.ids[start : start + length] == item):
                strength = sum(times * float(table.values[at, column]) for column, times in columns)
                out[g] = decay**g * strength / np.sqrt(float(state.items.lead[other]) + 5.0)
        return out

    return shares


def _from_dense(field: str) -> Shares:
    def shares(state: State, item: int, recent: NDArray[np.int32]) -> NDArray[np.float32]:
        slot, slots = int(state.items.head[item]), state.items.head[recent]
        if slot < 0:
            return np.zeros(len(recent), np.float32)
        weights = getattr(state.head, field)[slots, slot] * (slots >= 0)
        out: NDArray[np.float32] = weights * DENSE_DECAY ** np.arange(len(recent), dtype=np.float32)
        return out

    return shares


def _from_rows(left: str, right: str, decay: float) -> Shares:
    def shares(state: State, item: int, recent: NDArray[np.int32]) -> NDArray[np.float32]:
        dots = getattr(state.items, left)[recent] @ getattr(state.items, right)[item]
        out: NDArray[np.float32] = dots * np.float32(decay) ** np.arange(len(recent), dtype=np.float32)
        return out

    return shares


def _same_category(state: State, item: int, recent: NDArray[np.int32]) -> NDArray[np.float32]:
    mine = state.items.categories[item]
    theirs = state.items.categories[recent]
    shared: NDArray[np.float32] = (
        ((theirs[:, :, None] == mine) & (theirs[:, :, None] >= 0)).any((1, 2)).astype(np.float32)
    )
    return shared


_SHARES: Final[dict[str, Shares]] = {
    "next": _from_pairs(((FORWARD, 1.0),), float(NEXT_DECAY)),
    "around": _from_pairs(((FORWARD, 1.0), (BACKWARD, float(BACK))), float(AROUND_DECAY)),
    "together": _from_pairs(((TOGETHER, 1.0),), float(SHARED_DECAY)),
    "pattern": _from_dense("symmetric"),
    "sequence": _from_dense("directed"),
    "vectors": _from_rows("inward", "outward", PAIR_DECAY),
    "text_recent": _from_rows("text", "text", float(TEXT_RECENT_DECAY)),
    "text_profile": _from_rows("text", "text", float(TEXT_PROFILE_DECAY)),
    "category": _same_category,
}
