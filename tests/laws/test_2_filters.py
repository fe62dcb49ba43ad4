"""Law 2: filters lose nothing. A slate as long as the catalogue holds exactly what qualifies, each item once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instep.domain import Context, Feedback, Item, ItemPut, Record
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.testing.streams import END, ITEMS, USERS, streams


def may_be_shown(flow: Flow, item: Item, asked: Context, repeat: bool) -> bool:
    """What the documentation says, item by item, without the model's tables."""
    acts = flow.history(asked.user_id, 5000)
    mine = [act for act in acts if act.item_id == item.item_id]
    if (not repeat and mine) or (mine and mine[0].reward < 0):
        return False
    if item.hidden or (item.stock is not None and item.stock <= 0) or item.item_id in asked.exclude:
        return False
    if item.expires_at is not None and item.expires_at <= asked.now:
        return False
    if asked.categories and not set(asked.categories) & set(item.categories):
        return False
    return not asked.filter or (item.price is not None and item.price < 10.0)


@given(
    records=streams(),
    policy=st.sampled_from(("greedy", "thompson")),
    user=st.sampled_from((*USERS, "nobody")),
    now=st.sampled_from((END, END + 1e7)),
    categories=st.sampled_from(((), (), ("tea",), ("books", "garden"))),
    exclude=st.lists(st.sampled_from((*ITEMS, "no such item")), max_size=3).map(tuple),
    expression=st.sampled_from(("", "", "item.price < 10.0")),
    repeat=st.booleans(),
)
def test_a_slate_holds_exactly_what_qualifies(
    records: list[Record],
    policy: str,
    user: str,
    now: float,
    categories: tuple[str, ...],
    exclude: tuple[str, ...],
    expression: str,
    repeat: bool,
) -> None:
    flow = Flow(MemoryLog(), Settings(policy=policy))
    flow.observe(records)
    asked = Context(user, 1000, now, "r", categories, exclude, expression, repeat=repeat)
    shown = [item.item_id for item in flow.rank(asked).items]
    assert len(set(shown)) == len(shown)
    assert set(shown) == {item.item_id for item in flow.items() if may_be_shown(flow, item, asked, repeat)}
    short = flow.rank(Context(user, 2, now, "r", categories, exclude, expression, repeat=repeat)).items
    assert len(short) == min(2, len(shown))
    assert {item.item_id for item in short} <= set(shown)


@pytest.mark.parametrize("policy", ["greedy", "thompson"])
def test_what_few_items_qualify_is_found_in_a_catalogue_larger_than_a_shortlist(policy: str) -> None:
    flow = Flow(MemoryLog(), Settings(policy=policy))
    total = 3000
    flow.observe(
        [
            ItemPut(f"p{k}", f"i{k}", END, {"categories": ["rare" if k % 1000 == 999 else "usual"]})
            for k in range(total)
        ]
    )
    flow.observe([Feedback(f"e{k}", f"u{k % 9}", f"i{k}", END + k, "click") for k in range(300)])
    rare = {"i999", "i1999", "i2999"}
    found = flow.rank(Context("u1", n=10, now=END + 999, categories=("rare",))).items
    assert {item.item_id for item in found} == rare
    taken = {act.item_id for act in flow.history("u1", 999)}
    whole = flow.rank(Context("u1", n=1000, now=END + 999)).items
    assert len({item.item_id for item in whole}) == 1000
    assert not {item.item_id for item in whole} & taken


def test_a_filter_finds_what_it_asks_for_beyond_the_most_popular() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe([ItemPut(f"p{k}", f"i{k}", END, {"price": float(k)}) for k in range(5000)])
    flow.observe([Feedback(f"e{k}", f"u{k % 9}", f"i{k}", END + k, "click") for k in range(100)])
    found = flow.rank(Context("nobody", n=10, now=END + 999, filter="item.price >= 4995.0")).items
    assert {item.item_id for item in found} == {f"i{k}" for k in range(4995, 5000)}
    middle = flow.rank(Context("nobody", n=10, now=END + 999, filter="item.price == 3456.0")).items
    assert [item.item_id for item in middle] == ["i3456"]
