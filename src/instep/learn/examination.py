"""How far down users look, estimated as slates are judged.

What is acted on at place k is taken to be ``a_k * r + b_k``: r is how often the item would be acted on at the first
place, a_k the share of it that gets through at place k (examination), b_k what the place earns by itself, because users
trust what stands there. Both are relative to the first place: a_1 = 1, b_1 = 0. An item that is shown at several places
says how the places differ, since r stays the same; policies that draw put it there by a known chance, by which each
showing is weighted. So only slates that were drawn at random count, and no intervention is needed.

Source: Agarwal et al. 2019, "Estimating Position Bias without Intrusive Interventions" (harvesting, weighted by
propensities); Vardasbi et al. 2020, "When Inverse Propensity Scoring does not Work" (affine trust bias).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from instep.state.slates import PLACES, SAMPLED, Examination
from instep.state.tables import F64

FIT_EVERY: Final = 256
ROUNDS: Final = 8
FIRM: Final = 30.0
"""The usual curve is worth as much as so many acts at each place."""
DOUBTED, CERTAIN = 4.0, 9.0
"""Trust is left at zero below the first, and believed in full above the second: mean square of the places' z-values."""
LEAST_ITEMS: Final = 8
LEAST_SLOPE: Final = 1e-3
MOST_SHOWN: Final = 67_108_864.0
"""When a surface has counted so many weighted showings, its counts are halved: what is old fades, float32 holds."""


@njit(cache=True)
def watch(examination: Examination, surface: int, item: int) -> int:
    """Slot of an item among those that are watched, or -1.

    An item that comes to a slot that another holds takes a vote from it, and the slot when none is left: what is
    shown most is watched.

    Source: Boyer and Moore 1981, "MJRTY".
    """
    slot = item % SAMPLED
    if examination.item[surface, slot] == item:
        examination.votes[surface, slot] += 1
        return slot
    examination.votes[surface, slot] -= 1
    if examination.votes[surface, slot] >= 0:
        return -1
    examination.item[surface, slot] = item
    examination.votes[surface, slot] = 1
    examination.shown[surface, slot] = 0.0
    examination.acted[surface, slot] = 0.0
    return slot


@njit(cache=True)
def fade(examination: Examination, surface: int) -> None:
    """Halve a surface's counts when there are very many."""
    total = 0.0
    for slot in range(SAMPLED):
        for k in range(PLACES):
            total += examination.shown[surface, slot, k]
    if total > MOST_SHOWN:
        for slot in range(SAMPLED):
            examination.votes[surface, slot] //= 2
            for k in range(PLACES):
                examination.shown[surface, slot, k] *= np.float32(0.5)
                examination.acted[surface, slot, k] *= np.float32(0.5)


@njit(cache=True)
def fit(examination: Examination, surface: int) -> None:
    """Bring a surface's slope and trust up to date, from where they are; cost by SAMPLED * PLACES, not by items."""
    shown = examination.shown[surface].astype(np.float64)
    acted = examination.acted[surface].astype(np.float64)
    slope = examination.slope[surface].astype(np.float64)
    trust = examination.trust[surface].astype(np.float64)
    for turn in range(ROUNDS):
        _move_slope(shown, acted, slope, trust)
        if turn % 4 == 3:
            _move_trust(shown, acted, slope, trust)
    for k in range(PLACES):
        examination.slope[surface, k] = slope[k]
        examination.trust[surface, k] = trust[k]


