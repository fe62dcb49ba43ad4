"""Law 10: optional stages fail open, counted and visible; the log fails closed with a clear error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from instep.domain import Context, Feedback, InvalidRequest, StageError, Unavailable
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.testing.streams import END

ASKED = Context("nobody", n=5, now=END, request_id="r")
ANSWERS: tuple[Any, ...] = (
    "not an array",
    None,
    np.zeros((2, 2), np.float32),
    np.array([10**6], np.int32),
    np.array([-1], np.int32),
    np.array([0.5, 1.5]),
)


class Answers:
    """A plugin that gives one answer, or raises it."""

    name = "mine"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def score(self, *_: object) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    retrieve = score


def crowd() -> Flow:
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe([Feedback(f"e{k}", f"u{k % 5}", f"i{k * k % 13}", END + k, "click") for k in range(25)])
    return flow


@pytest.mark.parametrize("answer", [RuntimeError("broken"), KeyError("gone"), *ANSWERS], ids=repr)
@pytest.mark.parametrize("kind", ["scorer", "retriever"])
def test_a_plugin_that_fails_is_left_out_counted_and_named(kind: str, answer: Any) -> None:
    flow = crowd()
    before = flow.rank(ASKED)
    state = flow.state_hash()
    if kind == "scorer":
        flow.model.scorers = (Answers(answer),)
    else:
        flow.model.retrievers = (Answers(answer),)
    slate = flow.rank(ASKED)
    assert slate.items == before.items
    assert slate.degraded == (f"{kind}:mine",)
    assert flow.model.failures == {f"{kind}:mine": 1}
    assert flow.state_hash() == state


def test_failures_stay_counted_through_an_erasure() -> None:
    flow = crowd()
    flow.model.scorers = (Answers(RuntimeError("broken")),)
    flow.rank(ASKED)
    flow.erase("u2")
    assert flow.model.failures["scorer:mine"] == 1


def test_a_slate_that_cannot_be_logged_is_answered_and_says_so(empty: Callable[[], Flow]) -> None:
    flow = empty()
    flow.observe([Feedback("e1", "u2", "i1", END, "click")])
    flow.log.close()
    slate = flow.recommend(ASKED)
    assert [item.item_id for item in slate.items] == ["i1"]
    assert slate.degraded == ("impression",)
    assert flow.model.failures == {"impression": 1}


def test_a_write_that_cannot_be_made_durable_is_refused_and_not_learned(empty: Callable[[], Flow]) -> None:
    flow = empty()
    flow.observe([Feedback("e1", "u1", "i1", END, "click")])
    before = flow.state_hash()
    flow.log.close()
    with pytest.raises(Unavailable, match="closed"):
        flow.observe([Feedback("e2", "u1", "i2", END, "click")])
    with pytest.raises(Unavailable):
        flow.submit([Feedback("e3", "u1", "i2", END, "click")]).result(timeout=30)
    assert flow.state_hash() == before
    assert [act.item_id for act in flow.history("u1")] == ["i1"]


def test_a_batch_with_one_bad_record_is_refused_whole(empty: Callable[[], Flow]) -> None:
    flow = empty()
    good = Feedback("e1", "u1", "i1", END, "click")
    for bad in (
        Feedback("e2", "u1", "i1", float("nan")),
        Feedback("e2", "u1", "i1", END, "dwell", -1.0),
        Feedback("e2", "", "i1", END),
    ):
        with pytest.raises(InvalidRequest, match=r"records\[1\]"):
            flow.observe([good, bad])
    assert flow.log.end == 0
    assert flow.model.state.n_users == flow.model.state.n_items == 0


def test_search_without_a_language_model_says_what_to_do() -> None:
    with pytest.raises(StageError, match=r"instep\.toml"):
        crowd().search("tea")


def test_unknown_users_and_items_are_refused_where_they_are_not_created() -> None:
    flow = Flow(MemoryLog(), Settings(auto_create_items=False, auto_create_users=False))
    with pytest.raises(InvalidRequest, match=r"records\[0\]\.item_id: no such item"):
        flow.observe([Feedback("e1", "u1", "i1", END)])
    assert flow.log.end == 0
