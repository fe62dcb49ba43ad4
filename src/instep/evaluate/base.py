"""Systems under test: whatever learns from a stream and recommends from it.

Laws (the replay relies on them; `instep.evaluate.replay` checks the third on every slate):
- `recommend` never writes: asking twice gives the same items.
- A system works before its first event, and for users and items it has never seen.
- A slate holds distinct items of the catalogue, none of `exclude`, best first, at most `k` of them.
- The same stream and the same seed give the same slates to the byte.

Users and items are dense integers. Their order is a seeded shuffle, so that breaking ties by the lower number
knows nothing about the file, least of all which item comes next in it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class System(Protocol):
    """A recommender that learns event by event."""

    @property
    def name(self) -> str:
        """What tables and `--with` call it."""
        ...

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Take in one event.

        Args:
            user: who, 0 <= user < users of the stream.
            item: on what, 0 <= item < items of the stream.
            t: when, seconds since the epoch; never earlier than the event before.
            value: stars, seconds or quantity; NaN when the event has none.
        """
        ...

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """The best items for a user now.

        Args:
            user: for whom.
            t: now, seconds since the epoch.
            k: slate length.
            exclude: int32 (m,), distinct items that must not be in the slate (what the user consumed).

        Returns:
            int32 (<= k,), best first.
        """
        ...


@runtime_checkable
class SplitSystem(System, Protocol):
    """A system whose user state is the user's own history: it can learn the two halves at different times.

    `learn` equals `learn_shared` followed by `remember`.
    """

    def remember(self, user: int, item: int, t: float, value: float) -> None:
        """Append one event to its user's own history, and touch nothing that others see."""
        ...

    def learn_shared(self, user: int, item: int, t: float, value: float) -> None:
        """Take in what one event says about items, and leave the user's own history alone."""
        ...
