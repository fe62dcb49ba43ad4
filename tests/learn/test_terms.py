"""What an item's terms are."""

from __future__ import annotations

from typing import Any

import pytest

from instep.domain import Feedback, Item, ItemPatch, ItemPut, ItemRemoval
from instep.flow import Flow, Settings
from instep.learn.terms import number_of, term_numbers, words
from instep.log import MemoryLog
from instep.state import State
from instep.state.tables import TERM_SLOTS

NOW = 1_700_000_000.0


def has(item: Item, *terms: str) -> bool:
    return {number_of(term) for term in terms} <= set(term_numbers(item).tolist())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The 7 Samurai: a film", ["7", "Samurai", "film"]),
        ("七人の侍 (1954)", ["七人", "人の", "の侍", "1954"]),
        ("茶", ["茶"]),
        ("iPhone手机壳", ["iPhone", "手机", "机壳"]),
        ("Смерть и дождь", ["Смерть", "дождь"]),
        ("   ...!? ", []),
    ],
)
def test_words(text: str, wanted: list[str]) -> None:
    assert list(words(text)) == wanted


def test_brand_author_and_attributes_are_whole_names_and_their_words() -> None:
    item = Item("i", brand="Lu & Co", author="Ann Bee", attributes={"artist": "Cora Vega", "year": 1999})
    assert has(item, "brand=lu & co", "author=ANN BEE", "artist=Cora Vega", "year=1999", "Vega", "Bee", "lu")


@pytest.mark.parametrize("value", [3.5, None, {"a": 1}, "x" * 65])
def test_texts_and_measures_are_no_names(value: Any) -> None:
    item = Item("i", title="tea", attributes={"field": value})
    assert set(term_numbers(item).tolist()) - {0} == {number_of("tea")}


def test_a_number_or_a_switch_is_a_name_without_words() -> None:
    item = Item("i", title="tea", attributes={"year": 1999, "vegan": True})
    assert {number_of(term) for term in ("tea", "year=1999", "vegan=true")} == set(
        term_numbers(item).tolist()
    ) - {0}


def test_a_list_is_several_names() -> None:
    assert has(Item("i", attributes={"cast": ["Ann", "Bob"]}), "cast=Ann", "cast=bob")


def test_the_first_terms_are_kept() -> None:
    item = Item("i", brand="Lu", title=" ".join(f"word{k}" for k in range(30)), description="late")
    assert (term_numbers(item) != 0).sum() == TERM_SLOTS
    assert has(item, "brand=lu", "word0", f"word{TERM_SLOTS - 2}")
    assert not has(item, "late")


def test_a_patched_price_keeps_the_place_that_being_taken_gave() -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe([ItemPut(f"put:{name}", name, NOW, {"title": "tea"}) for name in "abc"])
    flow.observe([Feedback(f"act:{user}", user, "c", NOW + 1, "click") for user in ("ann", "bob")])
    state = flow.model.state

    def order() -> list[str]:
        holders, row = state.terms.holders, number_of("tea") & (len(state.terms.held) - 1)
        start = int(holders.start[row])
        return [state.names.items[item] for item in holders.ids[start : start + int(holders.length[row])]]

    assert order() == ["c", "a", "b"]
    flow.observe([ItemPatch("patch", "c", NOW + 2, {"price": 3.0})])
    assert order() == ["c", "a", "b"]


def held(state: State, term: str) -> int:
    return int(state.terms.held[number_of(term) & (len(state.terms.held) - 1)])


def test_an_item_that_is_put_patched_and_removed_has_its_terms_each_time() -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe(
        [ItemPut("e1", "tea", NOW, {"title": "Green tea"}), ItemPut("e2", "cup", NOW, {"title": "Tea cup"})]
    )
    assert (held(flow.model.state, "tea"), held(flow.model.state, "green")) == (2, 1)
    flow.observe([ItemPatch("e3", "tea", NOW, {"title": "Black coffee"})])
    assert [held(flow.model.state, word) for word in ("tea", "green", "coffee")] == [1, 0, 1]
    flow.observe([ItemRemoval("e4", "tea", NOW)])
    assert [held(flow.model.state, word) for word in ("tea", "coffee")] == [1, 0]
    flow.observe([Feedback("e5", "ann", "tea", NOW, "click")])  # no text, no terms
    assert flow.model.state.terms.size[0] == 1
