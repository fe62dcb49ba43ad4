"""Incremental ItemKNN."""

from __future__ import annotations

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.evaluate.baselines.histories import Histories
from instep.evaluate.baselines.pairs import make_pairs
from instep.evaluate.topk import top_k


class ItemKNN:
    """Cosine between items' sets of users, exact after every event; recent history counts more.

    A user's earlier items are paired with each new one, at most the latest `paired` of them.

    Args:
        users: how many.
        items: size of the catalogue.
        last: how much of the history a recommendation reads.
        decay: weight of an item of the history relative to the next one.
        paired: how much of the history a new item is paired with.

    Source: Sarwar et al. 2001; incremental after Miranda and Jorge 2009.
    """

    def __init__(
        self, users: int, items: int, last: int = 50, decay: float = 0.8, paired: int = 2000
    ) -> None:
        self.name = "itemknn"
        self._last, self._paired = last, paired
        self._recency: Float32 = np.power(decay, np.arange(last - 1, -1, -1)).astype(np.float32)
        self._ones: Float32 = np.ones(paired, np.float32)
        self._pairs = make_pairs(items)
        self._count: Float32 = np.zeros(items, np.float32)
        self._mine = Histories(users)
        self._shared = Histories(users)
        self._seen: set[tuple[int, int]] = set()

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Both halves."""
        self.learn_shared(user, item, t, value)
        self.remember(user, item, t, value)

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Count the item, and its pairs with what its user had before."""
        if (user, item) in self._seen:
            return
        self._seen.add((user, item))
        history = self._shared.last(user, self._paired)
        self._pairs.link(history, item, self._ones[: len(history)], 1.0)
        self._count[item] += np.float32(1)
        self._shared.append(user, item)

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Append to the user's own history."""
        self._mine.append(user, item)

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Items most similar to the history; the most popular ones where nothing is."""
        history = self._mine.last(user, self._last)
        count = np.maximum(self._count[history], np.float32(1))
        weights = (self._recency[self._last - len(history) :] / np.sqrt(count)).astype(np.float32)
        return top_k(_normalised(self._pairs.gather(history, weights), self._count), exclude, k)


@njit(cache=True)
def _normalised(sums: Float32, count: Float32) -> Float32:
    for item in range(sums.shape[0]):
        sums[item] = sums[item] / np.sqrt(count[item] + np.float32(1)) + np.float32(1e-9) * count[item]
    return sums
