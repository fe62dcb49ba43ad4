"""A field that no item has is misspelt; one that only some items have is not."""

from __future__ import annotations

import pytest

from instep.domain import Context, InvalidRequest, Item, ItemPatch, ItemPut
from instep.flow import Flow, Settings
from instep.guard import check_named_fields
from instep.guard.filters import named_attributes
from instep.log import MemoryLog

NOW = 1.7e9
CATALOGUE = [
    None,
    Item("tea", price=4.5, attributes={"colour": "green", "size": "s"}),
    Item("cup", price=9.0, attributes={"made in": "Japan"}),
]


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("item.price < 5.0 && !item.hidden && item.item_id != now", ()),
        ("item.prise < 5.0 || item . colour == null", ("colour", "prise")),
        ("item[\"prise\"] < 5.0 && item['made in'] == 'x'", ("made in", "prise")),
        ("item.made.item.year > 2000", ("made",)),
        ("item.attributes.colour == 'x'", ("attributes",)),
        ("has(item.sale) && item.sale && item.sail", ("sail",)),
        ("!has ( item . sale )", ()),
        ('item.title == "item.a" // item.b\n || item.c', ("c",)),
        (r'item.title == "\"item.a" || item.c', ("c",)),
        (r'item.title == r"\" || item.c || item.title == "item.a"', ("c",)),
        ("item.title == '''it's item.a''' || item.c", ("c",)),
        ("my_item.a || items.b", ()),
    ],
)
def test_a_filter_names_fields_outside_of_texts_and_comments(expression: str, named: tuple[str, ...]) -> None:
    assert named_attributes(expression) == named


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("item.prise < 5.0", "no item has a field 'prise'; did you mean price?"),
        ("item.colour == 'red' && item.siez == 's'", "no item has a field 'siez'; did you mean size?"),
        ("item.zz9 == 1", "no item has a field 'zz9'; there are colour, made in, size, audio, author"),
        ("item." + "x" * 900 + " == 1", "no item has a field '" + "x" * 64 + "'; there are colour"),
    ],
)
def test_a_misspelt_field_is_named_with_what_is_spelt_alike_or_else_with_what_there_is(
    expression: str, says: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_named_fields(expression, CATALOGUE)
    assert (refused.value.field, refused.value.message[: len(says)]) == ("filter", says)


@pytest.mark.parametrize("catalogue", [[], [None, None]])
def test_where_there_is_no_item_no_field_is_refused(catalogue: list[Item | None]) -> None:
    check_named_fields("item.prise < 5.0", catalogue)


def test_a_request_is_refused_for_a_field_that_no_item_has_and_for_no_other() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    asked = Context("u1", now=NOW, filter="item.colour == 'green'")
    assert flow.recommend(asked).items == ()
    flow.observe([ItemPut(f"p{n}", f"i{n}", NOW, {"price": float(n)}) for n in range(3)])
    end = flow.log.end
    with pytest.raises(InvalidRequest, match="no item has a field 'colour'"):
        flow.recommend(asked)
    assert flow.log.end == end
    flow.observe([ItemPatch("q1", "i1", NOW, {"colour": "green"})])
    assert [item.item_id for item in flow.recommend(asked).items] == ["i1"]
    flow.observe([ItemPatch("q2", "i1", NOW, {"colour": "red"})])
    assert flow.recommend(asked).items == ()
    some = flow.rank(Context("u1", now=NOW, filter="item.prise == 1.0 || item.price < 1.0"))
    assert [item.item_id for item in some.items] == ["i0"]
