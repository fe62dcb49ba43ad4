"""The language model beside the service: chosen and loaded when an item first needs it, in the background.

`encoder = "auto"` looks at the whole catalogue each time a folder is opened. For a folder that is still
empty it waits until the first items have been quiet for a moment, so that an import decides by its
catalogue and not by its first title.

Another model may be wanted at any time (`Encoding.want`). It reads the whole catalogue beside the live one, and when
every item has its vector, one record has requests read those (docs/decisions/0011-swap.md).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import Entry, ItemPatch, ItemPut, StageError
from instep.encode import Kind, VectorCache
from instep.serve.switching import REST, Reader, Readers
from instep.serve.terminal import Report
from instep.serve.texts import Catalogue

QUIET: Final = 0.3
LOOK: Final = 0.02  # seconds between looks whether the last vector is there
LOOKED_AT_ONCE: Final = 8
REFUSED_SHARE: Final = 0.01
_log = logging.getLogger("instep.encode")


class Switching(NamedTuple):
    """A switch that is under way.

    Args:
        encoder: whose space will be live.
        done, total: items that have its vector, and all of them.
    """

    encoder: str
    done: int
    total: int


class Encoding:
    """An encoder that is there once it is needed, and the workers that keep vectors in step with texts.

    It is also the `Encoder` a flow searches with: until the model is loaded, `encode` raises `StageError`.

    Args:
        name: the configured encoder: ``auto``, ``english`` ... (see `open_encoder`).
        cache: file of the vectors known already.

    Attributes:
        fault: why the model that was wanted last does not serve; "" when all is well.
    """

    def __init__(self, name: str, cache: Path | None) -> None:
        self.fault = ""
        self._cache = VectorCache(cache)
        self._readers = Readers(cache and cache.with_name("encoders.json"), self._cache)
        self._changed = threading.Condition()
        self._waiting: dict[str, None] = {}  # item ids in order of arrival
        self._busy = False
        self._asked = name  # what is wanted, as `open_encoder` takes it
        self._new = True  # whether it has not been looked at yet
        self._wanted: Reader | None = None
        self._live: Reader | None = None
        self._previous = ""  # encoder of the space beside while all of it was live before
        self._total = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def choice(self) -> str:
        """Which model ``auto`` took and why; "" until then."""
        return self._readers.choice

    @property
    def wanted(self) -> str:
        """What is wanted, as `want` or the configuration named it."""
        return self._asked

    @property
    def name(self) -> str:
        """Model and version that searches are read by; what is wanted until one is loaded."""
        reader = self._live or self._wanted
        return reader.name if reader else self._asked

    @property
    def dimensions(self) -> int:
        """Length of a vector; 0 until the model is loaded."""
        reader = self._live or self._wanted
        return reader.encoder.dimensions if reader else 0

    @property
    def pending(self) -> int:
        """Items whose vector is not there yet."""
        with self._changed:
            return len(self._waiting) + sum(reader.worker.pending for reader in self._readers.all())

    @property
    def switching(self) -> Switching | None:
        """How far the switch is that is under way; None when there is none."""
        wanted, live = self._wanted, self._live
        if wanted is None or wanted is live:
            return None
        return Switching(wanted.name, max(0, self._total - wanted.worker.pending), self._total)

    @property
    def share(self) -> float:
        """Share of the items that the wanted model has read; 1 when it is live."""
        under_way = self.switching
        return under_way.done / max(1, under_way.total) if under_way else 1.0

    def encode(self, texts: Sequence[str], kind: Kind = "item") -> NDArray[np.float32]:
        """Texts to unit vectors (see `Encoder.encode`). Raises `StageError` until the model is loaded."""
        return self.encode_for("", texts, kind)

    def encode_for(self, encoder: str, texts: Sequence[str], kind: Kind = "query") -> NDArray[np.float32]:
        """The same by the model of a text space.

        Args:
            encoder: the space's, as the state names it; "" where it has none yet.
            texts: any number.
            kind: items or queries.

        Returns:
            float32 (len(texts), d), rows of length 1.

        Raises:
            StageError: that model is not open (or no longer to be had, until the switch to the wanted one is over).
        """
        reader = self._readers.get(encoder) if encoder else self._live or self._wanted
        if reader is None:
            raise StageError(self.fault or "the language model is not loaded: there are no items yet")
        return reader.encoder.encode(texts, kind)

    def want(self, name: str) -> None:
        """Have another model's vectors live, as soon as every item has one; returns at once.

        The live model goes on until then, and for good when the other one fails. Going back to the one before the
        last switch needs no reading. Called before `start` it replaces the configured model.

        Args:
            name: as `open_encoder` takes it: a version's ``model`` folder, ``auto``, ``english`` ...
        """
        with self._changed:
            self._asked, self._new = name, True
            self._changed.notify_all()

    def start(self, catalogue: Catalogue) -> None:
        """Begin to encode: first the items whose vector is missing or of another model, then what is noticed."""
        self._busy = next(iter(catalogue.items()), None) is not None
        self._thread = threading.Thread(
            target=self._run, args=(catalogue,), name="instep-encoding", daemon=True
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
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._unsettled() or self.switching or self._closed, 0.1)
            for reader in self._readers.all():
                reader.worker.drain(progress=lambda done, total: report(work, done, total, "texts"))
            with self._changed:
                if self._closed or not (self._unsettled() or self.switching):
                    return
                self._changed.wait(LOOK)

    def close(self) -> None:
        """Stop after the batch in hand; the next start goes on from there. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join()
        self._readers.keep(())
        self._cache.close()

    def _unsettled(self) -> bool:
        """Whether something is wanted or has changed that has not been looked at."""
        if self._wanted is None:  # of a folder without items, nothing is known yet
            return not self.fault and (bool(self._waiting) or self._busy)
        return bool(self._waiting) or self._busy or self._new

    def _run(self, catalogue: Catalogue) -> None:
        if not self._busy and not self._wait_for_quiet():
            return
        while self._wait_for_work():
            if self._new:
                self._turn(catalogue)
            self._read(catalogue)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
            self._complete(catalogue)

    def _turn(self, catalogue: Catalogue) -> None:
        """Turn to the model that is wanted now, and look at every item."""
        with self._changed:
            asked, self._new, self._busy = self._asked, False, True
        live, beside = catalogue.encoders()
        wanted: Reader | None
        try:
            wanted, self.fault = self._readers.open(asked, catalogue), ""
        except Exception as error:  # recommending goes on with the live model, or without text
            self.fault = str(error)
            _log.error("the language model %s does not serve: %s", asked, error)
            self._live = self._readers.find(live, catalogue) if live else None
            wanted = self._wanted or self._live
        if wanted is None:
            return
        self._live = self._readers.find(live, catalogue) if live else wanted
        items = [item.item_id for item in catalogue.items()]
        with self._changed:
            self._wanted, self._total = wanted, len(items)
            self._waiting.update(dict.fromkeys(items))
        self._readers.keep({wanted.name, live, self._previous})
        wanted.worker.rest = 0.0 if wanted is self._live else REST
        if wanted.name == beside == self._previous:
            self._switch(catalogue, wanted)
        elif wanted is not self._live:
            self._previous = ""  # the vectors of the one before make room for those of the wanted one

    def _read(self, catalogue: Catalogue) -> None:
        """Have the items that changed read by the live model and by the one that is wanted."""
        readers = {reader for reader in (self._live, self._wanted) if reader is not None}
        for place, item_id in enumerate(self._take()):
            if self._new or self._closed:  # all are looked at again
                break
            for reader in readers:
                reader.notice(catalogue, item_id)
            if self.switching and place % LOOKED_AT_ONCE == 0:
                time.sleep(0.001)  # many items: the interpreter belongs to the requests

    def _complete(self, catalogue: Catalogue) -> None:
        """Switch when the wanted model has read everything."""
        wanted = self._wanted
        if wanted is None or wanted is self._live or self._new or wanted.worker.pending or self._waiting:
            return
        if wanted.worker.given_up > REFUSED_SHARE * self._total:
            self.fault = f"{wanted.name} could not read {wanted.worker.given_up} of {self._total} items"
            _log.error("no switch: %s", self.fault)
            self._wanted = self._live
            return
        if catalogue.encoders()[1] == wanted.name:  # else there was no item to read yet
            self._switch(catalogue, wanted)

    def _switch(self, catalogue: Catalogue, wanted: Reader) -> None:
        try:
            catalogue.switch(wanted.name)
        except Exception as error:  # the log cannot be written now: at the next look
            _log.warning("the switch to %s is to be tried again: %s", wanted.name, error)
            with self._changed:
                self._changed.wait_for(lambda: self._closed, 1.0)
            return
        live, self._previous = catalogue.encoders()
        self._live = wanted
        wanted.worker.rest = 0.0
        self._readers.keep({live, self._previous})
        _log.info("requests read the vectors of %s", live)

    def _wait_for_quiet(self) -> bool:
        """Whether items came; returns when none came for a moment."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            seen, until = 0, time.monotonic() + 100 * QUIET
            while seen != len(self._waiting) and time.monotonic() < until and not self._closed:
                seen = len(self._waiting)
                self._changed.wait_for(lambda: self._closed, QUIET)
            return not self._closed

    def _wait_for_work(self) -> bool:
        """Until something is wanted or has changed, or a switch may be complete; False once closed."""
        with self._changed:
            there = self._changed.wait_for
            while not there(self._has_work, LOOK if self.switching else None):
                if self._wanted is not None and not self._wanted.worker.pending:
                    break
            return not self._closed

    def _has_work(self) -> bool:
        return self._closed or self._new or (bool(self._waiting) and self._wanted is not None)

    def _take(self) -> list[str]:
        with self._changed:
            if self._wanted is None:
                return []
            ids = list(self._waiting)
            self._waiting.clear()
            self._busy = True
            return ids
