"""Collaborative vectors: where a history leads, learned from every choice and from older ones rehearsed beside it.

A history becomes one vector: each of its newest items counts by its place and its time, in two ways at once, and a
matrix mixes the two sums. An item's score is its bias and the product of that vector with its outward vector. Both
kinds of vectors, the attention and the matrix learn by sampled softmax. One pass over a stream is too few to learn
this much from: so each event rehearses a few earlier choices, as they stood when they were made.

Source: Jean et al. 2015 (sampled softmax); Kang and McAuley 2018 (SASRec), here with one step of attention whose keys
are place and time; Li et al. 2020 (TiSASRec), classes of time; Rolnick et al. 2019 (experience replay).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from instep.state import Items
from instep.state.attention import (
    AGE_PART,
    AGES,
    HEADS,
    MIX_PART,
    PLACE_PART,
    READS,
    REHEARSED,
    START_PART,
    Attention,
    Rehearsal,
)
from instep.state.loops import dot
from instep.state.random import next_random
from instep.state.tables import F32, F64, I32, I64, U8, U64, VECTOR_WIDTH

OLDER: Final = 4  # choices rehearsed with each new one
NEGATIVES: Final = 64  # the same for all choices of one event
EVERYWHERE: Final = np.float32(
    0.3
)  # share of the negatives that is drawn from all items, the rest from what was taken
FORGOTTEN: Final = np.float32(0.4)  # share of a history that is left out while learning
RATE: Final = np.float32(0.02)
SHARED_RATE: Final = np.float32(0.005)
MEMORY: Final = np.float32(0.998)  # of the squares of a row's steps
_SMALL = np.float32(1e-8)
_LEAST_ERROR = np.float32(1e-5)


@njit(cache=True)
def start_vectors(items: Items, item: int) -> None:
    """Small, fixed starting vectors that depend on nothing but the item's number."""
    state = np.full(1, item + 1, np.uint64)
    for c in range(items.inward.shape[1]):
        items.inward[item, c] = (_uniform(state) - np.float32(0.5)) * np.float32(0.17)
        items.outward[item, c] = (_uniform(state) - np.float32(0.5)) * np.float32(0.17)


@njit(cache=True, inline="always")
def _uniform(state: U64) -> Any:
    """A float32 in [0, 1)."""
    return np.float32(next_random(state) >> np.uint64(40)) * np.float32(1.0 / 16777216.0)


@njit(cache=True)
def class_of(seconds: float) -> int:
    """The class of a span of time: each is twice as long as the one before."""
    if not seconds > 0.0:
        return 0
    return min(int(np.log2(seconds + 1.0)), AGES - 1)


@njit(cache=True)
def classes(ages: F64, age: U8, lag: U8) -> int:
    """Classes of a history's times.

    Args:
        ages: float64 (m,), seconds since each act, newest first.
        age, lag: uint8 (READS,), overwritten: of the time since the act, and from the act to the newest.

    Returns:
        How many items are read.
    """
    m = min(len(ages), READS)
    for g in range(m):
        age[g] = class_of(ages[g])
        lag[g] = class_of(ages[g] - ages[0])
    return m


@njit(cache=True)
def parts_of(flat: F32) -> tuple[F32, F32, F32, F32, F32]:
    """Parameters, or their gradient, taken apart: views by place, age, lag (each a row and HEADS), mix and start."""
    a, b = PLACE_PART, PLACE_PART + AGE_PART
    c = b + AGE_PART
    d = c + MIX_PART
    return (
        flat[:a].reshape(READS, HEADS),
        flat[a:b].reshape(AGES, HEADS),
        flat[b:c].reshape(AGES, HEADS),
        flat[c:d].reshape(HEADS * VECTOR_WIDTH, VECTOR_WIDTH),
        flat[d : d + START_PART].reshape(AGES, VECTOR_WIDTH),
    )


@njit(cache=True, error_model="numpy")
def attend(parameters: F32, age: U8, lag: U8, read: U8, attention: F32) -> None:
    """How much each item of a history counts.

    Args:
        parameters: of `Attention`.
        age, lag: uint8 (>= m,), classes of its times.
        read: uint8 (m,), 0 for items that are left out.
        attention: float32 (HEADS, >= m), overwritten; sums to one over what is read.
    """
    by_place, by_age, by_lag, _, _ = parts_of(parameters)
    m = len(read)
    for h in range(HEADS):
        highest, total = np.float32(-1e30), np.float32(1e-9)
        for g in range(m):
            if read[g]:
                attention[h, g] = by_place[g, h] + by_age[age[g], h] + by_lag[lag[g], h]
                highest = max(highest, attention[h, g])
        for g in range(m):
            attention[h, g] = np.exp(attention[h, g] - highest) if read[g] else np.float32(0.0)
            total += attention[h, g]
        for g in range(m):
            attention[h, g] /= total


