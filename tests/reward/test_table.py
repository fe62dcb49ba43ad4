"""The reward table: each type, dwell against the usual, ratings against the user's own mean, refusals."""

from __future__ import annotations

import math

import pytest

from instep.domain import Context, Feedback
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.reward import DEFAULT_REWARDS, RewardTable, Usual
from instep.testing import RewardContract

NOW = 1_700_000_000.0
USUAL = Usual(rating=3.5, dwell=math.log1p(30.0))


class TestRewardTable(RewardContract):
    def make(self) -> RewardTable:
        return RewardTable()


def act(kind: str, value: float | None = None, user: str = "u", item: str = "i", at: float = 0) -> Feedback:
    return Feedback(f"{user}-{item}-{kind}-{at}", user, item, NOW + at, kind, value)


def reward(kind: str, value: float | None = None, weights: dict[str, float] | None = None) -> float:
    return RewardTable(weights).reward(act(kind, value), USUAL)


@pytest.mark.parametrize("kind", sorted(set(DEFAULT_REWARDS) - {"dwell", "rating"}))
def test_a_type_is_worth_what_the_table_says_whatever_its_amount(kind: str) -> None:
    assert reward(kind) == reward(kind, 3.0) == DEFAULT_REWARDS[kind]
    assert reward(kind, weights={kind: 7.5}) == 7.5


def test_the_table_goes_from_refused_over_seen_to_bought() -> None:
    ladder = ["dislike", "return", "skip", "view", "click", "cart", "like", "purchase"]
    rewards = [reward(kind) for kind in ladder]
    assert rewards == sorted(set(rewards))
    assert reward("skip") < 0 < reward("view")


def test_a_type_that_no_table_knows_teaches_nothing() -> None:
    assert reward("hummed") == 0.0
    assert reward("hummed", weights={"hummed": 1.0}) == 1.0


def test_a_dwell_is_judged_by_its_ratio_to_the_usual_and_limited_both_ways() -> None:
    weight = DEFAULT_REWARDS["dwell"]
    assert reward("dwell", 30.0) == 0.0
    assert reward("dwell", 61.0) == pytest.approx(weight * math.log(2.0))
    assert reward("dwell", 14.5) == pytest.approx(-weight * math.log(2.0))
    assert reward("dwell", 86_000.0) == 2.0 * weight
    assert reward("dwell", 0.0) == -2.0 * weight


def test_twenty_seconds_on_a_story_of_fifteen_are_worth_more_than_forty_on_a_long_one() -> None:
    table, short, long = RewardTable(), Usual(3.5, math.log1p(15.0)), Usual(3.5, math.log1p(120.0))
    assert table.reward(act("dwell", 20.0), short) > 0 > table.reward(act("dwell", 40.0), long)


def test_a_rating_is_judged_against_the_users_mean() -> None:
    assert reward("rating", 3.5) == 0.0
    assert reward("rating", 5.0) == 1.5
    assert reward("rating", 1.0) == -2.5


def test_a_dwell_or_rating_without_its_amount_says_nothing() -> None:
    assert reward("dwell") == reward("rating") == 0.0


def test_the_same_stars_please_from_a_strict_user_and_disappoint_from_a_generous_one() -> None:
    flow = Flow(MemoryLog(), Settings())
    for n in range(10):
        flow.observe(
            [
                act("rating", 2.0, "strict", f"i{n}", n),
                act("rating", 5.0, "generous", f"i{n}", n),
            ]
        )
    judge = flow.model.reward_of
    assert judge(act("rating", 4.0, "strict", "new", 99)) > 1.0
    assert judge(act("rating", 4.0, "generous", "new", 99)) < 0.0
    assert judge(act("rating", 4.0, "stranger", "new", 99)) == 0.5
    flow.observe([act("rating", 4.0, "strict", "new", 99), act("rating", 4.0, "generous", "new", 99)])
    assert flow.history("strict", 1)[0].reward > 1.0
    assert flow.history("generous", 1)[0].reward < 0.0


def test_the_same_seconds_are_much_on_a_short_item_and_for_a_hasty_user() -> None:
    flow = Flow(MemoryLog(), Settings())
    for n in range(12):
        flow.observe(
            [
                act("dwell", 4.0, f"u{n}", "clip", n),
                act("dwell", 3000.0, f"u{n}", "film", n),
                act("dwell", 4.0, "hasty", f"i{n}", n),
                act("dwell", 3000.0, "patient", f"i{n}", n),
            ]
        )
    judge = flow.model.reward_of
    assert (
        judge(act("dwell", 60.0, "stranger", "clip", 99))
        > 0
        > judge(act("dwell", 60.0, "stranger", "film", 99))
    )
    assert (
        judge(act("dwell", 60.0, "hasty", "other", 99))
        > 0
        > judge(act("dwell", 60.0, "patient", "other", 99))
    )


def test_an_act_is_judged_by_what_came_before_it_only() -> None:
    flow = Flow(MemoryLog(), Settings())
    flow.observe([act("rating", 4.0, item="a")])
    before = flow.history("u", 1)[0]
    flow.observe([act("rating", 1.0, item=f"b{n}", at=n + 1) for n in range(9)])
    assert flow.history("u", 99)[-1] == before


def test_of_a_like_and_a_dislike_the_later_one_counts() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe([act("click", user=f"c{n % 3}", item=f"i{n % 5}", at=n) for n in range(15)])
    flow.observe([act("like", item="i1", at=20), act("dislike", item="i1", at=21)])
    assert flow.model.liked_items("u", 9) == []
    flow.observe([act("dislike", item="i2", at=22), act("like", item="i2", at=23)])
    assert flow.model.liked_items("u", 9) == ["i2"]
    slate = flow.rank(Context("u", n=9, now=NOW + 30, repeat=True)).items
    assert "i1" not in [item.item_id for item in slate]
    assert "i2" in [item.item_id for item in slate]


def test_refusals_count_against_an_item_for_everybody() -> None:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe([act("click", user=f"c{n}", item=item, at=n) for n in range(8) for item in ("a", "b")])
    flow.observe([act("dislike", user=f"d{n}", item="a", at=20 + n) for n in range(8)])
    state = flow.model.state
    assert state.items.taken[0] == state.items.taken[1]
    total, weight = state.items.reward[:2].T
    assert (total / weight).tolist() == [-0.5, 1.0]
