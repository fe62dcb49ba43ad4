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

from instep.retrieve import Scratch
from instep.state import Held, Tables
from instep.state.tables import F32, F64, I32, I64

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


@njit(cache=True, inline="always")
def _noise_column(item: int) -> int:
    """Which column of `item_noise` an item has."""
    return np.int64(np.uint64(item) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(54))  # type: ignore[return-value]


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


@njit(cache=True)
def _own_deviations(tables: Tables, items: I32) -> F32:
    """`item_deviations` of the newest event's time."""
    known = tables.items
    return item_deviations(known.taken, known.shown, known.last_seen, items, tables.clock.now[0])


@njit(cache=True, error_model="numpy")
def score_draws(
    held: Held[Tables],
    working: Held[Scratch],
    places: I64,
    expected: F32,
    doubt: float,
    noise: F32,
    item_noise: F32,
) -> F32:
    """Expected scores, and below them scores under draws of the posterior: float32 (1 + draws, p).

    Args:
        held, working: read; the tables, and the candidates of the request at hand with their signals.
        places: int64 (p,), which of the candidates are meant.
        expected: float32 (p,), their scores.
        doubt: as `user_doubt` gives it.
        noise: float32 (draws, WIDTH), standard normal.
        item_noise: float32 (draws, NOISE_ROWS), standard normal.
    """
    tables, scratch, x = held.parts, working.parts, working.parts.signals
    draws, width, count = len(noise), x.shape[1], len(places)
    items = scratch.items[places]
    own = _own_deviations(tables, items)
    precision = tables.weights.precision
    across = np.empty((width, draws), np.float32)  # a row a signal: the inner loop runs over all draws
    for f in range(width):
        deviation = np.float32(np.float32(doubt) / np.sqrt(precision[f]))
        for r in range(draws):
            across[f, r] = noise[r, f] * deviation
    out = np.empty((1 + draws, count), np.float32)
    z = np.empty(draws, np.float32)
    for p in range(count):
        z[:] = expected[p]
        at, column = places[p], _noise_column(items[p])
        for f in range(width):
            for r in range(draws):
                z[r] += across[f, r] * x[at, f]
        out[0, p] = expected[p]
        for r in range(draws):
            out[1 + r, p] = z[r] + own[p] * item_noise[r, column]
    return out


@njit(cache=True)
def score_deviations(held: Held[Tables], working: Held[Scratch], places: I64, doubt: float) -> F32:
    """Standard deviation of each candidate's score, compared with the mean candidate's.

    Args:
        held, working, places, doubt: as for `score_draws`.

    Returns:
        float32 (p,), log-odds.
    """
    x = working.parts.signals
    count, width = len(places), x.shape[1]
    own = _own_deviations(held.parts, working.parts.items[places])
    precision = held.parts.weights.precision
    mean = np.zeros(width, np.float32)
    for at in places:
        for f in range(width):
            mean[f] += x[at, f] / np.float32(count)
    out = np.empty(count, np.float32)
    for p in range(count):
        total = np.float32(0.0)
        for f in range(width):
            off = x[places[p], f] - mean[f]
            total += off * off / precision[f]
        out[p] = np.sqrt(np.float32(doubt * doubt) * total + own[p] * own[p])
    return out
