"""Which items a term names: words of the title, a brand, an author, any other attribute.

A term is a number of 32 bits made of its characters; its row is that number's low bits. Rows double as terms come, so
that two seldom share one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from instep.state.ragged import Ragged, append_cell, cell_of, empty_ragged, with_cells, with_rows
from instep.state.tables import I32, I64, TERM_SLOTS

FIRST_ROWS: Final = 1024
HOLDERS: Final = 32
NO_TERM: Final = 0


class Terms(NamedTuple):
    """One row a term, or a few terms whose numbers end alike.

    Args:
        held: int32 (rows,), by how many items.
        holders: a row a term: some of these items, those that are taken often first.
        size: int64 (2,), items that have terms; rows in use.
    """

    held: I32
    holders: Ragged
    size: I64


def new_terms(rows: int = FIRST_ROWS) -> Terms:
    """No terms yet.

    Args:
        rows: a power of two.
    """
    return Terms(np.zeros(rows, np.int32), with_rows(empty_ragged(0), rows), np.zeros(2, np.int64))


def with_room_for_terms(terms: Terms) -> Terms:
    """The table with room for another holder of each of an item's terms; the same where it has that."""
    holders = with_cells(terms.holders, HOLDERS * TERM_SLOTS)
    return terms if holders is terms.holders else terms._replace(holders=holders)


def with_terms(terms: Terms, of_items: I32, row: int, numbers: I32) -> Terms:
    """The table after an item has got other terms.

    Args:
        terms: moved.
        of_items: int32 (n, TERM_SLOTS), the items' terms; the item's own are overwritten.
        row: of the item.
        numbers: int32 (TERM_SLOTS,), its terms from now on, each once, NO_TERM behind the last.
    """
    terms = with_room_for_terms(terms)
    _let_go(terms, of_items, row)
    of_items[row] = numbers
    _hold(terms, of_items, row)
    if 4 * int(terms.size[1]) <= len(terms.held):
        return terms
    grown = new_terms(2 * len(terms.held))
    grown = grown._replace(holders=with_cells(grown.holders, 2 * len(terms.holders.ids)))
    _spread(terms, of_items, grown)
    return grown


@njit(cache=True)
def _let_go(terms: Terms, of_items: I32, item: int) -> None:
    held, holders, last = terms.held, terms.holders, len(terms.held) - 1
    for term in of_items[item]:
        if term == NO_TERM:
            break
        row = term & last
        held[row] -= 1
        terms.size[1] -= held[row] == 0
        place = cell_of(holders, row, item)
        if place >= 0:
            holders.length[row] -= 1
            for k in range(place, holders.start[row] + holders.length[row]):
                holders.ids[k] = holders.ids[k + 1]
    terms.size[0] -= of_items[item, 0] != NO_TERM


@njit(cache=True)
def _hold(terms: Terms, of_items: I32, item: int) -> None:
    held, last = terms.held, len(terms.held) - 1
    for term in of_items[item]:
        if term == NO_TERM:
            break
        row = term & last
        terms.size[1] += held[row] == 0
        held[row] += 1
        _enter(terms.holders, row, item)
    terms.size[0] += of_items[item, 0] != NO_TERM


@njit(cache=True)
def _enter(holders: Ragged, row: int, item: int) -> None:
    """The new one gets the last place; where there is no other it takes that of who was taken least."""
    if cell_of(holders, row, item) >= 0:
        return
    if holders.length[row] < HOLDERS:
        append_cell(holders, row, item, HOLDERS)
    else:
        holders.ids[holders.start[row] + HOLDERS - 1] = item


@njit(cache=True)
def _spread(terms: Terms, of_items: I32, grown: Terms) -> None:
    """Fill a table of twice as many rows; holders keep their order."""
    last = len(grown.held) - 1
    for item in range(len(of_items)):
        for term in of_items[item]:
            if term == NO_TERM:
                break
            grown.held[term & last] += 1
    for row in range(len(terms.held)):
        start = terms.holders.start[row]
        for k in range(start, start + terms.holders.length[row]):
            for term in of_items[terms.holders.ids[k]]:
                if term & (len(terms.held) - 1) == row and term != NO_TERM:
                    _enter(grown.holders, term & last, terms.holders.ids[k])
    grown.size[0] = terms.size[0]
    grown.size[1] = np.count_nonzero(grown.held)


@njit(cache=True)
def bring_forward(terms: Terms, of_items: I32, item: int) -> None:
    """An item was taken: it moves one place forward among the holders of each of its terms.

    Source: the transpose rule of Rivest 1976, "On Self-Organizing Sequential Search Heuristics".
    """
    holders, last = terms.holders, len(terms.held) - 1
    for term in of_items[item]:
        if term == NO_TERM:
            break
        row = term & last
        _enter(holders, row, item)
        place = cell_of(holders, row, item)
        if place > holders.start[row]:
            holders.ids[place - 1], holders.ids[place] = item, holders.ids[place - 1]
