"""The quick form of every benchmark runs, and its last line says what is claimed and whether it holds."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
QUICK = {"speed": ["--only", "10k"]}  # the smallest of what the quick form covers


@pytest.mark.slow
@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_the_last_line_of_the_quick_form_holds_the_claims(path: Path) -> None:
    command = [sys.executable, str(path), "--quick", "--json", *QUICK.get(path.stem, [])]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr[-2000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert list(told) == ["claims"]
    assert told["claims"]
    for claim in told["claims"]:
        assert set(claim) == {"claim", "value", "target", "holds"}
        assert isinstance(claim["claim"], str)
        assert isinstance(claim["holds"], bool)
        for number in (claim["value"], claim["target"]):
            assert isinstance(number, (int, float))
            assert math.isfinite(number)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_says_how_it_is_run(path: Path) -> None:
    run = subprocess.run([sys.executable, str(path), "--help"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "--quick" in run.stdout
    assert "--json" in run.stdout


def test_every_benchmark_is_described() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    missing = [path.name for path in BENCHMARKS if f"benchmarks/{path.name}" not in page]
    assert missing == []
