"""The estimators that obp has, too, give what obp gives, on obp's own sample.

`benchmarks/obp_parity.py` runs both side by side; here its side of ours meets the outputs of obp that it kept.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from instep.evaluate.offpolicy import read_choices

AGREE = 1e-6
CASES = [(campaign, log) for campaign in ("men", "women", "all") for log in ("random", "bts")]


@pytest.mark.parametrize(("campaign", "log"), CASES)
def test_estimates_of_single_choices_agree_with_obp(
    parity: ModuleType, sample: Path, obp: dict[str, Any], campaign: str, log: str
) -> None:
    case = next(each for each in obp["cases"] if (each["campaign"], each["log"]) == (campaign, log))
    choices = read_choices(sample / log / campaign)
    assert (len(choices.item), choices.rejected) == (10_000, 0)
    assert float(choices.reward.mean()) == case["earned"]
    ours = parity.our_estimates(parity.logged_choices(sample, case))
    assert ours.keys() == case["estimates"].keys()
    for name, estimate in ours.items():
        assert estimate == pytest.approx(case["estimates"][name], abs=AGREE), name
        assert case["estimates"][name] > 1e-3  # else an agreement to 1e-6 would say little


def test_estimates_of_slates_agree_with_obp(parity: ModuleType, obp: dict[str, Any]) -> None:
    ours = parity.our_slates()
    assert set(ours) == {"slate-ips", "ips", "cascade-ips"}
    for name, estimate in ours.items():
        assert estimate == pytest.approx(obp["slates"][name], abs=AGREE), name
