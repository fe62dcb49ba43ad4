"""What is known when a request arrives."""

from __future__ import annotations

from typing import Any, Final

import msgspec

MOST_EXCLUDED: Final = 100
"""Of more exclusions than this the log keeps none: they would be larger than the slate."""


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request for a slate.

    Args:
        user_id: for whom; `session_user(...)` for an anonymous visitor.
        n: slate length wanted, 1 <= n <= 1000; the slate is shorter when fewer items qualify.
        now: the request's time, seconds since the epoch.
        request_id: the seed of all randomness in the answer; the slate's id.
        categories: if given, only items in at least one of these categories.
        exclude: item ids never to show in this answer.
        filter: a CEL expression over `item` that must be true, e.g. ``item.price < 20.0``. An item without a field that
            it names does not qualify; when nothing does and no item has the field, the request is refused.
        surface: where the slate is shown.
        repeat: whether consumed items may come back; None means the configured default.
        explain: whether to give reasons.
        attributes: anything else known (device, weather ...).
    """

    user_id: str
    n: int = 10
    now: float = 0.0
    request_id: str = ""
    categories: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    filter: str = ""
    surface: str = "default"
    repeat: bool | None = None
    explain: bool = False
    attributes: dict[str, Any] = {}

    def asked(self, shown: int) -> dict[str, Any]:
        """What it takes, beside user, time, surface and `shown` items, to ask the same again.

        Args:
            shown: how many items the answer has.

        Returns:
            Fields of a `Context` by name, without those at their defaults.

        >>> Context("u1", n=10, categories=("tea",)).asked(10)
        {'categories': ['tea']}
        >>> Context("u1", n=10).asked(4)
        {'n': 10}
        """
        kept: dict[str, Any] = {}
        if self.categories:
            kept["categories"] = list(self.categories)
        if self.filter:
            kept["filter"] = self.filter
        if self.attributes:
            kept["attributes"] = dict(self.attributes)  # the caller may change it before it is on disk
        if 0 < len(self.exclude) <= MOST_EXCLUDED:
            kept["exclude"] = list(self.exclude)
        if self.repeat is not None:
            kept["repeat"] = self.repeat
        if self.n != shown:
            kept["n"] = self.n
        return kept
