"""Histories: what is kept of an act, which items are newest, and how close in time they are."""

from __future__ import annotations

import numpy as np
import pytest

from instep.domain import Feedback
from instep.flow import Flow, Settings
from instep.learn.histories import MOMENT, ages, closeness, recent_items
from instep.log import MemoryLog
from instep.state import State

START = 1_700_000_000.0


def history_of(*acts: tuple[str, float]) -> State:
    """The state after one user's clicks: item, and seconds after the first."""
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe([Feedback(f"e{k}", "ann", item, START + s, "click") for k, (item, s) in enumerate(acts)])
    return flow.model.state


def close(state: State, ago: float, before: float = np.inf) -> dict[str, float]:
    """How close each item is, that long after the first act."""
    recent = recent_items(state.history, 0, 40, -1, True, before)
    shares = closeness(ages(state.history, 0, recent, START + ago, before))
    return dict(zip((state.names.items[item] for item in recent), shares.tolist(), strict=True))


def test_items_of_one_moment_are_equally_close_and_the_newest_is_the_measure() -> None:
    found = close(history_of(("old", 0.0), ("tea", 600.0), ("pot", 600.0)), 600.0 + MOMENT)
    assert found["tea"] == found["pot"] == 1.0
    assert found["old"] == np.float32(2 * MOMENT / (600.0 + 2 * MOMENT))


def test_closeness_has_no_scale_of_its_own() -> None:
    """After a long pause what differs by a minute is of one moment."""
    state = history_of(("tea", 0.0), ("pot", 60.0))
    assert close(state, 60.0)["tea"] < 0.25
    assert close(state, 86_400.0)["tea"] > 0.99


def test_the_newest_act_on_an_item_counts_and_acts_of_later_do_not() -> None:
    state = history_of(("tea", 0.0), ("pot", 100.0), ("tea", 200.0), ("cup", 300.0))
    assert list(close(state, 300.0)) == ["cup", "tea", "pot"]
    assert close(state, 300.0)["tea"] == np.float32(MOMENT / (100.0 + MOMENT))
    assert list(close(state, 300.0, before=START + 300.0)) == ["tea", "pot"]
    assert close(state, 300.0, before=START + 300.0)["tea"] == 1.0


def test_an_event_from_the_future_is_as_close_as_can_be() -> None:
    assert close(history_of(("tea", 0.0), ("pot", 50.0)), 10.0) == {"pot": 1.0, "tea": np.float32(0.6)}


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
    flow.observe([Feedback("e1", "ann", "i1", START + 0.123456, "purchase", value)])
    act = flow.history("ann")[0]
    assert (act.item_id, act.type, act.value) == ("i1", "purchase", kept)
    assert act.timestamp == START + 0.123456
    assert act.reward == flow.model.reward_of(Feedback("e2", "ann", "i1", 0.0, "purchase", value))
