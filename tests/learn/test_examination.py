"""Examination and trust by place: planted curves come back, and only from slates drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.domain import Entry, Feedback, Impression, ItemPut
from instep.flow import Flow, Settings
from instep.learn.examination import MOST_SHOWN, fade, fit, watch
from instep.log import MemoryLog
from instep.state.slates import PLACES, SAMPLED, Examination, new_examination

F64 = NDArray[np.float64]
LOOKS = np.arange(1.0, 9.0) ** -0.6


def observed(looks: F64, own: F64, each: int, items: int = 300, seed: int = 1) -> Examination:
    """What is counted when every item was shown `each` times at every place, where looks * worth + own is clicked."""
    rng = np.random.default_rng(seed)
    table, places = new_examination(1), len(looks)
    worth = 0.02 + 0.6 * rng.beta(1.2, 3.0, items)
    table.shown[0, :items, :places] = each
    table.acted[0, :items, :places] = rng.binomial(each, np.outer(worth, looks) + own)
    return table


def settled(table: Examination) -> Examination:
    for _ in range(40):
        fit(table, 0)
    return table


def test_until_anything_is_known_one_in_k_looks_at_the_kth_place() -> None:
    table = settled(new_examination(1))
    assert table.slope[0] == pytest.approx(1.0 / np.arange(1, PLACES + 1), rel=1e-6)
    assert not table.trust.any()


def test_a_planted_curve_comes_back_within_five_percent_and_without_trust() -> None:
    table = settled(observed(LOOKS, np.zeros(8), 400))
    assert table.slope[0, :8] == pytest.approx(LOOKS, rel=0.05)
    assert np.abs(table.trust).max() < 1e-6


def test_planted_trust_comes_back_and_does_not_pass_for_examination() -> None:
    own = 0.25 * LOOKS / np.arange(1.0, 9.0)
    table = settled(observed(LOOKS, own, 3000))
    assert table.slope[0, :8] == pytest.approx(LOOKS, rel=0.06)
    assert table.trust[0, :8] == pytest.approx(own - LOOKS * own[0], abs=0.012)


def test_items_that_were_shown_once_or_twice_do_not_bend_the_curve() -> None:
    rng = np.random.default_rng(3)
    table = new_examination(1)
    worth = 0.1 + 0.5 * rng.random(SAMPLED)
    for slot in range(SAMPLED):
        places = rng.integers(0, 4, 3)
        for place in places.tolist():
            table.shown[0, slot, place] += 1
            table.acted[0, slot, place] += rng.random() < worth[slot] * LOOKS[place]
    assert settled(table).slope[0, :4] == pytest.approx(LOOKS[:4], rel=0.2)


def test_a_slot_goes_to_what_is_shown_most() -> None:
    table = new_examination(1)
    for _ in range(3):
        assert watch(table, 0, 5) == 5
    table.shown[0, 5] = 7.0
    assert [watch(table, 0, 5 + SAMPLED) for _ in range(4)] == [-1, -1, -1, 5]
    assert table.item[0, 5] == 5 + SAMPLED
    assert not table.shown[0, 5].any()


def test_counts_are_halved_when_there_are_very_many() -> None:
    table = new_examination(2)
    table.shown[:, 0, 0], table.acted[:, 0, 0] = MOST_SHOWN, 1000.0
    fade(table, 0)
    assert table.shown[0, 0, 0] == MOST_SHOWN
    table.shown[0, 1, 0] = 64.0
    fade(table, 0)
    assert table.shown[0, :2, 0].tolist() == [MOST_SHOWN / 2, 32.0]
    assert table.acted[:, 0, 0].tolist() == [500.0, 1000.0]


def learned(chance: float, slates: int = 2600) -> Flow:
    """Slates of 4 of 12 items in random order, half of them looked at place by place; logged with this propensity."""
    rng = np.random.default_rng(4)
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    worth = np.linspace(0.2, 0.8, 12)
    records: list[ItemPut | Impression | Feedback] = [ItemPut(f"p{k}", f"i{k}", 1e9, {}) for k in range(12)]
    for n in range(slates):
        items = rng.permutation(12)[:4].tolist()
        now, user = 1e9 + 60.0 * n, f"u{n % 400}"
        records.append(Impression(f"s{n}", user, now, tuple(f"i{k}" for k in items), (chance,) * 4))
        for place, item in enumerate(items):
            if rng.random() < worth[item] * 0.5**place:
                records.append(Feedback(f"e{n}-{place}", user, f"i{item}", now + 1, "click", None, f"s{n}"))
    flow.model.learn(Entry(offset, record) for offset, record in enumerate(records))
    return flow


def test_the_learner_finds_the_curve_and_frees_the_items_rates_from_it() -> None:
    state = learned(0.25).model.state
    assert state.examination.judged[0, 0] > 2400
    assert state.examination.slope[0, :4] == pytest.approx([1.0, 0.5, 0.25, 0.125], rel=0.15)
    rates = state.items.earned[:12, 0] / state.items.earned[:12, 1]
    assert rates == pytest.approx(np.linspace(0.2, 0.8, 12), abs=0.12)


def test_slates_that_were_not_drawn_at_random_say_nothing_of_places() -> None:
    state = learned(1.0, 700).model.state
    assert state.examination.judged[0].tolist() == [0, 0]
    assert state.examination.slope[0, 1] == 0.5
    assert not state.examination.shown.any()
    assert state.items.earned[:12, 1].min() > 0
