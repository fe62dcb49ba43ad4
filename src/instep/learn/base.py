"""Learners: the fast clock.

Laws (checked by `instep.testing.LearnerContract`):
- A learner works before its first event.
- It holds bounded memory an item, an event and a user, and does not alias its input.
- Time comes from the event. The same events in the same order give the same state to the bit.
"""

from __future__ import annotations

from typing import Protocol

from instep.domain import Record


class Learner(Protocol):
    """Moves the state by one record."""

    def learn_one(self, record: Record) -> None:
        """Learn one record, in the log's order."""
        ...
