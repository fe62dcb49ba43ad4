"""The contract of `instep.policy.base.Policy`, as tests that every implementation must pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.policy import Policy
from instep.policy.base import SAMPLES

CANDIDATES = 7
SEEDS = 3000
STANDARD_ERRORS = 5.0


class PolicyContract(ABC):
    """Subclass it in a test module, say how to make a policy, and pytest checks the laws of `policy/base.py`.

    >>> from instep.policy import Greedy
    >>> class TestMine(PolicyContract):
    ...     def make(self):
    ...         return Greedy()
    >>> TestMine().test_a_slate_has_as_many_distinct_places_as_asked_for(3)
    """

    @abstractmethod
    def make(self) -> Policy:
        """The policy under test."""

    def scores(self, policy: Policy, candidates: int = CANDIDATES) -> NDArray[np.float32]:
        """float32 (1 + draws + deviation, candidates): close enough together for a policy to explore."""
        rng = np.random.default_rng(5)
        expected = np.linspace(1.0, 0.0, candidates)
        rows = expected + 0.5 * rng.standard_normal((1 + policy.draws, candidates))
        rows[0] = expected
        deviation = 0.2 + rng.random((int(policy.deviation), candidates))
        return np.concatenate([rows, deviation]).astype(np.float32)

    @pytest.mark.parametrize("k", [1, 3, CANDIDATES])
    def test_a_slate_has_as_many_distinct_places_as_asked_for(self, k: int) -> None:
        """With a propensity above 0 for each, and the scores are left as they were."""
        policy = self.make()
        scores = self.scores(policy)
        before = scores.tobytes()
        for seed in range(40):
            places, propensities = policy.choose(scores, k, seed)
            assert sorted(set(places.tolist())) == sorted(places.tolist())
            assert len(places) == len(propensities) == k
            assert set(places.tolist()) <= set(range(CANDIDATES))
            assert ((propensities > 0) & (propensities <= 1)).all()
        assert scores.tobytes() == before

    def test_the_same_seed_gives_the_same_slate(self) -> None:
        """And the same propensities: a replay chooses again what was chosen."""
        policy = self.make()
        scores = self.scores(policy)
        for seed in (0, 1, 2**63 - 1):
            first, second = policy.choose(scores, 4, seed), policy.choose(scores, 4, seed)
            assert first.places.tolist() == second.places.tolist()
            assert first.propensities.tolist() == second.propensities.tolist()

    def test_frequencies_over_many_seeds_match_the_propensities(self) -> None:
        """The product of a slate's propensities is the slate's probability: so often must it come."""
        policy = self.make()
        scores = self.scores(policy)
        seen: Counter[tuple[int, ...]] = Counter()
        told: dict[tuple[int, ...], float] = {}
        for seed in np.random.default_rng(3).integers(0, 2**62, SEEDS).tolist():
            places, propensities = policy.choose(scores, 2, seed)
            slate = tuple(places.tolist())
            seen[slate] += 1
            assert told.setdefault(slate, float(np.prod(propensities))) == float(np.prod(propensities))
        for slate, probability in told.items():
            error = np.sqrt(probability * (1 - probability) / SEEDS)
            assert abs(seen[slate] / SEEDS - probability) <= STANDARD_ERRORS * error + 1e-9, slate

    def test_what_it_chose_is_as_likely_afterwards_as_it_said(self) -> None:
        """`propensities`, asked of a slate, gives what `choose` gave with it."""
        policy = self.make()
        scores = self.scores(policy)
        for seed in range(10):
            places, propensities = policy.choose(scores, 3, seed)
            exact = type(policy).propensities is not Policy.propensities
            allowed = 1e-12 if exact else STANDARD_ERRORS * 0.5 / np.sqrt(SAMPLES * propensities.prod())
            assert np.abs(policy.propensities(scores, places) - propensities).max() <= allowed

    def test_a_score_that_is_not_finite_comes_after_all_others(self) -> None:
        """And still has a propensity."""
        policy = self.make()
        for bad in (np.nan, np.inf, -np.inf):
            scores = self.scores(policy)
            scores[:, 2] = scores[:, 5] = bad
            for seed in range(40):
                places, propensities = policy.choose(scores, CANDIDATES, seed)
                assert set(places[-2:].tolist()) == {2, 5}
                assert ((propensities > 0) & (propensities <= 1)).all()

    def test_one_candidate_is_certain(self) -> None:
        """Its propensity is 1."""
        policy = self.make()
        places, propensities = policy.choose(self.scores(policy, 1), 1, 9)
        assert (places.tolist(), propensities.tolist()) == ([0], [1.0])
