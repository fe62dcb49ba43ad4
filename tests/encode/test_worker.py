"""The background worker with the real model: what it publishes, how it fails, how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.domain import Item, ItemVector, StageError, Unavailable
from instep.encode import (
    Encoder,
    EncodeWorker,
    OnnxEncoder,
    VectorCache,
    content_hash,
    from_bytes,
    item_text,
    to_bytes,
)
from instep.encode.base import Kind

WAIT = 60.0


class Watched:
    """The real model behind a gate, with faults to raise first; it notes what it was asked."""

    def __init__(self, model: OnnxEncoder) -> None:
        self.model = model
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.faults: list[Exception] = []
        self.poison = ""
        self.asked: list[str] = []

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def dimensions(self) -> int:
        return self.model.dimensions

    def encode(self, texts: Sequence[str], kind: Kind = "item") -> NDArray[np.float32]:
        self.entered.set()
        assert self.gate.wait(WAIT)
        if self.faults:
            raise self.faults.pop(0)
        if self.poison and any(self.poison in text for text in texts):
            raise RuntimeError(f"cannot read {self.poison}")
        self.asked += texts
        return self.model.encode(texts, kind)


@pytest.fixture
def encoder(minilm: OnnxEncoder) -> Watched:
    return Watched(minilm)


@pytest.fixture
def records() -> list[ItemVector]:
    return []


Start = Callable[..., EncodeWorker]


@pytest.fixture
def start(encoder: Watched, records: list[ItemVector]) -> Iterator[Start]:
    """Starts workers and closes them."""
    workers: list[EncodeWorker] = []

    def begin(
        cache: VectorCache | None = None, publish: object = None, use: Encoder = encoder
    ) -> EncodeWorker:
        sink = publish or records.extend
        workers.append(EncodeWorker(use, cache or VectorCache(None), sink, now=lambda: 7.0))  # type: ignore[arg-type]
        return workers[-1]

    yield begin
    encoder.gate.set()
    for worker in workers:
        worker.close()


def test_an_items_vector_is_published_with_the_hash_of_its_text(
    start: Start, records: list[ItemVector], minilm: OnnxEncoder
) -> None:
    item = Item("i1", "Green tea", categories=("Drinks",))
    worker = start()
    worker.enqueue(item)
    assert worker.drain(WAIT)
    (record,) = records
    text = item_text(item)
    assert (record.item_id, record.timestamp, record.encoder, record.user_id) == ("i1", 7.0, minilm.name, "")
    assert record.content_hash == content_hash(text, minilm.name)
    assert record.vector == to_bytes(minilm.encode([text])[0])
    assert np.linalg.norm(from_bytes(record.vector)) == pytest.approx(1.0, abs=1e-3)
    assert (worker.encoded, worker.published, worker.failures, worker.pending) == (1, 1, 0, 0)


def test_enqueue_returns_while_the_model_is_busy(
    start: Start, encoder: Watched, records: list[ItemVector]
) -> None:
    encoder.gate.clear()
    worker = start()
    for n in range(500):
        worker.enqueue(Item(f"i{n}", f"Title {n}"))
    assert encoder.entered.wait(WAIT)
    assert worker.pending == 500
    assert not worker.drain(timeout=0.05)
    encoder.gate.set()
    assert worker.drain(WAIT)
    assert sorted(record.item_id for record in records) == sorted(f"i{n}" for n in range(500))
    assert len({record.event_id for record in records}) == 500


def test_the_latest_text_wins_and_an_overtaken_one_is_not_published(
    start: Start, encoder: Watched, records: list[ItemVector]
) -> None:
    encoder.gate.clear()
    worker = start()
    worker.enqueue(Item("i1", "Old title"))
    assert encoder.entered.wait(WAIT)  # the old text is in the model now
    worker.enqueue(Item("i1", "Middle title"))
    worker.enqueue(Item("i1", "New title"))
    encoder.gate.set()
    assert worker.drain(WAIT)
    assert [record.content_hash for record in records] == [content_hash("New title", encoder.name)]
    assert encoder.asked == ["Old title", "New title"]


def test_a_text_that_comes_back_is_published_again_under_a_new_event_id(
    start: Start, encoder: Watched, records: list[ItemVector]
) -> None:
    worker = start()
    for title in ("A", "B", "A"):
        worker.enqueue(Item("i1", title))
        assert worker.drain(WAIT)
    assert [record.content_hash for record in records] == [content_hash(t, encoder.name) for t in "ABA"]
    assert records[0].event_id != records[2].event_id
    assert records[0].vector == records[2].vector
    assert encoder.asked == ["A", "B"]


def test_a_restart_encodes_nothing_again(
    start: Start, encoder: Watched, records: list[ItemVector], tmp_path: Path
) -> None:
    items = [Item(f"i{n}", f"Title {n % 30}") for n in range(60)]
    for expected in (30, 0):
        cache = VectorCache(tmp_path / "vectors.sqlite")
        worker = start(cache)
        encoder.asked.clear()
        for item in items:
            worker.enqueue(item)
        assert worker.drain(WAIT)
        assert worker.encoded == len(encoder.asked) == expected
        worker.close()
        cache.close()
    first, second = records[:60], records[60:]
    assert {r.item_id: r.vector for r in first} == {r.item_id: r.vector for r in second}


def test_the_bulk_path_publishes_the_bytes_of_the_single_path(
    start: Start, records: list[ItemVector], minilm: OnnxEncoder
) -> None:
    worker = start(use=minilm)
    items = [Item(f"i{n}", f"{'very ' * (n % 5)}old film {n}") for n in range(700)]
    for item in items:
        worker.enqueue(item)
    assert worker.drain(WAIT)
    vectors = {record.item_id: record.vector for record in records}
    for item in items[::100]:
        assert vectors[item.item_id] == to_bytes(minilm.encode([item_text(item)])[0])


def test_progress_rises_to_all_and_the_callback_may_enqueue(start: Start) -> None:
    worker = start()
    for n in range(100):
        worker.enqueue(Item(f"i{n}", f"Title {n}"))
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        if not seen:
            worker.enqueue(Item("late", "Late title"))
        seen.append((done, total))

    assert worker.drain(WAIT, progress)
    assert seen == sorted(seen)
    assert seen[-1] == (worker.published, worker.published)
    assert worker.published == 101


@pytest.mark.parametrize("fault", [StageError("endpoint down"), Unavailable("busy"), OSError("reset")])
def test_a_passing_failure_is_counted_and_the_work_done_after_it(
    start: Start, encoder: Watched, records: list[ItemVector], fault: Exception
) -> None:
    encoder.faults = [fault, fault]
    worker = start()
    worker.enqueue(Item("i1", "Green tea"))
    assert worker.drain(WAIT)
    assert [record.item_id for record in records] == ["i1"]
    assert worker.failures == 2
    assert worker.given_up == 0


def test_one_item_that_cannot_be_encoded_does_not_hold_up_the_others(
    start: Start, encoder: Watched, records: list[ItemVector]
) -> None:
    encoder.poison = "Title 17"
    encoder.gate.clear()
    worker = start()
    for n in range(40):
        worker.enqueue(Item(f"i{n}", f"Title {n}"))
    encoder.gate.set()
    assert worker.drain(WAIT)
    assert {record.item_id for record in records} == {f"i{n}" for n in range(40)} - {"i17"}
    assert worker.given_up == 1
    encoder.poison = ""
    worker.enqueue(Item("i17", "Title 17"))
    assert worker.drain(WAIT)
    assert records[-1].item_id == "i17"


def test_a_log_that_is_full_for_a_while_loses_no_vector(
    start: Start, encoder: Watched, records: list[ItemVector]
) -> None:
    refusals = [Unavailable("disk full")] * 2

    def publish(batch: list[ItemVector]) -> None:
        if refusals:
            raise refusals.pop()
        records.extend(batch)

    worker = start(publish=publish)
    worker.enqueue(Item("i1", "Green tea"))
    assert worker.drain(WAIT)
    assert [record.item_id for record in records] == ["i1"]
    assert worker.failures == 2
    assert encoder.asked == ["Green tea"]


def test_a_newer_text_replaces_one_that_waits_to_be_tried_again(
    start: Start, encoder: Watched, records: list[ItemVector]
) -> None:
    encoder.faults = [StageError("down")]
    encoder.gate.clear()
    worker = start()
    worker.enqueue(Item("i1", "Old title"))
    assert encoder.entered.wait(WAIT)
    worker.enqueue(Item("i1", "New title"))
    encoder.gate.set()
    assert worker.drain(WAIT)
    assert [record.content_hash for record in records] == [content_hash("New title", encoder.name)]
    assert encoder.asked == ["New title"]


def test_close_ends_the_thread_even_while_it_waits_to_try_again(start: Start, encoder: Watched) -> None:
    encoder.faults = [StageError("down")] * 1000
    worker = start()
    worker.enqueue(Item("i1", "Green tea"))
    assert encoder.entered.wait(WAIT)
    worker.close()
    worker.close()
    worker.enqueue(Item("i2", "Too late"))
    assert worker.pending == 0
    assert not worker.drain(0.01)
    assert not [thread for thread in threading.enumerate() if thread is worker._thread]


def test_drain_with_nothing_to_do_returns_at_once(start: Start) -> None:
    assert start().drain(timeout=0)
