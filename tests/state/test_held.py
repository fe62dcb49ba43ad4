"""Tables behind a reference: compiled code sees the ones that the state has now."""

from __future__ import annotations

import numpy as np
from numba import njit

from instep.domain import Feedback
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.state import Held, State, Tables
from instep.testing.streams import END


@njit(cache=True)
def taken_of(held: Held[Tables], item: int) -> float:
    return float(held.parts.items.taken[item])


def state_of(flow: Flow) -> State:
    with flow.reading() as model:
        return model.state


def test_a_reference_is_kept_until_a_table_is_replaced() -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe([Feedback("e", "u", "i", END, "like")])
    state = state_of(flow)
    held = state.held()
    assert state.held() is held
    state.items.taken[0] = 7.0  # in place: the reference sees it
    assert taken_of(held, 0) == 7.0
    state.items = state.items._replace(taken=state.items.taken + np.float32(1.0))
    assert state.held() is not held
    assert (taken_of(held, 0), taken_of(state.held(), 0)) == (7.0, 8.0)


def test_what_is_learned_while_tables_grow_is_not_lost() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    state = state_of(flow)
    replaced = set()
    for n in range(300):  # three hundred users and items: every table that grows is replaced on the way
        before = state.held()
        flow.observe([Feedback(f"e{n}", f"u{n}", f"i{n}", END + n, "like")])
        replaced |= {n} if state.held() is not before else set()
    assert 4 < len(replaced) < 300
    taken = [taken_of(state.held(), row) for row in range(state.n_items)]
    assert min(taken) > 0.0
    assert taken == state.items.taken[: state.n_items].tolist()
    assert state.history.length[: state.n_users].tolist() == [1] * 300
