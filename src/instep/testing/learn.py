"""The contract of `instep.learn.base.Learner`, as tests that every implementation must pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from instep.domain import Feedback, ItemVector, Record
from instep.learn import Learner
from instep.testing.log import ONE_OF_EACH

ACTS = 4500


class LearnerContract(ABC):
    """Subclass it in a test module, say how to make a learner, and pytest checks the laws of `learn/base.py`.

    >>> from instep.flow import Flow
    >>> from instep.log import MemoryLog
    >>> class TestMine(LearnerContract):
    ...     def make(self):
    ...         return Flow(MemoryLog()).model.learner
    ...     def digest(self, learner):
    ...         return learner.state.digest()
    ...     def size(self, learner):
    ...         return sum(array.nbytes for array in learner.state.arrays().values())
    >>> TestMine().test_it_learns_before_its_first_event()
    """

    @abstractmethod
    def make(self) -> Learner:
        """A new learner that has learned nothing."""

    @abstractmethod
    def digest(self, learner: Any) -> str:
        """Equal for equal states to the bit, different for different ones."""

    @abstractmethod
    def size(self, learner: Any) -> int:
        """Bytes that the learner keeps."""

    def test_it_learns_before_its_first_event(self) -> None:
        """Whatever kind of record comes first."""
        untouched = self.digest(self.make())
        for record in records():
            learner = self.make()
            learner.learn_one(record)
            if isinstance(record, Feedback):
                assert self.digest(learner) != untouched

    def test_the_same_records_give_the_same_state_whatever_the_clock_says(self) -> None:
        """To the bit, also for records that come twice: what makes a replay exact."""
        first, second = self.make(), self.make()
        for record in records() * 2:
            first.learn_one(record)
        with patch("time.time", side_effect=AssertionError("a learner has looked at the clock")):
            for record in records() * 2:
                second.learn_one(record)
        assert self.digest(first) == self.digest(second)

    def test_a_record_is_left_as_it_was(self) -> None:
        """Others read the same object."""
        learner = self.make()
        for record in records():
            before = msgspec.msgpack.encode(record)
            learner.learn_one(record)
            assert msgspec.msgpack.encode(record) == before

    def test_what_happens_to_a_record_later_changes_nothing(self) -> None:
        """What a learner keeps of a record is its own."""
        learner = self.make()
        mine = records()
        for record in mine:
            learner.learn_one(record)
        before = self.digest(learner)
        for record in mine:
            fields: dict[str, Any] = getattr(record, "fields", {})
            for value in fields.values():
                if isinstance(value, dict):
                    value["deep"] = "changed"
            fields["title"] = fields["added"] = "changed"
        assert self.digest(learner) == before

    def test_one_busy_user_takes_bounded_memory(self) -> None:
        """Twice as many acts of one user do not take twice the memory."""
        learner = self.make()
        sizes = [self.size(learner)]
        for turn in range(2):
            for n in range(turn * ACTS, turn * ACTS + ACTS):
                learner.learn_one(Feedback(f"e{n}", "busy", f"i{n * n % 97}", 1e9 + 60 * n, "click"))
            sizes.append(self.size(learner))
        assert sizes[2] - sizes[0] <= 1.5 * (sizes[1] - sizes[0])


def records() -> list[Record]:
    """One of each kind, made anew; the log's vector is no vector, so that it gives way to one."""
    vector = np.linspace(-1.0, 1.0, 16).astype("<f2").tobytes()
    given = [each for each in ONE_OF_EACH if not isinstance(each, ItemVector)]
    packed = msgspec.msgpack.encode([*given, ItemVector("v", "i", 6.0, "minilm", "abc", vector)])
    return msgspec.msgpack.decode(packed, type=list[Record])
