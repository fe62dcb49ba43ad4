"""What a history keeps of an act: its time to the bit, its amount to seven digits."""

from __future__ import annotations

import pytest

from instep.domain import Feedback
from instep.flow import Flow, Settings
from instep.log import MemoryLog


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        (19.99, 19.99),
        (0.1, 0.1),
        (1234567.0, 1234567.0),
        (1e300, 3.4028235e38),
        (-1e300, -3.4028235e38),
    ],
)
def test_an_act_is_told_as_it_was(value: float | None, kept: float | None) -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe([Feedback("e1", "ann", "i1", 1_700_000_000.123456, "purchase", value)])
    act = flow.history("ann")[0]
    assert (act.item_id, act.type, act.value) == ("i1", "purchase", kept)
    assert act.timestamp == 1_700_000_000.123456
    assert act.reward == flow.model.reward_of(Feedback("e2", "ann", "i1", 0.0, "purchase", value))
