"""The background worker: items in, vectors out as records, without ever making anyone wait."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from instep.domain import Item, ItemVector, StageError, Unavailable
from instep.encode.base import Encoder
from instep.encode.bulk import encode_all
from instep.encode.cache import VectorCache
from instep.encode.text import content_hash, item_text
from instep.encode.vectors import to_bytes

BATCH: Final = 64
BATCH_AT_REST: Final = 16
NICENESS: Final = (
    5  # more, and a thread that is not run while it holds the interpreter keeps everyone waiting
)
DRAIN_BATCH: Final = 512
ATTEMPTS: Final = 5
LONGEST_WAIT: Final = 30.0
Publish = Callable[[list[ItemVector]], None]
Progress = Callable[[int, int], None]
_log = logging.getLogger("instep.encode")


@dataclass
class _Job:
    """An item waiting for its vector."""

    item_id: str
    text: str
    key: str
    attempts: int = 0


class EncodeWorker:
    """Encodes items in a thread of its own and publishes their vectors.

    One job an item: an item enqueued again before its turn is encoded once, with its latest text; a vector
    whose text was overtaken meanwhile is not published. What the cache knows is published without encoding.
    Vectors of one item are published in the order of its texts.

    When `encode` or `publish` fails, the failure is counted and the work tried again, after 0.1, 0.2, 0.4
    ... up to 30 seconds. `StageError` and `Unavailable` say that time heals, so those are tried for ever;
    anything else is narrowed down to the single item it comes from, which after five attempts is given up,
    with a log line, until it is enqueued again. Nothing of this reaches the service's threads.

    Args:
        encoder: any encoder; used from this thread, and from several while `drain` waits.
        cache: vectors known already.
        publish: takes the finished records; blocking is fine (it appends to the log).
        now: the clock of `ItemVector.timestamp`, seconds since the epoch.
        drain_threads: how many texts to encode side by side while `drain` waits; None means one for each
            core.

    >>> from instep.encode import VectorCache, open_encoder
    >>> published = []
    >>> worker = EncodeWorker(open_encoder("english"), VectorCache(None), published.extend)
    >>> worker.enqueue(Item("i1", title="Green tea"))
    >>> worker.drain(timeout=60)
    True
    >>> [record.item_id for record in published]
    ['i1']
    >>> worker.close()
    """

    def __init__(
        self,
        encoder: Encoder,
        cache: VectorCache,
        publish: Publish,
        now: Callable[[], float] = time.time,
        drain_threads: int | None = None,
    ) -> None:
        self._encoder = encoder
        self._cache = cache
        self._publish = publish
        self._now = now
        self._drain_threads = drain_threads
        self._changed = threading.Condition()
        self._waiting: dict[str, _Job] = {}  # in order of arrival
        self._working = 0
        self._draining = 0
        self._closed = False
        self._streak = 0  # failures since the last success: the length of the next pause
        self.encoded = 0
        """Vectors made by the model (not taken from the cache)."""
        self.published = 0
        """Vectors handed to `publish`."""
        self.failures = 0
        """Failed attempts to encode or publish."""
        self.given_up = 0
        """Items left without a vector after all attempts."""
        self.rest = 0.0
        """Pause after each batch, in times of what the batch took; batches are small then. None while draining."""
        self._thread = threading.Thread(target=self._work, name="instep-encode", daemon=True)
        self._thread.start()

    @property
    def encoder(self) -> Encoder:
        """The model it encodes with."""
        return self._encoder

    @property
    def pending(self) -> int:
        """Items whose vector is not published yet."""
        with self._changed:
            return len(self._waiting) + self._working

    def enqueue(self, item: Item) -> None:
        """Have an item's vector made and published soon; returns at once. After `close` it does nothing."""
        text = item_text(item)
        job = _Job(item.item_id, text, content_hash(text, self._encoder.name))
        with self._changed:
            if not self._closed:
                self._waiting[item.item_id] = job
                self._changed.notify_all()

    def drain(self, timeout: float | None = None, progress: Progress | None = None) -> bool:
        """Wait until nothing is pending; meanwhile the worker takes larger batches on all cores.

        Args:
            timeout: seconds to wait at most; None waits for ever.
            progress: called from this thread with (items done, items in all) whenever that changes.

        Returns:
            Whether nothing is pending: False after the timeout, or when closed before the end.
        """
        end = None if timeout is None else time.monotonic() + timeout
        reported = (-1, -1)
        with self._changed:
            start = self.published + self.given_up
            self._draining += 1
            try:
                while True:
                    pending = len(self._waiting) + self._working
                    done = self.published + self.given_up - start
                    left = None if end is None else end - time.monotonic()
                    if progress is not None and (done, done + pending) != reported:
                        reported = (done, done + pending)
                        self._changed.release()  # the callback may take its time, or enqueue
                        try:
                            progress(*reported)
                        finally:
                            self._changed.acquire()
                        continue
                    if not pending or self._closed or (left is not None and left <= 0):
                        return not pending and not self._closed
                    self._changed.wait(left)
            finally:
                self._draining -= 1

    def close(self) -> None:
        """Stop after the batch in hand; what is still waiting is dropped. Idempotent."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        _give_way()
        while jobs := self._take():
            began = time.monotonic()
            failed = self._process(jobs)
            self._pause(time.monotonic() - began)
            with self._changed:
                if not self._closed:
                    for job in failed:
                        self._waiting.setdefault(job.item_id, job)  # a newer text stays
                self._working = 0
                self._changed.notify_all()
                self._streak = self._streak + 1 if failed else 0
                if failed:
                    pause = min(LONGEST_WAIT, 0.1 * 2 ** min(self._streak - 1, 16))
                    self._changed.wait_for(lambda: self._closed, pause)

    def _pause(self, took: float) -> None:
        with self._changed:
            if self.rest and not self._draining:
                self._changed.wait_for(lambda: self._closed or self._draining, self.rest * took)

    def _take(self) -> list[_Job]:
        """The next batch, when there is one; [] once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            size = DRAIN_BATCH if self._draining else BATCH_AT_REST if self.rest else BATCH
            keys = [key for key, _ in zip(self._waiting, range(size), strict=False)]
            jobs = [self._waiting.pop(key) for key in keys]
            self._working = len(jobs)
            return jobs

    def _process(self, jobs: list[_Job]) -> list[_Job]:
        """Encode and publish; returns the jobs to try again."""
        try:
            self._finish(jobs)
            return []
        except (StageError, Unavailable) as error:
            self._count_failure(error)
            return jobs
        except Exception as error:
            self._count_failure(error)
            if len(jobs) > 1:
                middle = len(jobs) // 2
                return self._process(jobs[:middle]) + self._process(jobs[middle:])
            (job,) = jobs
            job.attempts += 1
            if job.attempts < ATTEMPTS:
                return jobs
            _log.error("an item is left without a vector after %d attempts: %r", ATTEMPTS, error)
            with self._changed:
                self.given_up += 1
            return []

    def _finish(self, jobs: list[_Job]) -> None:
        known = self._cache.get(job.key for job in jobs)
        missing = {job.key: job.text for job in jobs if job.key not in known}
        if missing:
            threads = self._drain_threads if self._draining else 1
            vectors = encode_all(self._encoder, list(missing.values()), threads=threads)
            fresh = {key: to_bytes(vector) for key, vector in zip(missing, vectors, strict=True)}
            self._cache.put(fresh)
            known |= fresh
            self.encoded += len(fresh)
        with self._changed:
            current = [job for job in jobs if job.item_id not in self._waiting]
        name, now = self._encoder.name, self._now()
        records = [
            ItemVector(uuid.uuid4().hex, job.item_id, now, name, job.key, known[job.key]) for job in current
        ]
        if records:
            self._publish(records)
        with self._changed:
            self.published += len(records)
            self._working -= len(jobs)
            self._changed.notify_all()

    def _count_failure(self, error: Exception) -> None:
        with self._changed:
            self.failures += 1
        _log.warning("encoding or publishing vectors failed, to be tried again: %r", error)


def _give_way() -> None:
    """Let the threads of requests go first, where the system knows priorities of threads (Linux)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
