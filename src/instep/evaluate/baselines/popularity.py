"""The most popular items, of all time or with a half-life."""

from __future__ import annotations

import numpy as np

from instep.evaluate.base import Float32, Int32
from instep.evaluate.topk import top_k

RESCALE = 40.0
"""Half-lives after which weights are brought down again, before float32 runs out."""


class Popularity:
    """How often each item occurred, halved every `half_life` seconds (never, when None).

    New events weigh more instead of old ones less, which gives the same order at O(1) an event.

    Args:
        items: size of the catalogue.
        half_life: seconds; None counts for ever.
        name: what tables call it.

    >>> popular = Popularity(3)
    >>> popular.learn(0, 2, 1.0, 1.0); popular.recommend(0, 2.0, 2, np.array([], np.int32)).tolist()
    [2, 0]
    """

    def __init__(self, items: int, half_life: float | None = None, name: str = "popularity") -> None:
        self.name = name
        self._half_life = half_life
        self._weight: Float32 = np.zeros(items, np.float32)
        self._origin: float | None = None

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Count the item."""
        if self._half_life is None:
            self._weight[item] += np.float32(1)
            return
        if self._origin is None:
            self._origin = t
        age = (t - self._origin) / self._half_life
        if age > RESCALE:
            self._weight *= np.float32(2.0**-age)
            self._origin, age = t, 0.0
        self._weight[item] += np.float32(2.0**age)

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Count the item: the counts are all there is."""
        self.learn(user, item, t, value)

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Keep nothing about the user."""

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """The heaviest items."""
        return top_k(self._weight.copy(), exclude, k)
