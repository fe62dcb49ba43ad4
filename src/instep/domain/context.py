"""What is known when a request arrives."""

from __future__ import annotations

from typing import Any

import msgspec


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request for a slate.

    Args:
        user_id: for whom; `session_user(...)` for an anonymous visitor.
        n: slate length wanted, 1 <= n <= 1000; the slate is shorter when fewer items qualify.
        now: the request's time, seconds since the epoch.
        request_id: the seed of all randomness in the answer; the slate's id.
        categories: if given, only items in at least one of these categories.
        exclude: item ids never to show in this answer.
        filter: a CEL expression over `item` that must be true, e.g. ``item.price < 20.0``.
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
