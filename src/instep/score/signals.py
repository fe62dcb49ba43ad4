"""Evidence to signals: about twenty numbers a candidate, on scales that one linear ranker can weigh."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from instep.learn.positive import fade, stage_of
from instep.learn.vectors import read_history
from instep.retrieve.candidates import (
    AGAIN,
    AGAIN_COUNT,
    ALIKE,
    AROUND,
    AROUND_NOW,
    DIRECTED,
    DISLIKED,
    NEXT,
    PASSED,
    PASSED_LATELY,
    SHARED,
    SHARED_NOW,
    SYMMETRIC,
    Request,
    Scratch,
)
from instep.retrieve.gather import READ_HISTORY
from instep.state import CATEGORY_SLOTS, DECAYS, Attention, Clock, Items
from instep.state.loops import dot, read_ahead
from instep.state.tables import F32, I32, TEXT_UNIT

SIGNALS: Final = (
    "constant",
    "popular_300_events",
    "popular_3000_events",
    "popular_hours",
    "popular_day",
    "popular_week",
    "popular_month",
    "popular_ever",
    "popular_stage",
    "next",
    "around",
    "together",
    "pattern",
    "sequence",
    "vectors",
    "text_recent",
    "text_profile",
    "new",
    "liked",
    "category",
    "disliked",
    "again",
    "again_often",
    "idle",
    "momentum",
    "alike",
    "passed",
    "passed_lately",
    "earned",
    "around_now",
    "together_now",
    "category_now",
)
WIDTH: Final = len(SIGNALS)
(
    CONSTANT,
    POPULAR,
    _,
    _,
    _,
    _,
    _,
    EVER,
    STAGE,
    S_NEXT,
    S_AROUND,
    S_TOGETHER,
    PATTERN,
    SEQUENCE,
    VECTORS,
    TEXT_RECENT,
    TEXT_PROFILE,
    NEW,
    LIKED,
    CATEGORY,
    S_DISLIKED,
    S_AGAIN,
    S_AGAIN_OFTEN,
    IDLE,
    MOMENTUM,
    S_ALIKE,
    S_PASSED,
    S_PASSED_LATELY,
    EARNED,
    S_AROUND_NOW,
    S_TOGETHER_NOW,
    CATEGORY_NOW,
) = range(WIDTH)
TEXT_PROFILE_DECAY = np.float32(0.95)
CATEGORY_DECAY = np.float32(0.95)
EARNED_PRIOR = np.float32(5.0)  # looks
LOGS: Final = DECAYS + 15  # logarithms a candidate
AHEAD: Final = 4  # candidates whose numbers are asked for before they are needed


@njit(cache=True, error_model="numpy", inline="always")
def fast_log(x: Any) -> Any:
    """Natural logarithm of a positive float32 to 4e-6, six times faster than the exact one.

    Source: exponent from the bits, mantissa by a Chebyshev fit of degree six on [1, 2].
    """
    bits = np.float32(x).view(np.int32)
    exponent = np.float32((bits >> 23) - 127)
    z = np.int32((bits & 0x7FFFFF) | 0x3F800000).view(np.float32)
    p = np.float32(0.18497518) + z * np.float32(-0.01720806)
    p = np.float32(2.23115054) + z * (np.float32(-0.85553763) + z * p)
    p = np.float32(-2.09907492) + z * (np.float32(4.20453297) + z * (np.float32(-3.64883456) + z * p))
    return exponent * np.float32(0.69314718) + p


@njit(cache=True, error_model="numpy")
def _profiles(items: Items, request: Request, recent: F32, whole: F32) -> None:
    """Sums of text vectors over the history, newest first: decayed by time, and by place.

    Of such a length that the product with an item's text is a cosine.
    """
    far = np.float32(1.0)
    for g in range(min(len(request.recent), READ_HISTORY)):
        j = request.recent[g]
        near = request.closeness[g]
        if items.text_known[j]:
            for c in range(len(recent)):
                recent[c] += near * np.float32(items.text[j, c])
                whole[c] += far * np.float32(items.text[j, c])
        far *= TEXT_PROFILE_DECAY
    for profile in (recent, whole):
        length = np.float32(1.0 / TEXT_UNIT) / np.sqrt(dot(profile, profile) + np.float32(1e-9))
        for c in range(len(profile)):
            profile[c] *= length


@njit(cache=True, error_model="numpy")
def _category_shares(items: Items, request: Request, shares: F32) -> None:
    """Shares of each category in the history, one row a category: decayed by place, and by time."""
    a, total, total_now = np.float32(1.0), np.float32(1e-9), np.float32(1e-9)
    for g in range(min(len(request.recent), READ_HISTORY)):
        close = request.closeness[g]
        for c in items.categories[request.recent[g]]:
            if c >= 0:
                shares[c, 0] += a
                shares[c, 1] += close
        total += a
        total_now += close
        a *= CATEGORY_DECAY
    for c in range(len(shares)):
        shares[c, 0] /= total
        shares[c, 1] /= total_now


@njit(cache=True, error_model="numpy")
def _usual_rate(rate: F32, candidates: I32, m: int) -> float:
    """What a look at the candidates earned on average; 0 where no slates are logged."""
    earned, looks = np.float32(0.0), np.float32(0.0)
    for c in range(m):
        i = np.uintp(candidates[c])
        earned += max(rate[i, 0], np.float32(0.0))
        looks += rate[i, 1]
    return np.float32(earned / looks) if looks > 0.0 else np.float32(0.0)  # type: ignore[return-value]


@njit(cache=True, error_model="numpy")
def fill_signals(
    items: Items,
    clock: Clock,
    attention: Attention,
    request: Request,
    scratch: Scratch,
    m: int,
    categories: int,
    x: F32,
) -> None:
    """Write the signals of `m` candidates.

    Args:
        items, clock, attention: the tables.
        request: for whom and when.
        scratch: candidates and evidence as `gather` left them.
        m: how many candidates.
        categories: number of categories in use.
        x: float32 (>= m, WIDTH), overwritten.
    """
    recent = np.zeros(items.text.shape[1], np.float32)
    whole = np.zeros(items.text.shape[1], np.float32)
    vector = np.zeros(items.inward.shape[1], np.float32)
    shares = np.zeros((max(categories, 1), 2), np.float32)
    _profiles(items, request, recent, whole)
    read_history(attention, items.inward, request.recent, request.ages, vector)
    _category_shares(items, request, shares)
    length = len(request.recent)
    stage = stage_of(length)
    events = np.float32(max(clock.events[0], 1))
    now = max(clock.now[0], request.now)
    faded = clock.scale.copy()
    fade(faded, now - clock.now[0])
    scales = faded.astype(np.float32)
    stage_scale = np.float32(clock.stage_scale[stage])
    stage_total = np.float32(clock.stage_total[stage])
    # Tables are taken apart outside the loop: reading a field of a tuple counts a reference each time.
    candidates, evidence = scratch.items, scratch.evidence
    taken, popularity, stages, bias, reward = (
        items.taken,
        items.popularity,
        items.stage,
        items.bias,
        items.reward,
    )
    published, first_seen, first_taken, last_seen = (
        items.published,
        items.first_seen,
        items.first_taken,
        items.last_seen,
    )
    momentum, rate = items.momentum, items.earned
    usually = _usual_rate(rate, candidates, m)
    outward, text, text_known, labels = items.outward, items.text, items.text_known, items.categories
    one = np.float32(1.0)
    logs = np.ones(LOGS, np.float32)  # all logarithms of a candidate at once
    for c in range(m):
        ahead = np.uintp(candidates[min(c + AHEAD, m - 1)])
        read_ahead(taken, ahead)
        read_ahead(outward, ahead)
        read_ahead(text, ahead)
        i = np.uintp(candidates[c])
        count = taken[i]
        usual = (count + np.float32(0.3)) / events
        often = one / np.sqrt(count + np.float32(5.0))
        for d in range(DECAYS):
            logs[d] = popularity[i, d] * scales[d] + np.float32(0.05)
        logs[DECAYS] = usual
        logs[DECAYS + 1] = (stages[i, stage] * stage_scale + np.float32(50.0) * usual) / (
            (stage_total + np.float32(50.0)) * usual
        )
        logs[DECAYS + 2] = one + np.float32(30.0) * evidence[c, NEXT]
        logs[DECAYS + 3] = one + np.float32(100.0) * evidence[c, AROUND] * often
        logs[DECAYS + 4] = one + np.float32(30.0) * evidence[c, SHARED] * often
        logs[DECAYS + 5] = one + np.float32(10.0) * evidence[c, DISLIKED] * often
        logs[DECAYS + 6] = one + evidence[c, AGAIN_COUNT]
        known = published[i] if published[i] >= 0.0 else first_seen[i]
        born = first_taken[i] if first_taken[i] >= 0.0 else known
        age = max(now - born, 0.0) if born >= 0.0 else 0.0
        logs[DECAYS + 7] = one + np.float32(age / 60.0)
        idle = max(now - last_seen[i], 0.0) if last_seen[i] >= 0.0 else 1e8
        logs[DECAYS + 8] = one + np.float32(idle / 60.0)
        logs[DECAYS + 9] = one + np.float32(300.0) * evidence[c, ALIKE]
        logs[DECAYS + 10] = one + np.float32(10.0) * evidence[c, PASSED]
        logs[DECAYS + 11] = one + np.float32(10.0) * evidence[c, PASSED_LATELY]
        earned = usually * EARNED_PRIOR + max(rate[i, 0], np.float32(0.0))
        logs[DECAYS + 12] = earned / (usually * (EARNED_PRIOR + rate[i, 1])) if usually > 0.0 else one
        logs[DECAYS + 13] = one + np.float32(100.0) * evidence[c, AROUND_NOW] * often
        logs[DECAYS + 14] = one + np.float32(30.0) * evidence[c, SHARED_NOW] * often
        for k in range(LOGS):
            logs[k] = fast_log(logs[k])
        x[c, CONSTANT] = 1.0
        for k in range(S_TOGETHER - POPULAR + 1):
            x[c, POPULAR + k] = logs[k]
        x[c, S_DISLIKED] = logs[DECAYS + 5]
        x[c, S_ALIKE] = logs[DECAYS + 9]
        x[c, S_PASSED] = logs[DECAYS + 10]
        x[c, S_PASSED_LATELY] = logs[DECAYS + 11]
        x[c, EARNED] = logs[DECAYS + 12]
        x[c, S_AROUND_NOW] = logs[DECAYS + 13]
        x[c, S_TOGETHER_NOW] = logs[DECAYS + 14]
        x[c, S_AGAIN_OFTEN] = logs[DECAYS + 6]
        x[c, NEW] = np.float32(0.3) * logs[DECAYS + 7]
        x[c, IDLE] = np.float32(0.3) * logs[DECAYS + 8]
        x[c, PATTERN] = np.float32(3.0) * evidence[c, SYMMETRIC]
        x[c, SEQUENCE] = np.float32(20.0) * evidence[c, DIRECTED]
        x[c, S_AGAIN] = evidence[c, AGAIN]
        x[c, VECTORS] = bias[i] + dot(vector, outward[i])
        near, far = np.float32(0.0), np.float32(0.0)
        if text_known[i] and length > 0:
            near = dot(recent, text[i])
            far = dot(whole, text[i])
        x[c, TEXT_RECENT] = np.float32(4.0) * near
        x[c, TEXT_PROFILE] = np.float32(4.0) * far
        x[c, MOMENTUM] = momentum[i]
        x[c, LIKED] = reward[i, 0] / (reward[i, 1] + np.float32(5.0))
        best, best_now = np.float32(0.0), np.float32(0.0)
        for k in range(CATEGORY_SLOTS):
            if labels[i, k] >= 0:
                best = max(best, shares[labels[i, k], 0])
                best_now = max(best_now, shares[labels[i, k], 1])
        x[c, CATEGORY] = np.float32(4.0) * best
        x[c, CATEGORY_NOW] = np.float32(4.0) * best_now
