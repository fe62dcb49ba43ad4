"""The online ranker: linear in the signals, with weights that depend on how much is known.

A weight is the sum of a shared part, a part by how long the user's history is and a part by how often the item was
taken. Learning is one step of softmax regression over the candidates really considered: of second order for the
shared part, whose signals overlap (an extended Kalman filter with a drift, so that it never stops learning), scaled by
AdaGrad for the parts by evidence. The diagonal of the accumulated Fisher information is the posterior's precision, from
which Thompson sampling draws.

Source: McFadden 1974 (conditional logit); Ollivier 2018 (the online natural gradient is a Kalman filter); Duchi et al.
2011 (AdaGrad); Chapelle and Li 2011 (diagonal Laplace).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from instep.retrieve.candidates import Scratch
from instep.score.signals import SIGNALS, WIDTH
from instep.state import Items, Weights
from instep.state.loops import dot
from instep.state.tables import F32

USER_STARTS: Final = (1, 5, 20, 100)
ITEM_STARTS: Final = (1, 6, 50)
SESSION_SECONDS: Final = 3600.0
USER_CELLS: Final = 2 * len(USER_STARTS) + 1
ITEM_CELLS: Final = len(ITEM_STARTS) + 1
DRIFT: Final = 1e-6
SHARED_PRECISION: Final = 80.0
CELL_RATE: Final = 0.03
MOMENTUM_RATE: Final = 0.1
MOMENTUM_DECAY: Final = 0.002
PRIOR_PRECISION: Final = 10.0
LEAST_PROBABILITY: Final = 1e-4
FIRST_SQUARES: Final = 1.0
KNOWN: Final = 1  # row of the shared weights of users with a history; strangers have row 0

PRIOR: Final = {
    "popular_3000_events": 0.05,
    "popular_week": 0.05,
    "popular_ever": 0.0,
    "popular_stage": 0.1,
    "next": 0.3,
    "around": 0.3,
    "around_now": 0.3,
    "together": 0.2,
    "together_now": 0.2,
    "pattern": 0.3,
    "sequence": 0.3,
    "vectors": 0.2,
    "text_recent": 0.2,
    "text_profile": 0.2,
    "terms_recent": 0.2,
    "liked": 0.2,
    "category": 0.15,
    "category_now": 0.1,
    "disliked": -0.3,
    "again": 0.5,
    "momentum": 1.0,
    "alike": 0.3,
    "earned": 1.0,
}

# A user without history: nothing but popularity speaks, above all what others took first.
PRIOR_WITHOUT_HISTORY: Final = {
    **PRIOR,
    "popular_3000_events": 0.1,
    "popular_week": 0.1,
    "popular_ever": 0.1,
    "popular_stage": 0.3,
}


def new_weights() -> Weights:
    """The prior: what any stream may expect before it has shown anything of its own."""
    priors = (PRIOR_WITHOUT_HISTORY, PRIOR)
    shared = np.array([[prior.get(name, 0.0) for name in SIGNALS] for prior in priors], np.float32)
    covariance = np.eye(WIDTH, dtype=np.float32) / np.float32(SHARED_PRECISION)
    return Weights(
        shared,
        np.zeros((USER_CELLS, WIDTH), np.float32),
        np.zeros((ITEM_CELLS, WIDTH), np.float32),
        np.stack([covariance, covariance]),
        np.full((USER_CELLS, WIDTH), FIRST_SQUARES, np.float32),
        np.full((ITEM_CELLS, WIDTH), FIRST_SQUARES, np.float32),
        np.full(WIDTH, PRIOR_PRECISION, np.float32),
    )


@njit(cache=True)
def user_cell(length: int, idle: float) -> int:
    """Which weights a user gets.

    Args:
        length: of the history.
        idle: seconds since its newest act; within a session other signals count than after a pause.
    """
    cell = 0
    for start in USER_STARTS:
        if length >= start:
            cell += 1
    if cell > 0 and idle > SESSION_SECONDS:
        cell += len(USER_STARTS)
    return cell


@njit(cache=True)
def item_cell(count: float) -> int:
    """Which weights an item taken this often gets."""
    cell = 0
    for start in ITEM_STARTS:
        if count >= start:
            cell += 1
    return cell


@njit(cache=True, error_model="numpy")
def score(weights: Weights, items: Items, scratch: Scratch, m: int, cell: int) -> None:
    """Score `m` candidates.

    Args:
        weights: the ranker.
        items: for the candidates' cells.
        scratch: the candidates and their signals; `scores` is written.
        m: how many.
        cell: the user's, as `user_cell` tells it.
    """
    u, group = cell, min(cell, KNOWN)
    candidates, counts, x, scores = scratch.items, items.taken, scratch.signals, scratch.scores
    table = np.empty((ITEM_CELLS, WIDTH), np.float32)
    for b in range(ITEM_CELLS):
        for f in range(WIDTH):
            table[b, f] = weights.shared[group, f] + weights.of_user[u, f] + weights.of_item[b, f]
    for c in range(m):
        b = item_cell(counts[np.uintp(candidates[c])])
        scores[c] = dot(table[b], x[c])


class Taken(NamedTuple):
    """What was taken, and how much is learned from it.

    Args:
        place: of the item among the candidates.
        cell: the user's, as `user_cell` tells it.
        weight: of the act.
        cell_rate: how fast the parts by evidence move; CELL_RATE, or 0 where a choice tells too little for them.
    """

    place: int
    cell: int
    weight: float
    cell_rate: float


@njit(cache=True, error_model="numpy")
def learn_choice(weights: Weights, items: Items, scratch: Scratch, m: int, taken: Taken) -> None:
    """One softmax step: one candidate was taken, the other m - 1 were not.

    Args:
        weights: written.
        items: `momentum` is written.
        scratch: the candidates, their signals, and their scores under the current weights, which become
            probabilities.
        m: how many.
        taken: which.
    """
    candidates, counts, momentum = scratch.items, items.taken, items.momentum
    x, scores, chosen = scratch.signals, scratch.scores, taken.place
    highest = np.float32(-1e30)
    for c in range(m):
        highest = max(highest, scores[c])
    mass = np.float32(0.0)
    for c in range(m):
        scores[c] = np.exp(max(scores[c] - highest, np.float32(-30.0)))
        mass += scores[c]
    # Candidates without a chance are left out, and the others' probabilities still sum to one.
    least = np.float32(LEAST_PROBABILITY) * mass
    mass = np.float32(0.0)
    for c in range(m):
        if scores[c] < least and c != chosen:
            scores[c] = 0.0
        mass += scores[c]
    u = taken.cell
    gradient = np.zeros((ITEM_CELLS, WIDTH), np.float32)
    mean = np.zeros(WIDTH, np.float32)
    square = np.zeros(WIDTH, np.float32)
    for c in range(m):
        if scores[c] == 0.0:
            continue
        p = scores[c] / mass
        error = (np.float32(1.0) if c == chosen else np.float32(0.0)) - p
        i = candidates[c]
        momentum[i] += np.float32(MOMENTUM_RATE) * error - np.float32(MOMENTUM_DECAY) * p * momentum[i]
        b = item_cell(counts[i])
        for f in range(WIDTH):
            gradient[b, f] += error * x[c, f]
            mean[f] += p * x[c, f]
            square[f] += p * x[c, f] * x[c, f]
    w = np.float32(taken.weight)
    precision = weights.precision
    for f in range(WIDTH):
        precision[f] += w * max(square[f] - mean[f] * mean[f], np.float32(0.0))
        mean[f] = w * (x[chosen, f] - mean[f])
        for b in range(ITEM_CELLS):
            gradient[b, f] *= w
    _step(weights.of_user[u], weights.user_squares[u], mean, taken.cell_rate)
    for b in range(ITEM_CELLS):
        _step(weights.of_item[b], weights.item_squares[b], gradient[b], taken.cell_rate)
    group = min(u, KNOWN)
    _turn(weights.shared[group], weights.covariance[group], mean)


@njit(cache=True, error_model="numpy")
def _step(part: F32, squares: F32, gradient: F32, rate: float) -> None:
    """One step of AdaGrad."""
    for f in range(WIDTH):
        squares[f] += gradient[f] * gradient[f]
        part[f] += np.float32(rate) * gradient[f] / np.sqrt(squares[f])


@njit(cache=True, error_model="numpy")
def _turn(shared: F32, covariance: F32, gradient: F32) -> None:
    """One step of second order; the gradient's own square is the information that the choice brought."""
    turned = np.zeros(WIDTH, np.float32)
    for f in range(WIDTH):
        for g in range(WIDTH):
            turned[g] += covariance[f, g] * gradient[f]
    told = np.float32(1.0) + dot(turned, gradient)
    for f in range(WIDTH):
        step = turned[f] / told
        shared[f] += step
        for g in range(WIDTH):
            covariance[f, g] -= step * turned[g]
        covariance[f, f] += np.float32(DRIFT)


@njit(cache=True)
def addends(weights: Weights, items: Items, scratch: Scratch, m: int, place: int, cell: int) -> F32:
    """What each signal adds to a candidate's score above the candidates' mean: float32 (WIDTH,)."""
    u, x = cell, scratch.signals
    b = item_cell(items.taken[scratch.items[place]])
    out = np.empty(WIDTH, np.float32)
    for f in range(WIDTH):
        mean = np.float32(0.0)
        for c in range(m):
            mean += x[c, f]
        weight = weights.shared[min(u, KNOWN), f] + weights.of_user[u, f] + weights.of_item[b, f]
        out[f] = weight * (x[place, f] - mean / np.float32(m))
    return out
