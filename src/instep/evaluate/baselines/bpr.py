"""Bayesian personalised ranking, online."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.evaluate.topk import dots, top_k


@dataclass(frozen=True)
class BPRSettings:
    """Sizes and rates of online BPR.

    Args:
        factors: length of a vector.
        rate: step size of vectors and item biases.
        decay: L2 penalty.
        negatives: items drawn against each event.
    """

    factors: int = 32
    rate: float = 0.05
    decay: float = 0.003
    negatives: int = 40


class BPR:
    """Each event's item against uniformly drawn ones that its user has not consumed, one step a pair.

    Args:
        users: how many.
        items: size of the catalogue.
        settings: sizes and rates.
        seed: of the initial vectors and the draws.

    Source: Rendle et al. 2009, LearnBPR, as one pass over the stream.
    """

    def __init__(
        self,
        users: int,
        items: int,
        settings: BPRSettings = BPRSettings(),
        seed: int = 0,
    ) -> None:
        self.name = "bpr"
        self._rng = np.random.default_rng(seed)
        self._settings = settings
        self._p: Float32 = self._rng.normal(0, 0.1, (users, settings.factors)).astype(np.float32)
        self._q: Float32 = self._rng.normal(0, 0.1, (items, settings.factors)).astype(np.float32)
        self._bias: Float32 = np.zeros(items, np.float32)
        self._seen: list[set[int]] = [set() for _ in range(users)]

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """A step for every drawn item."""
        seen = self._seen[user]
        seen.add(item)
        drawn = self._rng.integers(0, len(self._bias), self._settings.negatives).tolist()
        negatives = np.array([i for i in drawn if i not in seen], np.int32)
        rate, decay = np.float32(self._settings.rate), np.float32(self._settings.decay)
        _steps(self._p[user], self._q, self._bias, (item, negatives), (rate, decay))

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Items with the highest p·q + bias."""
        return top_k(dots(self._q, self._p[user]) + self._bias, exclude, k)


@njit(cache=True)
def _steps(
    p: Float32, q: Float32, bias: Float32, pair: tuple[int, Int32], settings: tuple[np.float32, np.float32]
) -> None:
    item, negatives = pair
    rate, decay = settings
    for negative in negatives:
        x = bias[item] - bias[negative]
        for f in range(p.shape[0]):
            x += p[f] * (q[item, f] - q[negative, f])
        g = np.float32(1.0 / (1.0 + np.exp(x)))
        for f in range(p.shape[0]):
            old, up, down = p[f], q[item, f], q[negative, f]
            p[f] += rate * (g * (up - down) - decay * old)
            q[item, f] += rate * (g * old - decay * up)
            q[negative, f] += rate * (-g * old - decay * down)
        bias[item] += rate * (g - decay * bias[item])
        bias[negative] += rate * (-g - decay * bias[negative])
