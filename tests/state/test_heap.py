"""Large arrays are handed back to the system when they are freed, also after other large ones were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

AFTER_FREEING = """
import numpy as np
import instep.state

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

for _ in range(3):  # each would raise the threshold
    del [np.ones(30 << 20, np.uint8)][0]
before = resident()
arrays = [np.ones(3 << 20, np.uint8) for _ in range(30)]
full, last = resident(), arrays[-1]
del arrays
print(full - before, resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells memory as Linux does")
def test_what_is_freed_below_what_is_kept_goes_back() -> None:
    from instep.state.heap import return_large_arrays

    if not return_large_arrays():
        pytest.skip("this C library has nothing to set, or its own variables are set")
    found = subprocess.run([sys.executable, "-c", AFTER_FREEING], capture_output=True, text=True, check=True)
    full, kept = map(float, found.stdout.split())
    assert full > 80
    assert kept < 20


def test_the_librarys_own_variables_are_not_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    from instep.state.heap import return_large_arrays

    monkeypatch.setitem(os.environ, "MALLOC_MMAP_THRESHOLD_", "65536")
    assert not return_large_arrays()
