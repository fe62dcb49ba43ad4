"""The fast learner under the contract, and what only it promises."""

from __future__ import annotations

from typing import Any

import numpy as np

from instep.domain import Feedback
from instep.flow import Flow, Settings
from instep.learn import FastLearner, passed
from instep.learn.histories import LIMIT
from instep.learn.positive import NEIGHBOURS, PAIR_HISTORY, TAKERS
from instep.log import MemoryLog
from instep.state.state import ROOM_PER_EVENT, ROOM_PER_ROW
from instep.testing import LearnerContract


class TestFastLearner(LearnerContract):
    def make(self) -> FastLearner:
        return Flow(MemoryLog(), Settings()).model.learner

    def digest(self, learner: Any) -> str:
        return str(learner.state.digest())

    def size(self, learner: Any) -> int:
        return sum(array.nbytes for array in learner.state.arrays().values())


def test_one_event_never_needs_more_room_than_is_reserved() -> None:
    assert (PAIR_HISTORY + 2) * NEIGHBOURS <= ROOM_PER_EVENT
    assert LIMIT <= ROOM_PER_EVENT
    assert max(TAKERS, 5 * passed.LIMIT) <= ROOM_PER_ROW  # see `room_for`


def test_no_row_outgrows_its_bound_and_waste_is_swept() -> None:
    model = Flow(MemoryLog(), Settings()).model
    rng = np.random.default_rng(2)
    for n in range(LIMIT + 900):
        act = Feedback(
            f"e{n}", "busy" if n % 20 else f"u{n % 7}", f"i{int(900 * rng.random() ** 3)}", 1e9 + n, "click"
        )
        model.learner.learn_one(act)
    state = model.state
    assert state.history.length.max() <= LIMIT
    assert state.history.capacity.max() <= LIMIT
    assert state.neighbours.length.max() == NEIGHBOURS
    assert state.neighbours.capacity.max() <= NEIGHBOURS
    for table in (state.history, state.neighbours):
        assert int(table.tail[0]) <= len(table.ids)
        assert len(table.ids) <= 4 * int(table.capacity.sum()) + 64 * 1024
    row = state.user_number["busy"]
    newest = int(state.history.start[row] + state.history.length[row]) - 1
    assert state.history.times[newest, 0] == 1e9 + n
