"""An account says in sentences what was made of an act; windows and what replaces what."""

from __future__ import annotations

import math

import pytest

from instep.reward import Account, Attribution, Credit, replaced_types

DAY = 86_400.0


def account(**more: object) -> Account:
    given: dict[str, object] = {
        "event_id": "e1",
        "user_id": "ann",
        "item_id": "tea",
        "type": "click",
        "value": None,
        "timestamp": 1.7e9,
        "weight": 1.0,
        "usual": None,
        "reward": 1.0,
        "counted": 1.0,
    }
    return Account(**{**given, **more})  # type: ignore[arg-type]


def test_a_dwell_is_told_beside_the_usual_seconds() -> None:
    steps = account(
        type="dwell", value=20.0, weight=0.5, usual=math.log1p(15.0), reward=0.5 * math.log(21.0 / 16.0)
    ).steps()
    assert steps[1] == (
        "20 s, where 15 s is usual for this user and item: the log of the ratio, at most 2 either way, times 0.5. "
        "Reward: 0.135967."
    )


def test_a_rating_is_told_beside_the_users_mean() -> None:
    steps = account(type="rating", value=4.0, usual=3.5, reward=0.5).steps()
    assert steps[1] == "4 stars, where 3.5 is usual for this user: the difference times 1. Reward: 0.5."


def test_a_repeat_and_what_is_taken_back_are_told() -> None:
    repeat = account(repeats=1.7e9 - 60, counted=0.0, uncredited="it is a repeat").steps()
    assert (
        repeat[2]
        == "The same act was done at 2023-11-14 22:12:20 UTC, in the same session: it does not count again."
    )
    assert repeat[4] == "It was credited to no slate: it is a repeat."
    changed = account(type="dislike", reward=-2.0, counted=-2.0, replaces="like", taken_back=2.0).steps()
    assert changed[2] == "The item's mean reward gets -2. The user's earlier like is taken back: -2."


def test_a_credit_is_told_with_place_age_window_examination_and_shares() -> None:
    credit = Credit("slate id", 1.7e9 - 90.0, 2, 90.0, 7200.0, 0.4, -0.05, 4.0, (0.9, 0.81))
    assert account(chosen=True, credit=credit).steps()[3:] == [
        "The ranker learned the choice.",
        "Credited to the slate shown at 2023-11-14 22:11:50 UTC, place 3, by slate id: 90 s later, within the window "
        "of 7,200 s.",
        "At this place 0.400 of what the first place would get is seen, and -0.050 acts come of the place alone.",
        "The slate's return is 4 by now.",
        "Earlier slates of the session share in it, discounted: 0.9, 0.81.",
    ]


@pytest.mark.parametrize(
    ("kind", "window"),
    [
        ("click", 7200.0),
        ("hummed", 7200.0),
        ("like", DAY),
        ("cart", DAY),
        ("rating", 7 * DAY),
        ("purchase", 7 * DAY),
        ("return", 30 * DAY),
    ],
)
def test_a_type_has_its_window(kind: str, window: float) -> None:
    assert Attribution().window_of(kind) == window
    assert Attribution(windows={kind: 5.0}).window_of(kind) == 5.0


def test_opinions_replace_each_other_and_a_return_a_purchase() -> None:
    assert replaced_types("like") == replaced_types("rating") == ("like", "dislike", "rating")
    assert replaced_types("return") == ("purchase", "return")
    assert replaced_types("purchase") == replaced_types("view") == ()
