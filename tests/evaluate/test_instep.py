"""The real flow as a system under test."""

from __future__ import annotations

import numpy as np
import pytest

from instep.domain import ConfigError, Item
from instep.evaluate import Options, Rows, Stream, arrange, replay
from instep.evaluate.freshness import EVERYTHING, SHARED, freshness
from instep.evaluate.instep import Instep
from instep.evaluate.systems import SYSTEMS, make_system, system_names
from instep.evaluate.vectors import item_vectors


def walk(n: int = 900, kind: str = "click", value: float = float("nan"), start: float = 1e9) -> Stream:
    """Users walk along a line of 100 items."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, 100, 25)
    users, items = [], []
    for _ in range(n):
        user = int(rng.integers(0, 25))
        place[user] = (place[user] + rng.integers(1, 3)) % 100
        users.append(f"u{user}")
        items.append(f"i{place[user]}")
    times = start + np.arange(n) * 60.0
    return arrange("walk", Rows(users, items, times, np.full(n, value), [kind] * n))


def test_the_flow_is_asked_for_the_whole_catalogue_and_never_repeats() -> None:
    stream = walk()
    outcome = replay(stream, Instep(stream))
    assert (outcome.rank >= 0).mean() > 0.3
    assert len(np.unique(outcome.slates[outcome.slates >= 0])) > 80


def test_two_replays_of_the_flow_are_equal_to_the_byte() -> None:
    stream = walk(400)
    one, two = replay(stream, Instep(stream)), replay(stream, Instep(stream))
    assert one.slates.tobytes() == two.slates.tobytes()


@pytest.mark.parametrize(("kind", "value"), [("rating", 1.0), ("dwell", 0.0), ("yodelled", 3.0)])
def test_every_replayed_event_counts_as_positive_whatever_its_type(kind: str, value: float) -> None:
    clicks, others = walk(400), walk(400, kind, value)
    assert replay(clicks, Instep(clicks)).rank.tobytes() == replay(others, Instep(others)).rank.tobytes()


@pytest.mark.parametrize("start", [0.0, 9e9])
def test_any_time_is_replayed_long_ago_or_far_ahead(start: float) -> None:
    stream = walk(200, start=start)
    assert len(replay(stream, Instep(stream)).rank) > 0


def test_late_shared_state_keeps_the_users_own_history_and_a_late_log_does_not() -> None:
    stream = walk()
    hits = {
        name: (replay(stream, Instep(stream), options).rank >= 0).mean()
        for name, options in (
            ("fresh", Options()),
            ("shared", Options(delay_items=60)),
            ("all", Options(delay=60)),
        )
    }
    assert hits["fresh"] > hits["all"] + 0.1
    assert hits["shared"] > hits["all"] + 0.05


def test_reading_ahead_leaves_the_state_as_it_was() -> None:
    stream = walk(300)
    plain, ahead = Instep(stream), Instep(stream)
    for event in range(200):
        lesson = (int(stream.user[event]), int(stream.item[event]), float(stream.t[event]), float("nan"))
        plain.learn(*lesson)
        ahead.learn_shared(*lesson)
        ahead.remember(*lesson)
    for event in range(200, 230):
        ahead.remember(int(stream.user[event]), int(stream.item[event]), float(stream.t[event]), float("nan"))
    for user in range(len(stream.users)):
        ahead.recommend(user, 1e9, 10, np.empty(0, np.int32))
    assert ahead.flow.state_hash() == plain.flow.state_hash()


def test_the_language_model_reads_each_text_once(tmp_path: object) -> None:
    rows = Rows(["u", "u"], ["a", "b"], np.array([1e9, 2e9]))
    catalogue = {"a": Item("a", title="Green tea"), "b": Item("b"), "c": Item("c", title="Black tea")}
    stream = arrange("tea", rows, catalogue)
    vectors = item_vectors(stream, "english")
    assert {vector.item_id for vector in vectors} == {"a", "c"}
    assert all(len(vector.vector) == 2 * 384 for vector in vectors)
    assert [v.vector for v in item_vectors(stream, "english")] == [v.vector for v in vectors]


def test_freshness_has_a_point_for_each_delay_and_no_delay_is_the_same_either_way() -> None:
    stream = walk(400)
    curves = freshness(stream, lambda: make_system("transitions", stream), Options(), (0, 50))
    assert [late for late, _ in curves[EVERYTHING]] == [0, 50]
    assert curves[EVERYTHING][0] == curves[SHARED][0]
    assert curves[EVERYTHING][1][1] < curves[SHARED][1][1]


def test_systems_that_cannot_be_split_have_one_freshness_curve() -> None:
    stream = walk(200)
    assert set(freshness(stream, lambda: make_system("bpr", stream), Options(), (0,))) == {EVERYTHING}


def test_every_name_makes_the_system_of_that_name() -> None:
    stream = walk(30)
    assert [make_system(name, stream).name for name in SYSTEMS] == list(SYSTEMS)


def test_an_unknown_name_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no system 'transition'; did you mean transitions"):
        system_names("bpr,transition")


def test_all_stands_for_every_baseline() -> None:
    assert set(system_names("all,instep")) == set(SYSTEMS) - {"instep-no-text"}
