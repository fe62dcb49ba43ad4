"""The part of learning that rewards depend on, alone: what explains an act without learning everything again."""

from __future__ import annotations

from collections.abc import Iterable

from instep.domain import EncoderSwitch, Entry, ItemVector
from instep.learn.learner import FastLearner
from instep.reward import Account, Attribution, Reward
from instep.state import State


class RewardLearner(FastLearner):
    """Learns histories, what is usual, slates and their credits; no neighbours, vectors or weights.

    Args:
        state: what is moved; empty, or from a snapshot.
        reward: feedback to number.
        attribution: how acts are joined to slates.
    """

    def __init__(self, state: State, reward: Reward, attribution: Attribution) -> None:
        super().__init__(state, reward, lambda *_: None, attribution)

    def learn(self, entries: Iterable[Entry]) -> None:
        """Learn entries in the log's order."""
        for entry in entries:
            if not isinstance(entry.record, ItemVector | EncoderSwitch):
                self.learn_one(entry.record)

    def account_of(self, event_id: str) -> Account | None:
        """How an act that was learned just now became its number."""
        return self.accounts.get(event_id)

    def _taken(self, user: int, item: int, now: float, weight: float) -> None:
        """Nothing: what was taken moves only what rewards do not depend on."""
