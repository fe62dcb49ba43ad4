"""The numbers of very many names: a table of int32 beside the list of the names, an eighth of what a dict takes."""

from __future__ import annotations

from typing import Final, overload

import numpy as np
from numba import njit
from numpy.typing import NDArray

FIRST_SLOTS: Final = 64


class Numbers:
    """Which place of a list a name has.

    A dict would hold an integer object and an entry for each name: 60 bytes beside the name itself, where this takes 8
    on average. A look-up takes a microsecond.

    Args:
        names: distinct; read at every look-up, and appended to by the owner, who then calls `add`.

    >>> names = ["ann", "bob"]
    >>> numbers = Numbers(names)
    >>> numbers["bob"], numbers.get("eve"), "ann" in numbers
    (1, None, True)
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._count = len(names)
        self._fill()

    def _fill(self) -> None:
        """Hash everything into a table that will be two thirds full at most when half as many again have come."""
        slots = FIRST_SLOTS
        while slots < 2 * self._count:
            slots *= 2
        hashes = np.fromiter(map(hash, self._names), np.int64, self._count)
        table = np.full(slots, -1, np.int32)
        _place(table, hashes)
        self._slots = table.data

    def add(self, name: str) -> int:
        """Number of a name that was just appended to the list."""
        number = self._count
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._fill()
        else:
            self._slots[self._slot(name)] = number
        return number

    def _slot(self, name: str) -> int:
        """Where a name's number is, or the free slot where it belongs."""
        slots, names, last = self._slots, self._names, len(self._slots) - 1
        at = hash(name) & last
        while (number := slots[at]) >= 0 and names[number] != name:
            at = (at + 1) & last
        return at

    @overload
    def get(self, name: str) -> int | None: ...

    @overload
    def get(self, name: str, default: int) -> int: ...

    def get(self, name: str, default: int | None = None) -> int | None:
        """Number of a name, or the default for one that is not in the list."""
        number = self._slots[self._slot(name)]
        return number if number >= 0 else default

    def __getitem__(self, name: str) -> int:
        number = self._slots[self._slot(name)]
        if number < 0:
            raise KeyError(name)
        return number

    def __contains__(self, name: str) -> bool:
        return self._slots[self._slot(name)] >= 0


@njit(cache=True)
def _place(table: NDArray[np.int32], hashes: NDArray[np.int64]) -> None:
    last = len(table) - 1
    for number in range(len(hashes)):
        at = hashes[number] & last
        while table[at] >= 0:
            at = (at + 1) & last
        table[at] = number
