"""Contract kits for scorers and retrievers."""

from __future__ import annotations

import numpy as np

from instep.domain import Context, Feedback, ItemPut
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.retrieve.base import Retriever
from instep.score.base import Scorer

NOW = 1_700_000_000.0


def small_flow() -> Flow:
    """A flow that has learned sixty acts of five users on twenty items."""
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe(
        [
            ItemPut(
                f"item:{k}",
                f"i{k}",
                NOW,
                {"title": f"item {k}", "categories": [f"c{k % 3}"], "price": float(k)},
            )
            for k in range(20)
        ]
    )
    flow.observe(
        [Feedback(f"event:{k}", f"u{k % 5}", f"i{k * k % 17}", NOW + k, type="click") for k in range(60)]
    )
    return flow


class ScorerContract:
    """Laws of `score/base.py`. Subclass it and say how to make yours:

    class TestMine(ScorerContract):
        def make(self) -> Scorer:
            return Mine()
    """

    def make(self) -> Scorer:
        """A new scorer."""
        raise AssertionError("override make()")

    def test_one_score_a_candidate_in_order(self) -> None:
        """Scores of a permutation are the permuted scores: nothing dropped, nothing reordered."""
        state, scorer = small_flow().model.state, self.make()
        items = np.arange(20, dtype=np.int32)
        scores = scorer.score(state, Context("u1", now=NOW + 99), items)
        assert scores.dtype == np.float32
        assert scores.shape == (20,)
        order = np.random.default_rng(1).permutation(20)
        permuted = scorer.score(state, Context("u1", now=NOW + 99), items[order])
        assert np.array_equal(permuted, scores[order], equal_nan=True)

    def test_no_candidates_no_scores(self) -> None:
        """An empty list of candidates is scored, too."""
        scores = self.make().score(
            small_flow().model.state, Context("nobody", now=NOW), np.zeros(0, np.int32)
        )
        assert scores.shape == (0,)

    def test_scoring_writes_nothing(self) -> None:
        """The state is byte-identical afterwards."""
        flow = small_flow()
        before = flow.state_hash()
        self.make().score(flow.model.state, Context("u1", now=NOW + 99), np.arange(20, dtype=np.int32))
        assert flow.state_hash() == before


class RetrieverContract:
    """Laws of `retrieve/base.py`. Subclass it and say how to make yours."""

    def make(self) -> Retriever:
        """A new retriever."""
        raise AssertionError("override make()")

    def test_it_returns_known_items(self) -> None:
        """Item numbers, int32, within the catalogue, for known and unknown users."""
        flow = small_flow()
        for user in ("u1", "nobody"):
            items = self.make().retrieve(flow.model.state, Context(user, now=NOW + 99))
            assert items.dtype == np.int32
            assert ((items >= 0) & (items < flow.model.state.n_items)).all()

    def test_retrieving_writes_nothing(self) -> None:
        """The state is byte-identical afterwards."""
        flow = small_flow()
        before = flow.state_hash()
        self.make().retrieve(flow.model.state, Context("u1", now=NOW + 99))
        assert flow.state_hash() == before
