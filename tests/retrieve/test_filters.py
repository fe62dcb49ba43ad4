"""The filter of a request: CEL over the item's real values; what cannot be evaluated does not qualify."""

from __future__ import annotations

import pytest

from instep.domain import InvalidRequest, Item
from instep.retrieve import compile_filter

FULL = Item(
    "i1",
    title="Green tea",
    categories=("tea", "drinks"),
    price=4.5,
    stock=3.0,
    published_at=100.0,
    attributes={"colour": "green", "tags": ["a", "b"], "made": {"in": "Japan"}},
)
BARE = Item("i2")


@pytest.mark.parametrize(
    ("expression", "full", "bare"),
    [
        ("item.price < 5.0", True, False),
        ("item.price == null", False, True),
        ("!item.hidden", True, True),
        ('item.title == ""', False, True),
        ('item.title.startsWith("Green")', True, False),
        ('"tea" in item.categories', True, False),
        ("size(item.categories) == 0", False, True),
        ('item.colour == "green"', True, False),
        ("has(item.colour)", True, False),
        ("!has(item.colour)", False, True),
        ('"b" in item.tags', True, False),
        ('item.made["in"] == "Japan"', True, False),
        ('item["price"] > 4.0', True, False),
        ("item . price > 4.0", True, False),
        ("item.published_at > now - 60.0", True, False),
        ('item.item_id in ["i2", "i3"]', False, True),
        ("1 / 0 == 1", False, False),
        ("item.price > 1.0 || true", True, True),
        ('"item" == "item" && item.price > 1.0', True, False),
        ('item.no_such == 1 || item.title == ""', False, True),
    ],
)
def test_an_expression_sees_the_items_real_values(expression: str, full: bool, bare: bool) -> None:
    qualifies = compile_filter(expression)
    assert (qualifies(FULL, 120.0), qualifies(BARE, 120.0)) == (full, bare)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("item.price <", "not a CEL expression"),
        ("user.age > 3", "unknown name 'user'; use `item` and `now`"),
        ("item.tags.all(t, t == 'a')", "must not loop"),
        ("[1, 2].exists (x, x > 1)", "must not loop"),
    ],
)
def test_a_wrong_expression_is_refused_and_says_why(expression: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match="filter") as refused:
        compile_filter(expression)
    assert says in str(refused.value)


@pytest.mark.parametrize("expression", ["item.price", '"yes"', "1"])
def test_an_expression_that_gives_no_truth_is_refused_when_it_is_used(expression: str) -> None:
    with pytest.raises(InvalidRequest, match="true or false"):
        compile_filter(expression)(FULL, 0.0)
