"""How unsure the ranker is of a score: of its weights, and of what an item has that no signal tells.

The weights' part is the diagonal Laplace posterior of `ranker.py`, around the mean candidate: what all candidates share
does not change their order. The item's own part is wide for an item that few have been shown or have taken, narrow for
one that is well known, and widens again while nothing is heard of it. So exploring goes to new items and to those
that may have changed, and ends elsewhere by itself. Of a user with a long history less is left to find out.

Source: Chapelle and Li 2011 (diagonal Laplace); Russac et al. 2019 (forgetting in linear bandits).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.state import Items, Weights
from instep.state.tables import F32, I32

ITEM_PRECISION: Final = 4.0
EXAMINED: Final = 0.05  # how much an impression tells of an item, in acts
FORGETTING: Final = 2_592_000.0  # half-life of what is known of an item that nobody touches, seconds
SETTLED: Final = 50.0  # acts after which a user's own part of the doubt has halved in variance
NOISE_ROWS: Final = 1024


def item_noise(draws: int) -> F32:
    """Standard normals for the items' part: float32 (draws, NOISE_ROWS), the same on every machine.

    >>> item_noise(2).shape
    (2, 1024)
    """
    return np.random.default_rng(11).standard_normal((draws, NOISE_ROWS)).astype(np.float32)


def user_doubt(history: int) -> float:
    """How much of the weights' deviation is left for a user with a history of this length: 1 for a stranger.

    >>> user_doubt(0)
    1.0
    """
    return float(np.sqrt(SETTLED / (SETTLED + history)))


@njit(cache=True)
def item_deviations(items: Items, rows: I32, now: float) -> F32:
    """Standard deviation of what is not known of each item itself.

    Args:
        items: the table.
        rows: int32 (p,), item numbers.
        now: the newest event's time, seconds.

    Returns:
        float32 (p,), log-odds; at most 0.5.
    """
    taken, shown, last, first = items.taken, items.shown, items.last_seen, items.first_seen
    out = np.empty(len(rows), np.float32)
    for p in range(len(rows)):
        i = rows[p]
        heard = last[i] if last[i] >= 0.0 else first[i]
        idle = max(now - heard, 0.0) if heard >= 0.0 else 0.0
        known = (taken[i] + EXAMINED * shown[i]) * 0.5 ** (idle / FORGETTING)
        out[p] = 1.0 / np.sqrt(ITEM_PRECISION + known)
    return out


@njit(cache=True)
def add_item_noise(rows: I32, deviations: F32, noise: F32, draws: F32) -> None:
    """Add the items' part to draws of the posterior.

    Args:
        rows: int32 (p,), item numbers.
        deviations: float32 (p,), as `item_deviations` gives them.
        noise: float32 (draws, NOISE_ROWS).
        draws: float32 (draws, p), added to.
    """
    width = np.uint64(noise.shape[1])
    for p in range(len(rows)):
        at = np.int64((np.uint64(rows[p]) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) % width)
        for r in range(len(draws)):
            draws[r, p] += deviations[p] * noise[r, at]


@njit(cache=True)
def score_deviations(weights: Weights, x: F32, doubt: float, items: F32) -> F32:
    """Standard deviation of each candidate's score, compared with the mean candidate's.

    Args:
        weights: the ranker.
        x: float32 (p, WIDTH), signals of the candidates.
        doubt: as `user_doubt` gives it.
        items: float32 (p,), as `item_deviations` gives them.

    Returns:
        float32 (p,), log-odds.
    """
    count, width = x.shape
    precision = weights.precision
    mean = np.zeros(width, np.float32)
    for p in range(count):
        for f in range(width):
            mean[f] += x[p, f] / np.float32(count)
    out = np.empty(count, np.float32)
    for p in range(count):
        total = np.float32(0.0)
        for f in range(width):
            off = x[p, f] - mean[f]
            total += off * off / precision[f]
        out[p] = np.sqrt(np.float32(doubt * doubt) * total + items[p] * items[p])
    return out
