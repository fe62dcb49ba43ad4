"""Twenty kills: a loaded service and an import, killed at random instants, also within a snapshot."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KILLS, IMPORT_KILLS = 16, 4


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_what_was_acknowledged_over_http_survives_kills_exactly_once(tmp_path: Path) -> None:
    outcome = benchmark("crash").crash(tmp_path / "shop.instep", KILLS, in_snapshot=4, longest=0.6, seed=1)
    assert (outcome.kills, outcome.in_snapshot) == (KILLS, 4)
    assert outcome.acknowledged > 5 * KILLS
    assert outcome.stored >= outcome.acknowledged
    assert (outcome.lost, outcome.twice, outcome.torn, outcome.other_state) == (0, 0, 0, 0)
    assert outcome.unsound == []


@pytest.mark.slow
def test_an_import_that_is_killed_again_and_again_ends_whole(tmp_path: Path) -> None:
    outcome = benchmark("crash").crash_import(tmp_path / "shop.instep", IMPORT_KILLS, rows=5000, seed=2)
    assert outcome.kills == IMPORT_KILLS
    assert outcome.stored == 5000
    assert (outcome.lost, outcome.twice, outcome.other_state) == (0, 0, 0)
    assert outcome.unsound == []


@pytest.mark.slow
def test_an_erased_user_leaves_no_byte_no_trace_and_no_gap_in_service(tmp_path: Path) -> None:
    outcome = benchmark("erasure").erase_users(tmp_path / "shop.instep", events=3000, victims=2, seed=3)
    assert outcome.victims == 2
    assert outcome.records > 20
    assert outcome.before > 0, "the ids must have been in the files, or finding none proves nothing"
    assert (outcome.bytes_left, outcome.other_hash, outcome.other_log) == (0, 0, 0)
    assert outcome.served_during > 0
    assert (outcome.failed, outcome.empty, outcome.other_slates) == (0, 0, 0)
