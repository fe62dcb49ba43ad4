"""Which act belongs to which slate, and for how long: the settings of attribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

DEFAULT_WINDOWS: Final[Mapping[str, float]] = {
    "like": DAY,
    "dislike": DAY,
    "share": DAY,
    "cart": DAY,
    "rating": 7 * DAY,
    "purchase": 7 * DAY,
    "return": 30 * DAY,
}
OPINIONS: Final = ("like", "dislike", "rating")
"""A user has one opinion of an item: a later one takes the place of the earlier one."""


class Attribution(msgspec.Struct, frozen=True):
    """How acts are joined to slates.

    Args:
        window: seconds after which an impression that earned nothing counts as one that earned nothing, and how long
            an act whose type has no window of its own is still credited to a slate.
        windows: type to its window, seconds, over `DEFAULT_WINDOWS`.
        session: seconds without an act or a slate after which a session is over.
        discount: what a slate's reward is worth to the slate before it in the same session.
        slates: how many slates are remembered, the newest of all users.
    """

    window: float = 2 * HOUR
    windows: dict[str, float] = {}
    session: float = 0.5 * HOUR
    discount: float = 0.9
    slates: int = 131_072

    def window_of(self, kind: str) -> float:
        """How long after a slate an act of this type is still credited to it, seconds.

        >>> Attribution(window=60.0).window_of("click")
        60.0
        >>> Attribution(windows={"purchase": 86400.0}).window_of("purchase")
        86400.0
        """
        found = self.windows.get(kind)
        return DEFAULT_WINDOWS.get(kind, self.window) if found is None else found


def replaced_types(kind: str) -> tuple[str, ...]:
    """Types whose newest act on the same item by the same user an act of this type takes back.

    >>> replaced_types("dislike")
    ('like', 'dislike', 'rating')
    >>> replaced_types("return")
    ('purchase', 'return')
    >>> replaced_types("click")
    ()
    """
    if kind in OPINIONS:
        return OPINIONS
    return ("purchase", "return") if kind == "return" else ()
