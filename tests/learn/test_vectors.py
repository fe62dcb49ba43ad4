"""Collaborative vectors: slopes that are slopes, a ring that keeps count, and what they learn from a stream."""

from __future__ import annotations

import numpy as np
import pytest

from instep.domain import Context, Feedback
from instep.flow import Flow, Settings
from instep.learn import start_vectors
from instep.learn.vectors import (
    NEGATIVES,
    _draw_negatives,
    _rehearse_one,
    attend,
    classes,
    lead,
    note_choice,
    parts_of,
    read_history,
    shares_of,
)
from instep.log import MemoryLog
from instep.score.ranker import new_weights
from instep.score.signals import SIGNALS
from instep.state import State
from instep.state.attention import HEADS, PARAMETERS, READS, REHEARSED
from instep.state.tables import F32, VECTOR_WIDTH

START = 1_700_000_000.0


def large_state(items: int = 4000) -> State:
    """A state whose ring holds one choice of every item after three others; the last one is the richest."""
    state = State(new_weights(), start_vectors)
    for k in range(items):
        state.item_row(f"i{k}", START)
    random = np.random.default_rng(3)
    for part in (state.items.inward, state.items.outward):
        part[:items] = random.standard_normal((items, VECTOR_WIDTH)) * 0.3
    for k in range(items):
        recent = random.choice(items, 3 if k < items - 1 else READS, replace=False).astype(np.int32)
        note_choice(state.items, state.rehearsal, k, recent, np.sort(random.exponential(1e4, len(recent))))
    return state


def likelihood(state: State, parameters: F32) -> tuple[float, F32]:
    """Of the newest choice, with the same draws each time, and its slope; the state stays as it is."""
    items = state.items._replace(
        **{name: getattr(state.items, name).copy() for name in ("inward", "outward", "bias", "squares")}
    )
    slope = np.zeros(PARAMETERS, np.float32)
    draws = np.full(1, 5, np.uint64)
    newest = int(state.rehearsal.written[0]) - 1
    negatives, offsets = np.zeros(NEGATIVES, np.int64), np.zeros(NEGATIVES, np.float32)
    _draw_negatives(items, state.rehearsal, draws, state.n_items, negatives, offsets)
    value = _rehearse_one(items, parameters, state.rehearsal, newest, draws, negatives, offsets, slope)
    return value, slope


@pytest.mark.parametrize("part", range(5), ids=["place", "age", "lag", "mix", "start"])
def test_the_slope_of_the_likelihood_is_its_slope(part: int) -> None:
    """Against differences: along the slope itself, the likelihood grows by the slope's squared length."""
    state = large_state()
    parameters = state.attention.parameters
    _, slope = likelihood(state, parameters)
    along = np.zeros(PARAMETERS, np.float32)
    parts_of(along)[part][:] = parts_of(slope)[part]
    length = float(np.sum(along.astype(np.float64) ** 2))
    assert length > 0
    step = np.float32(1e-2 / np.sqrt(length))
    above, below = (likelihood(state, parameters + sign * step * along)[0] for sign in (1, -1))
    assert (above - below) / (2 * step) == pytest.approx(length, rel=0.03)


def test_the_ring_keeps_count_of_what_it_holds() -> None:
    state = State(new_weights(), start_vectors)
    for k in range(7):
        state.item_row(f"i{k}", START)
    random = np.random.default_rng(1)
    taken = random.integers(0, 7, REHEARSED + 500)
    for item in taken:
        note_choice(state.items, state.rehearsal, int(item), np.zeros(0, np.int32), np.zeros(0))
    assert state.items.rehearsed[:7].tolist() == np.bincount(taken[500:], minlength=7).tolist()
    assert state.rehearsal.written[0] == REHEARSED + 500


