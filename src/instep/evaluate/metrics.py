"""From ranks and slates to numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from instep.evaluate.base import Float64, Int32
from instep.evaluate.replay import Outcome

COLD = 5


def gains(rank: Int32) -> tuple[Float64, Float64, Float64]:
    """HR, NDCG and MRR of each event: one relevant item, so the ideal gain is 1.

    Args:
        rank: int32 (n,), 0-based rank, -1 for a miss.

    >>> [x.round(3).tolist() for x in gains(np.array([0, 1, -1], np.int32))]
    [[1.0, 1.0, 0.0], [1.0, 0.631, 0.0], [1.0, 0.5, 0.0]]
    """
    hit = rank >= 0
    place = np.where(hit, rank, 0)
    return (
        hit.astype(np.float64),
        np.where(hit, 1 / np.log2(place + 2), 0.0),
        np.where(hit, 1 / (place + 1), 0.0),
    )


def earlier(keys: Int32) -> Int32:
    """How often each key occurred before, int32 (n,).

    >>> earlier(np.array([7, 7, 3, 7], np.int32)).tolist()
    [0, 1, 0, 2]
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    start = np.repeat(first, np.diff(np.append(first, len(keys))))
    count = np.empty(len(keys), np.int32)
    count[order] = np.arange(len(keys)) - start
    return count


def earlier_than_group(keys: Int32, group: Int32) -> Int32:
    """How often each key occurred in groups before the event's own: what a system can know when asked."""
    count = earlier(keys)
    pair = np.unique(np.stack([group, keys]), axis=1, return_inverse=True)[1].astype(np.int32)
    return np.asarray(count - earlier(pair.reshape(-1)), np.int32)


def part(outcome: Outcome, mask: np.ndarray[Any, Any]) -> dict[str, float]:
    """n, HR and NDCG over the scored events of a mask; null metrics when there are none."""
    hr, ndcg, _ = gains(outcome.rank[mask])
    n = int(mask.sum())
    if not n:
        return {"n": 0, "hr": 0.0, "ndcg": 0.0}
    return {"n": n, "hr": float(hr.mean()), "ndcg": float(ndcg.mean())}
