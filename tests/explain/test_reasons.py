"""Reasons: exact addends, strongest first, and an item of the user's own history as their cause."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instep.domain import Context, Feedback, ItemPut, Record
from instep.explain.reasons import STRONGEST, Past, _because, reasons
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.score import SIGNALS
from instep.state.tables import TEXT_UNIT
from instep.testing import small_flow
from instep.testing.streams import END, USERS, streams

NOW = 1_700_000_000.0


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(records=streams(), user=st.sampled_from((*USERS, "nobody")))
def test_reasons_are_few_positive_and_caused_by_the_users_own_history(
    records: list[Record], user: str
) -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe(records)
    liked = set(flow.model.liked_items(user, 500))
    for item in flow.rank(Context(user, n=12, now=END, explain=True)).items:
        assert len(item.reasons) <= STRONGEST
        assert len({reason.signal for reason in item.reasons}) == len(item.reasons)
        for reason in item.reasons:
            assert reason.signal in SIGNALS
            assert reason.contribution >= 0
            assert reason.because is None or reason.because in liked


def test_a_reason_is_the_addend_of_the_score_it_names() -> None:
    flow = small_flow()
    state, found = flow.model.state, flow.model._shortlist
    asked = Context("u1", n=20, now=NOW + 99, explain=True, request_id="r")
    told = {item.item_id: item.reasons for item in flow.rank(asked).items}
    found.gather(state.user_number["u1"], NOW + 99, False, np.arange(20, dtype=np.int32))
    assert set(told) == {state.names.items[item] for item in found.items}
    for place, item in enumerate(found.items.tolist()):
        addends = dict(zip(SIGNALS, found.addends(place).tolist(), strict=True))
        for reason in told[state.names.items[item]]:
            assert reason.contribution == round(addends[reason.signal], 4)


def test_popularity_alone_does_not_hide_the_history() -> None:
    flow = small_flow()
    state = flow.model.state
    user = state.user_number["u1"]
    found = flow.model._shortlist.gather(user, NOW + 99, False, np.arange(20, dtype=np.int32))
    addends = np.zeros(len(SIGNALS), np.float32)
    addends[:STRONGEST] = 5.0
    for signal in ("next", "around", "together", "category"):
        addends[SIGNALS.index(signal)] = 0.5
    given_reasons = [reasons(state, int(item), addends, *found.past()) for item in found.items]
    with_cause = [each for each in given_reasons if each[-1].because is not None]
    assert with_cause
    for each in given_reasons:
        assert len(each) == STRONGEST
        assert [reason.contribution for reason in each[:-1]] == [5.0] * (STRONGEST - 1)


def test_without_being_asked_nothing_is_explained_and_for_strangers_nothing_has_a_cause() -> None:
    flow = small_flow()
    assert all(not item.reasons for item in flow.rank(Context("u1", n=20, now=NOW + 99)).items)
    for item in flow.rank(Context("nobody", n=20, now=NOW + 99, explain=True)).items:
        assert all(reason.because is None for reason in item.reasons)


def test_the_cause_is_what_the_item_goes_with() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    pairs = [("tea", "pot"), ("saw", "nail"), ("pen", "ink")]
    flow.observe(
        [
            Feedback(f"e{k}-{half}", f"u{k}", pairs[k % 3][half], NOW + 2 * k + half, "click")
            for k in range(90)
            for half in (0, 1)
        ]
    )
    flow.observe(
        [Feedback(f"m{k}", "me", item, NOW + 500 + k, "click") for k, item in enumerate(("tea", "saw"))]
    )
    causes = {}
    for item in flow.rank(Context("me", n=4, now=NOW + 600, explain=True)).items:
        causes[item.item_id] = {reason.because for reason in item.reasons} - {None}
    assert "tea" in causes["pot"]
    assert "saw" in causes["nail"]


def test_a_shared_name_is_a_reason_and_the_item_that_shares_it_the_cause() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    artists = {"a": "Cora Vega", "b": "Ann Bee", "c": "Cora Vega", "d": "Bo Li", "e": "Di Oz"}
    flow.observe([ItemPut(f"put:{name}", name, NOW, {"artist": artist}) for name, artist in artists.items()])
    flow.observe([Feedback(f"act:{k}", "eve", item, NOW + k, "click") for k, item in enumerate("ab")])
    slate = flow.rank(Context("eve", n=3, now=NOW + 9, explain=True))
    assert slate.items[0].item_id == "c"
    shared = [reason for reason in slate.items[0].reasons if reason.signal == "terms_recent"]
    assert [reason.because for reason in shared] == ["a"]


def test_the_item_whose_text_is_nearest_is_the_cause_of_a_likeness_in_text() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe([ItemPut(f"put:{name}", name, NOW, {}) for name in "abcd"])
    flow.observe([Feedback(f"act:{k}", "eve", item, NOW + k, "click") for k, item in enumerate("abc")])
    state, rng = flow.model.state, np.random.default_rng(4)
    rows = [state.item_number[name] for name in "abcd"]
    for row in rows:
        direction = rng.standard_normal(state.items.text.shape[1])
        state.items.text[row] = np.round(TEXT_UNIT * direction / np.linalg.norm(direction))
        state.items.text_known[row] = 1
    for cause in "abc":
        state.items.text[rows[3]] = state.items.text[state.item_number[cause]]
        past = Past(np.array(rows[:3][::-1], np.int32), np.array([1.0, 2.0, 3.0]))
        assert _because(state, "text_nearest", rows[3], past) == cause
