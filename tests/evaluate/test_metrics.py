"""Numbers out of ranks and slates, on cases small enough to do by hand."""

from __future__ import annotations

import numpy as np
import pytest

from instep.domain import Item
from instep.evaluate import Options, Outcome, Rows, Stream, arrange, mean_interval, ratio_interval, summarise
from instep.evaluate.metrics import content, intra_list_diversity, known_before

KEYS = {
    "name",
    "hr",
    "ndcg",
    "mrr",
    "coverage",
    "gini",
    "ild",
    "cold_items",
    "cold_users",
    "recommend_us",
    "observe_us",
    "events_per_s",
    "peak_rss_mib",
}


def outcome(stream: Stream, rank: list[int], slates: list[list[int]]) -> Outcome:
    """An outcome over the last events of a stream, one slate an event."""
    n = len(rank)
    return Outcome(
        system="made up",
        event=np.arange(len(stream) - n, len(stream), dtype=np.int32),
        rank=np.array(rank, np.int32),
        slate=np.arange(n, dtype=np.int32),
        slates=np.array(slates, np.int32),
        recommend_ns=np.array([1000.0, 3000.0]),
        observe_ns=np.array([500.0] * n),
        seconds=2.0,
        peak_rss_mib=100.0,
    )


def stream_of(items: str, users: str, catalogue: dict[str, Item] | None = None) -> Stream:
    """One event a second, one letter an id, numbered in file order."""
    return arrange("s", Rows(list(users), list(items), np.arange(len(items), dtype=np.float64)), catalogue)


def test_the_entry_of_a_system_by_hand() -> None:
    stream = stream_of("abcd", "uvuv")
    entry = summarise(stream, outcome(stream, [0, 1, -1, 3], [[0, 1], [0, 1], [0, 2], [0, -1]]))
    assert set(entry) == KEYS
    assert entry["hr"] == 0.75
    assert entry["ndcg"] == pytest.approx((1 + 1 / np.log2(3) + 0 + 1 / np.log2(5)) / 4)
    assert entry["mrr"] == pytest.approx((1 + 1 / 2 + 0 + 1 / 4) / 4)
    assert entry["coverage"] == 0.75
    assert entry["gini"] == pytest.approx(2 * (1 * 0 + 2 * 1 + 3 * 2 + 4 * 4) / (4 * 7) - 5 / 4)
    assert entry["ild"] is None
    assert entry["recommend_us"] == {"p50": 2.0, "p99": 2.98}
    assert entry["observe_us"] == {"p50": 0.5, "p99": 0.5}
    assert entry["events_per_s"] == 2.0


def test_cold_means_at_most_five_events_before() -> None:
    stream = stream_of("a" * 8, "uvwxyzst")
    entry = summarise(stream, outcome(stream, [-1] * 5 + [0, 0, 0], [[0]] * 8))
    assert entry["cold_items"] == {"n": 6, "hr": pytest.approx(1 / 6), "ndcg": pytest.approx(1 / 6)}
    assert entry["cold_users"]["n"] == 8


def test_events_of_the_same_group_are_not_yet_known() -> None:
    keys, group = np.array([1, 1, 2, 1], np.int32), np.array([0, 0, 0, 1], np.int32)
    assert known_before(keys, group).tolist() == [0, 0, 0, 2]


def test_diversity_is_the_mean_pairwise_distance_by_category() -> None:
    items = {
        "a": Item("a", categories=("war",)),
        "b": Item("b", categories=("war",)),
        "c": Item("c", categories=("love",)),
    }
    stream = stream_of("abc", "uuu", items)
    a, b, c = (stream.items.index(name) for name in "abc")
    table = content(stream)
    assert intra_list_diversity(np.array([[a, b]], np.int32), table) == pytest.approx(0)
    assert intra_list_diversity(np.array([[a, c]], np.int32), table) == pytest.approx(1)
    assert intra_list_diversity(np.array([[a, b, c], [c, -1, -1]], np.int32), table) == pytest.approx(2 / 3)


def test_titles_stand_in_where_no_item_has_a_category() -> None:
    stream = stream_of("ab", "uu", {"a": Item("a", title="Red mug"), "b": Item("b", title="blue MUG")})
    assert intra_list_diversity(np.array([[0, 1]], np.int32), content(stream)) == pytest.approx(0.5)


def test_an_interval_holds_the_mean_and_narrows_with_more_users() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for users in (20, 2000):
        user = np.repeat(np.arange(users, dtype=np.int32), 5)
        got = mean_interval((rng.random(len(user)) < 0.3).astype(np.float64), user)
        assert got.low < got.value < got.high
        widths.append(got.high - got.low)
    assert widths[1] < widths[0] / 5


def test_an_interval_is_wider_when_users_differ_than_when_events_do() -> None:
    values = np.repeat([0.0, 1.0], 500)
    lumped, spread = (
        np.repeat(np.arange(10, dtype=np.int32), 100),
        np.tile(np.arange(10, dtype=np.int32), 100),
    )
    width = [mean_interval(values, user).high - mean_interval(values, user).low for user in (lumped, spread)]
    assert width[0] > 10 * width[1]


def test_a_ratio_compares_both_systems_on_the_same_users() -> None:
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(100, dtype=np.int32), 10)
    below = rng.random(1000)
    got = ratio_interval(below * 1.2, below, user)
    assert (round(got.value, 9), round(got.low, 9), round(got.high, 9)) == (1.2, 1.2, 1.2)


def test_no_scored_events_give_nulls_and_no_crash() -> None:
    stream = stream_of("ab", "uu")
    none = outcome(stream, [], np.empty((0, Options().k), np.int32).tolist() or [[-1]])
    entry = summarise(stream, none)
    assert (entry["hr"], entry["cold_items"]["hr"], entry["coverage"]) == (None, None, 0.0)
