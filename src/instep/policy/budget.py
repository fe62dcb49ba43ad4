"""The exploration budget: how much expected reward a slate may give up, and every slate that keeps to it.

A slate is worth what its places are seen for times what its items are expected to bring: of the people shown a slate
one in k sees its k-th place, and an item brings its share in the softmax of the ranker's scores. Putting an item at a
place costs the difference between the best way to go on without it and the best way to go on with it. These costs add
up, place by place, to exactly what the whole slate is worth less than the greedy one; so a place may take any item
whose cost is still covered, and *no slate* ever gives up more than its budget, whatever the policy.

Source: Craswell et al. 2008 (places and examination); Kazerouni et al. 2017, "Conservative Contextual Linear Bandits",
for keeping exploration within a share of the baseline's reward, here in every single slate.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.policy.greedy import best_places
from instep.state.random import next_random

BUDGET: Final = 0.02
EXPLORED: Final = 100  # places; further down nobody looks, and a long slate stays cheap
NEAR: Final = 0.9  # of an item's worth: what is worth less is clearly worse
PAYS: Final = 2.0  # standard deviations

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def checked_budget(budget: float) -> float:
    """A budget between 0 (never explore) and 1 (no limit). Raises `ConfigError` for any other."""
    if not 0.0 <= budget <= 1.0:
        raise ConfigError(f"budget: must be a share between 0 and 1, not {budget!r}")
    return float(budget)


@njit(cache=True)
def _worths(expected: F32) -> F64:
    """What each candidate is expected to bring, up to a common factor: float64 (m,), 0 where not finite."""
    highest = -np.inf
    for score in expected:
        if np.isfinite(score) and score > highest:
            highest = float(score)
    worth = np.zeros(len(expected))
    for i in range(len(expected)):
        if np.isfinite(expected[i]):
            worth[i] = np.exp(float(expected[i]) - highest)
    return worth


@njit(cache=True)
def _seen(k: int) -> F64:
    """How often each place is seen: float64 (k + 1,), 0 below the slate."""
    seen = np.zeros(k + 1)
    for place in range(k):
        seen[place] = 1.0 / (place + 1.0)
    return seen


@njit(cache=True)
def _limit(worth: F64, order: I64, seen: F64, k: int, budget: float) -> float:
    """What a slate may give up; less than nothing without a budget, so that not even ties are drawn."""
    if budget <= 0.0:
        return -1.0
    whole = 0.0
    for place in range(k):
        whole += seen[place] * worth[order[place]]
    return np.inf if budget >= 1.0 else budget * whole


@njit(cache=True)
def _costs(worth: F64, left: I64, count: int, seen: F64, at: int, out: F64) -> None:
    """What it costs to put each remaining candidate at a place and to go on as well as possible.

    Args:
        worth: float64 (m,).
        left: int64 (>= count,), remaining candidates, best first.
        count: how many remain.
        seen: float64 (k + 1,), 0 at the end.
        at: the place.
        out: float64 (>= count,), overwritten, in the order of `left`; its first is 0. Infinite for what is
            clearly worse than the best and would only change places within the slate, where it is shown anyway and
            nothing would be found out, or would enter the slate's upper half.
    """
    k = len(seen) - 1
    inside = min(k - at, count)
    here, best = seen[at], worth[left[0]]
    down = 0.0  # what those passed over lose by standing one place lower
    for t in range(inside):
        mine = worth[left[t]]
        cost = down - (here - seen[at + t]) * mine
        out[t] = np.inf if mine < NEAR * best else max(cost, 0.0)
        down += (seen[at + t] - seen[at + t + 1]) * mine
    for t in range(inside, count):
        mine = worth[left[t]]
        far = mine < NEAR * best and at < k // 2
        out[t] = np.inf if far else max(down - here * mine, 0.0)


@njit(cache=True)
def _take(left: I64, count: int, t: int) -> int:
    """Take one out of the remaining, keeping their order."""
    taken = left[t]
    for s in range(t, count - 1):
        left[s] = left[s + 1]
    return int(taken)


@njit(cache=True)
def follow(expected: F32, rows: F32, k: int, budget: float) -> I64:
    """Slates in the order of other scores than the expected ones, as far as the budget goes.

    Args:
        expected: float32 (m,), the ranker's scores, log-odds.
        rows: float32 (r, m), the scores to follow.
        k: slate length, at most m.
        budget: share of the greedy slate's expected reward that may be given up; 1 for no limit.

    Returns:
        int64 (r, k), one slate a row; non-finite candidates last.

    >>> follow(np.array([2, 1, 0], np.float32), np.array([[0, 1, 2]], np.float32), 2, 1.0).tolist()
    [[2, 1]]
    >>> follow(np.array([2, 1, 0], np.float32), np.array([[0, 1, 2]], np.float32), 2, 0.1).tolist()
    [[0, 2]]
    """
    m = len(expected)
    order = best_places(expected, m)
    worth, seen = _worths(expected), _seen(k)
    limit = _limit(worth, order, seen, k, budget)
    slates = np.empty((len(rows), k), np.int64)
    row = np.empty(m, np.float32)
    for r in range(len(rows)):
        for i in range(m):
            fine = np.isfinite(expected[i]) and np.isfinite(rows[r, i])
            row[i] = rows[r, i] if fine else -np.inf
        left, spent = order.copy(), 0.0
        for at in range(k):
            best = 0
            if at < EXPLORED:
                best, cost = _highest(worth, left[at:], m - at, seen, at, row, limit - spent)
                spent += cost
            slates[r, at] = left[at + best]
            for t in range(at + best, at, -1):  # those passed over stand one place lower
                left[t] = left[t - 1]
    return slates


@njit(cache=True)
def _highest(
    worth: F64, left: I64, count: int, seen: F64, at: int, row: F32, limit: float
) -> tuple[int, float]:
    """Which of the remaining has the highest number in `row` among those whose cost is covered, and its cost.

    The same costs as `_costs`, worked out only for what would be taken.
    """
    k = len(seen) - 1
    inside = min(k - at, count)
    here, first = seen[at], worth[left[0]]
    best, highest, paid = 0, np.float32(-np.inf), 0.0
    down = 0.0
    for t in range(inside):
        i = left[t]
        if row[i] > highest and (worth[i] >= NEAR * first or limit == np.inf):
            cost = max(down - (here - seen[at + t]) * worth[i], 0.0)
            if cost <= limit:
                best, highest, paid = t, row[i], cost
        down += (seen[at + t] - seen[at + t + 1]) * worth[i]
    for t in range(inside, count):
        i = left[t]
        if row[i] > highest and (worth[i] >= NEAR * first or at >= k // 2 or limit == np.inf):
            cost = max(down - here * worth[i], 0.0)
            if cost <= limit:
                best, highest, paid = t, row[i], cost
    return best, paid


@njit(cache=True)
def walk(scores: F32, weights: F64, share: float, budget: float, seed: int, places: I64) -> tuple[I64, F64]:
    """Place after place: with probability `share` one drawn by weight, else the best that remains.

    Drawn are only candidates whose cost is still covered, and of which one cannot be sure that they are worse than the
    best that remains: expected score plus two standard deviations must reach its score.

    Args:
        scores: float32 (2, m), expected scores and their standard deviations.
        weights: float64 (m,), not negative.
        share: of places that are drawn.
        budget: as for `follow`.
        seed: of the draws.
        places: int64 (k,), overwritten where negative; where not, that candidate is put there.

    Returns:
        The slate, int64 (k,), and its propensities, float64 (k,), 0 for what cannot be there.
    """
    expected, deviation = scores[0], scores[1]
    k, m = len(places), len(expected)
    left = best_places(expected, m)
    worth, seen = _worths(expected), _seen(k)
    limit, spent = _limit(worth, left, seen, k, budget), 0.0
    chosen, propensities = places.copy(), np.ones(k)
    costs, drawn = np.zeros(m), np.zeros(m)
    random = np.full(1, np.uint64(seed), np.uint64)
    for at in range(k):
        count, total = m - at, 0.0
        drawn[:count] = 0.0
        if at < EXPLORED:
            _costs(worth, left, count, seen, at, costs)
            best = expected[left[0]]
            for t in range(count):
                i = left[t]
                pays = t == 0 or expected[i] + np.float32(PAYS) * deviation[i] >= best
                if np.isfinite(expected[i]) and pays and spent + costs[t] <= limit:
                    drawn[t] = weights[i]
                    total += weights[i]
        part = share if total > 0.0 else 0.0
        if total > 0.0:
            for t in range(count):
                drawn[t] = part * (drawn[t] / total)
        drawn[0] += 1.0 - part
        pick = -1
        if places[at] >= 0:
            for t in range(count):
                if left[t] == places[at]:
                    pick = t
        else:
            pick, aim = 0, float(next_random(random) >> np.uint64(11)) * 2.0**-53
            for t in range(count):
                if drawn[t] > 0.0:
                    pick = t
                    aim -= drawn[t]
                    if aim < 0.0:
                        break
        propensities[at] = min(drawn[pick], 1.0) if pick >= 0 else 0.0
        if propensities[at] == 0.0:  # it cannot be: nor can anything after it
            propensities[at:] = 0.0
            break
        spent += costs[pick] if at < EXPLORED else 0.0
        chosen[at] = _take(left, count, pick)
    return chosen, propensities
