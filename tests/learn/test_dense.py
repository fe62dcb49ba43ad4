"""The dense regressions beside the stream: what is put in force, and for whom."""

from __future__ import annotations

import numpy as np

from instep.learn import start_vectors
from instep.learn.dense import EFFECT, FIRST_SOLVE, SOLVED, keep_solved
from instep.score import new_weights
from instep.state import State


def test_a_slot_that_passed_to_another_item_during_a_solve_gets_no_weights_of_the_old_one() -> None:
    state = State(new_weights(), start_vectors)
    head = state.head
    head.item[:4] = [7, 8, 9, 10]
    rng = np.random.default_rng(3)
    tied = rng.uniform(1.0, 2.0, (4, 4)).astype(np.float32) * 50.0
    head.together[:4, :4] = tied + tied.T + 900.0 * np.eye(4, dtype=np.float32)
    head.history[:4, :4] = head.together[:4, :4]
    head.following[:4, :4] = tied
    state.clock.events[0] = FIRST_SOLVE
    keep_solved(state)
    head.item[2] = 11  # another item outgrew the holder meanwhile
    state.clock.events[0] = head.schedule[EFFECT]
    keep_solved(state)
    assert head.schedule[SOLVED] == 1
    for weights in (head.symmetric, head.directed):
        assert not weights[2].any()
        assert not weights[:, 2].any()
        assert weights[0, 1] != 0.0
        assert weights[3, 1] != 0.0
