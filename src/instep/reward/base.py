"""Rewards: a raw act becomes a number.

Laws:
- A reward is finite; below zero means the user would rather not have seen the item.
- It depends on the act and on what was usual before it, never on what came later.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from instep.domain import Feedback


class Usual(NamedTuple):
    """What an act is judged against.

    Args:
        rating: the user's mean rating so far, shrunk towards the middle of the scale.
        dwell: usual log seconds of a dwell on this item by this user.
    """

    rating: float
    dwell: float


class Reward(Protocol):
    """Feedback to reward."""

    def reward(self, feedback: Feedback, usual: Usual) -> float:
        """How good the act says the item was."""
        ...

    def weight_of(self, kind: str) -> float:
        """What a type of feedback is worth; 0 for one that teaches nothing."""
        ...
