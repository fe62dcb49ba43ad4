"""What shares terms with the history: the same artist, brand or rare word, to the letter.

A language model sees that two texts are about the same; that two songs are by the same artist is a matter of letters.

Source: Salton and Buckley 1988 (term weights: inverse document frequency, cosine).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from instep.retrieve.candidates import FROM_TERMS, SLOTS, Request, Scratch, consider
from instep.state import Items, Terms
from instep.state.loops import fast_log
from instep.state.tables import F32, I32
from instep.state.terms import NO_TERM

READ: Final = 20  # newest items of the history whose terms count
SOUGHT: Final = 3  # newest items whose terms' holders are candidates
RARE: Final = 1000  # items at most that a sought term has
HITS: Final = 16
RECENT, NEWEST, NEAR = 0, 1, 2


@njit(cache=True, error_model="numpy", inline="always")
def _rarity(held: I32, known: Any, term: Any) -> Any:
    """Logarithm of how many items there are, and one, for each that has the term; at least 0."""
    return max(fast_log(known / np.float32(held[np.uintp(term & (len(held) - 1))])), np.float32(0.0))


@njit(cache=True, error_model="numpy")
def _length(held: I32, known: Any, of_item: I32) -> Any:
    """Length of an item's vector of rarities."""
    square = np.float32(1e-6)
    for term in of_item:
        if term == NO_TERM:
            break
        rarity = _rarity(held, known, term)
        square += rarity * rarity
    return np.sqrt(square)


@njit(cache=True, error_model="numpy", inline="always")
def _slot_of(keys: I32, term: int) -> Any:
    """Where a term is in a hash table, or would be."""
    at = np.uintp(term & (SLOTS - 1))
    while keys[at] != NO_TERM and keys[at] != term:
        at = np.uintp((at + 1) & (SLOTS - 1))
    return at


@njit(cache=True, error_model="numpy")
def weigh_terms(items: Items, terms: Terms, request: Request, scratch: Scratch) -> None:
    """Lay out the terms of the newest history for products with the terms of candidates.

    Args:
        items, terms: the tables.
        request: whose history.
        scratch: `keys` becomes a hash table of the terms, `weights` each term's part of a cosine: with the history by
            closeness in time, with the newest item, and the former again for terms of the newest few alone.
    """
    keys, weights = scratch.keys, scratch.weights
    keys[:] = NO_TERM
    weights[:] = 0.0
    of_items, held, known = items.terms, terms.held, np.float32(terms.size[0] + 1)
    recent, closeness = request.recent, request.closeness
    for g in range(min(len(recent), READ)):
        of_item = of_items[recent[g]]
        length = _length(held, known, of_item)
        for term in of_item:
            if term == NO_TERM:
                break
            at = _slot_of(keys, term)
            keys[at] = term
            part = _rarity(held, known, term) / length
            weights[at, RECENT] += closeness[g] * part
            if g == 0:
                weights[at, NEWEST] = part
            if g < SOUGHT:
                weights[at, NEAR] = np.float32(1.0)
    square = np.float32(1e-9)
    for at in range(SLOTS):
        square += weights[at, RECENT] * weights[at, RECENT]
    length = np.sqrt(square)
    for at in range(SLOTS):
        if keys[at] != NO_TERM:
            rarity = _rarity(held, known, keys[at])
            weights[at, RECENT] *= rarity / length
            weights[at, NEWEST] *= rarity
            weights[at, NEAR] *= weights[at, RECENT]


@njit(cache=True, error_model="numpy", inline="always")
def shared_terms(held: I32, known: Any, of_item: I32, scratch: Scratch) -> Any:
    """Cosines of an item's terms with those of the history and of its newest item, as `weigh_terms` left them.

    Args:
        held: `Terms.held`.
        known: float32, items that have terms, and one.
        of_item: int32 (TERM_SLOTS,), the item's terms.
        scratch: the history's terms.

    Returns:
        Two float32.
    """
    keys, weights = scratch.keys, scratch.weights
    recent, newest = np.float32(0.0), np.float32(0.0)
    for term in of_item:
        if term == NO_TERM:
            break
        at = _slot_of(keys, term)
        recent += weights[at, RECENT]
        newest += weights[at, NEWEST]
    if recent > 0.0:
        length = _length(held, known, of_item)
        recent /= length
        newest /= length
    return recent, newest


@njit(cache=True, error_model="numpy")
def add_sharing(items: Items, terms: Terms, request: Request, scratch: Scratch, m: int) -> int:
    """Take up the items that share most with the newest few of the history, after `weigh_terms`.

    Args:
        items, terms: the tables.
        request: for whom.
        scratch: the history's terms; candidates are added.
        m: candidates so far.

    Returns:
        Candidates now.
    """
    if request.closed:
        return m
    keys, weights = scratch.keys, scratch.weights
    likely, reached, count = scratch.likely, scratch.reached, 0
    slot, rows = scratch.slot, terms.held
    starts, lengths, ids = terms.holders.start, terms.holders.length, terms.holders.ids
    for at in range(SLOTS):
        weight = weights[at, NEAR]
        if weight == 0.0:
            continue
        row = keys[at] & (len(rows) - 1)
        if rows[row] > RARE:
            continue
        for k in range(starts[row], starts[row] + lengths[row]):
            item = ids[k]
            if slot[item] == -2:
                continue
            if likely[item] == 0.0:
                reached[count] = item
                count += 1
            likely[item] += weight
    shared: F32 = np.empty(count, np.float32)
    for x in range(count):
        shared[x] = likely[reached[x]]
        likely[reached[x]] = 0.0
    least = np.partition(shared, count - HITS)[count - HITS] if count > HITS else np.float32(0.0)
    best: I32 = np.empty(HITS, np.int32)
    found = 0
    for x in range(count):
        if shared[x] >= least and found < HITS:
            best[found] = reached[x]
            found += 1
    return consider(items, scratch, m, best[:found], request, FROM_TERMS)


def rarities(terms: Terms, numbers: I32) -> F32:
    """What each of some terms weighs, float32 of their shape; NO_TERM nothing."""
    held = np.maximum(terms.held[numbers & (len(terms.held) - 1)], 1)
    known = np.log((terms.size[0] + 1) / held).clip(0.0)
    weights: F32 = np.where(numbers == NO_TERM, 0.0, known).astype(np.float32)
    return weights


def sharing(items: Items, terms: Terms, numbers: I32) -> dict[int, float]:
    """Some of the items that share terms with these: the holders of each, by number, with the cosine.

    Args:
        items, terms: the tables.
        numbers: int32 (t,), terms; NO_TERM is none.
    """
    numbers = numbers[numbers != NO_TERM]
    last, starts, lengths = len(terms.held) - 1, terms.holders.start, terms.holders.length
    held = [terms.holders.ids[starts[row] : starts[row] + lengths[row]] for row in numbers & last]
    rows = np.unique(np.concatenate([*held, np.zeros(0, np.int32)]))

    theirs = rarities(terms, items.terms[rows])
    shared = (theirs**2 * np.isin(items.terms[rows], numbers)).sum(1)
    length = np.sqrt((theirs**2).sum(1) * (rarities(terms, numbers) ** 2).sum())
    cosines = shared / np.maximum(length, 1e-6)
    return {int(row): float(cosine) for row, cosine in zip(rows, cosines, strict=True) if cosine > 0.0}