def test_attention_sums_to_one_over_what_is_read() -> None:
    state = large_state(100)
    age, lag = np.zeros(READS, np.uint8), np.zeros(READS, np.uint8)
    m = classes(np.array([0.0, 60.0, 3600.0, 1e9]), age, lag)
    assert (m, age[:4].tolist(), lag[:4].tolist()) == (4, [0, 5, 11, 29], [0, 5, 11, 29])
    weights = np.full((HEADS, READS), np.nan, np.float32)
    attend(state.attention.parameters, age, lag, np.array([1, 0, 1, 1], np.uint8), weights)
    assert weights[:, 1].tolist() == [0.0] * HEADS
    assert weights[:, :4].sum(1) == pytest.approx(np.ones(HEADS), abs=1e-5)


def test_the_shares_of_a_score_sum_to_it() -> None:
    """With what the time since the newest act adds, up to the factor that all shares have in common."""
    state = large_state(100)
    recent, ages = np.arange(5, dtype=np.int32), np.array([1.0, 50.0, 51.0, 4000.0, 1e7])
    vector, pooled = np.zeros(VECTOR_WIDTH, np.float32), np.zeros(HEADS * VECTOR_WIDTH, np.float32)
    age, lag, weights = (
        np.zeros(READS, np.uint8),
        np.zeros(READS, np.uint8),
        np.zeros((HEADS, READS), np.float32),
    )
    m = classes(ages, age, lag)
    attend(state.attention.parameters, age, lag, np.ones(m, np.uint8), weights)
    scale = lead(state.attention.parameters, state.items.inward, recent, age, weights, pooled, vector)
    read_history(state.attention, state.items.inward, recent, ages, again := np.zeros_like(vector))
    assert again.tolist() == vector.tolist()
    start = parts_of(state.attention.parameters)[4][age[0]]
    for item in (7, 8, 9):
        shares = shares_of(state.attention, state.items, recent, ages, item)
        rest = scale * (start @ state.items.outward[item])
        assert vector @ state.items.outward[item] == pytest.approx(scale * shares.sum() + rest, rel=1e-3)


def taught(events: list[Feedback]) -> Flow:
    """A flow that has learned these."""
    flow = Flow(MemoryLog(), Settings(policy="greedy", repeat=True))
    flow.observe(events)
    return flow


def score_of(flow: Flow, user: str, now: float) -> dict[str, float]:
    """The vectors' signal for every item."""
    model = flow.model
    items, _, signals = model.considered(user, now, 100)
    column = signals[:, SIGNALS.index("vectors")]
    return {model.state.names.items[i]: float(value) for i, value in zip(items, column, strict=True)}


def test_what_follows_depends_on_the_time_since() -> None:
    """After tea comes a pot within a minute, or a cup a day later: the vectors tell them apart by time."""
    random = np.random.default_rng(2)
    events, now = [], START
    for k in range(700):
        late = k % 2
        other = f"other{int(random.integers(8))}"
        pause = 90_000.0 if late else 30.0
        for item, when in ((other, -9e5), ("tea", 0.0), ("cup" if late else "pot", pause)):
            events.append(Feedback(f"e{k}-{item}", f"u{k}", item, now + 9e5 + when, "click"))
        now += 10.0
    flow = taught(sorted(events, key=lambda event: event.timestamp))
    end = now + 2e6
    flow.observe([Feedback("last", "visitor", "tea", end, "click")])
    soon, later = score_of(flow, "visitor", end + 30.0), score_of(flow, "visitor", end + 90_000.0)
    assert soon["pot"] > soon["cup"] + 1.0
    assert later["cup"] > later["pot"] + 1.0


def test_a_stranger_gets_what_strangers_take_first() -> None:
    events = []
    for k in range(400):
        for at, item in enumerate(("door", f"room{k % 5}")):
            events.append(Feedback(f"e{k}-{at}", f"u{k}", item, START + 1000.0 * k + 60.0 * at, "click"))
    flow = taught(events)
    scores = score_of(flow, "nobody", START + 1e6)
    assert max(scores, key=scores.__getitem__) == "door"
    assert flow.rank(Context("nobody", n=1, now=START + 1e6)).items[0].item_id == "door"
