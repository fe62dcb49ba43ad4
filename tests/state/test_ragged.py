"""Ragged tables against a dictionary of lists: appending, growing, sweeping, packing and unpacking."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from instep.state.ragged import (
    FIRST_CAPACITY,
    Ragged,
    append_cell,
    cell_of,
    empty_ragged,
    loosened,
    room_for,
    swept,
    tight,
    with_cells,
    with_rows,
)

ROWS = 6
LIMIT = 16
Model = dict[int, list[tuple[int, float]]]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, ROWS - 1)),
        st.tuples(st.sampled_from(("sweep", "repack", "clear")), st.integers(0, ROWS - 1)),
    ),
    max_size=150,
)


def rows_of(table: Ragged) -> Model:
    found: Model = {}
    for row in range(len(table.start)):
        start, length = int(table.start[row]), int(table.length[row])
        cells = zip(
            table.ids[start : start + length].tolist(), table.values[start : start + length, 0], strict=True
        )
        found[row] = [(cell, float(value)) for cell, value in cells]
    return found


def times_of(table: Ragged) -> list[float]:
    found: list[float] = tight(table, len(table.start))[3].ravel().tolist()
    return found


def repacked(table: Ragged) -> Ragged:
    return loosened(*tight(table, len(table.start)))


@settings(deadline=None, max_examples=60)
@given(steps)
def test_a_table_holds_what_lists_would_hold(actions: list[tuple[str, int]]) -> None:
    table = with_rows(empty_ragged(2, times=1), ROWS)
    model: Model = {row: [] for row in range(len(table.start))}
    for number, (action, row) in enumerate(actions):
        if action == "append":
            table = with_cells(table, 2 * LIMIT)
            at = append_cell(table, row, number, LIMIT)
            table.values[at], table.times[at] = number / 2, 1e9 + number
            if len(model[row]) == LIMIT:
                del model[row][: LIMIT // 4]
            model[row].append((number, number / 2))
        elif action == "clear":
            table.length[row] = 0
            model[row] = []
        else:
            table = swept(table) if action == "sweep" else repacked(table)
        assert rows_of(table) == model
        assert times_of(table) == [1e9 + number for row in model for number, _ in model[row]]
        assert (table.length <= table.capacity).all()
        assert table.capacity.max() <= LIMIT
        owned = sorted(zip(table.start.tolist(), table.capacity.tolist(), strict=True))
        ends = [start + capacity for start, capacity in owned if capacity]
        assert [start for start, capacity in owned if capacity][1:] >= ends[:-1]
        assert max(ends, default=0) <= int(table.tail[0]) <= len(table.ids)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 3 * FIRST_CAPACITY), min_size=1, max_size=12))
def test_packing_forgets_the_room_and_nothing_else(lengths: list[int]) -> None:
    table = with_rows(empty_ragged(1), len(lengths))
    for turn in range(max(lengths)):  # round after round, so that rows move and leave gaps
        for row, length in enumerate(lengths):
            if turn < length:
                table = with_cells(table, 4 * FIRST_CAPACITY)
                table.values[append_cell(table, row, row, 1 << 20)] = turn
    packed = tight(table, len(lengths))
    assert packed[0].tolist() == lengths
    assert [list(range(length)) for length in lengths] == [
        [int(value) for _, value in rows_of(table)[row]] for row in range(len(lengths))
    ]
    again = tight(loosened(*packed), len(lengths))
    roomy = tight(with_cells(with_rows(table, 100), 10_000), len(lengths))
    for first, second, third in zip(packed, again, roomy, strict=True):
        assert first.tobytes() == second.tobytes() == third.tobytes()


@given(st.integers(1, 1 << 20))
def test_a_rows_room_is_close_to_its_length_and_holds_every_power_of_two(length: int) -> None:
    room = room_for(length)
    assert length <= room < max(length + FIRST_CAPACITY, 1.5 * length)
    assert room_for(room) == room < room_for(room + 1)
    power = 1 << length.bit_length()
    assert room_for(power) == max(power, FIRST_CAPACITY)
    places, own = 0, 0
    while own < min(length, 4096):
        own = room_for(own + 1)
        places += own
    assert places <= 5 * length


@given(ids=st.lists(st.integers(0, 60), unique=True, max_size=50), wanted=st.integers(0, 60))
def test_a_cell_is_found_wherever_it_stands_in_its_row(ids: list[int], wanted: int) -> None:
    table = with_cells(with_rows(empty_ragged(0), 2), 1024)
    for other in range(3):  # a row behind it, whose cells are none of its own
        append_cell(table, 1, 61 + other, 64)
    for cell in ids:
        append_cell(table, 0, cell, 64)
    at = cell_of(table, 0, wanted)
    assert at == (table.start[0] + ids.index(wanted) if wanted in ids else -1)
    assert cell_of(table, 0, 61) == -1


def test_an_empty_table_packs_and_unpacks() -> None:
    table = repacked(empty_ragged(3))
    assert len(table.start) == 0
    assert with_cells(table, 100).values.shape[1] == 3
