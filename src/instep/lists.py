"""Lists that no ranker orders: what is like an item, what trends, what a text finds, what a user did.

Every one reads the state and writes nothing.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from instep.domain import InvalidRequest, SlateItem
from instep.learn import reduce
from instep.learn.histories import TIME
from instep.learn.terms import query_terms
from instep.retrieve import may_be_shown, nearest_items
from instep.retrieve.terms import sharing
from instep.state import DAY, WEEK, State
from instep.state.tables import F32, TEXT_UNIT

SEARCH_PROBES: Final = 24


class HistoryItem(NamedTuple):
    """One act of a user's history."""

    item_id: str
    type: str
    value: float | None
    timestamp: float
    reward: float


def similar(state: State, item_id: str, n: int, now: float) -> list[SlateItem]:
    """Items most like one: by what is taken around it, by text, and by the names and words they share.

    Args:
        state: read only.
        item_id: to which.
        n: how many at most.
        now: seconds since the epoch; what has expired then is left out.

    Raises:
        InvalidRequest: no record names this item.
    """
    row = state.item_number.get(item_id)
    if row is None:
        raise InvalidRequest("no such item", field="item_id")
    scores: dict[int, float] = {}
    table = state.neighbours
    start, length = int(table.start[row]), int(table.length[row])
    for other, cells in zip(
        table.ids[start : start + length].tolist(), table.values[start : start + length], strict=True
    ):
        together = float(cells[2]) / np.sqrt(
            (state.items.taken[row] + 5.0) * (state.items.taken[other] + 5.0)
        )
        scores[other] = float(together)
    if state.items.text_known[row]:
        text, vector = state.text, state.items.text[row].astype(np.float32)
        hits = nearest_items(state.items, text.centre, text.members, vector, 8 * n, SEARCH_PROBES)
        likeness = state.items.text[hits] @ (vector / np.float32(TEXT_UNIT**2))
        for other, alike in zip(hits.tolist(), likeness.tolist(), strict=True):
            scores[other] = scores.get(other, 0.0) + max(alike, 0.0)
    for other, cosine in sharing(state.items, state.terms, state.items.terms[row]).items():
        scores[other] = scores.get(other, 0.0) + cosine
    return _listed(state, scores, n, now, without=row, source="similar")


def trending(state: State, n: int, category: str | None, now: float) -> list[SlateItem]:
    """What is taken most now: by the day's decayed count, in a category by the week's.

    Args:
        state: read only.
        n: how many at most.
        category: its name; None for everything.
        now: as for `similar`.

    Raises:
        InvalidRequest: there is no such category.
    """
    if category is None:
        column, rows = DAY, np.unique(state.trending.overall[[DAY, WEEK]])
    else:
        number = state.category_number.get(category)
        if number is None:
            raise InvalidRequest("no such category", field="category")
        rows = state.trending.category[number]
        still = (state.items.categories[rows] == number).any(1)  # an item may have left the category
        column, rows = WEEK, rows[still]
    rows = rows[rows >= 0]
    counts = state.items.popularity[rows, column] * np.float32(state.clock.scale[column])
    found = dict(zip(rows.tolist(), counts.tolist(), strict=True))
    return _listed(state, found, n, now, source="trending")


def search(state: State, text: str, vector: F32, n: int, now: float) -> list[SlateItem]:
    """Items that a query means, and those that have its very words: cosines of the vectors and of the terms, summed.

    Args:
        state: read only.
        text: the query.
        vector: float32 (d,), the query's, of the encoder that read the catalogue.
        n: how many at most.
        now: as for `similar`.
    """
    space = state.text
    if len(space.centre) == 0 or space.raw.shape[1] != len(vector):
        return []
    reduced = reduce(space, vector[None])[0].astype(np.float32)
    hits = nearest_items(state.items, space.centre, space.members, reduced, max(8 * n, 100), SEARCH_PROBES)
    named = sharing(state.items, state.terms, query_terms(text))
    read = [row for row in named if row < len(space.raw) and state.items.text_known[row]]
    rows = np.union1d(hits, np.array(read, hits.dtype))
    centred = space.raw[rows].astype(np.float32) - space.mean
    lengths = np.linalg.norm(centred, axis=1) * np.linalg.norm(vector - space.mean)
    cosines = centred @ (vector - space.mean) / np.maximum(lengths, 1e-9)
    found = {
        row: cosine + named.get(row, 0.0) for row, cosine in zip(rows.tolist(), cosines.tolist(), strict=True)
    }
    return _listed(state, found, n, now, source="search")


def _listed(
    state: State, scores: dict[int, float], n: int, now: float, without: int = -1, source: str = ""
) -> list[SlateItem]:
    order = np.array(sorted(scores, key=lambda row: (-scores[row], row)), np.int32)
    shown = order[may_be_shown(state.items, order, now) & (order != without)][:n].tolist()
    return [SlateItem(state.names.items[row], scores[row], 1.0, (source,)) for row in shown]


def history(state: State, user_id: str, n: int) -> list[HistoryItem]:
    """A user's newest acts, newest first.

    Args:
        state: read only.
        user_id: whose; a merged session's is its user's.
        n: how many at most.
    """
    row = state.user_number.get(state.names.merged.get(user_id, user_id))
    if row is None:
        return []
    start, length = int(state.history.start[row]), int(state.history.length[row])
    acts = []
    for at in range(start + length - 1, max(start, start + length - n) - 1, -1):
        reward, kind, value = (float(str(number)) for number in state.history.values[at])
        item = state.names.items[int(state.history.ids[at])]
        acts.append(
            HistoryItem(
                item,
                state.names.types[int(kind)],
                None if math.isnan(value) else value,
                float(state.history.times[at, TIME]),
                reward,
            )
        )
    return acts