@njit(cache=True, error_model="numpy")
def lead(parameters: F32, inward: F32, recent: I32, age: U8, attention: F32, pooled: F32, out: F32) -> Any:
    """The vector of a history.

    Args:
        parameters: of `Attention`.
        inward: float32 (n, VECTOR_WIDTH), of the items.
        recent: int32 (m,), the history, newest first; may be empty.
        age: uint8 (>= 1,), classes of the times since the acts.
        attention: float32 (HEADS, >= m), as `attend` left it.
        pooled: float32 (HEADS * VECTOR_WIDTH,), overwritten with the sums of the heads.
        out: float32 (VECTOR_WIDTH,), overwritten with the vector, of length sqrt(VECTOR_WIDTH).

    Returns:
        What the unscaled vector was multiplied by.
    """
    _, _, _, mix, start = parts_of(parameters)
    pooled[:] = 0.0
    for g in range(len(recent)):
        for h in range(HEADS):
            a = attention[h, g]
            for c in range(VECTOR_WIDTH):
                pooled[h * VECTOR_WIDTH + c] += a * inward[recent[g], c]
    out[:] = start[age[0] if len(recent) > 0 else AGES - 1]
    for k in range(HEADS * VECTOR_WIDTH):
        for c in range(VECTOR_WIDTH):
            out[c] += pooled[k] * mix[k, c]
    scale = np.float32(1.0) / np.sqrt(dot(out, out) / np.float32(VECTOR_WIDTH) + np.float32(1e-4))
    for c in range(VECTOR_WIDTH):
        out[c] *= scale
    return scale


@njit(cache=True)
def _counts_now(attention: Attention, ages: F64) -> tuple[int, U8, F32]:
    """For a request: how many items of a history are read, the classes of their ages, how much each counts."""
    age, lag = np.zeros(READS, np.uint8), np.zeros(READS, np.uint8)
    m = classes(ages, age, lag)
    weights = np.zeros((HEADS, READS), np.float32)
    attend(attention.parameters, age, lag, np.ones(m, np.uint8), weights)
    return m, age, weights


@njit(cache=True)
def read_history(attention: Attention, inward: F32, recent: I32, ages: F64, out: F32) -> None:
    """The vector of a history, for a request.

    Args:
        attention: the table.
        inward: float32 (n, VECTOR_WIDTH), of the items.
        recent: int32 (m,), items, newest first.
        ages: float64 (>= min(m, READS),), seconds since each act.
        out: float32 (VECTOR_WIDTH,), overwritten.
    """
    m, age, weights = _counts_now(attention, ages)
    pooled = np.zeros(HEADS * VECTOR_WIDTH, np.float32)
    lead(attention.parameters, inward, recent[:m], age, weights, pooled, out)


