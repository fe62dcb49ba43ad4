"""What a request returns."""

from __future__ import annotations

import msgspec

from instep.domain.experiments import Assignment


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """One exact addend of an item's score.

    Args:
        signal: name of the signal, e.g. ``next`` (what follows your history) or ``text``.
        contribution: what it added to the score compared with the average candidate.
        because: the item of the user's history that contributed most, where the signal comes from history.
    """

    signal: str
    contribution: float
    because: str | None = None


class SlateItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item of a slate: score, propensity in (0, 1], the retrievers that found it, and why."""

    item_id: str
    score: float
    propensity: float
    sources: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()


class Slate(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ordered items with propensities.

    Args:
        slate_id: give it back with feedback.
        items: best first.
        policy: the policy that chose.
        as_of: offset up to which the model had learned.
        degraded: optional stages that failed for this request.
        experiments: the experiments that it is part of.
    """

    slate_id: str
    items: tuple[SlateItem, ...]
    policy: str = "greedy"
    as_of: int = 0
    degraded: tuple[str, ...] = ()
    experiments: tuple[Assignment, ...] = ()
