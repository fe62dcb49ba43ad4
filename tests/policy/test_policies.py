"""Both policies under the contract; Thompson's propensities are exact counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from instep.policy import Greedy, Thompson, best_places
from instep.testing import PolicyContract


class TestGreedy(PolicyContract):
    def make(self) -> Greedy:
        return Greedy()

    def test_it_takes_the_best_for_certain(self) -> None:
        policy = self.make()
        choice = policy.choose(np.array([[0.1, 0.9, 0.5]], np.float32), 3, 8)
        assert choice.places.tolist() == [1, 2, 0]
        assert choice.propensities.tolist() == [1.0, 1.0, 1.0]


class TestThompson(PolicyContract):
    def make(self) -> Thompson:
        return Thompson()

    @pytest.mark.parametrize("draws", [1, 2, 16])
    def test_propensities_are_the_counts_over_all_draws(self, draws: int) -> None:
        policy = Thompson(draws)
        scores = self.scores(policy)
        slates = [policy.choose(scores, 4, seed) for seed in range(draws)]
        whole = [slate.places.tolist() for slate in slates]
        for slate in slates:
            chosen = slate.places.tolist()
            for k, propensity in enumerate(slate.propensities.tolist()):
                agreeing = [other for other in whole if other[:k] == chosen[:k]]
                same = [other for other in agreeing if other[k] == chosen[k]]
                assert propensity == len(same) / len(agreeing)
        distinct = {tuple(slate.places.tolist()): float(np.prod(slate.propensities)) for slate in slates}
        assert sum(distinct.values()) == pytest.approx(1.0)
        assert draws == 1 or len(distinct) > 1


@settings(deadline=None, max_examples=60)
@given(
    arrays(
        np.float32, st.integers(1, 30), elements=st.floats(width=32) | st.sampled_from([0.0, 1.0, np.nan])
    ),
    st.data(),
)
def test_the_best_places_are_what_a_sort_gives(scores: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    clean = [score if np.isfinite(score) else -np.inf for score in scores.tolist()]
    expected = sorted(range(len(scores)), key=lambda place: (-clean[place], place))[:k]
    assert best_places(scores, k).tolist() == expected
