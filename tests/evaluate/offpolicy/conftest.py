"""The sample of the Open Bandit Dataset, fetched once with obp's wheel, and what obp says of it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "obp_parity.py"


@pytest.fixture(scope="session")
def parity() -> ModuleType:
    """The benchmark that runs both side by side: what it compares is what is tested here."""
    spec = importlib.util.spec_from_file_location("obp_parity", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["obp_parity"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample(parity: ModuleType) -> Path:
    """The folder of the six logs; skips where there is neither the wheel nor a network."""
    try:
        folder: Path = parity.sample()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the wheel {parity.WHEEL} is neither cached nor can be fetched: {error.stderr[-200:]!r}")
    return folder


@pytest.fixture(scope="session")
def obp() -> dict[str, Any]:
    """What obp 0.4.1 gave; `python benchmarks/obp_parity.py --freeze` makes it anew."""
    told: dict[str, Any] = json.loads((Path(__file__).parent / "obp.json").read_text())
    return told
