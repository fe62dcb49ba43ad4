"""Users' own histories, for baselines whose user is a function of what the user did."""

from __future__ import annotations

import numpy as np

from instep.evaluate.base import Int32


class Histories:
    """Every user's items in order.

    >>> mine = Histories(users=2)
    >>> mine.append(1, 7); mine.append(1, 3); mine.last(1, 10).tolist(), mine.last(0, 10).tolist()
    ([7, 3], [])
    """

    def __init__(self, users: int) -> None:
        self._items: list[Int32] = [np.empty(0, np.int32) for _ in range(users)]
        self._count = [0] * users

    def last(self, user: int, n: int) -> Int32:
        """int32 (<= n,), the user's latest items, oldest first (a view: do not write)."""
        count = self._count[user]
        return self._items[user][max(0, count - n) : count]

    def append(self, user: int, item: int) -> None:
        """Add an item at the end."""
        count = self._count[user]
        if count == len(self._items[user]):
            grown = np.empty(max(8, 2 * count), np.int32)
            grown[:count] = self._items[user]
            self._items[user] = grown
        self._items[user][count] = item
        self._count[user] = count + 1
