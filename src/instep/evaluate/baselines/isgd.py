"""ISGD and RAISGD: matrix factorisation of positive-only events, one stochastic step an event."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.evaluate.topk import dots, top_k


@dataclass(frozen=True)
class ISGDSettings:
    """Sizes and rates of ISGD.

    Args:
        factors: length of a vector.
        rate: step size.
        decay: L2 penalty.
        scale: standard deviation of the initial vectors.
        negatives: zeros imposed before each event (0: ISGD; more: RAISGD).
    """

    factors: int = 64
    rate: float = 0.05
    decay: float = 0.01
    scale: float = 0.03
    negatives: int = 0


class ISGD:
    """Pull p·q of every event toward 1; with negatives, first that of the longest inactive items toward 0.

    The queue holds all known items, the longest inactive one first; imposed negatives go to its end.

    Args:
        users: how many.
        items: size of the catalogue.
        settings: sizes and rates.
        name: what tables call it.
        seed: of the initial vectors.

    Source: Vinagre, Jorge and Gama 2014 (ISGD, Algorithm 1); 2015 (RAISGD, Algorithm 2).
    """

    def __init__(
        self,
        users: int,
        items: int,
        settings: ISGDSettings = ISGDSettings(),
        name: str = "isgd",
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.name = name
        self._settings = settings
        self._p: Float32 = rng.normal(0, settings.scale, (users, settings.factors)).astype(np.float32)
        self._q: Float32 = rng.normal(0, settings.scale, (items, settings.factors)).astype(np.float32)
        self._queue: dict[int, None] = {}

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Steps toward 0 for the negatives, then one toward 1 for the event."""
        oldest: list[int] = []
        if self._settings.negatives:
            self._queue.pop(item, None)
            oldest = list(islice(self._queue, self._settings.negatives))
            for negative in oldest:
                del self._queue[negative]
                self._queue[negative] = None
            self._queue[item] = None
        rate, decay = np.float32(self._settings.rate), np.float32(self._settings.decay)
        _steps(self._p[user], self._q, item, np.array(oldest, np.int32), (rate, decay))

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Items whose predicted value is nearest to 1."""
        return top_k(-np.abs(np.float32(1) - dots(self._q, self._p[user])), exclude, k)


@njit(cache=True)
def _toward(p: Float32, q: Float32, target: np.float32, rate: np.float32, decay: np.float32) -> None:
    error = target
    for f in range(p.shape[0]):
        error -= p[f] * q[f]
    for f in range(p.shape[0]):
        old = p[f]
        p[f] += rate * (error * q[f] - decay * old)
        q[f] += rate * (error * old - decay * q[f])


@njit(cache=True)
def _steps(
    p: Float32, q: Float32, item: int, negatives: Int32, settings: tuple[np.float32, np.float32]
) -> None:
    rate, decay = settings
    for negative in negatives:
        _toward(p, q[negative], np.float32(0), rate, decay)
    _toward(p, q[item], np.float32(1), rate, decay)
