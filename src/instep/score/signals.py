"""Evidence to signals: some forty numbers a candidate, on scales that one linear ranker can weigh."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.learn.positive import fade, stage_of
from instep.learn.vectors import read_history
from instep.retrieve.candidates import (
    AFTER_NEWEST,
    AFTER_SECOND,
    AGAIN,
    AGAIN_COUNT,
    ALIKE,
    ALIKE_LATELY,
    AROUND,
    AROUND_NOW,
    DISLIKED,
    NEXT,
    PASSED,
    PASSED_LATELY,
    SHARED,
    SHARED_NOW,
    STRONGEST,
    SUPPORT,
    Request,
    Scratch,
)
from instep.retrieve.request import READ_HISTORY
from instep.retrieve.terms import shared_terms
from instep.state import CATEGORY_SLOTS, DECAYS, Attention, Clock, Items, Tables, Terms
from instep.state.loops import dot, fast_log, read_ahead
from instep.state.tables import F32, I32, TEXT_UNIT

SIGNALS: Final = (
    "constant",
    # Logarithms, side by side, so that they are taken in one sweep.
    "popular_300_events",
    "popular_3000_events",
    "popular_hours",
    "popular_day",
    "popular_week",
    "popular_month",
    "popular_ever",
    "popular_stage",
    "earned",
    "new",
    "idle",
    "next",
    "around",
    "together",
    "around_now",
    "together_now",
    "after_newest",
    "after_second",
    "support",
    "strongest",
    "alike",
    "alike_lately",
    "disliked",
    "again_often",
    "passed",
    "passed_lately",
    # All others.
    "again",
    "pattern",
    "sequence",
    "vectors",
    "text_recent",
    "text_profile",
    "text_newest",
    "text_nearest",
    "terms_recent",
    "terms_newest",
    "liked",
    "momentum",
    "category",
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
    EARNED,
    NEW,
    IDLE,
    S_NEXT,
    S_AROUND,
    S_TOGETHER,
    S_AROUND_NOW,
    S_TOGETHER_NOW,
    S_AFTER_NEWEST,
    S_AFTER_SECOND,
    S_SUPPORT,
    S_STRONGEST,
    S_ALIKE,
    S_ALIKE_LATELY,
    S_DISLIKED,
    S_AGAIN_OFTEN,
    S_PASSED,
    S_PASSED_LATELY,
    S_AGAIN,
    PATTERN,
    SEQUENCE,
    VECTORS,
    TEXT_RECENT,
    TEXT_PROFILE,
    TEXT_NEWEST,
    TEXT_NEAREST,
    TERMS_RECENT,
    TERMS_NEWEST,
    LIKED,
    MOMENTUM,
    CATEGORY,
    CATEGORY_NOW,
) = range(WIDTH)
FIRST_LOG, LAST_LOG = POPULAR, S_PASSED_LATELY
TEXT_PROFILE_DECAY = np.float32(0.95)
ONE_BY_ONE: Final = 6  # items of the history whose texts are compared on their own
CATEGORY_DECAY = np.float32(0.95)
EARNED_PRIOR = np.float32(5.0)  # looks
AHEAD: Final = 4  # candidates whose numbers are asked for before they are needed


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
def _note_counts(items: Items, clock: Clock, request: Request, scratch: Scratch, m: int, x: F32) -> None:
    """What is known of an item whoever asks: how often it was taken, how lately, what came of it."""
    stage = stage_of(len(request.recent))
    events = np.float32(max(clock.events[0], 1))
    now = max(clock.now[0], request.now)
    faded = clock.scale.copy()
    fade(faded, now - clock.now[0])
    scales = faded.astype(np.float32)
    stage_scale = np.float32(clock.stage_scale[stage])
    stage_total = np.float32(clock.stage_total[stage])
    # Tables are taken apart outside the loop: reading a field of a tuple counts a reference each time.
    candidates, taken, popularity, stages = scratch.items, items.taken, items.popularity, items.stage
    published, first_seen, first_taken = items.published, items.first_seen, items.first_taken
    last_seen, rate, reward, momentum = items.last_seen, items.earned, items.reward, items.momentum
    usually = _usual_rate(rate, candidates, m)
    one = np.float32(1.0)
    for c in range(m):
        read_ahead(taken, np.uintp(candidates[min(c + AHEAD, m - 1)]))
        i = np.uintp(candidates[c])
        x[c, CONSTANT] = one
        for d in range(DECAYS):
            x[c, POPULAR + d] = popularity[i, d] * scales[d] + np.float32(0.05)
        usual = (taken[i] + np.float32(0.3)) / events
        x[c, EVER] = usual
        x[c, STAGE] = (stages[i, stage] * stage_scale + np.float32(50.0) * usual) / (
            (stage_total + np.float32(50.0)) * usual
        )
        earned = usually * EARNED_PRIOR + max(rate[i, 0], np.float32(0.0))
        x[c, EARNED] = earned / (usually * (EARNED_PRIOR + rate[i, 1])) if usually > 0.0 else one
        known = published[i] if published[i] >= 0.0 else first_seen[i]
        born = first_taken[i] if first_taken[i] >= 0.0 else known
        age = max(now - born, 0.0) if born >= 0.0 else 0.0
        x[c, NEW] = one + np.float32(age / 60.0)
        idle = max(now - last_seen[i], 0.0) if last_seen[i] >= 0.0 else 1e8
        x[c, IDLE] = one + np.float32(idle / 60.0)
        x[c, LIKED] = reward[i, 0] / (reward[i, 1] + np.float32(5.0))
        x[c, MOMENTUM] = momentum[i]


@njit(cache=True, error_model="numpy")
def _note_evidence(items: Items, scratch: Scratch, m: int, x: F32) -> None:
    """What `gather` found between the item and the history."""
    candidates, evidence, taken, slots = scratch.items, scratch.evidence, items.taken, items.head
    symmetric, directed = scratch.dense[0], scratch.dense[1]
    one = np.float32(1.0)
    for c in range(m):
        i = np.uintp(candidates[c])
        often = one / np.sqrt(taken[i] + np.float32(5.0))
        x[c, S_NEXT] = one + np.float32(30.0) * evidence[c, NEXT]
        x[c, S_AROUND] = one + np.float32(100.0) * evidence[c, AROUND] * often
        x[c, S_TOGETHER] = one + np.float32(30.0) * evidence[c, SHARED] * often
        x[c, S_AROUND_NOW] = one + np.float32(100.0) * evidence[c, AROUND_NOW] * often
        x[c, S_TOGETHER_NOW] = one + np.float32(30.0) * evidence[c, SHARED_NOW] * often
        x[c, S_AFTER_NEWEST] = one + np.float32(30.0) * evidence[c, AFTER_NEWEST]
        x[c, S_AFTER_SECOND] = one + np.float32(30.0) * evidence[c, AFTER_SECOND]
        x[c, S_SUPPORT] = one + evidence[c, SUPPORT]
        x[c, S_STRONGEST] = one + np.float32(30.0) * evidence[c, STRONGEST] * often
        x[c, S_ALIKE] = one + np.float32(300.0) * evidence[c, ALIKE]
        x[c, S_ALIKE_LATELY] = one + np.float32(300.0) * evidence[c, ALIKE_LATELY]
        x[c, S_DISLIKED] = one + np.float32(10.0) * evidence[c, DISLIKED] * often
        x[c, S_AGAIN_OFTEN] = one + evidence[c, AGAIN_COUNT]
        x[c, S_PASSED] = one + np.float32(10.0) * evidence[c, PASSED]
        x[c, S_PASSED_LATELY] = one + np.float32(10.0) * evidence[c, PASSED_LATELY]
        x[c, S_AGAIN] = evidence[c, AGAIN]
        slot = slots[i]
        x[c, PATTERN] = np.float32(3.0) * symmetric[slot] if slot >= 0 else 0.0
        x[c, SEQUENCE] = np.float32(20.0) * directed[slot] if slot >= 0 else 0.0


@njit(cache=True, error_model="numpy")
def _take_logarithms(x: F32, m: int) -> None:
    """Of every column from FIRST_LOG to LAST_LOG, in place."""
    for c in range(m):
        for k in range(FIRST_LOG, LAST_LOG + 1):
            x[c, k] = fast_log(x[c, k])
        x[c, NEW] *= np.float32(0.3)
        x[c, IDLE] *= np.float32(0.3)


@njit(cache=True, error_model="numpy")
def _note_vectors(
    items: Items, attention: Attention, request: Request, scratch: Scratch, m: int, x: F32
) -> None:
    vector = np.zeros(items.inward.shape[1], np.float32)
    read_history(attention, items.inward, request.recent, request.ages, vector)
    candidates, bias, outward = scratch.items, items.bias, items.outward
    for c in range(m):
        read_ahead(outward, np.uintp(candidates[min(c + AHEAD, m - 1)]))
        i = np.uintp(candidates[c])
        x[c, VECTORS] = bias[i] + dot(vector, outward[i])


@njit(cache=True, error_model="numpy")
def _note_texts(items: Items, request: Request, scratch: Scratch, m: int, x: F32) -> None:
    """Cosines of the item's text with the history's: with sums of it, with the newest item, with the nearest."""
    for c in range(m):
        x[c, TEXT_RECENT : TEXT_NEAREST + 1] = 0.0
    newest = request.recent[:ONE_BY_ONE]
    if len(newest) == 0:
        return
    recent = np.zeros(items.text.shape[1], np.float32)
    whole = np.zeros(items.text.shape[1], np.float32)
    _profiles(items, request, recent, whole)
    candidates, text, known = scratch.items, items.text, items.text_known
    scale = np.float32(4.0)
    single = scale / np.float32(TEXT_UNIT**2)
    for c in range(m):
        read_ahead(text, np.uintp(candidates[min(c + AHEAD, m - 1)]))
        i = np.uintp(candidates[c])
        if not known[i]:
            continue
        x[c, TEXT_RECENT] = scale * dot(recent, text[i])
        x[c, TEXT_PROFILE] = scale * dot(whole, text[i])
        for g in range(len(newest)):
            if known[newest[g]]:
                near = single * dot(text[i], text[newest[g]])
                x[c, TEXT_NEAREST] = max(x[c, TEXT_NEAREST], near)
                if g == 0:
                    x[c, TEXT_NEWEST] = near


@njit(cache=True, error_model="numpy")
def _note_terms(items: Items, terms: Terms, scratch: Scratch, m: int, x: F32) -> None:
    """Cosines of the item's terms with those of the history, and of the newest item."""
    of_items, held, known = items.terms, terms.held, np.float32(terms.size[0] + 1)
    candidates, scale = scratch.items, np.float32(4.0)
    for c in range(m):
        recent, newest = shared_terms(held, known, of_items[np.uintp(candidates[c])], scratch)
        x[c, TERMS_RECENT] = scale * recent
        x[c, TERMS_NEWEST] = scale * newest


