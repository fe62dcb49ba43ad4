"""Rewards: a raw act becomes a number.

Laws:
- A reward is finite; below zero means the user would rather not have seen the item.
- It depends on the act and on what was usual before it, never on what came later.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, Protocol

from instep.domain import Feedback

USUAL_DWELL: Final = math.log(30.0)
"""Of an item and a user of which nothing is known, log seconds."""
_MIDDLE: Final = 3.5
_MIDDLE_WEIGHT: Final = 2.0


class Usual(NamedTuple):
    """What an act is judged against.

    Args:
        rating: the user's mean rating so far, shrunk towards the middle of the scale.
        dwell: usual log seconds of a dwell on this item by this user.
    """

    rating: float
    dwell: float


def usual_rating(total: float, number: float) -> float:
    """A user's mean rating, shrunk towards the middle of the scale as by two ratings.

    Args:
        total: sum of the ratings so far.
        number: how many there are.

    >>> usual_rating(0.0, 0), usual_rating(10.0, 2)
    (3.5, 4.25)
    """
    return (total + _MIDDLE * _MIDDLE_WEIGHT) / (number + _MIDDLE_WEIGHT)


class Reward(Protocol):
    """Feedback to reward."""

    def reward(self, feedback: Feedback, usual: Usual) -> float:
        """How good the act says the item was."""
        ...

    def weight_of(self, kind: str) -> float:
        """What a type of feedback is worth; 0 for one that teaches nothing."""
        ...
