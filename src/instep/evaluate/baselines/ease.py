"""EASE, refitted every N events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from instep.evaluate.base import Float32, Int32
from instep.evaluate.baselines.histories import Histories
from instep.evaluate.topk import top_k

CHUNK = 256


@dataclass(frozen=True)
class EASESettings:
    """How EASE is fitted and read.

    Args:
        every: events between two fits.
        penalty: the L2 penalty.
        last: how much of the history a recommendation reads.
        decay: weight of an item of the history relative to the next one.
        whole: up to so many items the whole catalogue is fitted.
        most: of a larger one, so many of the most consumed items, chosen anew whenever the number of fits has
            doubled.
    """

    every: int = 2000
    penalty: float = 500.0
    last: int = 200
    decay: float = 0.85
    whole: int = 10_000
    most: int = 4_000


class EASE:
    """The closed-form item-to-item model, exact for everything learned so far at every `every`-th event.

    P = (X'X + penalty)^-1 is not inverted anew: between two fits only some users' rows of X have changed, so
    the old P and one low-rank update give the new one.

    Args:
        users: how many.
        items: size of the catalogue.
        settings: how it is fitted and read.

    Source: Steck 2019, eq. 8; the update is Woodbury's identity (Golub and Van Loan 2013, eq. 2.1.4).
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
        self._mine = Histories(users)
        self._rows = Histories(users)  # X: each user's distinct items in order
        self._fitted: dict[int, int] = {}  # user -> how many of them P knows
        self._touched: dict[int, None] = {}
        self._seen: set[tuple[int, int]] = set()
        self._fits = 0
        self._place: Int32 = np.arange(items, dtype=np.int32)
        self._p: Float32 = np.zeros((0, 0), np.float32)

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Both halves."""
        self.learn_shared(user, item, t, value)
        self.remember(user, item, t, value)

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Keep the pair; fit when it is time."""
        if (user, item) in self._seen:
            return
        self._seen.add((user, item))
        self._count[item] += np.float32(1)
        self._rows.append(user, item)
        self._touched[user] = None
        if len(self._seen) % self._settings.every == 0:
            self.fit()

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Append to the user's own history."""
        self._mine.append(user, item)

    def fit(self) -> None:
        """Bring P up to everything learned."""
        self._fits += 1
        items = len(self._count)
        large = items > self._settings.whole
        if self._fits == 1 or (large and self._fits & (self._fits - 1) == 0):
            if large:
                kept = np.sort(np.argsort(-self._count, kind="stable")[: self._settings.most])
                self._place[:] = -1
                self._place[kept] = np.arange(len(kept), dtype=np.int32)
            size = self._settings.most if large else items
            self._p = np.zeros((size, size), np.float32)
            self._p[np.diag_indices(size)] = 1 / self._settings.penalty
            self._fitted.clear()
            self._touched = dict.fromkeys(user for user, _ in sorted(self._seen))
        users = list(self._touched)
        for start in range(0, len(users), CHUNK):
            self._update(users[start : start + CHUNK])
        self._touched.clear()

    def _update(self, users: list[int]) -> None:
        """Add these users' rows as they are now, and take away what P had of them."""
        rows: list[Int32] = []
        signs: list[float] = []
        for user in users:
            row, known = self._rows.last(user, 1 << 30), self._fitted.get(user, 0)
            for part, sign in ((row, 1.0), (row[:known], -1.0)):
                place = self._place[part]
                if (place >= 0).any():
                    rows.append(place[place >= 0])
                    signs.append(sign)
            self._fitted[user] = len(row)
        if rows:
            left = np.stack([self._p[row].sum(axis=0) for row in rows])  # V P
            inner = np.stack([left[:, row].sum(axis=1, dtype=np.float64) for row in rows], axis=1)
            inner[np.diag_indices(len(rows))] += signs
            self._p -= left.T @ np.linalg.solve(inner, left).astype(np.float32)

    def scores(self, user: int) -> Float32:
        """float32 (items,), how much the user's recent history speaks for each item."""
        history = self._mine.last(user, self._settings.last)
        weights = self._recency[self._settings.last - len(history) :]
        if not len(self._p):
            return self._count * np.float32(1e-7)
        place = self._place[history]
        fitted = place >= 0
        return _spread(self._p, place[fitted], weights[fitted], self._place, self._count)

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Items the history speaks for; the most popular ones where it is silent."""
        return top_k(self.scores(user), exclude, k)


@njit(cache=True)
def _spread(p: Float32, rows: Int32, recency: Float32, place: Int32, count: Float32) -> Float32:
    """Sum over the history of B = -P / diag(P) with a zero diagonal."""
    inner = np.zeros(p.shape[1], np.float32)
    for step in range(rows.shape[0]):
        row, weight = p[rows[step]], recency[step]
        for item in range(inner.shape[0]):
            inner[item] -= weight * row[item]
    for step in range(rows.shape[0]):
        inner[rows[step]] += recency[step] * p[rows[step], rows[step]]
    scores = np.empty(place.shape[0], np.float32)
    for item in range(place.shape[0]):
        scores[item] = np.float32(1e-7) * count[item]
        if place[item] >= 0:
            scores[item] += inner[place[item]] / p[place[item], place[item]]
    return scores
