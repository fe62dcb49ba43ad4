"""The order of a replay."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from instep.domain import ConfigError, Item
from instep.evaluate import Rows, Stream, arrange


def some_rows(n: int = 400, seed: int = 1) -> Rows:
    """Events with many ties in (user, time)."""
    rng = np.random.default_rng(seed)
    return Rows(
        [f"u{u}" for u in rng.integers(0, 20, n)],
        [f"i{i}" for i in rng.integers(0, 50, n)],
        np.sort(rng.integers(0, n // 4, n)).astype(np.float64),
        rng.integers(1, 6, n).astype(np.float64),
        ["rating"] * n,
    )


def shuffled(rows: Rows, seed: int) -> Rows:
    """The same rows in another file order."""
    order = np.random.default_rng(seed).permutation(len(rows.t))
    return Rows(
        [rows.user_id[i] for i in order],
        [rows.item_id[i] for i in order],
        rows.t[order],
        rows.value[order],
        [rows.kind[i] for i in order],
    )


def content(stream: Stream) -> tuple[bytes, ...]:
    arrays = (stream.user, stream.item, stream.t, stream.value, stream.group)
    return (*(array.tobytes() for array in arrays), repr((stream.users, stream.items)).encode())


def test_the_order_of_rows_in_the_file_means_nothing_when_ties_are_grouped() -> None:
    rows = some_rows()
    first = content(arrange("s", rows, seed=3))
    assert all(content(arrange("s", shuffled(rows, other), seed=3)) == first for other in range(5))


def test_another_seed_orders_ties_otherwise_and_nothing_else() -> None:
    one, two = arrange("s", some_rows(), seed=1), arrange("s", some_rows(), seed=2)
    names = [[stream.items[i] for i in stream.item] for stream in (one, two)]
    assert names[0] != names[1]
    assert sorted(names[0]) == sorted(names[1])
    assert [one.users[u] for u in one.user] == [two.users[u] for u in two.user]
    assert one.t.tolist() == two.t.tolist()


def test_events_are_sorted_by_time_then_user_and_a_group_is_one_user_at_one_time() -> None:
    stream = arrange("s", some_rows())
    keys = [(t, stream.users[u]) for t, u in zip(stream.t, stream.user, strict=True)]
    assert keys == sorted(keys)
    assert [a != b for a, b in pairwise(keys)] == np.diff(stream.group).astype(bool).tolist()


def test_file_ties_keep_the_order_of_the_file_and_make_every_event_a_group() -> None:
    rows = Rows(["b", "a", "b"], ["x", "y", "z"], np.array([5.0, 5.0, 4.0]))
    stream = arrange("s", rows, ties="file")
    assert [stream.items[i] for i in stream.item] == ["z", "x", "y"]
    assert stream.group.tolist() == [0, 1, 2]


def test_the_numbers_of_items_do_not_follow_their_first_appearance() -> None:
    n = 300
    rows = Rows(["u"] * n, [f"i{i:03}" for i in range(n)], np.arange(n, dtype=np.float64))
    correlation = np.corrcoef(arrange("s", rows).item, np.arange(n))[0, 1]
    assert abs(correlation) < 0.2


def test_the_catalogue_holds_items_without_events_and_events_on_unknown_items() -> None:
    stream = arrange("s", Rows(["u"], ["a"], np.array([1.0])), {"b": Item("b")})
    assert set(stream.items) == {"a", "b"}


def test_a_limit_cuts_events_and_keeps_the_catalogue() -> None:
    stream = arrange("s", some_rows())
    assert len(stream.first(10)) == 10
    assert stream.first(10).items == stream.items


def test_no_events_is_an_error_that_names_the_data() -> None:
    with pytest.raises(ConfigError, match="shop holds no events"):
        arrange("shop", Rows([], [], np.empty(0)))