@njit(cache=True)
def shares_of(attention: Attention, items: Items, recent: I32, ages: F64, item: int) -> F32:
    """What each item of a history adds to an item's score, but for one factor that all of them share.

    Args:
        attention, items: the tables.
        recent: int32 (m,), items, newest first, at most READS.
        ages: float64 (m,), seconds since each act.
        item: whose score.

    Returns:
        float32 (m,).
    """
    m, _, weights = _counts_now(attention, ages)
    _, _, _, mix, _ = parts_of(attention.parameters)
    shares = np.zeros(len(recent), np.float32)
    for g in range(m):
        for c in range(VECTOR_WIDTH):
            z = np.float32(0.0)
            for k in range(HEADS * VECTOR_WIDTH):
                z += mix[k, c] * weights[k // VECTOR_WIDTH, g] * items.inward[recent[g], k % VECTOR_WIDTH]
            shares[g] += z * items.outward[item, c]
    return shares


@njit(cache=True)
def note_choice(items: Items, rehearsal: Rehearsal, item: int, recent: I32, ages: F64) -> None:
    """Write a choice into the ring, over the oldest one.

    Args:
        items: the table; `rehearsed` counts what is in the ring.
        rehearsal: the ring.
        item: what was taken.
        recent: int32 (m,), the history before it, newest first, with the item where it had been taken earlier.
        ages: float64 (m,), seconds between each act and the choice.
    """
    at = rehearsal.written[0] % REHEARSED
    if rehearsal.written[0] >= REHEARSED:
        items.rehearsed[rehearsal.taken[at]] -= np.float32(1.0)
    items.rehearsed[item] += np.float32(1.0)
    rehearsal.taken[at] = item
    m = classes(ages, rehearsal.age[at], rehearsal.lag[at])
    rehearsal.length[at] = m
    rehearsal.recent[at, :m] = recent[:m]
    rehearsal.written[0] += 1


@njit(cache=True)
def _draw_negatives(
    items: Items, rehearsal: Rehearsal, state: U64, n: int, negatives: I64, offsets: F32
) -> None:
    """Items that what was taken is compared with.

    An item's chance of being drawn is taken off its score, so that all of them together stand for the catalogue.

    Args:
        items: the table.
        rehearsal: where most are drawn from.
        state: of the draws.
        n: items in use.
        negatives: int64 (NEGATIVES,), overwritten.
        offsets: float32 (NEGATIVES,), overwritten: what is taken off each score.
    """
    held = min(rehearsal.written[0], REHEARSED)
    taken_share = (np.float32(1.0) - EVERYWHERE) / np.float32(held)
    share = EVERYWHERE / np.float32(n)
    for r in range(NEGATIVES):
        if _uniform(state) < EVERYWHERE:
            k = np.int64(next_random(state) % np.uint64(n))
        else:
            k = np.int64(rehearsal.taken[np.int64(next_random(state) % np.uint64(held))])
        negatives[r] = k
        offsets[r] = np.log((taken_share * items.rehearsed[k] + share) * np.float32(NEGATIVES))


@njit(cache=True, error_model="numpy")
def _pull_outward(items: Items, item: int, negatives: I64, offsets: F32, vector: F32, pull: F32) -> float:
    """One step of the outward vectors and biases by sampled softmax.

    Args:
        items: the table.
        item: what was taken.
        negatives, offsets: as `_draw_negatives` left them.
        vector: float32 (VECTOR_WIDTH,), of the history.
        pull: float32 (VECTOR_WIDTH,), overwritten: the slope of the likelihood's logarithm in the vector.

    Returns:
        The logarithm of the likelihood.
    """
    mass = np.empty(NEGATIVES + 1, np.float32)
    highest = mass[NEGATIVES] = items.bias[item] + dot(vector, items.outward[item])
    for r in range(NEGATIVES):
        k = negatives[r]
        z = items.bias[k] + dot(vector, items.outward[k]) - offsets[r]
        mass[r] = np.float32(-1e30) if k == item else z
        highest = max(highest, mass[r])
    total = np.float32(0.0)
    for r in range(NEGATIVES + 1):
        mass[r] = np.exp(mass[r] - highest)
        total += mass[r]
    length = dot(vector, vector) / np.float32(VECTOR_WIDTH)
    pull[:] = 0.0
    for r in range(NEGATIVES + 1):
        k = negatives[r] if r < NEGATIVES else np.int64(item)
        error = (np.float32(0.0) if r < NEGATIVES else np.float32(1.0)) - mass[r] / total
        if abs(error) < _LEAST_ERROR:
            continue
        items.squares[k, 1] = MEMORY * items.squares[k, 1] + error * error * length
        step = RATE * error / np.sqrt(items.squares[k, 1] + _SMALL)
        items.bias[k] += step
        for c in range(VECTOR_WIDTH):
            pull[c] += error * items.outward[k, c]
            items.outward[k, c] += step * vector[c]
    return np.log(mass[NEGATIVES] / total)  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def _pull_inward(
    items: Items,
    recent: I32,
    age: U8,
    lag: U8,
    read: U8,
    attention: F32,
    pooled: F32,
    pull: F32,
    gradient: F32,
) -> None:
    """One step of the inward vectors; `gradient` of the attention grows. `pull`: what each head's sum gets."""
    by_place, by_age, by_lag, _, _ = parts_of(gradient)
    for h in range(HEADS):
        of_head = pull[h * VECTOR_WIDTH : (h + 1) * VECTOR_WIDTH]
        mean = dot(of_head, pooled[h * VECTOR_WIDTH : (h + 1) * VECTOR_WIDTH])
        for g in range(len(recent)):
            if read[g]:
                rise = attention[h, g] * (dot(of_head, items.inward[recent[g]]) - mean)
                by_place[g, h] += rise
                by_age[age[g], h] += rise
                by_lag[lag[g], h] += rise
    move = np.empty(VECTOR_WIDTH, np.float32)
    for g in range(len(recent)):
        if read[g]:
            k = recent[g]
            move[:] = 0.0
            for h in range(HEADS):
                for c in range(VECTOR_WIDTH):
                    move[c] += attention[h, g] * pull[h * VECTOR_WIDTH + c]
            items.squares[k, 0] = MEMORY * items.squares[k, 0] + dot(move, move) / np.float32(VECTOR_WIDTH)
            step = RATE / np.sqrt(items.squares[k, 0] + _SMALL)
            for c in range(VECTOR_WIDTH):
                items.inward[k, c] += step * move[c]


@njit(cache=True, error_model="numpy")
def _rehearse_one(
    items: Items,
    parameters: F32,
    rehearsal: Rehearsal,
    at: int,
    state: U64,
    negatives: I64,
    offsets: F32,
    gradient: F32,
) -> float:
    """Learn from one choice of the ring; `gradient` of the shared parameters grows. Returns its log-likelihood."""
    m = rehearsal.length[at]
    recent, age, lag = rehearsal.recent[at, :m], rehearsal.age[at], rehearsal.lag[at]
    read = np.empty(m, np.uint8)
    for g in range(m):
        read[g] = _uniform(state) >= FORGOTTEN
    attention = np.zeros((HEADS, READS), np.float32)
    pooled = np.empty(HEADS * VECTOR_WIDTH, np.float32)
    vector, pull = np.empty(VECTOR_WIDTH, np.float32), np.empty(VECTOR_WIDTH, np.float32)
    attend(parameters, age, lag, read, attention)
    scale = lead(parameters, items.inward, recent, age, attention, pooled, vector)
    likelihood: float = _pull_outward(items, rehearsal.taken[at], negatives, offsets, vector, pull)
    along = dot(pull, vector) / np.float32(VECTOR_WIDTH)
    for c in range(VECTOR_WIDTH):  # the vector's length is fixed: only what turns it counts
        pull[c] = (pull[c] - vector[c] * along) * scale
    _, _, _, mix, _ = parts_of(parameters)
    _, _, _, by_mix, by_start = parts_of(gradient)
    back = np.empty(HEADS * VECTOR_WIDTH, np.float32)
    since = age[0] if m > 0 else AGES - 1
    for c in range(VECTOR_WIDTH):
        by_start[since, c] += pull[c]
    for k in range(HEADS * VECTOR_WIDTH):
        back[k] = dot(pull, mix[k])
        for c in range(VECTOR_WIDTH):
            by_mix[k, c] += pooled[k] * pull[c]
    _pull_inward(items, recent, age, lag, read, attention, pooled, back, gradient)
    return likelihood


@njit(cache=True, error_model="numpy")
def _step(attention: Attention, gradient: F32) -> None:
    """One step of the shared parameters. Source: Kingma and Ba 2015 (Adam)."""
    attention.steps[0] += 1
    steps = float(attention.steps[0])
    first, second = np.float32(1.0 - 0.9**steps), np.float32(1.0 - 0.999**steps)
    parameters, means, squares = attention.parameters, attention.moments[0], attention.moments[1]
    for k in range(len(parameters)):
        means[k] = np.float32(0.9) * means[k] + np.float32(0.1) * gradient[k]
        squares[k] = np.float32(0.999) * squares[k] + np.float32(0.001) * gradient[k] * gradient[k]
        parameters[k] += SHARED_RATE * (means[k] / first) / (np.sqrt(squares[k] / second) + _SMALL)


@njit(cache=True, error_model="numpy")
def rehearse(items: Items, attention: Attention, rehearsal: Rehearsal, seed: int, n: int) -> None:
    """Learn from the newest choice, from a few older ones, and from the newest again.

    Args:
        items, attention: moved.
        rehearsal: the ring; not empty.
        seed: of what is drawn, together with the number of choices.
        n: items in use.
    """
    if n < 2:
        return
    state = np.full(1, np.uint64(seed) ^ np.uint64(rehearsal.written[0]), np.uint64)
    held = np.uint64(min(rehearsal.written[0], REHEARSED))
    newest = (rehearsal.written[0] - 1) % REHEARSED
    gradient = np.zeros(len(attention.parameters), np.float32)
    negatives, offsets = np.empty(NEGATIVES, np.int64), np.empty(NEGATIVES, np.float32)
    _draw_negatives(items, rehearsal, state, n, negatives, offsets)
    for r in range(OLDER + 2):
        at = newest if r in (0, OLDER + 1) else np.int64(next_random(state) % held)
        _rehearse_one(items, attention.parameters, rehearsal, int(at), state, negatives, offsets, gradient)
    for k in range(len(gradient)):
        gradient[k] /= np.float32(OLDER + 2)
    _step(attention, gradient)
