"""Decayed transitions: what follows what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.evaluate.baselines.histories import Histories
from instep.evaluate.baselines.pairs import make_pairs
from instep.evaluate.topk import top_k


@dataclass(frozen=True)
class TransitionSettings:
    """How transitions are counted and read.

    Args:
        last: how much of the history counts.
        decay: weight of an item of the history relative to the next one, in learning and in asking.
        back: weight of the opposite direction.
        lead_power: how far an item that leads to much is held back, 0 to 1.
        count_power: how far a popular item is held back, 0 to 1.
        shrink: added to both counts.
    """

    last: int = 50
    decay: float = 0.85
    back: float = 0.3
    lead_power: float = 0.5
    count_power: float = 0.3
    shrink: float = 5.0


class Transitions:
    """A first-order Markov chain with memory: recent items vote for what followed them, later ones louder.

    Args:
        users: how many.
        items: size of the catalogue.
        settings: how transitions are counted and read.

    Source: the sequential rules of Ludewig and Jannach 2018, section 3.1, with exponential weights.
    """

    def __init__(
        self,
        users: int,
        items: int,
        settings: TransitionSettings = TransitionSettings(),
    ) -> None:
        self.name = "transitions"
        self._settings = settings
        last = settings.last
        self._recency: Float32 = np.power(settings.decay, np.arange(last - 1, -1, -1)).astype(np.float32)
        self._pairs = make_pairs(items)
        self._lead: Float32 = np.zeros(items, np.float32)
        self._count: Float32 = np.zeros(items, np.float32)
        self._mine = Histories(users)
        self._shared = Histories(users)

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Both halves."""
        self.learn_shared(user, item, t, value)
        self.remember(user, item, t, value)

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Count the steps from the user's recent items to this one."""
        history = self._shared.last(user, self._settings.last)
        weights = self._recency[self._settings.last - len(history) :]
        back = self._settings.back
        self._pairs.link(history, item, weights, back)
        np.add.at(self._lead, history, weights)
        self._lead[item] += np.float32(back * weights.sum())
        self._count[item] += np.float32(1)
        self._shared.append(user, item)

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Append to the user's own history."""
        self._mine.append(user, item)

    def scores(self, user: int) -> Float32:
        """float32 (items,), how much the user's recent history leads to each item."""
        settings = self._settings
        history = self._mine.last(user, settings.last)
        weights = self._recency[settings.last - len(history) :]
        weights = weights / (self._lead[history] + np.float32(settings.shrink)) ** np.float32(
            settings.lead_power
        )
        held = (np.float32(settings.count_power), np.float32(settings.shrink))
        return _held_back(self._pairs.gather(history, weights), self._count, held)

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Items the history leads to; the most popular ones where it leads nowhere."""
        return top_k(self.scores(user), exclude, k)


@njit(cache=True)
def _held_back(sums: Float32, count: Float32, held: tuple[np.float32, np.float32]) -> Float32:
    power, shrink = held
    for item in range(sums.shape[0]):
        if sums[item] > 0:
            sums[item] /= (count[item] + shrink) ** power
        sums[item] += np.float32(1e-9) * count[item]
    return sums
