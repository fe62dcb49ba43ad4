"""A player that is told how the simulated shop works, and has to find out only what no player can know.

Its regret is a floor for those that are told nothing: it has the truth's own click model, examination curve, rate of
drift and fatigue, and each item's topic. What it infers by Bayes' rule is each user's taste (particles) and each
item's quality (a grid). It shows the items whose expected worth is highest.

Source: Doucet, de Freitas and Gordon 2001 (particle filters); Barber 2012, section 28.3 (mean field).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from instep.evaluate.simulate import Outcome, Visit, World
from instep.evaluate.simulate.world import (
    BASE,
    QUALITY,
    SEEN,
    TASTE,
    TIRED_BY_SHOWING,
    TIRED_FOR,
    TOPICS,
)

PARTICLES: Final = 300
GRID: Final = np.linspace(-4.0 * QUALITY, 4.0 * QUALITY, 19)
MOVES, CHANGES = 0.06, 1.0 / 500.0  # of a taste at its user's visit, of a quality at any visit

F64 = NDArray[np.float64]


class Told:
    """See the module.

    Args:
        world: whose plan it is told; its truth is not read.
        seed: of the particles.
    """

    name = "told the rules"

    def __init__(self, world: World, seed: int) -> None:
        plan = world.plan
        self._rng = np.random.default_rng(seed)
        self._drift = plan.drift
        self._tastes = np.stack([self._any_tastes(PARTICLES, 0.4) for _ in range(plan.users)])
        prior = np.exp(-0.5 * (GRID / QUALITY) ** 2)
        self._prior: F64 = prior / prior.sum()
        self._quality: F64 = np.tile(self._prior, (world.size, 1))
        self._vector = np.zeros((world.size, len(TOPICS)))
        self._tired = np.zeros((plan.users, world.size))
        self._seen: F64 = np.arange(1, plan.slate + 1, dtype=np.float64) ** -SEEN
        drawn = self._any_tastes(4000, 0.3)
        self._of_topic = {name: drawn[drawn.argmax(1) == topic].mean(0) for topic, name in enumerate(TOPICS)}

    def _any_tastes(self, n: int, noise: float) -> F64:
        """float64 (n, topics), drawn as the world draws them."""
        vectors = np.abs(self._rng.normal(0.0, noise, (n, len(TOPICS)))) * 0.5
        vectors[np.arange(n), self._rng.integers(0, len(TOPICS), n)] += 1.0
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    def show(self, visit: Visit, k: int) -> NDArray[np.int64]:
        """See `Agent`."""
        user = visit.user
        for each in visit.arrivals:
            self._vector[each.item] = self._of_topic[each.topic]
        self._tired[user] *= TIRED_FOR
        if self._drift:
            self._quality += CHANGES * (self._prior - self._quality)
            moved = self._rng.random(PARTICLES) < MOVES
            self._tastes[user][moved] = self._any_tastes(int(moved.sum()), 0.4)
        there = np.flatnonzero(visit.available)
        likes = self._likes(user, there).mean(0)
        worth = (likes * self._quality[there]).sum(1)
        return there[np.argsort(-worth, kind="stable")[:k]]

    def _likes(self, user: int, items: NDArray[np.int64]) -> F64:
        """P(click | seen): float64 (particles, items, grid)."""
        logit = BASE + TASTE * (self._tastes[user] @ self._vector[items].T) - self._tired[user, items]
        return np.asarray(1.0 / (1.0 + np.exp(-(logit[:, :, None] + GRID))))

    def learn(self, visit: Visit, slate: NDArray[np.int64], outcome: Outcome) -> None:
        """See `Agent`."""
        user = visit.user
        clicked = np.isin(slate, [act.item for act in outcome.acts])
        click = self._seen[: len(slate), None] * self._likes(user, slate)
        likelihood = np.where(clicked[:, None], click, 1.0 - click)
        of_particle = np.log((likelihood * self._quality[slate]).sum(2)).sum(1)
        weight = np.exp(of_particle - of_particle.max())
        weight /= weight.sum()
        quality = self._quality[slate] * np.einsum("p,pkg->kg", weight, likelihood)
        self._quality[slate] = quality / quality.sum(1, keepdims=True)
        kept = self._rng.choice(PARTICLES, PARTICLES, p=weight)
        jittered = self._tastes[user][kept] + self._rng.normal(0.0, 0.01, self._tastes[user].shape)
        self._tastes[user] = jittered / np.linalg.norm(jittered, axis=1, keepdims=True)
        self._tired[user, slate] += TIRED_BY_SHOWING * np.where(clicked, 1.0, self._seen[: len(slate)])