@njit(cache=True)
def _move_slope(shown: F64, acted: F64, slope: F64, trust: F64) -> None:
    """One round of proportional fitting: items' worth from the places, then places from the items' worth.

    It climbs the likelihood of a Poisson model with an effect for each item and each place, in which the number of
    items does no harm to the places' estimates however rarely each was shown.
    """
    wanted = np.zeros(PLACES)
    expected = np.zeros(PLACES)
    for slot in range(len(shown)):
        own, looks = 0.0, 0.0
        for k in range(PLACES):
            own += acted[slot, k] - shown[slot, k] * trust[k]
            looks += shown[slot, k] * slope[k]
        worth = max(own, 0.0) / looks if looks > 0.0 else 0.0
        for k in range(PLACES):
            wanted[k] += acted[slot, k] - shown[slot, k] * trust[k]
            expected[k] += shown[slot, k] * worth
    for k in range(PLACES):
        slope[k] = max(LEAST_SLOPE, (wanted[k] + FIRM / (k + 1.0)) / (expected[k] + FIRM))
    first = slope[0]
    for k in range(PLACES):
        slope[k] /= first


@njit(cache=True)
def _move_trust(shown: F64, acted: F64, slope: F64, trust: F64) -> None:
    """What each place earns by itself: the intercept of its items' rates on their worth, if there is any."""
    halves = np.zeros((len(shown), 2, 2))  # an item's even and odd places: acts of its own, and looks
    for slot in range(len(shown)):
        for k in range(PLACES):
            halves[slot, k % 2, 0] += acted[slot, k] - shown[slot, k] * trust[k]
            halves[slot, k % 2, 1] += shown[slot, k] * slope[k]
    found = np.zeros(PLACES)
    squares, count = 0.0, 0
    for k in range(PLACES):
        intercept, error = _intercept(shown[:, k], acted[:, k], halves, k % 2, slope[k], trust[k])
        if error > 0.0:
            found[k] = intercept
            squares += (intercept / error) ** 2
            count += 1
    strength = squares / count if count > 1 else 0.0
    believed = min(1.0, max(0.0, (strength - DOUBTED) / (CERTAIN - DOUBTED)))
    for k in range(PLACES):
        trust[k] = believed * (found[k] - slope[k] * found[0])
    trust[0] = 0.0


@njit(cache=True)
def _intercept(
    shown: F64, acted: F64, halves: F64, half: int, slope: float, trust: float
) -> tuple[float, float]:
    """Intercept of one place's rates on the items' worth at the other places, and its standard error (0 for none).

    The other places tell an item's worth twice, by the even and by the odd ones, with independent noise: each is
    the instrument of the other, so that noise in the worth does not flatten the line.
    """
    rows = np.zeros((len(shown), 4))  # weight, rate here, worth by one half, worth by the other
    m = 0
    for slot in range(len(shown)):
        here = shown[slot]
        own0, looks0 = halves[slot, half, 0], halves[slot, half, 1]
        own0 -= acted[slot] - here * trust
        looks0 -= here * slope
        own1, looks1 = halves[slot, 1 - half, 0], halves[slot, 1 - half, 1]
        if here > 0.0 and looks0 > 1.0 and looks1 > 1.0:
            rest = looks0 + looks1
            rows[m, 0] = here * rest / (here + rest)
            rows[m, 1] = acted[slot] / here
            rows[m, 2] = own0 / looks0
            rows[m, 3] = own1 / looks1
            m += 1
    if m < LEAST_ITEMS:
        return 0.0, 0.0
    whole, mean = 0.0, np.zeros(4)
    for i in range(m):
        whole += rows[i, 0]
        for c in range(1, 4):
            mean[c] += rows[i, 0] * rows[i, c]
    mean /= whole
    between, along = 0.0, 0.0
    for i in range(m):
        one, other = rows[i, 2] - mean[2], rows[i, 3] - mean[3]
        between += rows[i, 0] * one * other
        along += rows[i, 0] * (rows[i, 1] - mean[1]) * 0.5 * (one + other)
    if between <= 0.0:
        return 0.0, 0.0
    line, worth = along / between, 0.5 * (mean[2] + mean[3])
    noise = 0.0
    for i in range(m):
        near = 0.5 * (rows[i, 2] + rows[i, 3]) - worth
        off = rows[i, 1] - mean[1] - line * near
        noise += (rows[i, 0] * near * off) ** 2
    return mean[1] - line * worth, worth * np.sqrt(noise) / between
