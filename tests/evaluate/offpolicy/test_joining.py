"""Feedback belongs to the impression that led to it, once, and to no other."""

from __future__ import annotations

import pytest

from instep.domain import ConfigError, Entry, Feedback, Impression, Record
from instep.evaluate.offpolicy import Selection
from instep.evaluate.offpolicy.joining import Join, Shown, shown_slates

HOUR = 3600.0
DAY = Selection(window=24 * HOUR)


def slate(
    name: str, user: str = "ann", at: float = 0.0, as_of: int = 0, surface: str = "default"
) -> Impression:
    return Impression(name, user, at, ("tea", "cup"), (0.5, 1.0), surface, as_of=as_of)


def entries(*records: Record) -> list[Entry]:
    return [Entry(offset, record) for offset, record in enumerate(records)]


def late(at: float) -> Feedback:
    return Feedback("late", "zoe", "tea", at)


def join(*slates: Impression, merged: dict[str, str] | None = None) -> Join:
    return Join([Shown(each, 0) for each in slates], DAY, merged or {})


def click(item: str, at: float, **more: object) -> Feedback:
    given = {"user_id": "ann", "type": "click", **more}
    return Feedback("e", item_id=item, timestamp=at, **given)  # type: ignore[arg-type]


def test_an_act_belongs_to_the_slate_it_names_at_its_item_s_place() -> None:
    found = join(slate("s1"), slate("s2"))
    assert found.place(click("cup", 60.0, slate_id="s2")) == (1, 1)
    assert (found.credited, found.uncredited) == (1, 0)


def test_an_act_that_names_no_slate_belongs_to_the_user_s_newest_that_showed_the_item() -> None:
    assert join(slate("s1", at=0.0), slate("s2", at=50.0)).place(click("tea", 60.0)) == (1, 0)
    assert join(slate("s1", at=0.0), slate("s2", at=100.0)).place(click("tea", 60.0)) == (0, 0)


def test_an_act_counts_once_for_each_type() -> None:
    found = join(slate("s1"))
    assert found.place(click("tea", 1.0, slate_id="s1")) == (0, 0)
    assert found.place(click("tea", 2.0, slate_id="s1")) is None
    assert found.place(click("tea", 3.0, slate_id="s1", type="purchase")) == (0, 0)
    assert (found.credited, found.uncredited) == (2, 1)


@pytest.mark.parametrize(
    "act",
    [
        click("tea", 60.0, slate_id="never"),
        click("jam", 60.0, slate_id="s1"),
        click("tea", 60.0, slate_id="s1", user_id="bob"),
        click("tea", 24 * HOUR + 1, slate_id="s1"),
        click("tea", -1.0, slate_id="s1"),
        click("tea", 60.0, user_id="bob"),
    ],
    ids=["no such slate", "not in it", "another user's", "too late", "before it", "no slate of the user's"],
)
def test_what_belongs_to_no_slate_is_credited_to_none(act: Feedback) -> None:
    found = join(slate("s1"))
    assert found.place(act) is None
    assert (found.credited, found.uncredited) == (0, 1)


def test_a_session_and_the_user_it_was_merged_into_are_one() -> None:
    found = join(slate("s1", user="session:x"), merged={"session:x": "ann"})
    assert found.place(click("tea", 60.0, slate_id="s1")) == (0, 0)


def test_only_the_types_that_were_asked_for_count() -> None:
    found = Join([Shown(slate("s1"), 0)], Selection(types=frozenset({"purchase"})), {})
    assert found.place(click("tea", 1.0, slate_id="s1")) is None
    assert found.place(click("tea", 1.0, slate_id="s1", type="purchase")) == (0, 0)
    assert (found.credited, found.uncredited) == (1, 0)


def test_slates_come_in_the_order_in_which_they_were_chosen() -> None:
    records = entries(slate("s1", as_of=0), late(1.0), slate("s2", as_of=2), slate("s3", as_of=1), late(1e6))
    shown, left_out = shown_slates(records, 5, DAY)
    assert [(each.impression.event_id, each.as_of) for each in shown] == [("s1", 0), ("s3", 1), ("s2", 2)]
    assert left_out == {}


def test_slates_outside_the_selection_and_without_items_are_counted() -> None:
    records = entries(
        slate("old", at=5.0),
        slate("other", at=20.0, surface="mail"),
        slate("new", at=36.0),
        Impression("none", "ann", 20.0, (), (), "home"),
        slate("good", at=20.0, surface="home"),
        slate("young", at=29.0, surface="home"),
        late(35.0),
    )
    chosen = Selection(since=10.0, until=30.0, window=10.0, surface="home")
    shown, left_out = shown_slates(records, 7, chosen)
    assert [each.impression.event_id for each in shown] == ["good"]
    assert left_out == {"outside the selection": 3, "without items": 1, "window not over": 1}


@pytest.mark.parametrize(
    ("records", "selection", "why"),
    [
        ((), DAY, "the log has none"),
        ((late(1.0),), DAY, "the log has none"),
        ((slate("s1"), late(60.0)), DAY, "give a shorter --window"),
        ((slate("s1"), late(1e6)), Selection(since=10.0), "all 1 are outside"),
        ((Impression("s", "ann", 0.0, (), ()), late(1e6)), DAY, "none of 1 has items"),
    ],
)
def test_a_log_without_a_slate_to_judge_is_refused_with_the_reason(
    records: tuple[Record, ...], selection: Selection, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        shown_slates(entries(*records), len(records), selection)
