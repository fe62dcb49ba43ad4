"""Law 1: reading never writes. Whatever a request asks for, the state stays byte-identical."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instep.domain import Context, Feedback, InvalidRequest, ItemPut, ItemVector, Record
from instep.encode import content_hash, item_text, open_encoder, to_bytes
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.testing.streams import CATEGORIES, END, ITEMS, TYPES, USERS, streams

FILTERS = ("", "item.price < 10.0", 'has(item.colour) && item.colour == "red"', "1 / 0 == 1", "item.title +")
OPTIONS = {
    "policy": ("greedy", "thompson"),
    "user": ("ann", "session:s1", "nobody"),
    "filter": FILTERS,
    "categories": ((), ("tea", "no such category")),
    "repeat": (None, True),
    "explain": (False, True),
}


def read_all(flow: Flow, user: str, now: float) -> None:
    """Every reading verb there is."""
    for item_id in (*ITEMS[:4], "no such item"):
        if flow.item(item_id) is not None:
            flow.similar(item_id, 5, now=now)
    for category in CATEGORIES[:2]:
        if category in flow.categories():
            flow.trending(5, category, now=now)
    flow.trending(5, now=now)
    flow.history(user, 50)
    known = flow.user(user)
    if known is not None:
        known["attributes"]["changed"] = "by the caller"
    flow.users(10, "a")
    for item in flow.items():
        item.attributes["changed"] = "by the caller"
    for kind in TYPES:
        flow.model.reward_of(Feedback("", user, "i1", now, kind, 3.0))
    flow.model.liked_items(user, 10)


@given(records=streams(), data=st.data())
def test_no_request_changes_a_byte(records: list[Record], data: st.DataObject) -> None:
    flow = Flow(MemoryLog(), Settings(policy=data.draw(st.sampled_from(("greedy", "thompson")))))
    flow.observe(records)
    before, end = flow.state_hash(), flow.log.end
    for _ in range(4):
        asked = data.draw(
            st.builds(
                Context,
                st.sampled_from((*USERS, "nobody")),
                st.sampled_from((1, 5, 1000)),
                st.sampled_from((END, END + 1e7)),
                st.sampled_from(("r1", "r2")),
                st.sampled_from(((), ("tea",), ("books", "no such"))),
                st.sampled_from(((), ("i1", "i2", "no such"))),
                st.sampled_from(FILTERS[:3]),
                st.just("home"),
                st.sampled_from((None, False, True)),
                st.booleans(),
            )
        )
        first = flow.rank(asked)
        assert flow.rank(asked) == first
        read_all(flow, asked.user_id, asked.now)
        assert flow.state_hash() == before
    assert flow.log.end == end


@pytest.fixture(scope="module")
def read_flow() -> Any:
    """A flow whose items the English model has read."""
    encoder = open_encoder("english")
    flow = Flow(MemoryLog(), Settings(), encoder)
    titles = ("Green tea", "Steel saw", "A book of poems", "Garden hose", "Cup", "Pot", "Rake", "Pen", "Ink")
    for k, title in enumerate(titles):
        fields = {"title": title, "categories": [CATEGORIES[k % 4]], "price": 4.0 * k, "colour": "red"}
        flow.observe([ItemPut(f"p{k}", f"i{k}", END, fields)])
        item = flow.item(f"i{k}")
        assert item is not None
        vector = to_bytes(encoder.encode([item_text(item)])[0])
        text_hash = content_hash(item_text(item), encoder.name)
        flow.observe([ItemVector(f"v{k}", f"i{k}", END, encoder.name, text_hash, vector)])
    users = ("ann", "bob", "session:s1")
    flow.observe([Feedback(f"e{k}", users[k % 3], f"i{k * k % 7}", END + k, TYPES[k % 9]) for k in range(40)])
    return flow


@pytest.mark.parametrize("options", list(itertools.product(*OPTIONS.values())))
def test_every_combination_of_options_leaves_the_state_alone(read_flow: Flow, options: Any) -> None:
    given_options = dict(zip(OPTIONS, options, strict=True))
    policy, user = given_options.pop("policy"), given_options.pop("user")
    model = Flow(MemoryLog(), Settings(policy=policy)).model
    read_flow.model.policy, read_flow.model._noise = model.policy, model._noise
    before = read_flow.state_hash()
    asked = Context(user, n=4, now=END + 99, request_id="r", exclude=("i8",), **given_options)
    if asked.filter == FILTERS[-1]:
        with pytest.raises(InvalidRequest, match="filter"):
            read_flow.rank(asked)
    else:
        read_flow.rank(asked)
    read_flow.search("something to drink", 3, now=END + 99)
    read_all(read_flow, user, END + 99)
    assert read_flow.state_hash() == before
