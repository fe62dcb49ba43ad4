"""The contract of `instep.reward.base.Reward`, as tests that every implementation must pass."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from instep.domain import Feedback
from instep.reward import DEFAULT_REWARDS, Reward, Usual

VALUES = (None, 0.0, 0.5, 5.0, 86_399.0)
USUALS = (Usual(3.5, math.log(30.0)), Usual(0.0, 0.0), Usual(5.0, 12.0))


class RewardContract(ABC):
    """Subclass it in a test module, say how to make a reward, and pytest checks the laws of `reward/base.py`.

    >>> from instep.reward import RewardTable
    >>> class TestMine(RewardContract):
    ...     def make(self):
    ...         return RewardTable()
    >>> TestMine().test_every_act_has_a_finite_reward()
    """

    @abstractmethod
    def make(self) -> Reward:
        """The reward under test."""

    def test_every_act_has_a_finite_reward(self) -> None:
        """Of every type, with and without a value."""
        reward = self.make()
        for kind in (*DEFAULT_REWARDS, "a type of a plugin"):
            for value in VALUES:
                for usual in USUALS:
                    number = reward.reward(Feedback("e", "u", "i", 1e9, kind, value), usual)
                    assert math.isfinite(number), (kind, value, usual)

    def test_it_depends_on_nothing_but_the_act_and_what_was_usual(self) -> None:
        """Not on what was asked before."""
        reward = self.make()
        acts = [Feedback(f"e{k}", "u", "i", 1e9, kind, 4.0) for k, kind in enumerate(DEFAULT_REWARDS)]
        first = [reward.reward(act, USUALS[0]) for act in acts]
        assert [reward.reward(act, USUALS[0]) for act in reversed(acts)] == first[::-1]

    def test_who_turns_an_item_down_did_not_want_it(self) -> None:
        """Refusals are below zero, what shows interest above."""
        reward = self.make()
        for kind in ("dislike", "skip"):
            assert reward.reward(Feedback("e", "u", "i", 1e9, kind), USUALS[0]) < 0
        for kind in ("click", "like", "purchase"):
            assert reward.reward(Feedback("e", "u", "i", 1e9, kind), USUALS[0]) > 0
