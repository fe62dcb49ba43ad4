"""Impressions joined to feedback: who is credited, once, within which time, and what becomes of the rest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from instep.domain import Entry, Feedback, Impression, ItemPut, Record, SessionMerge
from instep.flow import Flow, Settings
from instep.learn import Choice
from instep.log import MemoryLog
from instep.reward import Account, Attribution
from instep.state.slates import NEXT, OLDEST, OPEN, SURFACES

NOW = 1_700_000_000.0
HOUR, DAY = 3600.0, 86_400.0
ITEMS = ("a", "b", "c", "d")


def flow_with(attribution: Attribution | None = None, items: Sequence[str] = ITEMS) -> Flow:
    flow = Flow(MemoryLog(), Settings(policy="greedy", attribution=attribution or Attribution()))
    flow.observe([ItemPut(f"put-{name}", name, NOW - DAY, {}) for name in items])
    return flow


def shown(
    name: str, user: str = "u", at: float = 0.0, items: Sequence[str] = ("a", "b", "c"), chance: float = 1.0
) -> Impression:
    return Impression(name, user, NOW + at, tuple(items), (chance,) * len(items))


def act(kind: str, item: str, at: float, slate: str | None = None, user: str = "u", **more: Any) -> Feedback:
    return Feedback(
        f"{user}-{item}-{kind}-{at}",
        user,
        item,
        NOW + at,
        kind,
        more.get("value"),
        slate,
        more.get("position"),
    )


def account(flow: Flow, record: Feedback) -> Account:
    flow.observe([record])
    found = flow.account(record.event_id)
    assert found is not None
    return found


def later(flow: Flow, at: float) -> None:
    """Let the log tell a later time, by somebody else's act."""
    flow.observe([act("view", "d", at, user="clock")])


def earned(flow: Flow, item: str) -> list[float]:
    state = flow.model.state
    return [round(float(each), 6) for each in state.items.earned[state.item_number[item]]]


def mean_reward(flow: Flow, item: str) -> list[float]:
    state = flow.model.state
    return [float(each) for each in state.items.reward[state.item_number[item]]]


def test_an_act_that_names_its_slate_is_credited_to_it() -> None:
    flow = flow_with()
    flow.observe([shown("s1"), shown("s2", at=60)])
    credit = account(flow, act("click", "b", 90, "s1")).credit
    assert credit is not None
    assert (credit.joined_by, credit.shown_at, credit.place, credit.age) == ("slate id", NOW, 1, 90.0)
    assert credit.window == 2 * HOUR


def test_an_act_without_a_slate_is_credited_to_the_newest_one_with_its_item() -> None:
    flow = flow_with()
    flow.observe([shown("s1"), shown("s2", at=60), shown("s3", at=120, items=("c", "d"))])
    credit = account(flow, act("click", "b", 150)).credit
    assert credit is not None
    assert (credit.joined_by, credit.shown_at, credit.place) == ("user and item", NOW + 60, 1)


def test_a_purchase_two_days_after_the_click_is_credited_to_the_slate_that_led_to_it() -> None:
    flow = flow_with()
    flow.observe([shown("s1")])
    assert account(flow, act("click", "b", 30, "s1")).credit is not None
    bought = account(flow, act("purchase", "b", 2 * DAY))
    assert bought.credit is not None
    assert (bought.credit.shown_at, bought.credit.age, bought.credit.window) == (NOW, 2 * DAY, 7 * DAY)
    again = account(flow, act("purchase", "b", 4 * DAY))
    assert again.credit is None
    assert again.uncredited == "the slate was credited with such an act before"
    assert again.counted == 3.0  # an honest purchase of another day counts for the item
    assert earned(flow, "b") == [4.0, 0.5]


REFUSED = [
    (act("click", "b", 30, "never was"), "there never was a slate with this id"),
    (act("click", "b", 30, "s1", user="thief"), "the slate was shown to another user"),
    (act("click", "d", 30, "s1"), "the item was not among the slate's first 20"),
    (act("click", "b", 2 * HOUR + 1, "s1"), "later than the window of 7,200 s"),
    (act("purchase", "b", 8 * DAY, "s1"), "later than the window of 604,800 s"),
    (act("click", "b", -301, "s1"), "it came before the slate was shown"),
    (act("click", "b", 2 * HOUR + 1), "the user saw no slate with the item within the window"),
    (act("click", "b", -1), "the user saw no slate with the item within the window"),
]


