"""Candidates: distinct, allowed, each with the retrievers that found it; working memory is left as it was found."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instep.domain import Context, Feedback, ItemPatch, ItemPut, Record
from instep.flow import Flow, Settings
from instep.learn import start_vectors
from instep.log import MemoryLog
from instep.retrieve import MOST, SOURCES
from instep.score import new_weights
from instep.state import State
from instep.testing import RetrieverContract
from instep.testing.streams import END, USERS, streams

NOW = 1_700_000_000.0


class NewestItems:
    """A plugin's retriever: the last items that came."""

    name = "newest"

    def retrieve(self, state: State, context: Context) -> Any:
        return np.arange(max(0, state.n_items - 3), state.n_items, dtype=np.int32)


class TestNewestItems(RetrieverContract):
    def make(self) -> NewestItems:
        return NewestItems()


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(records=streams(), user=st.sampled_from((*USERS, "nobody")), repeat=st.booleans())
def test_candidates_are_distinct_and_may_be_shown_and_the_memory_is_clean_again(
    records: list[Record], user: str, repeat: bool
) -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe(records)
    state, found = flow.model.state, flow.model._shortlist
    row = state.user_number.get(state.names.merged.get(user, user), -1)
    for _ in range(2):
        found.gather(row, END, repeat, np.arange(state.n_items, dtype=np.int32))
        items = found.items.tolist()
        assert len(set(items)) == len(items) <= MOST
        assert all(not state.items.blocked[item] and state.items.expires[item] > END for item in items)
        assert (found.sources > 0).all()
        assert np.isfinite(found.signals).all()
        assert (found._scratch.slot == -1).all()
        assert not found._scratch.mark.any()
        assert not found._scratch.likely.any()
        assert not found._scratch.lately.any()
        assert not found._scratch.likeness.any()


def crowd(items: int) -> Flow:
    """A catalogue in which i0 leads to i1, i2 to i3 ...; the last item is new."""
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    records: list[Record] = [
        ItemPut(f"p{k}", f"i{k}", NOW, {"title": f"t{k}", "categories": [f"c{k % 7}"]}) for k in range(items)
    ]
    for k in range(0, min(items, 300) - 1, 2):
        records += [
            Feedback(f"e{k}-{user}-{half}", f"u{k}-{user}", f"i{k + half}", NOW + 10 * k + half, "click")
            for user in range(3)
            for half in (0, 1)
        ]
    flow.observe(records)
    return flow


def considered(flow: Flow, user: str) -> dict[str, set[str]]:
    """What a request considers before it is widened, and which retrievers found it."""
    model, state = flow.model, flow.model.state
    asked = np.concatenate(
        [np.zeros(0, np.int32), *model._proposed(Context(user, now=NOW + 9001), model.retrievers, [])]
    )
    found = model._shortlist.gather(state.user_number.get(user, -1), NOW + 9001, False, asked)
    pairs = zip(found.items.tolist(), found.sources.tolist(), strict=True)
    return {
        state.names.items[item]: {name for k, name in enumerate(SOURCES) if bits >> k & 1}
        for item, bits in pairs
    }


def test_each_retriever_finds_what_it_is_for_in_a_large_catalogue() -> None:
    flow = crowd(3000)
    flow.observe([Feedback("mine", "session:new", "i40", NOW + 9000, "click")])
    sources = considered(flow, "session:new")
    assert "neighbours" in sources["i41"]
    assert "trending" in sources["i297"]
    assert "fresh" in sources["i2999"]
    assert "i40" not in sources
    assert len(sources) < MOST
    browsing = Context("session:new", n=5, now=NOW + 9001, categories=("c3",))
    assert all("c3" in item_of(flow, each.item_id).categories for each in flow.rank(browsing).items)


def test_what_shares_a_rare_name_is_a_candidate_though_nobody_ever_took_it() -> None:
    flow = crowd(3000)
    songs = {"old": "Cora Vega", "song": "Cora Vega", "heard": "Cora Vega", "other": "Ann Bee"}
    flow.observe([ItemPut(f"put:{name}", name, NOW, {"artist": artist}) for name, artist in songs.items()])
    flow.observe(
        [ItemPut(f"more:{k}", f"more{k}", NOW, {"title": f"m{k}"}) for k in range(200)]
    )  # no longer fresh
    for k, item in enumerate(("heard", "old")):
        flow.observe([Feedback(f"mine:{k}", "session:new", item, NOW + 9000 + k, "click")])
    sources = considered(flow, "session:new")
    assert sources["song"] == {"terms"}
    assert {"other", "old", "heard"}.isdisjoint(sources)  # of another artist; taken already
    state = flow.model.state
    state.items.blocked[state.item_number["song"]] = 1
    assert "song" not in considered(flow, "session:new")


def test_what_is_published_later_is_not_shown_before_and_new_from_then_on() -> None:
    flow = crowd(3000)
    flow.observe([ItemPut("put:later", "later", NOW, {"title": "t40", "published_at": NOW + 9000.5})])
    flow.observe([ItemPut("put:moved", "moved", NOW, {"published_at": NOW + 9000.5})])
    flow.observe([ItemPatch("patch:moved", "moved", NOW, {"published_at": NOW + 99_000.0})])
    flow.observe([ItemPatch("patch:later", "later", NOW, {"categories": ["c1"]})])  # told twice, new once
    flow.observe([ItemPut(f"more:{k}", f"more{k}", NOW, {}) for k in range(200)])
    state = flow.model.state
    row = state.item_number["later"]
    assert "later" not in considered(flow, "session:new")
    assert row not in state.trending.fresh
    early = Context("session:new", n=5, now=NOW + 9000, filter='item.item_id == "later"')
    assert not flow.rank(early).items
    copy = State(new_weights(), start_vectors)
    copy.load(state.arrays())
    flow.observe([Feedback("mine", "session:new", "i40", NOW + 9000, "click")])
    assert "later" not in [item.item_id for item in flow.similar("i40", 50, NOW + 9000)]
    flow.observe([Feedback("mine 2", "session:new", "i42", NOW + 9001, "click")])
    assert "fresh" in considered(flow, "session:new")["later"]
    assert state.trending.fresh.tolist().count(row) == 1
    assert state.item_number["moved"] not in state.trending.fresh
    copy.clock.now[0] = NOW + 9001
    copy.publish()
    assert copy.trending.fresh.tolist() == state.trending.fresh.tolist()
    late = msgspec.structs.replace(early, now=NOW + 9001)
    assert [item.item_id for item in flow.rank(late).items] == ["later"]


def test_what_somebody_took_before_it_was_published_is_out() -> None:
    flow = crowd(30)
    flow.observe([ItemPut("put", "early", NOW, {"published_at": NOW + 99_000.0})])
    assert "early" not in {item.item_id for item in flow.rank(Context("nobody", n=50, now=NOW + 9001)).items}
    flow.observe([Feedback("act", "ann", "early", NOW + 9000, "click")])
    assert "early" in {item.item_id for item in flow.rank(Context("nobody", n=50, now=NOW + 9001)).items}


def item_of(flow: Flow, item_id: str) -> Any:
    return flow.item(item_id)


def test_a_plugin_widens_what_is_considered() -> None:
    flow = crowd(3000)
    old = "i1500"

    class Wanted:
        name = "wanted"

        def retrieve(self, state: State, context: Context) -> Any:
            return np.array([state.item_number[old]], np.int32)

    assert old not in considered(flow, "nobody")
    flow.model.retrievers = (Wanted(),)
    assert old in considered(flow, "nobody")
