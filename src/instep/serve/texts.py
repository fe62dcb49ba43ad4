"""What the language model needs of a flow: its items, what was read of them, and the record that switches."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Protocol

from instep.domain import EncoderSwitch, Item, ItemVector
from instep.flow import Flow


class Catalogue(Protocol):
    """What the encoding needs of a flow."""

    def item(self, item_id: str) -> Item | None:
        """An item of the catalogue."""
        ...

    def items(self) -> Iterator[Item]:
        """All items of the catalogue."""
        ...

    def encoders(self) -> tuple[str, str]:
        """Names of the encoders of the live space and of the one beside; "" where there is none."""
        ...

    def content_hash(self, item_id: str, encoder: str) -> str:
        """The hash of the text whose vector of that encoder the item has now; "" when it has none."""
        ...

    def publish(self, vectors: Sequence[ItemVector]) -> None:
        """Append vectors; blocks until they are learned."""
        ...

    def switch(self, encoder: str) -> None:
        """Have requests read that encoder's space; blocks until they do."""
        ...


class Texts:
    """The catalogue of a flow (see `Catalogue`).

    Args:
        flow: whose items they are.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.item = flow.item
        self.items = flow.items

    def encoders(self) -> tuple[str, str]:
        """Names of the encoders of the live space and of the one beside."""
        with self._flow.reading() as model:
            return model.state.names.encoder, model.state.names.beside

    def content_hash(self, item_id: str, encoder: str) -> str:
        """The hash of the text whose vector of that encoder the item has now; "" when it has none."""
        with self._flow.reading() as model:
            state = model.state
            row, names = state.item_number.get(item_id), state.names
            if row is None or encoder not in (names.encoder, names.beside):
                return ""
            live = encoder == names.encoder
            known = state.items.text_known if live else state.beside.known
            content = names.content if live else names.beside_content
            return content[row] if row < len(content) and known[row] else ""

    def publish(self, vectors: Sequence[ItemVector]) -> None:
        """Append vectors; blocks until they are learned."""
        self._flow.observe(vectors)

    def switch(self, encoder: str) -> None:
        """Append the record that exchanges the spaces; blocks until it is learned."""
        self._flow.observe([EncoderSwitch(uuid.uuid4().hex, encoder, time.time())])
