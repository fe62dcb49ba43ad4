"""The estimators that obp has, too, give what obp gives, on obp's own sample.

`benchmarks/obp_parity.py` runs both side by side; here obp's outputs are the ones it kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instep.evaluate.offpolicy import (
    Rounds,
    cascade_ips,
    dm,
    dr,
    dros,
    ips,
    read_choices,
    rounds_of,
    slate_ips,
    sndr,
    snips,
    switch_dr,
)
from instep.evaluate.offpolicy.open_bandit import judged_choices
from instep.evaluate.offpolicy.rates import robust_weights

AGREE = 1e-6
CASES = [(campaign, log) for campaign in ("men", "women", "all") for log in ("random", "bts")]


@pytest.mark.parametrize(("campaign", "log"), CASES)
def test_estimates_of_single_choices_agree_with_obp(
    sample: Path, obp: dict[str, Any], campaign: str, log: str
) -> None:
    case = next(each for each in obp["cases"] if (each["campaign"], each["log"]) == (campaign, log))
    choices = read_choices(sample / log / campaign)
    assert (len(choices.item), choices.rejected) == (10_000, 0)
    assert float(choices.reward.mean()) == case["earned"]
    shape = (3, len(choices.items))
    table = np.full(shape, 1.0 / shape[1])
    if case["candidate"] is not None:
        table = np.array(case["candidate"])[:, [int(name) for name in choices.items]]
    judged = judged_choices(choices, table)
    rounds = rounds_of(judged, folds=1)
    robust = rounds_of(judged, robust_weights(judged.candidate_marginal, judged.logged_marginal), folds=1)
    ours = {
        "ips": ips(rounds),
        "snips": snips(rounds),
        "dm": dm(rounds),
        "dr": dr(rounds),
        "sndr": sndr(rounds),
        "switch-dr": switch_dr(rounds, 5.0),
        "dr-os": dros(rounds, 50.0),
        "mrdr": dr(robust),
    }
    assert ours.keys() == case["estimates"].keys()
    for name, parts in ours.items():
        assert float(parts.mean()) == pytest.approx(case["estimates"][name], abs=AGREE), name
        assert case["estimates"][name] > 1e-3  # else an agreement to 1e-6 would say little


def test_estimates_of_slates_agree_with_obp(obp: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    logged, candidate = (rng.uniform(0.1, 0.9, (500, 3)) for _ in range(2))
    reward = (rng.random((500, 3)) < 0.3).astype(float)
    weight, none = candidate / logged, np.zeros((500, 3))
    prefix = np.cumprod(weight, 1)
    assert slate_ips(prefix, reward).mean() == pytest.approx(obp["slates"]["slate-ips"], abs=AGREE)
    assert ips(Rounds(weight, reward, none, none)).mean() == pytest.approx(obp["slates"]["ips"], abs=AGREE)
    assert cascade_ips(prefix, reward).mean() == pytest.approx(obp["slates"]["cascade-ips"], abs=AGREE)
