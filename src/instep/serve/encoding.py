"""The language model beside the service: chosen and loaded when an item first needs it, in the background.

`encoder = "auto"` looks at the whole catalogue each time a folder is opened. For a folder that is still
empty it waits until the first items have been quiet for a moment, so that an import decides by its
catalogue and not by its first title.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from instep.domain import Entry, Item, ItemPatch, ItemPut, ItemVector, StageError
from instep.encode import (
    Encoder,
    EncodeWorker,
    Kind,
    VectorCache,
    choose_encoder,
    content_hash,
    item_text,
    open_encoder,
)
from instep.serve.terminal import Report

QUIET: Final = 0.3
_log = logging.getLogger("instep.encode")


class Catalogue(Protocol):
    """What the encoding needs of a flow."""

    def item(self, item_id: str) -> Item | None:
        """An item of the catalogue."""
        ...

    def items(self) -> Iterator[Item]:
        """All items of the catalogue."""
        ...

    def content_hash(self, item_id: str) -> str:
        """The hash of the text whose vector the item has now; "" when it has none."""
        ...


class Encoding:
    """An encoder that is there once it is needed, and the worker that keeps vectors in step with texts.

    It is also the `Encoder` a flow searches with: until the model is loaded, `encode` raises `StageError`.

    Args:
        name: the configured encoder: ``auto``, ``english`` ... (see `open_encoder`).
        cache: file of the vectors known already.

    Attributes:
        fault: why the model could not be loaded; "" when all is well.
        choice: which model ``auto`` took and why; "" until then.
    """

    def __init__(self, name: str, cache: Path | None) -> None:
        self.fault = ""
        self.choice = ""
        self._configured = name
        self._cache = VectorCache(cache)
        self._changed = threading.Condition()
        self._waiting: dict[str, None] = {}  # item ids in order of arrival
        self._busy = False
        self._encoder: Encoder | None = None
        self._worker: EncodeWorker | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """Model and version; what the configuration says until the model is loaded."""
        return self._encoder.name if self._encoder else self._configured

    @property
    def dimensions(self) -> int:
        """Length of a vector; 0 until the model is loaded."""
        return self._encoder.dimensions if self._encoder else 0

    @property
    def pending(self) -> int:
        """Items whose vector is not there yet."""
        with self._changed:
            return len(self._waiting) + (self._worker.pending if self._worker else 0)

    def encode(self, texts: Sequence[str], kind: Kind = "item") -> NDArray[np.float32]:
        """Texts to unit vectors (see `Encoder.encode`). Raises `StageError` until the model is loaded."""
        if self._encoder is None:
            raise StageError(self.fault or "the language model is not loaded: there are no items yet")
        return self._encoder.encode(texts, kind)

    def start(self, catalogue: Catalogue, publish: Callable[[list[ItemVector]], None]) -> None:
        """Begin to encode: first the items whose vector is missing or of another model, then what is noticed.

        Args:
            catalogue: where items are.
            publish: takes vectors; blocking is fine.
        """
        self._busy = next(iter(catalogue.items()), None) is not None
        self._thread = threading.Thread(
            target=self._run, args=(catalogue, publish), name="instep-encoding", daemon=True
        )
        self._thread.start()

    def notice(self, entries: Sequence[Entry]) -> None:
        """A log's subscriber: remembers the items that changed; returns at once."""
        changed = [entry.record.item_id for entry in entries if isinstance(entry.record, ItemPut | ItemPatch)]
        if changed:
            with self._changed:
                self._waiting.update(dict.fromkeys(changed))
                self._changed.notify_all()

    def finish(self, report: Report) -> None:
        """Wait until every item has its vector, or it is known that it will not get one."""
        work = "Reading texts with the language model"
        with self._changed:
            while (self._waiting or self._busy) and not self._closed and not self.fault:
                self._changed.wait(0.1)
        if self._worker is not None:
            self._worker.drain(progress=lambda done, total: report(work, done, total, "texts"))

    def close(self) -> None:
        """Stop after the batch in hand. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join()
        if self._worker is not None:
            self._worker.close()
        self._cache.close()

    def _run(self, catalogue: Catalogue, publish: Callable[[list[ItemVector]], None]) -> None:
        if not self._busy and not self._wait_for_quiet():
            return
        try:
            encoder = self._open(catalogue)
        except Exception as error:  # recommending goes on without text
            self.fault = str(error)
            _log.error("there are no vectors: %s", error)
            return
        worker = EncodeWorker(encoder, self._cache, publish)
        with self._changed:
            self._encoder, self._worker = encoder, worker
            self._waiting.update(dict.fromkeys(item.item_id for item in catalogue.items()))
        while ids := self._take():
            for item_id in ids:
                item = catalogue.item(item_id)
                if item is not None:
                    wanted = content_hash(item_text(item), encoder.name)
                    if wanted != catalogue.content_hash(item_id):
                        worker.enqueue(item)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _open(self, catalogue: Catalogue) -> Encoder:
        name = self._configured
        if name == "auto":
            choice = choose_encoder([item_text(item) for item in catalogue.items()])
            self.choice = f"{choice.why} {choice.warning}".strip()
            _log.info("%s", choice.why)
            if choice.warning:
                _log.warning("%s", choice.warning)
            name = choice.name
        return open_encoder(name)

    def _wait_for_quiet(self) -> bool:
        """Whether items came; returns when none came for a moment."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            seen, until = 0, time.monotonic() + 100 * QUIET
            while seen != len(self._waiting) and time.monotonic() < until and not self._closed:
                seen = len(self._waiting)
                self._changed.wait_for(lambda: self._closed, QUIET)
            return not self._closed

    def _take(self) -> list[str]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            ids = list(self._waiting)
            self._waiting.clear()
            self._busy = True
            return ids
