"""What the model of rewards does not know is part of every interval that leans on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instep.evaluate.offpolicy import dm, dr, judge, read_choices, rounds_of
from instep.evaluate.offpolicy.judge import model_noise
from instep.evaluate.offpolicy.open_bandit import judged_choices


@pytest.mark.parametrize("campaign", ["men", "women"])
def test_an_interval_that_leans_on_the_model_is_no_narrower_than_its_luck(
    sample: Path, obp: dict[str, Any], campaign: str
) -> None:
    """Left to itself the direct method looks certain to a hundredth, with forty clicks behind it."""
    case = next(each for each in obp["cases"] if (each["campaign"], each["log"]) == (campaign, "random"))
    choices = read_choices(sample / "random" / campaign)
    table = np.array(case["candidate"])[:, [int(name) for name in choices.items]]
    named = {each.name: each for each in judge(judged_choices(choices, table)).estimates}
    whole = named["dr"].interval.high - named["dr"].interval.low
    for name in ("dm", "dr-os", "switch-dr"):
        width = named[name].interval.high - named[name].interval.low
        assert width > 0.5 * whole, name


def test_the_model_s_luck_is_what_a_correction_leaves_of_it(sample: Path) -> None:
    choices = read_choices(sample / "random" / "men")
    log = judged_choices(choices, np.full((3, 34), 1 / 34))
    rounds = rounds_of(log)
    noise = model_noise(log, rounds)
    alone, corrected = noise(np.zeros_like(rounds.weight)), noise(rounds.weight)
    assert alone.mean() == pytest.approx(0.0, abs=1e-15)
    assert corrected.std() < 0.25 * alone.std()
    assert (dm(rounds) + alone).std() == pytest.approx(dr(rounds).std(), rel=0.2)