@njit(cache=True, error_model="numpy")
def _note_categories(
    items: Items, request: Request, scratch: Scratch, m: int, categories: int, x: F32
) -> None:
    """The history's largest share of one of the item's categories."""
    shares = np.zeros((max(categories, 1), 2), np.float32)
    _category_shares(items, request, shares)
    candidates, labels = scratch.items, items.categories
    for c in range(m):
        i = np.uintp(candidates[c])
        best, best_now = np.float32(0.0), np.float32(0.0)
        for k in range(CATEGORY_SLOTS):
            if labels[i, k] >= 0:
                best = max(best, shares[labels[i, k], 0])
                best_now = max(best_now, shares[labels[i, k], 1])
        x[c, CATEGORY] = np.float32(4.0) * best
        x[c, CATEGORY_NOW] = np.float32(4.0) * best_now


@njit(cache=True, error_model="numpy")
def fill_signals(tables: Tables, request: Request, scratch: Scratch, m: int, categories: int) -> None:
    """Write the signals of `m` candidates.

    Args:
        tables: read.
        request: for whom and when.
        scratch: candidates and evidence as `gather` left them; `signals` is written.
        m: how many candidates.
        categories: number of categories in use.
    """
    items, x = tables.items, scratch.signals
    _note_counts(items, tables.clock, request, scratch, m, x)
    _note_evidence(items, scratch, m, x)
    _take_logarithms(x, m)
    _note_vectors(items, tables.attention, request, scratch, m, x)
    _note_texts(items, request, scratch, m, x)
    _note_terms(items, tables.terms, scratch, m, x)
    _note_categories(items, request, scratch, m, categories, x)
