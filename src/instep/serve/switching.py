"""The language models that are open: which name opens which, and the worker of each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec

from instep.domain import ConfigError, ItemVector
from instep.encode import (
    Encoder,
    EncodeWorker,
    VectorCache,
    choose_encoder,
    content_hash,
    item_text,
    multilingual_installed,
    open_encoder,
)
from instep.serve.texts import Catalogue

REST: Final = 1.0
"""Beside requests: a pause after each batch, in times of what the batch took."""
_log = logging.getLogger("instep.encode")


class Reader:
    """An open language model, and the worker that brings its vectors of changed texts into the log.

    Args:
        encoder: the model.
        cache: vectors known already.
        publish: takes vectors.
    """

    def __init__(
        self, encoder: Encoder, cache: VectorCache, publish: Callable[[Sequence[ItemVector]], None]
    ) -> None:
        self.encoder = encoder
        self.worker = EncodeWorker(encoder, cache, publish)

    @property
    def name(self) -> str:
        """Model and version."""
        return self.encoder.name

    def notice(self, catalogue: Catalogue, item_id: str) -> None:
        """Have an item read if the vector that it has is not that of its present text.

        Args:
            catalogue: where the item and the hash of its vector are looked up.
            item_id: of an item that was put or changed.
        """
        item = catalogue.item(item_id)
        if item is None:
            return
        if content_hash(item_text(item), self.name) != catalogue.content_hash(item_id, self.name):
            self.worker.enqueue(item)

    def close(self) -> None:
        """Stop the worker after the batch in hand."""
        self.worker.close()


class Readers:
    """Open models by the name of their encoder. Used by one thread; `get` by any.

    Which name in a configuration opened which encoder is kept in a file, so that after a restart the model of the
    live space is found although the configuration names another by now. The file may be deleted.

    Args:
        file: where that is kept; None keeps it in memory.
        cache: vectors known already.
    """

    def __init__(self, file: Path | None, cache: VectorCache) -> None:
        self._file = file
        self._cache = cache
        self._open: dict[str, Reader] = {}
        self._opens: dict[str, str] = _read(file)  # encoder -> the name that opens it
        self.choice = ""

    def get(self, encoder: str) -> Reader | None:
        """The open model of an encoder."""
        return self._open.get(encoder)

    def all(self) -> list[Reader]:
        """Every open model."""
        return list(self._open.values())

    def open(self, name: str, catalogue: Catalogue) -> Reader:
        """The model that a configuration names, opened unless it is open. Raises what `open_encoder` raises.

        Args:
            name: as `open_encoder` takes it; ``auto`` looks at the catalogue.
            catalogue: whose items it will read.
        """
        name = self._chosen(catalogue) if name == "auto" else name
        for encoder, opens in self._opens.items():
            if opens == name and encoder in self._open:
                return self._open[encoder]
        encoder_ = open_encoder(name)
        reader = self._open.get(encoder_.name) or Reader(encoder_, self._cache, catalogue.publish)
        self._open[reader.name] = reader
        if self._opens.get(reader.name) != name:
            self._opens[reader.name] = name
            self._save()
        return reader

    def find(self, encoder: str, catalogue: Catalogue) -> Reader | None:
        """The model of an encoder by its own name, opened if it can be; None when nothing here opens it.

        Args:
            encoder: the name that its vectors bear.
            catalogue: whose items it will read.
        """
        names = [self._opens[encoder]] if encoder in self._opens else []
        names += ["english"] + (["multilingual"] if multilingual_installed() else [])
        before = set(self._open)
        for name in names:
            if encoder in self._open:
                break
            try:
                found = self.open(name, catalogue)
            except (ConfigError, OSError) as error:
                _log.warning("%s could not be opened for the text space that is live: %s", name, error)
                continue
            if found.name not in (encoder, *before):
                self._open.pop(found.name).close()
        return self._open.get(encoder)

    def keep(self, encoders: Collection[str]) -> None:
        """Close the models of all other encoders."""
        for encoder in [each for each in self._open if each not in encoders]:
            self._open.pop(encoder).close()

    def _chosen(self, catalogue: Catalogue) -> str:
        choice = choose_encoder([item_text(item) for item in catalogue.items()])
        self.choice = f"{choice.why} {choice.warning}".strip()
        _log.info("%s", choice.why)
        if choice.warning:
            _log.warning("%s", choice.warning)
        return choice.name

    def _save(self) -> None:
        if self._file is None:
            return
        part = self._file.with_suffix(".partial")
        try:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(self._opens)) + b"\n")
            part.replace(self._file)
        except OSError as error:  # the next start may not find the model of the live space; all else goes on
            _log.warning("%s could not be written: %s", self._file, error)


def _read(file: Path | None) -> dict[str, str]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str]) if file is not None else {}
    except (OSError, msgspec.DecodeError):
        return {}
