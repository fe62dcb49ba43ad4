"""Snapshots in the background: often enough that a start is quick, never while a request waits for one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from instep.serve.sections import SnapshotSection

_log = logging.getLogger("instep.snapshots")


class Snapshotter:
    """Takes a snapshot when enough records, or enough time with records in it, have passed.

    One that fails (a full disk) is counted, logged and tried again at the next turn: the log has everything.

    Args:
        take: writes a snapshot and returns its path.
        end: the offset up to which the model has learned.
        cadence: how often.
        done: the offset of the newest snapshot there is.
    """

    def __init__(
        self, take: Callable[[], Path], end: Callable[[], int], cadence: SnapshotSection, done: int
    ) -> None:
        self._take = take
        self._end = end
        self._cadence = cadence
        self._done = done
        self._turn = threading.Lock()
        self._closed = threading.Event()
        self.taken_at = time.time()
        """When the newest snapshot was taken, seconds since the epoch; the start when there is none yet."""
        self.failures = 0
        """Snapshots that could not be written."""
        self._thread = threading.Thread(target=self._run, name="instep-snapshots", daemon=True)
        self._thread.start()

    def take(self) -> Path | None:
        """Take one now, unless nothing was learned since the last one."""
        with self._turn:
            return self._taken() if self._end() > self._done else None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No snapshot is taken while the context lasts; at its end one is, whatever was learned."""
        with self._turn:
            yield
            self._done = -1
            self._taken()

    def _taken(self) -> Path:
        end = self._end()
        path = self._take()
        self._done, self.taken_at = end, time.time()
        return path

    def close(self) -> None:
        """Stop. Idempotent."""
        self._closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _due(self) -> bool:
        behind = self._end() - self._done
        old = time.time() - self.taken_at >= self._cadence.every_seconds
        return behind >= self._cadence.every_events or (behind > 0 and old)

    def _run(self) -> None:
        while not self._closed.wait(min(1.0, self._cadence.every_seconds)):
            try:
                if self._due():
                    self.take()
            except Exception as error:  # whatever it is, serving goes on
                self.failures += 1
                _log.warning("a snapshot could not be taken and will be tried again: %s", error)
                self._closed.wait(min(60.0, self._cadence.every_seconds))