@pytest.mark.parametrize(("record", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_what_no_slate_led_to_is_learned_and_not_credited(record: Feedback, why: str) -> None:
    flow = flow_with()
    flow.observe([shown("s1")])
    made = account(flow, record)
    assert why in made.uncredited
    assert made.credit is None
    assert made.chosen
    assert mean_reward(flow, record.item_id) == [made.reward, 1.0]
    assert not flow.model.state.slates.reward.any()
    assert flow.history(record.user_id, 1)[0].item_id == record.item_id


def test_a_window_includes_its_last_second() -> None:
    flow = flow_with()
    flow.observe([shown("s1")])
    assert account(flow, act("click", "b", 2 * HOUR, "s1")).credit is not None


def test_a_client_whose_clock_is_a_little_behind_is_credited_when_it_names_the_slate() -> None:
    flow = flow_with()
    flow.observe([shown("s1")])
    assert account(flow, act("click", "b", -300, "s1")).credit is not None


def test_a_forged_position_changes_nothing() -> None:
    flow, other = flow_with(), flow_with()
    for each, position in ((flow, None), (other, 0)):
        each.observe([shown("s1"), act("click", "c", 5, "s1", position=position)])
    assert flow.state_hash() == other.state_hash()
    made = other.account("u-c-click-5")
    assert made is not None
    assert made.credit is not None
    assert made.credit.place == 2


def test_a_slate_is_credited_with_an_act_of_a_type_once() -> None:
    flow = flow_with(Attribution(session=60.0))
    flow.observe([shown("s1")])
    assert account(flow, act("click", "b", 10, "s1")).credit is not None
    second = account(flow, act("click", "b", 600, "s1"))
    assert second.uncredited == "the slate was credited with such an act before"
    assert second.counted == 1.0
    assert account(flow, act("cart", "b", 620, "s1")).credit is not None
    assert flow.model.state.slates.reward[0].tolist()[:3] == [0.0, 2.5, 0.0]


def test_the_same_act_again_in_a_session_counts_once_and_on_another_day_again() -> None:
    flow = flow_with()
    times = (0.0, 600.0, 2300.0, 2300.0 + DAY)  # each within half an hour of the one before, but for the last
    made = [account(flow, act("purchase", "a", at)) for at in times]
    assert [each.counted for each in made] == [3.0, 0.0, 0.0, 3.0]
    assert made[1].repeats == NOW
    # What is credited counts once a session; to take the same again is a choice each time, but for a double click.
    assert [each.chosen for each in made] == [True, True, True, True]
    assert not account(flow, act("purchase", "a", times[-1] + 5.0)).chosen
    assert mean_reward(flow, "a") == [6.0, 2.0]


def test_who_comes_back_to_an_item_chooses_it_again() -> None:
    flow = flow_with()
    made = [account(flow, act("click", item, at)) for at, item in enumerate(("a", "b", "a"))]
    assert [each.chosen for each in made] == [True, True, True]
    assert [each.counted for each in made] == [1.0, 1.0, 0.0]


def test_a_dislike_takes_back_the_like_before_it_also_from_the_slate() -> None:
    flow = flow_with()
    flow.observe([shown("s1"), act("click", "a", 5, "s1"), act("like", "a", 10, "s1")])
    assert flow.model.state.slates.reward[0, 0] == 3.0
    made = account(flow, act("dislike", "a", 9 * HOUR))
    assert (made.replaces, made.taken_back, made.counted) == ("like", 2.0, -2.0)
    assert made.credit is not None
    assert mean_reward(flow, "a") == [1.0 - 2.0, 2.0]
    assert flow.model.state.slates.reward[0, 0] == 1.0 - 2.0
    assert earned(flow, "a") == [1.0 - 2.0, 1.0]
    assert flow.model.state.slates.worth[0] == 1.0 - 2.0


def test_a_new_rating_replaces_the_old_one_and_a_like_is_an_opinion_too() -> None:
    flow = flow_with()
    first = account(flow, act("rating", "a", 0, value=5.0))
    second = account(flow, act("rating", "a", 10, value=1.0))
    assert (second.replaces, second.taken_back) == ("rating", first.reward)
    liked = account(flow, act("like", "a", 20))
    assert (liked.replaces, liked.taken_back) == ("rating", second.reward)
    assert mean_reward(flow, "a") == pytest.approx([2.0, 1.0], abs=1e-6)


def test_a_return_takes_back_the_purchase_once() -> None:
    flow = flow_with()
    flow.observe([act("purchase", "a", 0), act("purchase", "a", DAY)])
    made = account(flow, act("return", "a", 2 * DAY))
    assert (made.replaces, made.taken_back, made.counted) == ("purchase", 3.0, -1.0)
    again = account(flow, act("return", "a", 2 * DAY + 60))
    assert (again.replaces, again.counted) == ("", 0.0)
    assert mean_reward(flow, "a") == [3.0 - 1.0, 2.0]


def test_what_earned_nothing_within_the_window_counts_as_looked_at_and_refused() -> None:
    flow = flow_with()
    flow.observe([shown("s1"), act("click", "b", 10, "s1")])
    later(flow, 2 * HOUR - 1)
    assert earned(flow, "a") == earned(flow, "b") == [0.0, 0.0]
    later(flow, 2 * HOUR)
    assert earned(flow, "a") == [0.0, 1.0]
    assert earned(flow, "b") == [1.0, 0.5]
    assert earned(flow, "c") == [0.0, 0.333333]
    later(flow, 2 * DAY)
    assert earned(flow, "a") == [0.0, 1.0]


def test_the_clock_of_the_windows_is_the_log_not_the_wall() -> None:
    old = 1_000_000_000.0
    flow = flow_with()
    flow.observe([Impression("s1", "u", old, ("a",), (1.0,)), Feedback("e", "v", "b", old + 3 * HOUR)])
    assert earned(flow, "a") == [0.0, 1.0]


def test_late_acts_and_early_ones_come_to_the_same_rate() -> None:
    late, early = flow_with(), flow_with()
    early.observe([shown("s1"), act("cart", "b", 10, "s1")])
    later(early, DAY)
    late.observe([shown("s1")])
    later(late, DAY)
    late.observe([act("cart", "b", 10, "s1")])
    assert earned(early, "b") == earned(late, "b") == [1.5, 0.5]


def test_the_return_of_a_slate_holds_what_the_session_earned_later_discounted() -> None:
    flow = flow_with(Attribution(discount=0.5))
    flow.observe([shown("s0", at=-HOUR), shown("s1"), shown("s2", at=60), shown("s3", at=120, items=("d",))])
    made = account(flow, act("purchase", "d", 130, "s3"))
    assert made.credit is not None
    assert (made.credit.slate_return, made.credit.earlier) == (3.0, (1.5, 0.75))
    flow.observe([act("click", "a", 140, "s1")])
    assert flow.model.state.slates.worth[:4].tolist() == [0.0, 0.75 + 1.0, 1.5, 3.0]


def test_a_visitor_who_logs_in_keeps_the_slates() -> None:
    flow = flow_with()
    flow.observe([shown("s1", "session:v"), shown("s2", "ann", 10, ("c",))])
    flow.observe([SessionMerge("m", "ann", "session:v", NOW + 20)])
    assert account(flow, act("click", "b", 30, user="ann")).credit is not None
    assert account(flow, act("click", "c", 40, user="session:v")).credit is not None
    assert account(flow, act("like", "a", 50, "s1", user="ann")).credit is not None


def test_an_impression_makes_no_user_and_a_first_act_is_credited() -> None:
    flow = flow_with()
    flow.observe([shown("s1", "new")])
    assert flow.model.state.n_users == 0
    assert account(flow, act("click", "a", 1, "s1", user="new")).credit is not None


def test_a_forgotten_user_has_no_open_slates_and_nobody_else_loses_any() -> None:
    flow = flow_with()
    flow.observe([shown("s1"), shown("s2", "v", 5), act("click", "a", 10, "s1")])
    flow.model.forget({"u"})
    slates = flow.model.state.slates
    assert slates.user[:2].tolist()[0] == slates.key[0] == 0
    assert (slates.items[0] == -1).all()
    assert flow.account("u-a-click-10") is None
    assert "never was" in account(flow, act("click", "b", 20, "s1")).uncredited
    assert account(flow, act("click", "b", 20, "s2", user="v")).credit is not None
    later(flow, DAY)
    assert earned(flow, "b") == [1.0, 0.5]


def test_after_an_erasure_items_are_as_if_the_user_had_never_looked() -> None:
    flow, clean = flow_with(), flow_with()
    theirs: list[Record] = [shown("s1"), act("click", "a", 10, "s1")]
    others: list[Record] = [shown("s2", "v", 20, chance=0.5), act("click", "b", 30, "s2", user="v")]
    flow.observe([*theirs, *others])
    clean.observe(others)
    for each in (flow, clean):
        later(each, DAY)
    flow.erase("u")
    assert earned(flow, "a") == earned(clean, "a") == [0.0, 1.0]
    assert flow.state_hash() == clean.state_hash()


def test_the_ring_grows_up_to_its_bound_and_what_leaves_it_is_judged_early() -> None:
    flow = flow_with(Attribution(slates=100))
    flow.observe([shown(f"s{n}", f"u{n}", n) for n in range(150)])
    state = flow.model.state
    assert state.slates.number.tolist() == [50, 150, 50]
    assert len(state.slates.key) == 128
    assert len(state.slate_number) == len(state.newest_slate) == 100
    assert earned(flow, "a") == [0.0, 50.0]
    assert account(flow, act("click", "a", 160, "s50", user="u50")).credit is not None
    assert "too old" in account(flow, act("click", "a", 160, "s49", user="u49")).uncredited


def test_one_who_looks_at_very_many_slates_costs_no_more_memory_than_many_users() -> None:
    flow = flow_with(Attribution(slates=128))
    flow.observe([shown(f"s{n}", at=n) for n in range(1000)])
    assert len(flow.model.state.slates.key) == 128
    assert len(flow.model.state.slate_number) == 128
    assert flow.model.state.newest_slate.keys() == {int(flow.model.state.slates.user[0])}


def test_surfaces_have_curves_of_their_own_up_to_a_bound() -> None:
    flow = flow_with()
    for n in range(SURFACES + 4):
        flow.observe([Impression(f"s{n}", "u", NOW, ("a",), (0.5,), surface=f"page {n}")])
    state = flow.model.state
    assert len(state.names.surfaces) == len(state.examination.slope) == SURFACES
    assert state.slates.surface[: SURFACES + 4].tolist() == [*range(SURFACES), *[SURFACES - 1] * 4]


def mixed(seed: int, size: int) -> list[Record]:
    """Slates, acts on them and on nothing, late ones, forged ones, merges; ring and fit are both passed."""
    rng = random.Random(seed)
    records: list[Record] = [ItemPut(f"put-{k}", f"i{k}", NOW, {}) for k in range(30)]
    for n in range(size):
        now, user = NOW + 40.0 * n, f"u{rng.randrange(20)}"
        user = user if rng.random() < 0.8 else f"session:{user}"
        if rng.random() < 0.5:
            items = tuple(f"i{k}" for k in rng.sample(range(30), rng.randrange(1, 6)))
            chances = tuple(rng.random() * 0.9 + 0.05 for _ in items)
            records.append(Impression(f"s{n}", user, now, items, chances, rng.choice(("default", "mail"))))
        elif rng.random() < 0.02:
            records.append(
                SessionMerge(f"m{n}", f"u{rng.randrange(20)}", f"session:u{rng.randrange(20)}", now)
            )
        else:
            kind = rng.choice(("click", "like", "dislike", "purchase", "return", "skip"))
            slate = rng.choice((None, f"s{max(0, n - rng.randrange(30))}"))
            item = f"i{rng.randrange(30)}"
            records.append(Feedback(f"e{n}", user, item, now - 500 * rng.random(), kind, None, slate))
    return records


@pytest.mark.parametrize("cut", [31, 170, 700])
def test_a_replay_from_a_snapshot_gives_the_same_slates_and_curves(cut: int) -> None:
    attribution = Attribution(window=600.0, slates=90)
    records = mixed(5, 1300)
    whole, part, again = (flow_with(attribution, ()).model for _ in range(3))
    entries = [Entry(offset, record) for offset, record in enumerate(records)]
    whole.learn(entries)
    part.learn(entries[:cut])
    again.state.load({name: each.copy() for name, each in part.state.arrays().items()})
    again.state.offset = part.state.offset
    assert again.state.digest() == part.state.digest()
    for each in (part, again):
        each.learn(entries[cut:])
    assert whole.state.examination.judged[:, 1].max() == 256  # the fit has been made
    assert whole.state.digest() == part.state.digest() == again.state.digest()
    assert again.state.slate_number == whole.state.slate_number
    assert again.state.newest_slate == whole.state.newest_slate


@pytest.mark.parametrize("gone", ["u3", "u11"])
def test_after_an_erasure_slates_and_curves_are_those_of_a_log_without_the_user(gone: str) -> None:
    attribution = Attribution(window=600.0, slates=90)
    records = mixed(7, 1200)
    flow, clean = flow_with(attribution, ()), flow_with(attribution, ())
    flow.observe(records)
    mine = {gone} | {
        each.session_user_id for each in records if isinstance(each, SessionMerge) and each.user_id == gone
    }
    kept = [
        each
        for each in records
        if each.user_id not in mine and getattr(each, "session_user_id", "") not in mine
    ]
    clean.observe(kept)
    assert len(kept) < len(records)
    assert flow.erase(gone).state_hash == clean.state_hash()


def test_every_reward_is_credited_once_or_not_at_all_and_nothing_is_lost() -> None:
    flow = flow_with(Attribution(window=600.0), ())
    flow.observe(mixed(6, 900))
    state = flow.model.state
    accounts = list(flow.model.learner.accounts.values())
    credited = sum(each.reward for each in accounts if each.credit)
    taken = credited - float(state.slates.reward[: int(state.slates.number[NEXT])].sum(dtype=np.float64))
    assert taken <= sum(each.taken_back for each in accounts if each.replaces and each.taken_back > 0) + 1e-6
    assert all((each.credit is None) == bool(each.uncredited) for each in accounts)
    counted = sum(each.counted - each.taken_back for each in accounts)
    assert float(state.items.reward[:, 0].sum(dtype=np.float64)) == pytest.approx(counted, abs=1e-3)
    assert state.slates.number[OLDEST] == 0 < state.slates.number[OPEN]


def test_accounts_are_bounded_and_the_oldest_goes_first() -> None:
    flow = flow_with()
    flow.observe([act("view", "a", n, user=f"u{n}") for n in range(4100)])
    assert len(flow.model.learner.accounts) == 4096
    assert flow.account("u3-a-view-3") is None
    assert flow.account("u4-a-view-4") is not None


def test_an_account_is_the_same_whoever_asks() -> None:
    flow = flow_with()
    flow.observe([shown("s1")])
    made = account(flow, act("click", "b", 30, "s1"))
    assert msgspec.json.decode(msgspec.json.encode(made), type=Account) == made


def test_an_act_on_a_slate_is_a_choice_among_what_was_left_of_it() -> None:
    flow = flow_with()
    choices = list[tuple[list[str], list[float]]]()
    names = flow.model.state.names.items

    def choose(user: int, item: int, now: float, weight: float, among: Choice) -> None:
        choices.append(([names[row] for row in among.items], among.looks.tolist()))

    flow.model.learner._choose = choose
    flow.observe(
        [shown("s1"), act("click", "b", 10, "s1"), act("click", "c", 20, "s1"), act("click", "d", 30)]
    )
    first, second, without = choices
    assert first == (["a", "b", "c"], [1.0, 0.5, pytest.approx(1 / 3)])
    assert second == (["a", "c"], [1.0, pytest.approx(1 / 3)])  # b was taken: it was no alternative any more
    assert without == ([], [])
