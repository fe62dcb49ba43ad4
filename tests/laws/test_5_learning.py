"""Law 5: learners work before the first event, never fail on a valid record, and alias nothing of the caller's."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from instep.domain import Context, Feedback, ItemPut, Record, UserPut
from instep.flow import Flow, Settings
from instep.guard import Limits
from instep.log import MemoryLog
from instep.testing.streams import END, ITEMS, START, TYPES, USERS, streams


def test_everything_answers_before_the_first_event() -> None:
    for policy in ("greedy", "thompson"):
        flow = Flow(MemoryLog(), Settings(policy=policy))
        asked = Context("ann", now=END, categories=("tea",), filter="item.price < 3.0", explain=True)
        assert flow.rank(asked).items == flow.recommend(asked).items == ()
        assert flow.trending(now=END) == flow.categories() == flow.users() == list(flow.items()) == []
        assert flow.history("ann") == []
        assert flow.user("ann") is flow.item("i1") is None
        assert flow.log.end == 0


def test_a_catalogue_of_one_is_recommended_and_then_empty() -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe([ItemPut("p", "only", END, {})])
    assert [item.item_id for item in flow.rank(Context("ann", now=END)).items] == ["only"]
    flow.observe([Feedback("e", "ann", "only", END, "click")])
    assert flow.rank(Context("ann", now=END)).items == ()
    assert [item.item_id for item in flow.rank(Context("bob", now=END)).items] == ["only"]


@given(records=streams(max_size=60))
def test_any_valid_records_can_be_learned_and_leave_only_finite_numbers(records: list[Record]) -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe(records)
    for name, table in flow.model.state.arrays().items():
        if name not in ("names", "items.expires", "history.values"):
            assert math.isfinite(float(abs(table.astype(float)).sum())), name
    slate = flow.rank(Context("ann", n=12, now=END))
    assert all(math.isfinite(item.score) for item in slate.items)
    assert flow.model.non_finite == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(USERS),
            st.sampled_from(ITEMS[:4]),
            st.floats(0.0, 2**40),
            st.sampled_from(TYPES),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=25,
    )
)
def test_absurd_but_valid_times_and_amounts_are_learned(
    acts: list[tuple[str, str, float, str, float]],
) -> None:
    flow = Flow(MemoryLog(), Settings(limits=Limits(earliest=0.0, skew=1e13)))
    flow.observe([Feedback(f"e{k}", user, *rest) for k, (user, *rest) in enumerate(acts)])
    slate = flow.rank(Context("nobody", n=4, now=END))
    assert {item.item_id for item in slate.items} == {item for _, item, *_ in acts}
    assert all(math.isfinite(item.score) for item in slate.items)


def test_what_the_caller_does_to_a_record_afterwards_changes_nothing() -> None:
    flow = Flow(MemoryLog(), Settings())
    item: dict[str, Any] = {"title": "Tea", "categories": ["tea"], "more": {"deep": [1.0]}}
    user: dict[str, Any] = {"town": "Bath", "more": [1.0]}
    context: dict[str, str | int | float | bool] = {"device": "phone"}
    flow.observe(
        [
            ItemPut("p", "i1", START, item),
            UserPut("u", "ann", START, user),
            Feedback("e", "ann", "i1", START, context=context),
        ]
    )
    before, stored = flow.state_hash(), list(flow.log.read())
    item["title"], user["town"], context["device"] = "Saw", "York", "desk"
    item["more"]["deep"].append(2.0)
    item["categories"].append("tools")
    user["more"].append(2.0)
    assert flow.state_hash() == before
    assert list(flow.log.read()) == stored
    known = flow.item("i1")
    assert known is not None
    assert (known.title, known.categories, known.attributes) == ("Tea", ("tea",), {"more": {"deep": [1.0]}})
