"""Tables behind one reference, which is how compiled code is handed them.

A compiled call looks at every array that it is given. All tables have a hundred, which takes 14 µs, and 40 when
memory is cold; a reference to them takes 1 and 4.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar

from numba import njit, types
from numba.experimental import structref

from instep.state.attention import Attention, Rehearsal
from instep.state.ragged import Ragged
from instep.state.tables import F32, Clock, Head, Items, Trending, Weights
from instep.state.terms import Terms

Parts = TypeVar("Parts")


class Tables(NamedTuple):
    """All that requests read and acts move.

    Args:
        items, clock, weights: the items, time, and the ranker.
        neighbours: a row an item: what is taken with it.
        takers: a row an item: who took it last.
        history: a row a user: the acts.
        passed: a row a user: what was likely and not taken.
        head: the popular items' regressions.
        trending: what is popular and what is new.
        attention: what reads a history into one vector.
        rehearsal: choices that are learned from again.
        terms: which items a term names.
        centre: float32 (cells, TEXT_WIDTH), of the cells that make texts quick to search.
        members: a row a cell, of item numbers.
    """

    items: Items
    clock: Clock
    weights: Weights
    neighbours: Ragged
    takers: Ragged
    history: Ragged
    passed: Ragged
    head: Head
    trending: Trending
    attention: Attention
    rehearsal: Rehearsal
    terms: Terms
    centre: F32
    members: Ragged


@structref.register
class HeldType(types.StructRef):
    """What the compiler calls `Held`."""


class Held(structref.StructRefProxy, Generic[Parts]):
    """One reference to a tuple of tables; made by `hold`, and read as `parts` in compiled code alone.

    Attributes:
        parts: the tuple.
    """

    parts: Parts


structref.define_constructor(Held, HeldType, ["parts"])
structref.define_attributes(HeldType)
structref.define_boxing(HeldType, Held)


@njit(cache=True)
def hold(parts: Any) -> Any:
    """Put a tuple of tables behind one reference.

    Compiled code sees the arrays that the tuple has now: when one is replaced, it has to be held anew.

    Args:
        parts: a NamedTuple of arrays, or of such tuples.

    Returns:
        `Held`.
    """
    return Held(parts)  # type: ignore[no-untyped-call]
