"""The table of terms, against counting everything anew."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from instep.state.tables import I32, TERM_SLOTS
from instep.state.terms import (
    FIRST_ROWS,
    HOLDERS,
    NO_TERM,
    Terms,
    bring_forward,
    new_terms,
    with_room_for_terms,
    with_terms,
)

ITEMS = 50


def padded(numbers: list[int]) -> I32:
    return np.array([*numbers, *[NO_TERM] * (TERM_SLOTS - len(numbers))], np.int32)


def holders(terms: Terms, number: int) -> list[int]:
    row = number & (len(terms.held) - 1)
    start = int(terms.holders.start[row])
    return terms.holders.ids[start : start + int(terms.holders.length[row])].tolist()


def check(terms: Terms, of_items: I32) -> None:
    """Counts, sizes and holders are those of the items' terms."""
    last = len(terms.held) - 1
    has: dict[int, list[int]] = {}
    for item, numbers in enumerate(of_items):
        for number in numbers[numbers != NO_TERM].tolist():
            has.setdefault(number & last, []).append(item)
    assert {row: int(terms.held[row]) for row in np.flatnonzero(terms.held)} == {
        row: len(items) for row, items in has.items()
    }
    assert terms.size.tolist() == [int((of_items[:, 0] != NO_TERM).sum()), len(has)]
    for row, items in has.items():
        kept = holders(terms, row)
        assert set(kept) <= set(items)
        assert len(set(kept)) == len(kept)
    assert int(terms.holders.length.sum()) == sum(len(holders(terms, row)) for row in has)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, ITEMS - 1), st.lists(st.integers(1, 3000), max_size=TERM_SLOTS, unique=True)
        ),
        max_size=60,
    )
)
def test_items_get_other_terms_and_every_number_follows(puts: list[tuple[int, list[int]]]) -> None:
    terms, of_items = new_terms(128), np.zeros((ITEMS, TERM_SLOTS), np.int32)
    for item, numbers in puts:
        terms = with_terms(terms, of_items, item, padded(numbers))
        check(terms, of_items)
        assert 4 * int(terms.size[1]) <= len(terms.held)
        for number in numbers:  # as long as there is room, everybody is kept
            if int(terms.held[number & (len(terms.held) - 1)]) <= HOLDERS // 2:
                assert item in holders(terms, number)


def test_what_is_taken_often_comes_forward_and_a_full_row_keeps_it() -> None:
    terms, of_items = new_terms(), np.zeros((3 * HOLDERS, TERM_SLOTS), np.int32)
    for item in range(HOLDERS):
        terms = with_terms(terms, of_items, item, padded([7]))
    for _ in range(5):
        bring_forward(terms, of_items, 20)
    assert holders(terms, 7)[15] == 20
    for item in range(HOLDERS, 3 * HOLDERS):  # the newest takes the last place
        terms = with_terms(terms, of_items, item, padded([7]))
    assert holders(terms, 7)[:15] == list(range(15))
    assert holders(terms, 7)[-1] == 3 * HOLDERS - 1
    bring_forward(terms, of_items, HOLDERS)  # dropped before, back where it can rise
    assert holders(terms, 7)[-2] == HOLDERS
    assert terms.held[7] == 3 * HOLDERS


def test_a_row_whose_holders_have_all_gone_is_filled_again() -> None:
    terms, of_items = new_terms(), np.zeros((HOLDERS + 1, TERM_SLOTS), np.int32)
    for item in range(HOLDERS + 1):
        terms = with_terms(terms, of_items, item, padded([7]))
    for item in [*range(HOLDERS - 1), HOLDERS]:
        terms = with_terms(terms, of_items, item, padded([]))
    assert holders(terms, 7) == []
    bring_forward(with_room_for_terms(terms), of_items, HOLDERS - 1)
    assert holders(terms, 7) == [HOLDERS - 1]


def test_terms_that_end_alike_part_when_rows_double() -> None:
    one, other = 5, 5 + FIRST_ROWS
    terms, of_items = new_terms(), np.zeros((FIRST_ROWS, TERM_SLOTS), np.int32)
    terms = with_terms(terms, of_items, 0, padded([one]))
    terms = with_terms(terms, of_items, 1, padded([other]))
    assert holders(terms, one) == [0, 1]
    for item in range(2, 3 + FIRST_ROWS // 4):
        terms = with_terms(terms, of_items, item, padded([4200 + item]))
    assert len(terms.held) == 2 * FIRST_ROWS
    assert (holders(terms, one), holders(terms, other)) == ([0], [1])
    check(terms, of_items)
