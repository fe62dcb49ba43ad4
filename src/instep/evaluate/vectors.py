"""The language model's vectors of a stream's catalogue, as the records that the service would log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from instep.domain import ItemVector
from instep.encode import VectorCache, content_hash, encode_all, item_text, open_encoder, to_bytes
from instep.evaluate.stream import Stream


def item_vectors(
    stream: Stream,
    encoder: str = "auto",
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ItemVector]:
    """Encode every item that has a text.

    Args:
        stream: whose catalogue.
        encoder: as `instep.encode.open_encoder` takes it.
        cache: where vectors are kept between runs; None encodes anew.
        progress: called with (texts done, texts in all).

    Returns:
        One record an item with a text, in the stream's order of items.
    """
    texts = {
        item_id: text
        for item_id in stream.items
        if (item := stream.catalogue.get(item_id)) is not None and (text := item_text(item))
    }
    if not texts:
        return []
    model = open_encoder(encoder, list(texts.values()))
    keys = {item_id: content_hash(text, model.name) for item_id, text in texts.items()}
    store = VectorCache(cache)
    try:
        known = store.get(keys.values())
        missing = sorted({text for item_id, text in texts.items() if keys[item_id] not in known})
        vectors = encode_all(model, missing, progress=progress)
        fresh = {
            content_hash(text, model.name): to_bytes(vector)
            for text, vector in zip(missing, vectors, strict=True)
        }
        store.put(fresh)
    finally:
        store.close()
    known |= fresh
    start = float(stream.t[0])
    return [
        ItemVector(f"vector:{item_id}", item_id, start, model.name, key, known[key])
        for item_id, key in keys.items()
    ]
