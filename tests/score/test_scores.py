"""The online ranker: additive, in the candidates' order, moved towards what was chosen; plugins under the contract."""

from __future__ import annotations

from typing import Any

import numpy as np

from instep.domain import Context, Feedback, Impression, ItemPut, Record
from instep.flow import Flow, Settings
from instep.learn.passed import LATELY
from instep.log import MemoryLog
from instep.score import SIGNALS, WIDTH
from instep.state import State
from instep.testing import ScorerContract, small_flow

NOW = 1_700_000_000.0


class Cheap:
    """A plugin's scorer: prefers what costs little."""

    name = "cheap"

    def score(self, state: State, context: Context, items: Any) -> Any:
        prices = [getattr(state.names.catalogue[item], "price", None) or 0.0 for item in items.tolist()]
        return -np.array(prices, np.float32)


class TestCheap(ScorerContract):
    def make(self) -> Cheap:
        return Cheap()


def test_a_scorer_reorders_and_says_its_share() -> None:
    flow = small_flow()
    asked = Context("nobody", n=20, now=NOW + 99, request_id="r")
    before = {item.item_id: item.score for item in flow.rank(asked).items}
    flow.model.scorers = (Cheap(),)
    after = flow.rank(asked).items
    assert {item.item_id for item in after} == set(before)
    for item in after:
        assert abs(item.score - (before[item.item_id] - float(item.item_id[1:]))) < 1e-4
    assert [item.score for item in after] == sorted((item.score for item in after), reverse=True)


def test_a_score_is_the_sum_of_its_addends_and_the_mean() -> None:
    flow = small_flow()
    found, state = flow.model._shortlist, flow.model.state
    found.gather(state.user_number["u1"], NOW + 99, False, np.arange(20, dtype=np.int32))
    scores = found.scores.copy()
    addends = np.array([found.addends(place) for place in range(found.size)])
    assert addends.shape == (found.size, len(SIGNALS) == WIDTH and WIDTH)
    # Candidates of one cell share their weights: there the addends' sum is the distance from one number.
    from instep.score.ranker import item_cell

    cells = np.array([item_cell(state.items.taken[item]) for item in found.items])
    for cell in np.unique(cells):
        distance = scores[cells == cell] - addends[cells == cell].sum(1)
        np.testing.assert_allclose(distance, distance[0], atol=1e-3)


def test_the_order_in_which_candidates_are_asked_for_changes_no_score() -> None:
    flow = small_flow()
    found, state = flow.model._shortlist, flow.model.state
    seen = []
    for asked in (np.arange(20, dtype=np.int32), np.arange(20, dtype=np.int32)[::-1].copy()):
        found.gather(state.user_number["u1"], NOW + 99, True, asked)
        seen.append(dict(zip(found.items.tolist(), found.scores.tolist(), strict=True)))
    assert seen[0] == seen[1]


def test_what_is_chosen_again_and_again_scores_higher_than_it_did() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    records: list[Record] = [ItemPut(f"p{k}", f"i{k}", NOW, {}) for k in range(30)]
    records += [Feedback(f"w{k}", f"w{k}", f"i{k % 30}", NOW + k, "click") for k in range(60)]
    flow.observe(records)
    asked = Context("nobody", n=30, now=NOW + 9999)
    place = [item.item_id for item in flow.rank(asked).items].index("i17")
    for k in range(40):
        flow.observe([Feedback(f"c{k}", f"c{k}", "i17", NOW + 100 + k, "click")])
    ranked = [item.item_id for item in flow.rank(asked).items]
    assert ranked.index("i17") <= place
    assert ranked[0] == "i17"


def test_learning_a_choice_raises_its_probability() -> None:
    flow = small_flow()
    found, state = flow.model._shortlist, flow.model.state
    user = state.user_number["u2"]

    def probability(item: int) -> float:
        found.gather(user, NOW + 99, True, np.arange(20, dtype=np.int32))
        scores = found.scores
        place = found.items.tolist().index(item)
        shares = np.exp(scores - scores.max())
        return float(shares[place] / shares.sum())

    for item in (3, 11, 19):
        before = probability(item)
        for _ in range(3):
            found.learn(user, item, NOW + 99, 1.0, True, np.arange(20, dtype=np.int32))
        assert probability(item) > before


def test_an_act_on_a_slate_is_a_choice_among_what_the_slate_showed() -> None:
    flow = small_flow()
    shown = Impression("slate:1", "u3", NOW + 90, ("i0", "i5", "i7"), (0.5, 0.5, 1.0))
    flow.observe([shown, Feedback("on it", "u3", "i5", NOW + 95, "click", slate_id="slate:1")])
    state = flow.model.state
    row = state.user_number["u3"]
    start, length = int(state.passed.start[row]), int(state.passed.length[row])
    cells = dict(
        zip(
            state.passed.ids[start : start + length].tolist(),
            state.passed.values[start : start + length, LATELY].tolist(),
            strict=True,
        )
    )
    # One choice was made a moment ago: its probabilities fall on what was shown and left, and on nothing else.
    fresh = {item for item, lately in cells.items() if lately > 0.05}
    assert {state.item_number["i0"], state.item_number["i7"]} <= fresh
    assert state.item_number["i5"] not in cells
    before = small_flow().model.state.passed
    kept = {
        int(item): float(before.values[at, LATELY])
        for at, item in enumerate(before.ids)
        if before.start[row] <= at < before.start[row] + before.length[row]
    }
    for item in set(kept) - {state.item_number[name] for name in shown.item_ids}:
        assert abs(cells[item] - np.float32(0.9) * kept[item]) < 1e-6


def test_what_is_taken_more_only_because_it_stands_higher_earns_nothing_by_it() -> None:
    """Twice the clicks at the place that is looked at twice as often: the two items stay as good as each other."""

    def lead(looks: list[float]) -> float:
        flow = small_flow()
        found, state = flow.model._shortlist, flow.model.state
        high, low = (state.item_number[name] for name in ("i18", "i19"))  # alike: nobody ever took them
        user, pair = state.user_row("somebody"), np.array([high, low], np.int32)
        for taken in [high, high, low] * 100:
            found.learn(user, taken, NOW + 99, 1.0, True, pair, np.array(looks, np.float32))
        return float(state.items.momentum[high] - state.items.momentum[low])

    assert abs(lead([1.0, 0.5])) < 0.1
    assert lead([1.0, 1.0]) > 0.3


def test_choices_among_a_slate_move_the_shared_weights_and_leave_the_cells() -> None:
    flow = small_flow()
    weights = flow.model.state.weights
    shared, by_evidence = weights.shared.copy(), (weights.of_user.tobytes(), weights.of_item.tobytes())
    shown = Impression("slate:1", "u3", NOW + 90, ("i0", "i5", "i7"), (0.5, 0.5, 1.0))
    flow.observe([shown, Feedback("on it", "u3", "i5", NOW + 95, "click", slate_id="slate:1")])
    assert (weights.of_user.tobytes(), weights.of_item.tobytes()) == by_evidence
    assert weights.shared.tobytes() != shared.tobytes()
    flow.observe([Feedback("on no slate", "somebody", "i8", NOW + 99, "click")])
    assert weights.of_user.tobytes() != by_evidence[0]
    assert weights.of_item.tobytes() != by_evidence[1]
