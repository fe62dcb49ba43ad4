"""One table: type to reward; dwell and rating relative to what is usual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from instep.domain import Feedback
from instep.reward.base import Usual

DEFAULT_REWARDS: Final[Mapping[str, float]] = {
    "view": 0.5,
    "click": 1.0,
    "like": 2.0,
    "dislike": -2.0,
    "skip": -0.5,
    "dwell": 0.5,
    "rating": 1.0,
    "cart": 1.5,
    "purchase": 3.0,
    "share": 2.0,
    "return": -1.0,
}


class RewardTable:
    """The configured table of rewards.

    Args:
        weights: type to weight, over the defaults. For ``dwell`` and ``rating`` the weight multiplies how far the
            value is from the usual: the log ratio of seconds, limited to two either way, and the stars above or
            below the user's own mean. An unknown type has no reward.

    >>> table = RewardTable({"purchase": 5.0})
    >>> table.reward(Feedback("e", "u", "i", 0.0, "purchase"), Usual(3.0, 3.0))
    5.0
    >>> table.reward(Feedback("e", "u", "i", 0.0, "rating", 2.0), Usual(3.5, 3.0))
    -1.5
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self.weights = {**DEFAULT_REWARDS, **(weights or {})}

    def reward(self, feedback: Feedback, usual: Usual) -> float:
        """The act's reward; see the class."""
        weight = self.weight_of(feedback.type)
        if feedback.value is None:
            return 0.0 if feedback.type in ("dwell", "rating") else weight
        if feedback.type == "dwell":
            return weight * max(-2.0, min(2.0, math.log1p(feedback.value) - usual.dwell))
        if feedback.type == "rating":
            return weight * (feedback.value - usual.rating)
        return weight

    def weight_of(self, kind: str) -> float:
        """The table's number for a type; 0 for one that it does not have."""
        return self.weights.get(kind, 0.0)
