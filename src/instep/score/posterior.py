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
from numpy.typing import NDArray

from instep.state.tables import F32, F64, I32

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


def noise_of(rows: I32) -> NDArray[np.int64]:
    """Which column of `item_noise` each item has: int64 (p,)."""
    return (rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(54)).astype(np.int64)


def user_doubt(history: int) -> float:
    """How much of the weights' deviation is left for a user with a history of this length: 1 for a stranger.

    >>> user_doubt(0)
    1.0
    """
    return float(np.sqrt(SETTLED / (SETTLED + history)))


@njit(cache=True)
def item_deviations(taken: F32, shown: F32, heard: F64, rows: I32, now: float) -> F32:
    """Standard deviation of what is not known of each item itself.

    Args:
        taken, shown: float32 (n,), acts and impressions, as in `Items`.
        heard: float64 (n,), when each was last acted on, seconds; below 0 for never.
        rows: int32 (p,), item numbers.
        now: the newest event's time, seconds.

    Returns:
        float32 (p,), log-odds; at most 0.5.
    """
    out = np.empty(len(rows), np.float32)
    for p in range(len(rows)):
        i = rows[p]
        idle = max(now - heard[i], 0.0) if heard[i] >= 0.0 else 0.0
        known = (taken[i] + EXAMINED * shown[i]) * 0.5 ** (idle / FORGETTING)
        out[p] = 1.0 / np.sqrt(ITEM_PRECISION + known)
    return out


@njit(cache=True, error_model="numpy")
def score_draws(scores: F32, x: F32, deviation: F32, noise: F32, own: F32, item_noise: F32) -> F32:
    """Expected scores, and below them scores under draws of the posterior: float32 (1 + draws, p).

    Args:
        scores: float32 (p,), expected.
        x: float32 (p, WIDTH), signals.
        deviation: float32 (WIDTH,), standard deviation of each weight.
        noise: float32 (>= draws, WIDTH), standard normal.
        own: float32 (p,), as `item_deviations` gives them.
        item_noise: float32 (draws, p), standard normal.
    """
    draws, count = item_noise.shape
    width = len(deviation)
    across = np.empty(
        (width, draws), np.float32
    )  # a row a signal: the inner loop runs over all draws at once
    for r in range(draws):
        for f in range(width):
            across[f, r] = noise[r, f] * deviation[f]
    out = np.empty((1 + draws, count), np.float32)
    z = np.empty(draws, np.float32)
    for p in range(count):
        z[:] = scores[p]
        for f in range(width):
            for r in range(draws):
                z[r] += across[f, r] * x[p, f]
        out[0, p] = scores[p]
        for r in range(draws):
            out[1 + r, p] = z[r] + own[p] * item_noise[r, p]
    return out


@njit(cache=True)
def score_deviations(precision: F32, x: F32, doubt: float, items: F32) -> F32:
    """Standard deviation of each candidate's score, compared with the mean candidate's.

    Args:
        precision: float32 (WIDTH,), of the ranker's weights.
        x: float32 (p, WIDTH), signals of the candidates.
        doubt: as `user_doubt` gives it.
        items: float32 (p,), as `item_deviations` gives them.

    Returns:
        float32 (p,), log-odds.
    """
    count, width = x.shape
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
