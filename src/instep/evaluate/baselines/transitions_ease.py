"""Transitions and EASE together."""

from __future__ import annotations

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.evaluate.baselines.ease import EASE
from instep.evaluate.baselines.transitions import Transitions
from instep.evaluate.topk import top_k


class TransitionsEASE:
    """The scores of both, each scaled so that its best candidate has 1, in a weighted sum.

    Args:
        transitions: fresh.
        ease: fresh.
        share: weight of transitions, 0 to 1.
    """

    def __init__(self, transitions: Transitions, ease: EASE, share: float = 0.6) -> None:
        self.name = "transitions+ease"
        self._transitions, self._ease, self._share = transitions, ease, share

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Both halves."""
        self.learn_shared(user, item, t, value)
        self.remember(user, item, t, value)

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Both models' shared state."""
        self._transitions.learn_shared(user, item, t, value)
        self._ease.learn_shared(user, item, t, value)

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Both models' histories."""
        self._transitions.remember(user, item, t, value)
        self._ease.remember(user, item, t, value)

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """The best of the weighted sum."""
        left, right = self._transitions.scores(user), self._ease.scores(user)
        return top_k(_blend(left, right, exclude, np.float32(self._share)), exclude, k)


@njit(cache=True)
def _blend(a: Float32, b: Float32, exclude: Int32, share: np.float32) -> Float32:
    for item in exclude:
        a[item] = -np.inf
        b[item] = -np.inf
    left = share / max(np.float32(1e-12), a.max())
    right = (np.float32(1) - share) / max(np.float32(1e-12), b.max())
    for item in range(a.shape[0]):
        a[item] = left * a[item] + right * b[item]
    return a
