"""Law 3: a score that is not finite ranks last and is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from instep.domain import Context, Feedback
from instep.flow import Flow, Settings
from instep.log import MemoryLog

NOW = 1_700_000_000.0
ASKED = Context("u1", n=99, now=NOW + 99, request_id="r")


class Adds:
    """A scorer that adds a number to some items' scores."""

    name = "adds"

    def __init__(self, number: float, to: tuple[int, ...]) -> None:
        self.number, self.to = number, to

    def score(self, state: Any, context: Context, items: np.ndarray) -> np.ndarray:
        return np.where(np.isin(items, self.to), self.number, 0.0).astype(np.float32)


def flow_of(policy: str) -> Flow:
    flow = Flow(MemoryLog(), Settings(policy=policy))
    flow.observe([Feedback(f"e{k}", f"crowd{k % 4}", f"i{k * k % 23}", NOW + k, "click") for k in range(40)])
    flow.observe([Feedback("mine", "u1", "i4", NOW + 50, "click")])
    return flow


@pytest.mark.parametrize("policy", ["greedy", "thompson"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_ranks_last_and_is_counted(policy: str, number: float) -> None:
    flow = flow_of(policy)
    before = [item.item_id for item in flow.rank(ASKED).items]
    assert flow.model.non_finite == 0
    bad = (flow.model.state.item_number[before[0]], flow.model.state.item_number[before[2]])
    flow.model.scorers = (Adds(number, bad),)
    slate = flow.rank(ASKED)
    after = [item.item_id for item in slate.items]
    assert flow.model.non_finite == 2
    assert set(after[-2:]) == {before[0], before[2]}
    assert after[:-2] == [item_id for item_id in before if item_id not in after[-2:]]
    assert slate.degraded == ()
    assert all(0 < item.propensity <= 1 for item in slate.items)


@pytest.mark.parametrize("policy", ["greedy", "thompson"])
def test_a_damaged_table_puts_its_item_last(policy: str) -> None:
    flow = flow_of(policy)
    before = [item.item_id for item in flow.rank(ASKED).items]
    flow.model.state.items.bias[flow.model.state.item_number[before[0]]] = np.nan
    after = [item.item_id for item in flow.rank(ASKED).items]
    assert after[-1] == before[0]
    assert after[:-1] == before[1:]
    assert flow.model.non_finite == 1


@pytest.mark.parametrize("policy", ["greedy", "thompson"])
def test_a_scorer_moves_an_item_under_either_policy(policy: str) -> None:
    flow = flow_of(policy)
    last = flow.rank(ASKED).items[-1].item_id
    flow.model.scorers = (Adds(50.0, (flow.model.state.item_number[last],)),)
    assert flow.rank(ASKED).items[0].item_id == last
