"""What slates showed and was left, user by user."""

from __future__ import annotations

import numpy as np

from instep.domain import Feedback, Impression
from instep.learn.passed import LATELY, LATELY_DECAY, LIMIT
from instep.state import State
from instep.testing import small_flow

NOW = 1_700_000_000.0


def passed_over(state: State, user_id: str) -> dict[str, float]:
    row = state.user_number[user_id]
    start, length = int(state.passed.start[row]), int(state.passed.length[row])
    cells = zip(
        state.passed.ids[start : start + length], state.passed.values[start : start + length], strict=True
    )
    return {state.names.items[int(item)]: float(values[LATELY]) for item, values in cells}


def test_what_a_slate_shows_is_passed_over_until_it_is_taken() -> None:
    flow = small_flow()
    state = flow.model.state
    before = passed_over(state, "u3")
    flow.observe([Impression("s1", "u3", NOW + 90, ("i0", "i5"), (1.0, 1.0))])
    after = passed_over(state, "u3")
    for item in ("i0", "i5"):
        assert abs(after[item] - (before.get(item, 0.0) * LATELY_DECAY + 0.5)) < 1e-6
    for item in set(before) - {"i0", "i5"}:
        assert abs(after[item] - before[item] * LATELY_DECAY) < 1e-6
    flow.observe([Feedback("e1", "u3", "i5", NOW + 95, "click", slate_id="s1")])
    taken = passed_over(state, "u3")
    assert "i5" not in taken
    assert taken["i0"] == after["i0"]


def test_a_slate_makes_no_row_for_a_stranger_and_a_row_never_outgrows_its_bound() -> None:
    flow = small_flow()
    state = flow.model.state
    flow.observe([Impression("s0", "session:stranger", NOW + 90, ("i0",), (1.0,))])
    assert "session:stranger" not in state.user_number
    for k in range(60):
        shown = tuple(f"i{(k + j) % 20}" for j in range(10))
        flow.observe([Impression(f"s{k + 1}", "u3", NOW + 91 + k, shown, (1.0,) * 10)])
    assert len(passed_over(state, "u3")) <= LIMIT
    assert np.isfinite(list(passed_over(state, "u3").values())).all()
