"""Compiled loops never outlive the code that they were made of."""

from __future__ import annotations

import os
import time
from pathlib import Path

from instep.state.compiled import drop_older_loops


def package(folder: Path, **ages: float) -> Path:
    """Files of so many seconds ago: `calls_py`, `called_py` and the compiled `loop_nbi`."""
    (folder / "room" / "__pycache__").mkdir(parents=True)
    places = {
        "calls_py": folder / "room" / "calls.py",
        "called_py": folder / "called.py",
        "loop_nbi": folder / "room" / "__pycache__" / "calls.loop-7.py311.nbi",
    }
    for name, ago in ages.items():
        places[name].touch()
        os.utime(places[name], (time.time() - ago,) * 2)
    return places["loop_nbi"]


def test_a_loop_goes_when_a_file_that_it_calls_has_changed(tmp_path: Path) -> None:
    loop = package(tmp_path, calls_py=900, loop_nbi=600, called_py=300)
    assert drop_older_loops(tmp_path) == 1
    assert not loop.exists()
    assert drop_older_loops(tmp_path) == 0


def test_loops_newer_than_the_code_stay_whatever_the_clock_of_an_archive_said(tmp_path: Path) -> None:
    loop = package(tmp_path, calls_py=900, called_py=-86_400, loop_nbi=600)
    assert drop_older_loops(tmp_path) == 0
    assert loop.exists()
