"""EASE, refitted every N events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.evaluate.baselines.histories import Histories
from instep.evaluate.topk import top_k


@dataclass(frozen=True)
class EASESettings:
    """How EASE is fitted and read.

    Args:
        every: events between two fits.
        penalty: the L2 penalty.
        last: how much of the history a recommendation reads.
        decay: weight of an item of the history relative to the next one.
        most: largest system to solve; of a larger catalogue only the most consumed items are fitted.
    """

    every: int = 2000
    penalty: float = 500.0
    last: int = 200
    decay: float = 0.85
    most: int = 4000


class EASE:
    """The closed-form item-to-item model, fitted anew on everything learned so far every `every` events.

    Args:
        users: how many.
        items: size of the catalogue.
        settings: how it is fitted and read.

    Source: Steck 2019, eq. 8; solved on the users' side (Woodbury) where there are fewer users than items.
    """

    def __init__(
        self,
        users: int,
        items: int,
        settings: EASESettings = EASESettings(),
    ) -> None:
        self.name = "ease"
        self._settings = settings
        last = settings.last
        self._recency: Float32 = np.power(settings.decay, np.arange(last - 1, -1, -1)).astype(np.float32)
        self._count: Float32 = np.zeros(items, np.float32)
        self._place: Int32 = np.full(items, -1, np.int32)
        self._weights: Float32 = np.zeros((0, 0), np.float32)
        self._mine = Histories(users)
        self._pairs: dict[tuple[int, int], None] = {}

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Both halves."""
        self.learn_shared(user, item, t, value)
        self.remember(user, item, t, value)

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Keep the pair; fit when it is time."""
        if (user, item) in self._pairs:
            return
        self._pairs[user, item] = None
        self._count[item] += np.float32(1)
        if len(self._pairs) % self._settings.every == 0:
            self.fit()

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Append to the user's own history."""
        self._mine.append(user, item)

    def fit(self) -> None:
        """Solve for the weights of all pairs of items."""
        pairs = np.array(list(self._pairs), np.int32)
        kept = np.flatnonzero(self._count)
        if min(len(kept), len(np.unique(pairs[:, 0]))) > self._settings.most:
            kept = np.sort(np.argsort(-self._count, kind="stable")[: self._settings.most])
        self._place[:] = -1
        self._place[kept] = np.arange(len(kept), dtype=np.int32)
        pairs = pairs[self._place[pairs[:, 1]] >= 0]
        row = np.unique(pairs[:, 0], return_inverse=True)[1]
        x: Float32 = np.zeros((int(row.max()) + 1, len(kept)), np.float32)
        x[row, self._place[pairs[:, 1]]] = 1
        self._weights = _solve(x, self._settings.penalty)

    def scores(self, user: int) -> Float32:
        """float32 (items,), how much the user's recent history speaks for each item."""
        history = self._mine.last(user, self._settings.last)
        weights = self._recency[self._settings.last - len(history) :]
        place = self._place[history]
        fitted = place >= 0
        return _spread(self._weights, place[fitted], weights[fitted], self._place, self._count)

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Items the history speaks for; the most popular ones where it is silent."""
        return top_k(self.scores(user), exclude, k)


def _solve(x: Float32, penalty: float) -> Float32:
    """EASE's weights for a matrix of users by items: -P / diag(P), P = (X'X + penalty)^-1, zero diagonal."""
    users, items = x.shape
    if users < items:
        inner = x @ x.T
        inner[np.diag_indices(users)] += np.float32(penalty)
        p = x.T @ np.linalg.solve(inner, x)  # P is (I - this) / penalty; the factor cancels
        diagonal = 1 - np.diag(p)
    else:
        inner = x.T @ x
        inner[np.diag_indices(items)] += np.float32(penalty)
        p = np.linalg.inv(inner)
        diagonal = np.diag(p).copy()
        np.negative(p, out=p)
    p /= diagonal
    p[np.diag_indices(items)] = 0
    return np.ascontiguousarray(p, np.float32)


@njit(cache=True)
def _spread(weights: Float32, rows: Int32, recency: Float32, place: Int32, count: Float32) -> Float32:
    inner = np.zeros(weights.shape[1], np.float32)
    for step in range(rows.shape[0]):
        row, weight = weights[rows[step]], recency[step]
        for item in range(inner.shape[0]):
            inner[item] += weight * row[item]
    scores = np.empty(place.shape[0], np.float32)
    for item in range(place.shape[0]):
        scores[item] = np.float32(1e-7) * count[item]
        if place[item] >= 0:
            scores[item] += inner[place[item]]
    return scores
