"""From ranks and slates to numbers.

| name | what |
|---|---|
| hr, ndcg, mrr | of the scored events, at k; one relevant item an event |
| coverage | share of the catalogue that was in at least one slate |
| gini | inequality of how often items were in slates, over the whole catalogue: 0 equal, 1 one item only |
| ild | mean 1 - cosine of the pairs of a slate, by their categories or else the words of their titles |
| cold_items, cold_users | the same metrics over events whose item (user) had at most `COLD` events before |
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from instep.evaluate.base import Float32, Float64, Int32
from instep.evaluate.replay import Outcome
from instep.evaluate.stream import Stream

COLD: Final = 5
FEATURES: Final = 512


def gains(rank: Int32) -> tuple[Float64, Float64, Float64]:
    """HR, NDCG and MRR of each event: one relevant item, so the ideal gain is 1.

    Args:
        rank: int32 (n,), 0-based rank, -1 for a miss.

    >>> [x.round(3).tolist() for x in gains(np.array([0, 1, -1], np.int32))]
    [[1.0, 1.0, 0.0], [1.0, 0.631, 0.0], [1.0, 0.5, 0.0]]
    """
    hit = rank >= 0
    place = np.where(hit, rank, 0)
    ndcg = np.where(hit, 1 / np.log2(place + 2), 0.0)
    return hit.astype(np.float64), ndcg, np.where(hit, 1 / (place + 1), 0.0)


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


def known_before(keys: Int32, group: Int32) -> Int32:
    """How often each key occurred before its event's group: all that a system can know when it is asked.

    >>> known_before(np.array([7, 7, 7], np.int32), np.array([0, 0, 1], np.int32)).tolist()
    [0, 0, 2]
    """
    pair = group.astype(np.int64) * (int(keys.max(initial=0)) + 1) + keys
    within = earlier(np.unique(pair, return_inverse=True)[1].reshape(-1).astype(np.int32))
    return np.asarray(earlier(keys) - within, np.int32)


def gini(counts: NDArray[np.int64]) -> float:
    """The Gini coefficient of counts.

    >>> gini(np.array([2, 2, 2])), round(gini(np.array([0, 0, 6])), 3)
    (0.0, 0.667)
    """
    n, total = len(counts), int(counts.sum())
    if not total:
        return 0.0
    ordered = np.sort(counts)
    return float(2 * (np.arange(1, n + 1) * ordered).sum() / (n * total) - (n + 1) / n)


def content(stream: Stream) -> Float32:
    """What items are, for distances: float32 (items, features), rows of length 1 or 0.

    Categories; the words of titles when no item has a category. More than `FEATURES` names share columns.
    """
    known = [stream.catalogue.get(item_id) for item_id in stream.items]
    names = [item.categories if item else () for item in known]
    if not any(names):
        names = [tuple(re.findall(r"\w+", item.title.lower())) if item else () for item in known]
    column = {name: place % FEATURES for place, name in enumerate(sorted({n for row in names for n in row}))}
    table = np.zeros((len(names), min(FEATURES, len(column))), np.float32)
    for row, each in enumerate(names):
        for name in each:
            table[row, column[name]] = 1
    length = np.linalg.norm(table, axis=1, keepdims=True)
    table /= np.maximum(length, np.float32(1e-9))
    return table


def intra_list_diversity(slates: Int32, table: Float32) -> float | None:
    """Mean over slates of the mean pairwise 1 - cosine; None when nothing is known of the items.

    Args:
        slates: int32 (m, k), padded with -1.
        table: float32 (items, features), rows of length 1 (or 0: not counted).
    """
    if not table.shape[1]:
        return None
    known = np.append((table * table).sum(axis=1) > 0.5, False)
    padded = np.concatenate([table, np.zeros((1, table.shape[1]), np.float32)])
    total, count = 0.0, 0
    for start in range(0, len(slates), 1000):
        part = slates[start : start + 1000]
        size = known[part].sum(axis=1).astype(np.float64)
        whole = np.square(padded[part].sum(axis=1, dtype=np.float64)).sum(axis=1)
        pairs = size * (size - 1)
        some = pairs > 0
        total += float((1 - (whole - size)[some] / pairs[some]).sum())
        count += int(some.sum())
    return total / count if count else None


def summarise(stream: Stream, outcome: Outcome) -> dict[str, Any]:
    """One system's entry of the JSON line.

    >>> from instep.evaluate import BASELINES, Rows, arrange, replay
    >>> stream = arrange("toy", Rows(["u", "v"] * 10, ["a", "b"] * 10, np.arange(20.0)))
    >>> summarise(stream, replay(stream, BASELINES["popularity"](2, 2, 0)))["cold_items"]
    {'n': 0, 'hr': None, 'ndcg': None}
    """
    everything = np.ones(len(outcome.rank), bool)
    shown = np.bincount(outcome.slates[outcome.slates >= 0], minlength=len(stream.items))
    whole = _part(outcome, everything)
    return {
        "name": outcome.system,
        "hr": whole["hr"],
        "ndcg": whole["ndcg"],
        "mrr": float(gains(outcome.rank)[2].mean()) if len(outcome.rank) else None,
        "coverage": float((shown > 0).mean()),
        "gini": gini(shown),
        "ild": intra_list_diversity(outcome.slates, content(stream)),
        "cold_items": _part(outcome, cold(stream.item, stream, outcome)),
        "cold_users": _part(outcome, cold(stream.user, stream, outcome)),
        "recommend_us": _percentiles(outcome.recommend_ns),
        "observe_us": _percentiles(outcome.observe_ns),
        "events_per_s": len(outcome.observe_ns) / outcome.seconds if outcome.seconds else None,
        "peak_rss_mib": outcome.peak_rss_mib,
    }


def cold(keys: Int32, stream: Stream, outcome: Outcome) -> NDArray[np.bool_]:
    """bool (scored,), whether the event's key (its item or user) had at most `COLD` events before."""
    return np.asarray(known_before(keys, stream.group)[outcome.event] <= COLD, np.bool_)


def _part(outcome: Outcome, mask: NDArray[np.bool_]) -> dict[str, Any]:
    """n, HR and NDCG over the scored events of a mask; the metrics of nothing are null."""
    n = int(mask.sum())
    hr, ndcg, _ = gains(outcome.rank[mask])
    return {"n": n, "hr": float(hr.mean()) if n else None, "ndcg": float(ndcg.mean()) if n else None}


def _percentiles(ns: Float64) -> dict[str, float | None]:
    if not len(ns):
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(ns, [50, 99]) / 1000
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}
