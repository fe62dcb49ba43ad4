"""Nothing enters the log that is not what it says it is, and every refusal names its field."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instep.domain import (
    Context,
    Feedback,
    Impression,
    InvalidRequest,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Record,
    SessionMerge,
    UserPatch,
    UserPut,
)
from instep.guard import Limits, check_context, check_id, check_record, check_records

NOW = 1_700_000_000.0
LIMITS = Limits()
GOOD = Feedback("e1", "u1", "i1", NOW, type="click")


def refusal(record: Record, limits: Limits = LIMITS) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check_record(record, NOW, limits)
    return caught.value


def changed(**fields: Any) -> Feedback:
    return msgspec.structs.replace(GOOD, **fields)


@pytest.mark.parametrize(
    "record",
    [
        GOOD,
        changed(
            user_id="session:a", value=3.5, slate_id="s", position=0, context={"device": "phone", "n": 1}
        ),
        changed(user_id="用户", item_id="a/b c"),
        Impression("s1", "u1", NOW, ("a", "b"), (1.0, 0.25)),
        ItemPut(
            "e", "i", NOW, {"title": "Tea", "price": 3.0, "categories": ["a"], "sizes": [1, {"x": None}]}
        ),
        ItemPatch("e", "i", NOW, {"title": None, "stock": 0.0}),
        ItemRemoval("e", "i", NOW),
        ItemVector("e", "i", NOW, "model-1", "00ff", np.ones(4, "<f2").tobytes()),
        UserPut("e", "u", NOW, {"title": 3, "plan": "gold"}),
        UserPatch("e", "u", NOW, {"plan": None}),
        SessionMerge("e", "u", "session:a", NOW),
    ],
)
def test_a_good_record_comes_back_as_the_very_same_object(record: Record) -> None:
    assert check_record(record, NOW, LIMITS) is record


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (changed(event_id=""), "event_id"),
        (changed(user_id="x" * 257), "user_id"),
        (changed(user_id="é" * 129), "user_id"),
        (changed(user_id="x" * 10_240), "user_id"),
        (changed(user_id="session:"), "user_id"),
        (changed(item_id=" i"), "item_id"),
        (changed(item_id="i\u3000"), "item_id"),
        (changed(item_id="a\x00b"), "item_id"),
        (changed(item_id="a\x85b"), "item_id"),
        (changed(item_id="a\u2028b"), "item_id"),
        (changed(item_id="\ud800"), "item_id"),
        (changed(item_id=7), "item_id"),
        (changed(type="klick"), "type"),
        (changed(type=["click"]), "type"),
        (changed(value=math.nan), "value"),
        (changed(value=-math.inf), "value"),
        (changed(value=10**400), "value"),
        (changed(value=True), "value"),
        (changed(value="3"), "value"),
        (changed(type="dwell"), "value"),
        (changed(type="dwell", value=-1.0), "value"),
        (changed(type="dwell", value=86_400.0), "value"),
        (changed(type="rating", value=5.5), "value"),
        (changed(type="rating"), "value"),
        (changed(timestamp=631_151_999.0), "timestamp"),
        (changed(timestamp=NOW + 86_401), "timestamp"),
        (changed(timestamp=math.nan), "timestamp"),
        (changed(timestamp="2024-01-01"), "timestamp"),
        (changed(slate_id=""), "slate_id"),
        (changed(position=-1), "position"),
        (changed(position=True), "position"),
        (changed(context=[1]), "context"),
        (changed(context={f"k{n}": n for n in range(65)}), "context"),
        (changed(context={"a": [1]}), "context.a"),
        (changed(context={"a": math.inf}), "context.a"),
        (changed(context={"a": 2**63}), "context.a"),
        (changed(context={"a": "x" * 1025}), "context.a"),
        (changed(context={1: 1}), "context (a key)"),
        (Impression("s", "u", NOW, ("a",), ()), "propensities"),
        (Impression("s", "u", NOW, ("a", "b"), (1.0, 0.0)), "propensities[1]"),
        (Impression("s", "u", NOW, ("a", ""), (1.0, 1.0)), "item_ids[1]"),
        (Impression("s", "u", NOW, None, (1.0,)), "item_ids"),  # type: ignore[arg-type]
        (Impression("s", "u", NOW, ("a",), ("1",)), "propensities[0]"),  # type: ignore[arg-type]
        (Impression("s", "u", NOW, ("a",), (1.0,), asked={"n": 0}), "asked.n"),
        (Impression("s", "u", NOW, ("a",), (1.0,), asked={"exclude": [""]}), "asked.exclude[0]"),
        (Impression("s", "u", NOW, ("a",), (1.0,), asked={"repeat": "yes"}), "asked"),
        (ItemVector("e", "i", NOW, "m", "h", 3), "vector"),  # type: ignore[arg-type]
        (ItemPut("e", "i", NOW, {"title": 3}), "title"),
        (ItemPut("e", "i", NOW, {"title": "x" * 4097}), "title"),
        (ItemPut("e", "i", NOW, {"categories": "tea"}), "categories"),
        (ItemPut("e", "i", NOW, {"categories": ["a", ""]}), "categories[1]"),
        (ItemPut("e", "i", NOW, {"price": -0.01}), "price"),
        (ItemPut("e", "i", NOW, {"price": math.nan}), "price"),
        (ItemPut("e", "i", NOW, {"stock": True}), "stock"),
        (ItemPut("e", "i", NOW, {"hidden": 1}), "hidden"),
        (ItemPut("e", "i", NOW, {"expires_at": 1e15}), "expires_at"),
        (ItemPut("e", "i", NOW, {"item_id": "j"}), "item_id"),
        (ItemPut("e", "i", NOW, {"colour": [1, math.nan]}), "colour[1]"),
        (ItemPut("e", "i", NOW, {"colour": {"a": b"x"}}), "colour.a"),
        (ItemPut("e", "i", NOW, {"colour": [[[[[[[1]]]]]]]}), "colour[0][0][0][0][0]"),
        (ItemPut("e", "i", NOW, {"colour": "x" * 65_537}), "colour"),
        (ItemPut("e", "i", NOW, {"colour": [0] * 5000}), "colour[4095]"),
        (ItemPut("e", "i", NOW, {str(n): n for n in range(129)}), "fields"),
        (ItemPut("e", "i", NOW, {"": 1}), "fields (a name)"),
        (ItemVector("e", "i", NOW, "m", "h", b""), "vector"),
        (ItemVector("e", "i", NOW, "m", "h", b"123"), "vector"),
        (ItemVector("e", "i", NOW, "m", "h", np.array([np.nan], "<f2").tobytes()), "vector"),
        (UserPut("e", "session:a", NOW, {}), "user_id"),
        (SessionMerge("e", "session:b", "session:a", NOW), "user_id"),
        (SessionMerge("e", "u", "a", NOW), "session_user_id"),
    ],
)
def test_a_bad_record_is_refused_by_the_name_of_its_field(record: Record, field: str) -> None:
    assert refusal(record).field == field


def test_numbers_are_never_clipped_to_the_range_that_is_allowed() -> None:
    assert check_record(changed(type="rating", value=5.0), NOW, LIMITS).value == 5.0  # type: ignore[union-attr]
    assert "5.000001" in refusal(changed(type="rating", value=5.000001)).message


def test_whole_numbers_become_floats_so_that_a_replay_reads_what_was_learned() -> None:
    rating = check_record(changed(type="rating", value=4, timestamp=1_600_000_000), NOW, LIMITS)
    assert isinstance(rating, Feedback)
    assert (type(rating.value), type(rating.timestamp)) == (float, float)
    put = check_record(ItemPut("e", "i", NOW, {"price": 3, "pages": 7}), NOW, LIMITS)
    assert isinstance(put, ItemPut)
    assert put.fields == {"price": 3.0, "pages": 7}
    assert (type(put.fields["price"]), type(put.fields["pages"])) == (float, int)


def test_two_spellings_of_one_id_are_the_same_user() -> None:
    record = check_record(changed(user_id="session:cafe\u0301"), NOW, LIMITS)
    assert record.user_id == "session:caf\u00e9"
    assert check_context(Context("cafe\u0301"), LIMITS).user_id == "caf\u00e9"


def test_an_unknown_type_is_refused_with_the_known_ones_or_taken_when_so_set() -> None:
    assert "cart, click, dislike" in refusal(changed(type="klick")).message
    assert check_record(changed(type="klick"), NOW, Limits(any_type=True)) == changed(type="klick")
    assert refusal(changed(type="a\tb"), Limits(any_type=True)).field == "type"


def test_a_vector_of_another_length_is_refused_when_the_length_is_known() -> None:
    vector = ItemVector("e", "i", NOW, "m", "h", np.ones(3, "<f2").tobytes())
    assert "4 float16 numbers (8 bytes), not 6 bytes" in refusal(vector, Limits(vector_dimensions=4)).message


def test_milliseconds_are_recognised_in_the_message() -> None:
    assert "looks like milliseconds" in refusal(changed(timestamp=NOW * 1000)).message


def test_the_path_of_a_batch_names_the_record_and_the_field() -> None:
    with pytest.raises(InvalidRequest, match=r"^events\[2\]\.value: must be a finite number"):
        check_records([GOOD, GOOD, changed(value=math.nan)], NOW, LIMITS, at="events")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"n": 0}, "n"),
        ({"n": 1001}, "n"),
        ({"n": True}, "n"),
        ({"now": math.nan}, "now"),
        ({"request_id": "\n"}, "request_id"),
        ({"surface": ""}, "surface"),
        ({"categories": "tea"}, "categories"),
        ({"exclude": ("a", "")}, "exclude[1]"),
        ({"exclude": ("a",) * 10_001}, "exclude"),
        ({"filter": "x" * 2049}, "filter"),
        ({"attributes": {"a": {}}}, "context.a"),
    ],
)
def test_a_bad_request_for_a_slate_is_refused_by_the_name_of_its_field(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_context(msgspec.structs.replace(Context("u1"), **fields), LIMITS)
    assert caught.value.field == field


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_is_an_id_in_its_normal_form_or_is_refused(text: str) -> None:
    try:
        checked = check_id(text, "x")
    except InvalidRequest:
        return
    assert check_id(checked, "x") is checked
    assert 1 <= len(checked.encode()) <= 256
    assert checked == checked.strip()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["title", "price", "categories", "hidden", "x"]) | st.text(max_size=5)


@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_fields_that_pass_can_always_be_stored_and_come_back_equal(fields: dict[str, Any]) -> None:
    try:
        record = check_record(ItemPut("e", "i", NOW, fields), NOW, LIMITS)
    except InvalidRequest:
        return
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=ItemPut) == record
