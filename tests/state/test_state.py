"""The state as arrays: `load(arrays())` is the identity, and the hash does not see array room."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instep.domain import Feedback, ItemPatch, ItemPut, ItemRemoval, Record
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.state.state import Arrays, State
from instep.state.tables import APART, ITEM_COLUMNS, LINE, USER_COLUMNS, Items, Users, with_room
from instep.testing.streams import END, long_stream, streams

few = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


def learned(records: list[Record]) -> Flow:
    flow = Flow(MemoryLog(), Settings())
    flow.observe(records)
    return flow


def copied(state: State) -> Arrays:
    return {name: array.copy() for name, array in state.arrays().items()}


@few
@given(records=streams(), more=streams(max_size=15))
def test_loading_what_was_told_is_the_identity_for_good(records: list[Record], more: list[Record]) -> None:
    flow, other = learned(records), learned([])
    other.model.state.load(copied(flow.model.state))
    assert other.state_hash() == flow.state_hash()
    first, second = flow.model.state.arrays(), other.model.state.arrays()
    assert list(first) == list(second)
    for name in first:
        assert (first[name].dtype, first[name].tobytes()) == (second[name].dtype, second[name].tobytes())
    for record in more:
        flow.model.learner.learn_one(record)
        other.model.learner.learn_one(record)
    assert other.state_hash() == flow.state_hash()


@few
@given(records=streams(), rooms=st.tuples(st.integers(1, 500), st.integers(1, 500), st.integers(1, 50_000)))
def test_the_hash_does_not_see_array_room(records: list[Record], rooms: tuple[int, int, int]) -> None:
    from instep.state import with_cells, with_rows

    flow = learned(records)
    before, state = flow.state_hash(), flow.model.state
    state.items = with_room(Items, ITEM_COLUMNS, state.items, rooms[0])
    state.users = with_room(Users, USER_COLUMNS, state.users, rooms[1])
    state.history = with_cells(with_rows(state.history, rooms[1]), rooms[2])
    state.neighbours = with_cells(with_rows(state.neighbours, rooms[0]), rooms[2])
    assert flow.state_hash() == before


def test_the_hash_sees_every_table() -> None:
    flow = learned(long_stream(seed=11, size=500))
    seen = {flow.state_hash()}
    arrays = flow.model.state.arrays()
    for name, array in arrays.items():
        if name == "names" or array.size == 0:
            continue
        changed = {key: value.copy() for key, value in arrays.items()}
        flat = changed[name].reshape(-1).view(np.uint8)
        flat[0] ^= 1
        if name.endswith((".length", ".ids")):
            continue  # cells of other rows would follow; their content is what the next lines change
        other = learned([])
        other.model.state.load(changed)
        assert other.state_hash() not in seen, name
        seen.add(other.state_hash())
    assert len(seen) > 40


def test_arrays_that_do_not_fit_change_nothing() -> None:
    flow, other = learned(long_stream(seed=12, size=60)), learned(long_stream(seed=13, size=60))
    before = other.state_hash()
    for name in ("names", "users.seed", "text.centre", "trending.fresh", "weights.shared", "head.item"):
        arrays = copied(flow.model.state)
        del arrays[name]
        with pytest.raises(KeyError):
            other.model.state.load(arrays)
        assert other.state_hash() == before
    arrays = copied(flow.model.state)
    arrays["names"] = arrays["names"][:-1]
    with pytest.raises(Exception, match="truncated"):
        other.model.state.load(arrays)
    assert other.state_hash() == before


def test_an_items_servable_facts_follow_its_fields() -> None:
    flow = learned([Feedback("e1", "u1", "i1", END, "click")])
    row = flow.model.state.item_number["i1"]

    def facts(record: Record) -> tuple[bool, float, float, int]:
        flow.observe([record])
        items = flow.model.state.items
        categories = int((items.categories[row] >= 0).sum())
        return bool(items.blocked[row]), float(items.published[row]), float(items.expires[row]), categories

    inf = float("inf")
    full = {"published_at": 5.0, "expires_at": 9.0, "stock": 2.0, "categories": [f"c{k}" for k in range(9)]}
    assert facts(ItemPut("p1", "i1", END, full)) == (False, 5.0, 9.0, 6)
    assert facts(ItemPatch("p2", "i1", END, {"stock": 0.0})) == (True, 5.0, 9.0, 6)
    assert facts(ItemPatch("p3", "i1", END, {"stock": None, "expires_at": None})) == (False, 5.0, inf, 6)
    assert facts(ItemPatch("p4", "i1", END, {"hidden": True, "categories": ["c1"]})) == (True, 5.0, inf, 1)
    assert facts(ItemPut("p5", "i1", END, {})) == (False, -1.0, inf, 0)
    assert facts(ItemRemoval("p6", "i1", END))[0]
    assert flow.item("i1") is None
    assert facts(ItemPut("p7", "i1", END, {"title": "back"})) == (False, -1.0, inf, 0)


def test_what_a_request_reads_of_an_item_lies_side_by_side() -> None:
    items = with_room(Items, ITEM_COLUMNS, None, 100)
    short = {name: column for name, column in items._asdict().items() if name not in APART}
    assert len({column.strides[0] for column in short.values()}) == 1
    assert items.taken.strides[0] % LINE == 0
    assert items.taken.ctypes.data % LINE == 0
    starts = sorted((column.ctypes.data, column[0].nbytes) for column in short.values())
    for (start, size), (after, _) in itertools.pairwise(starts):
        assert start + size <= after  # no column lies upon another
    assert starts[-1][0] + starts[-1][1] - starts[0][0] <= items.taken.strides[0]
