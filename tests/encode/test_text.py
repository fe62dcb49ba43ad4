"""What an encoder reads of an item, and the key of its vector."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from instep.domain import Item
from instep.encode import content_hash, item_text
from instep.encode.text import ENCODER_CHARACTERS, readable


def test_the_parts_of_an_item_come_most_telling_first() -> None:
    item = Item("i", "Kettle", "Boils  water\nfast.", ("Kitchen", "Tea"), "Acme", "", price=9.0, stock=3)
    assert item_text(item) == "Kettle. Kitchen, Tea. Acme. Boils water fast."


def test_an_item_without_words_has_the_empty_text() -> None:
    assert item_text(Item("i", price=1.0)) == ""


def test_price_and_stock_do_not_change_the_text() -> None:
    assert item_text(Item("i", "Tea", price=1.0, stock=2, hidden=True)) == item_text(Item("i", "Tea"))


def test_a_long_description_is_cut_at_a_word() -> None:
    text = item_text(Item("i", "Novel", description="chapter " * 100_000))
    assert len(text) <= 600
    assert text.startswith("Novel. chapter")
    assert text.endswith("chapter")


def test_a_long_chinese_description_is_cut_where_the_limit_falls() -> None:
    assert item_text(Item("i", "书", description="章" * 5000)) == "书. " + "章" * 597


@given(st.text(), st.text(), st.lists(st.text(), max_size=3))
def test_any_item_gives_a_bounded_text(title: str, description: str, categories: list[str]) -> None:
    item = Item("i", title * 50, description * 50, tuple(categories))
    text = item_text(item, limit=80)
    assert len(text) <= 80
    assert text == item_text(item, limit=80)


@given(st.text(st.characters(), max_size=40))
def test_any_text_becomes_readable_utf8_without_nul(text: str) -> None:
    clean = readable(text * 100)
    assert len(clean) <= ENCODER_CHARACTERS
    assert "\0" not in clean
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert readable(clean) == clean


def test_a_hash_belongs_to_one_text_and_one_encoder() -> None:
    hashes = {content_hash(text, name) for text in ("tea", "tea ", "") for name in ("a", "b")}
    assert len(hashes) == 6
    assert content_hash("tea", "a") == content_hash("tea", "a")
    assert all(len(key) == 32 for key in hashes)
