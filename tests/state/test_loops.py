"""What compiled loops share: the sum's order to the bit, and that reading ahead changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numba import njit

import instep
from instep.state.loops import LANES, dot, read_ahead
from instep.state.tables import F32


@njit
def _product(left: F32, right: F32) -> float:
    return dot(left, right)


@njit
def _sum_ahead(rows: F32) -> float:
    total = np.float32(0.0)
    for k in range(len(rows)):
        read_ahead(rows, np.uintp(min(k + 3, len(rows) - 1)))
        for c in range(rows.shape[1]):
            total += rows[k, c]
    return total


def _written_order(left: F32, right: F32) -> np.float32:
    """Lanes, then the lanes by halves, then what is over: one rounding at each step."""
    whole = len(left) - len(left) % LANES
    sums = np.zeros(LANES, np.float32)
    for k in range(0, whole, LANES):
        sums = sums + left[k : k + LANES] * right[k : k + LANES]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    total = np.float32(sums[0])
    for k in range(whole, len(left)):
        total = np.float32(total + left[k] * right[k])
    return total


@pytest.mark.parametrize("width", [0, 1, 7, 8, 9, 32, 64, 100, 128])
def test_the_order_of_a_sum_is_the_written_one_to_the_bit(width: int) -> None:
    rng = np.random.default_rng(width)
    left = (rng.standard_normal(width) * 10.0 ** rng.integers(-6, 6, width)).astype(np.float32)
    right = rng.standard_normal(width).astype(np.float32)
    assert np.float32(_product(left, right)).tobytes() == _written_order(left, right).tobytes()


@pytest.mark.parametrize("width", [5, 8, 128])
def test_bytes_count_as_their_numbers(width: int) -> None:
    rng = np.random.default_rng(width)
    left = rng.standard_normal(width).astype(np.float32)
    small = rng.integers(-127, 128, width).astype(np.int8)
    wanted = _written_order(left, small.astype(np.float32))
    assert np.float32(_product(left, small)).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("step", [1, 3])
def test_reading_ahead_changes_nothing(step: int) -> None:
    rows = np.arange(3000, dtype=np.float32).reshape(300, 10)[::step]
    before = rows.tobytes()
    assert _sum_ahead(rows) == rows.sum(dtype=np.float64)
    assert rows.tobytes() == before


def test_no_loop_leaves_the_order_of_its_sums_to_the_compiler() -> None:
    """Law 6: the same bits wherever a loop is compiled, and in whatever order."""
    package = Path(instep.__file__).parent
    loose = [path.name for path in package.rglob("*.py") if "fastmath=" in path.read_text("utf-8")]
    assert not loose
