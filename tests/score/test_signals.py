"""Signals, each against the numbers it is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from instep.domain import Feedback, ItemPut
from instep.flow import Flow, Settings
from instep.learn.histories import closeness
from instep.learn.positive import FORWARD, TOGETHER
from instep.log import MemoryLog
from instep.retrieve.gather import SUPPORT_DECAY
from instep.score import SIGNALS
from instep.score.signals import FIRST_LOG, LAST_LOG
from instep.state import State
from instep.state.tables import TEXT_UNIT

NOW = 1_700_000_000.0
HOUR = 3600.0


def shop(acts: str) -> Flow:
    """Six items, put at NOW; an act a word, 'user:item', a minute apart, the first after an hour."""
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe([ItemPut(f"put:{name}", name, NOW, {}) for name in "abcdef"])
    for k, act in enumerate(acts.split()):
        user, item = act.split(":")
        flow.observe([Feedback(f"act:{k}", user, item, NOW + HOUR + 60.0 * k, "click")])
    return flow


def signals_for(flow: Flow, user: str, item: str, now: float = NOW + 2 * HOUR) -> dict[str, float]:
    items, _, found = flow.model.considered(user, now, 100)
    row = items.tolist().index(flow.model.state.item_number[item])
    return dict(zip(SIGNALS, found[row].tolist(), strict=True))


def tie(state: State, one: str, other: str) -> tuple[float, float]:
    """What followed `one` and was `other`, and how often they stood together."""
    row, wanted = state.item_number[one], state.item_number[other]
    start, length = int(state.neighbours.start[row]), int(state.neighbours.length[row])
    at = start + state.neighbours.ids[start : start + length].tolist().index(wanted)
    values = state.neighbours.values[at]
    return float(values[FORWARD]), float(values[TOGETHER])


def test_the_age_of_an_item_counts_from_when_it_was_first_taken() -> None:
    flow = shop("ann:a bob:a")
    later = NOW + HOUR + 59 * 60.0
    assert signals_for(flow, "eve", "a", later)["new"] == pytest.approx(0.3 * math.log(60.0), abs=1e-5)
    never = signals_for(flow, "eve", "f", later)["new"]  # nobody took it: since it was put
    assert never == pytest.approx(0.3 * math.log(1.0 + 119.0), abs=1e-5)


def test_what_follows_the_newest_and_the_one_before_it_are_told_apart() -> None:
    flow = shop("ann:a ann:b bob:a eve:a eve:c")
    state = flow.model.state
    forward, _ = tie(state, "a", "b")
    wanted = math.log(1.0 + 30.0 * forward / math.sqrt(float(state.items.lead[state.item_number["a"]]) + 5.0))
    assert wanted > 0.1
    newest, second = signals_for(flow, "bob", "b"), signals_for(flow, "eve", "b")
    assert [newest["after_newest"], newest["after_second"]] == pytest.approx([wanted, 0.0], abs=1e-5)
    assert [second["after_newest"], second["after_second"]] == pytest.approx([0.0, wanted], abs=1e-5)


def test_support_counts_the_history_and_strongest_is_a_single_tie() -> None:
    flow = shop("ann:a ann:b ann:c bob:a bob:c eve:a eve:b")
    state = flow.model.state
    found = signals_for(flow, "eve", "c")
    assert found["support"] == pytest.approx(math.log(2.0 + float(SUPPORT_DECAY)), abs=1e-5)

    def often(item: str) -> float:
        return 1.0 / math.sqrt(float(state.items.taken[state.item_number[item]]) + 5.0)

    strongest = max(tie(state, other, "c")[1] * often(other) for other in "ab")
    assert found["strongest"] == pytest.approx(math.log(1.0 + 30.0 * strongest * often("c")), abs=1e-5)
    assert signals_for(flow, "eve", "f")["support"] == pytest.approx(0.0, abs=1e-5)


def test_texts_are_compared_with_the_newest_and_with_the_nearest() -> None:
    flow = shop("ann:a ann:b")
    items, rng = flow.model.state.items, np.random.default_rng(1)
    rows = [flow.model.state.item_number[name] for name in "abc"]
    for row in rows:
        direction = rng.standard_normal(items.text.shape[1])
        items.text[row] = np.round(TEXT_UNIT * direction / np.linalg.norm(direction))
        items.text_known[row] = 1
    items.text[rows[2]] = items.text[rows[0]]  # c reads like a, the older of the two
    texts = items.text[rows].astype(np.float64) / TEXT_UNIT
    found = signals_for(flow, "ann", "c")
    assert found["text_newest"] == pytest.approx(4.0 * texts[1] @ texts[2], abs=1e-4)
    assert found["text_nearest"] == pytest.approx(4.0 * texts[0] @ texts[2], abs=1e-4)
    unread = signals_for(flow, "ann", "f")
    assert {unread[name] for name in SIGNALS if name.startswith("text_")} == {0.0}


def test_terms_are_compared_by_how_rare_they_are() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    titles = {"a": "red tea", "b": "red cup", "c": "blue cup", "d": "blue moon"}
    flow.observe([ItemPut(f"put:{name}", name, NOW, {"title": title}) for name, title in titles.items()])
    flow.observe([ItemPut("put:e", "e", NOW, {}), ItemPut("put:f", "f", NOW, {"title": "red"})])
    for k, item in enumerate("ab"):
        flow.observe([Feedback(f"act:{k}", "ann", item, NOW + HOUR + 60.0 * k, "click")])
    held = {"red": 3, "blue": 2, "cup": 2, "tea": 1, "moon": 1}  # of five items that have terms
    rarity = {word: math.log(6 / number) for word, number in held.items()}

    def vector(name: str) -> dict[str, float]:
        found = {word: rarity[word] for word in titles.get(name, "red").split()}
        length = math.sqrt(sum(each**2 for each in found.values()))
        return {word: each / length for word, each in found.items()}

    def cosine(one: dict[str, float], other: dict[str, float]) -> float:
        lengths = [math.sqrt(sum(each**2 for each in side.values())) for side in (one, other)]
        return sum(one[word] * other.get(word, 0.0) for word in one) / math.prod(lengths)

    now = NOW + 2 * HOUR
    ages = [now - (NOW + HOUR + 60.0), now - (NOW + HOUR)]
    near = [float(each) for each in closeness(np.array(ages))]
    past = {
        word: near[0] * vector("b").get(word, 0.0) + near[1] * vector("a").get(word, 0.0) for word in rarity
    }
    for name in "cdf":
        found = signals_for(flow, "ann", name, now)
        assert found["terms_newest"] == pytest.approx(4.0 * cosine(vector("b"), vector(name)), abs=1e-4)
        assert found["terms_recent"] == pytest.approx(4.0 * cosine(past, vector(name)), abs=1e-4)
    assert signals_for(flow, "ann", "c", now)["terms_newest"] > 1.0
    unnamed = signals_for(flow, "ann", "e", now)
    assert {unnamed["terms_newest"], unnamed["terms_recent"]} == {0.0}


def test_old_acts_of_users_alike_count_less() -> None:
    flow = shop("ann:a ann:b bob:a")
    soon, late = (signals_for(flow, "bob", "b", now) for now in (NOW + 2 * HOUR, NOW + 9000 * HOUR))
    assert soon["alike"] == pytest.approx(late["alike"], abs=1e-6)
    assert soon["alike_lately"] > late["alike_lately"] > 0.0


def test_logarithms_stand_side_by_side() -> None:
    """Of one with nothing known, each is the logarithm of one; a signal of another kind is none of them."""
    assert SIGNALS[FIRST_LOG] == "popular_300_events"
    assert SIGNALS[LAST_LOG] == "passed_lately"
    flow = shop("ann:a")
    found = signals_for(flow, "nobody", "f")
    history = SIGNALS[SIGNALS.index("next") : LAST_LOG + 1]
    assert [found[name] for name in history] == pytest.approx([0.0] * len(history), abs=1e-5)
