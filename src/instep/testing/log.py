"""The contract of `instep.log.base.Log`, as tests that every implementation must pass."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from instep.domain import (
    Arm,
    EncoderSwitch,
    Entry,
    Experiment,
    ExperimentChange,
    Feedback,
    Impression,
    InvalidRequest,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Record,
    SessionMerge,
    Unavailable,
    UserPatch,
    UserPut,
    session_user,
)
from instep.log.base import Log


def click(event_id: str, user_id: str = "user-1", item_id: str = "item-1") -> Feedback:
    """A click, for tests that do not care about its content.

    >>> click("e1").type
    'click'
    """
    return Feedback(event_id, user_id, item_id, timestamp=1.5, type="click")


ONE_OF_EACH: tuple[Record, ...] = (
    Feedback("f", "u", "i", 1.0, "dwell", 3.5, "s", 2, {"device": "phone", "new": True, "n": 3, "x": 0.5}),
    Impression("s", "u", 2.0, ("i", "j"), (0.5, 1.0), policy="thompson", as_of=1),
    ItemPut(
        "p", "i", 3.0, {"title": "茶\0\U0001f375", "categories": ["a", "b"], "price": 1.5, "brand": None}
    ),
    ItemPatch("q", "i", 4.0, {"stock": 0, "more": {"deep": [1, 2.5, None, False]}}),
    ItemRemoval("r", "i", 5.0),
    ItemVector("v", "i", 6.0, "minilm", "abc", bytes(range(256)) * 40),
    EncoderSwitch("t", "minilm", 6.5),
    UserPut("w", "u", 7.0, {"country": "LU"}),
    UserPatch("x", "u", 8.0, {"country": None}),
    SessionMerge("m", "u", session_user("z"), 9.0),
    ExperimentChange("n", "x", 10.0, "launch", Experiment("x", (Arm("a", 0.5), Arm("b", 0.5)))),
)


class LogContract(ABC):
    """Subclass it, say how to open a log, and pytest runs the contract on it.

        class TestMyLog(LogContract):
            def open(self, folder: Path) -> Log:
                return MyLog(folder / "log")

    A log that does not outlive the process sets ``durable = False``.
    """

    durable = True

    @abstractmethod
    def open(self, folder: Path) -> Log:
        """Open the log kept in a folder: a new one in an empty folder, the same again later."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[Log]:
        """An empty log."""
        with closing(self.open(tmp_path)) as log:
            yield log

    def test_a_new_log_is_empty(self, log: Log) -> None:
        """Appending nothing leaves it so."""
        assert log.end == 0
        assert list(log.read()) == []
        assert log.append([]) == []
        assert log.end == 0

    def test_every_kind_of_record_is_read_as_it_was_written(self, log: Log) -> None:
        """In the order in which they were appended, at offsets 0, 1, 2 ..."""
        receipts = log.append(ONE_OF_EACH)
        assert [(r.event_id, r.offset, r.duplicate) for r in receipts] == [
            (record.event_id, offset, False) for offset, record in enumerate(ONE_OF_EACH)
        ]
        assert list(log.read()) == [Entry(offset, record) for offset, record in enumerate(ONE_OF_EACH)]
        assert log.end == len(ONE_OF_EACH)
        assert log.size_bytes > 0

    def test_read_takes_the_half_open_range(self, log: Log) -> None:
        """Ranges beyond the end, and empty ones, are no errors."""
        log.append([click(f"e{n}") for n in range(10)])
        assert [entry.offset for entry in log.read(3, 6)] == [3, 4, 5]
        assert [entry.offset for entry in log.read(8)] == [8, 9]
        assert [entry.offset for entry in log.read(8, 99)] == [8, 9]
        assert list(log.read(10)) == list(log.read(5, 5)) == list(log.read(7, 3)) == []

    def test_an_iterator_keeps_the_prefix_it_started_with(self, log: Log) -> None:
        """What is appended meanwhile is not in it."""
        log.append([click(f"e{n}") for n in range(5)])
        entries = log.read()
        assert next(entries).offset == 0
        log.append([click("later")])
        assert [entry.offset for entry in entries] == [1, 2, 3, 4]

    def test_a_repeated_event_id_is_acknowledged_with_the_first_offset_and_not_applied(
        self, log: Log
    ) -> None:
        """Within a batch and across batches, whatever else the record says."""
        seen: list[Entry] = []
        log.subscribe(seen.extend)
        first = log.append([click("a"), click("b"), click("a", "user-2")])
        again = log.append([click("c"), click("b", "user-3"), click("c")])
        assert [(r.offset, r.duplicate) for r in first] == [(0, False), (1, False), (0, True)]
        assert [(r.offset, r.duplicate) for r in again] == [(2, False), (1, True), (2, True)]
        assert [(e.offset, e.record.user_id) for e in log.read()] == [(n, "user-1") for n in range(3)]
        assert seen == list(log.read())
        assert log.end == 3

    def test_subscribers_have_applied_a_record_before_its_acknowledgement(self, log: Log) -> None:
        """So that whoever has the acknowledgement reads what was written."""
        seen: list[int] = []
        log.subscribe(lambda entries: seen.extend(entry.offset for entry in entries))
        future = log.submit([click("a"), click("b")])
        future.result(timeout=30)
        assert seen == [0, 1]
        log.append([click("c")])
        assert seen == [0, 1, 2]

    def test_subscribers_get_what_a_replay_gets(self, log: Log) -> None:
        """Records as they are stored, not the caller's objects."""
        seen: list[Entry] = []
        log.subscribe(seen.extend)
        fields: dict[str, Any] = {"categories": ("a", "b")}
        log.append([ItemPut("p", "i", 1, fields), Feedback("f", "u", "i", 2, value=3)])
        fields["categories"] = ()
        assert seen == list(log.read())
        assert repr(seen) == repr(list(log.read()))
        assert isinstance(seen[0].record, ItemPut)
        assert seen[0].record.fields == {"categories": ["a", "b"]}

    def test_a_subscriber_may_submit_and_read_but_not_wait_for_itself(self, log: Log) -> None:
        """Waiting would never end, so it is refused."""
        later = []
        raised = []

        def apply(entries: Sequence[Entry]) -> None:
            """Submit, fail to wait, and read, all from within."""
            if entries[0].record.event_id == "a":
                later.append(log.submit([click("b")]))
                with pytest.raises(RuntimeError, match="use submit") as refused:
                    log.append([click("c")])
                raised.append(refused.value)
                with pytest.raises(RuntimeError, match="use submit") as refused:
                    log.erase(["user-1"])
                raised.append(refused.value)
                assert [entry.offset for entry in log.read()] == [0]

        log.subscribe(apply)
        log.append([click("a")])
        assert later[0].result(timeout=30)[0].offset == 1
        assert len(raised) == 2
        assert [entry.record.event_id for entry in log.read()] == ["a", "b"]

    def test_a_subscriber_that_raises_stops_the_log_loudly(self, log: Log) -> None:
        """What was stored stays; nothing more is accepted, and every refusal says why."""

        def apply(entries: Sequence[Entry]) -> None:
            if entries[0].record.event_id == "bad":
                raise ArithmeticError("the learner broke")

        log.subscribe(apply)
        log.append([click("good")])
        with pytest.raises(ArithmeticError, match="the learner broke"):
            log.append([click("bad")])
        for _ in range(2):
            with pytest.raises(Unavailable, match="the learner broke"):
                log.append([click("next")])
        with pytest.raises(Unavailable, match="the learner broke"):
            log.erase(["user-1"])
        assert [entry.record.event_id for entry in log.read()] == ["good", "bad"]

    def test_a_record_that_could_not_be_read_again_is_refused_with_its_whole_batch(self, log: Log) -> None:
        """Before anything of it is stored."""
        bad: list[Record] = [
            Feedback("x", "u", "i", "yesterday"),  # type: ignore[arg-type]
            ItemPut("x", "i", 1.0, {"size": 2**70}),
            ItemPut("x", "i", 1.0, {"made": object()}),
            click("x", user_id="\ud800"),
            click(""),
        ]
        for record in bad:
            with pytest.raises(InvalidRequest, match=r"records\[1\]"):
                log.append([click("fine"), record])
            with pytest.raises(InvalidRequest):
                log.submit([record])
        assert log.end == 0
        assert log.append([click("fine")])[0].offset == 0

    def test_read_user_gives_that_user_only(self, log: Log) -> None:
        """Not those whose ids begin alike, and nobody for the empty id."""
        log.append([*ONE_OF_EACH, click("a", "u"), click("b", "uu"), click("c", "u\0")])
        assert [e.record.event_id for e in log.read_user("u")] == ["f", "s", "w", "x", "m", "a"]
        assert [e.record.event_id for e in log.read_user("uu")] == ["b"]
        assert list(log.read_user("nobody")) == list(log.read_user("")) == []

    def test_erase_removes_the_users_records_and_reuses_no_offset(self, log: Log) -> None:
        """The event ids may be used again."""
        log.append([click(f"e{n}", f"user-{n % 3}") for n in range(9)])
        assert log.erase(["user-2", "user-1", "nobody", ""]) == 6
        assert [entry.offset for entry in log.read()] == [0, 3, 6]
        assert list(log.read_user("user-2")) == []
        assert log.end == 9
        assert log.append([click("e8", "user-4")])[0].offset == 9
        assert log.erase(["user-2"]) == 0
        assert log.erase([]) == 0

    def test_erase_takes_merged_sessions_along(self, log: Log) -> None:
        """Also those merged into a session that was merged itself."""
        log.append(
            [
                click("a", session_user("s")),
                SessionMerge("b", session_user("t"), session_user("s"), 1.0),
                SessionMerge("c", "user-1", session_user("t"), 2.0),
                SessionMerge("d", "user-2", session_user("t"), 3.0),
                click("e", "user-2"),
                ItemPut("f", "i", 4.0, {}),
            ]
        )
        assert log.erase(["user-1"]) == 4
        assert [entry.record.event_id for entry in log.read()] == ["e", "f"]

    def test_concurrent_writers_get_one_order_and_every_record_once(self, log: Log) -> None:
        """Each writer's records in the order in which it wrote them."""
        seen: list[Entry] = []
        log.subscribe(seen.extend)
        offsets: dict[str, list[int]] = {f"w{n}": [] for n in range(6)}

        def write(name: str) -> None:
            for n in range(15):
                batch = [click(f"{name}-{n}-{k}", name) for k in range(n % 4 + 1)]
                receipts = log.append([*batch, click(f"shared-{n}", "user-shared")])
                offsets[name] += [receipt.offset for receipt in receipts[:-1]]
                assert {r.offset for r in receipts} <= {entry.offset for entry in seen}

        threads = [threading.Thread(target=write, args=(name,)) for name in offsets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == list(log.read())
        assert [entry.offset for entry in seen] == list(range(log.end))
        assert len({entry.record.event_id for entry in seen}) == log.end == 6 * 36 + 15
        for name, mine in offsets.items():
            assert mine == sorted(mine) == [entry.offset for entry in log.read_user(name)]

    def test_readers_see_a_growing_prefix_while_others_write_and_erase(self, log: Log) -> None:
        """No reader sees a gap that no erasure made."""
        done = threading.Event()
        failures: list[str] = []

        def look() -> None:
            while not done.is_set():
                offsets = [entry.offset for entry in log.read()]
                kept = [offset for offset in offsets if offset % 4]  # those of users never erased
                if (
                    offsets != sorted(set(offsets))
                    or kept != [n for n in range(len(kept) * 2) if n % 4][: len(kept)]
                ):
                    failures.append(f"{offsets}")

        reader = threading.Thread(target=look)
        reader.start()
        for n in range(0, 200, 4):
            log.append([click(f"e{n + k}", "kept" if k else f"gone-{n}") for k in range(4)])
            if n % 40 == 0:
                log.erase([f"gone-{n}"])
        done.set()
        reader.join()
        assert failures == []

    def test_a_closed_log_refuses_writes(self, log: Log) -> None:
        """What was submitted before is stored. Closing twice is no error."""
        future = log.submit([click("a")])
        log.close()
        log.close()
        assert future.result(timeout=30)[0].offset == 0
        with pytest.raises(Unavailable, match="closed"):
            log.append([click("b")])

    def test_a_reopened_log_is_the_same_log(self, tmp_path: Path) -> None:
        """Its end, its erasures and its event ids, too."""
        if not self.durable:
            pytest.skip("this log does not outlive the process")
        with closing(self.open(tmp_path)) as log:
            log.append([click(f"e{n}", f"user-{n}") for n in range(5)])
            log.erase(["user-4", "user-1"])
            before = list(log.read())
        with closing(self.open(tmp_path)) as log:
            assert list(log.read()) == before
            assert log.end == 5
            assert [(r.offset, r.duplicate) for r in log.append([click("e3"), click("e4")])] == [
                (3, True),
                (5, False),
            ]
