"""Candidates: distinct, allowed, each with the retrievers that found it; working memory is left as it was found."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instep.domain import Context, Feedback, ItemPut, Record
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.retrieve import MOST, SOURCES
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
        with found.gathered(row, END, repeat, np.arange(state.n_items, dtype=np.int32)):
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
    with model._shortlist.gathered(state.user_number.get(user, -1), NOW + 9001, False, asked) as found:
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
