"""The dense regressions over popular items, solved beside the stream and put in force at a fixed event.

Two closed forms over the same slots: `symmetric` relates items that the same users took; `directed` predicts the
next item from the decayed history. Both explain away: an item that another one already accounts for gets no weight.
The sums grow with every event; solving takes a thread of its own and its result takes effect a fixed number of
events later, so that a replay reaches the same bits however fast the machine is.

Source: Steck 2019 (EASE), eq. 8; Choi et al. 2021 (SLIST), eq. 13, with item weights by history decay.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from instep.state import State
from instep.state.tables import F32

SYMMETRIC_RIDGE: Final = 400.0
DIRECTED_RIDGE: Final = 300.0
FIRST_SOLVE: Final = 200
GROWTH: Final = 0.16
MOST_EVENTS_BETWEEN: Final = 5000
LAST, EFFECT, SOLVED = 0, 1, 2

_solver = ThreadPoolExecutor(1, thread_name_prefix="instep-solve")


def solve(together: F32, history: F32, following: F32) -> tuple[F32, F32]:
    """Solve both regressions.

    Args:
        together: float32 (k, k), users who took both; the diagonal counts users.
        history: float32 (k, k), products of decayed history weights.
        following: float32 (k, k), decayed history weight (row) when an item (column) was taken.

    Returns:
        symmetric and directed weights, float32 (k, k) each; row: item of the history, column: item scored.

    >>> symmetric, _ = solve(*(np.eye(2, dtype=np.float32) * 9,) * 3)
    >>> symmetric.diagonal().tolist()
    [0.0, 0.0]
    """
    k = len(together)
    eye = np.eye(k, dtype=np.float32)
    inverse = np.linalg.inv(together + np.float32(SYMMETRIC_RIDGE) * eye)
    symmetric: F32 = (-inverse / np.diag(inverse)[None, :]).astype(np.float32)
    np.fill_diagonal(symmetric, 0.0)
    directed: F32 = np.linalg.solve(history + np.float32(DIRECTED_RIDGE) * eye, following).astype(np.float32)
    np.fill_diagonal(directed, 0.0)
    return symmetric, directed


def keep_solved(state: State) -> None:
    """Put a due solution in force, and start the next one when enough was learned since the last."""
    events = int(state.clock.events[0])
    schedule = state.head.schedule
    if schedule[EFFECT] and events >= schedule[EFFECT]:
        assert state.solved is not None
        state.head.symmetric[:], state.head.directed[:] = state.solved()
        # A slot that has passed to another item since it was asked for starts anew.
        passed_on = state.head.solving != state.head.item
        for weights in (state.head.symmetric, state.head.directed):
            weights[passed_on] = 0.0
            weights[:, passed_on] = 0.0
        state.solved = None
        schedule[EFFECT] = 0
        schedule[SOLVED] += 1
    between = min(MOST_EVENTS_BETWEEN, max(FIRST_SOLVE, int(GROWTH * events)))
    if schedule[EFFECT] or events - schedule[LAST] < between:
        return
    head = state.head
    head.solving[:] = head.item
    used = np.flatnonzero(head.item >= 0)
    square = np.ix_(used, used)
    future = _solver.submit(solve, head.together[square], head.history[square], head.following[square])

    def spread() -> tuple[F32, F32]:
        small = future.result()
        whole = np.zeros_like(head.symmetric), np.zeros_like(head.directed)
        for full, part in zip(whole, small, strict=True):
            full[square] = part
        return whole

    state.solved = spread
    schedule[LAST] = events
    schedule[EFFECT] = events + between // 2
