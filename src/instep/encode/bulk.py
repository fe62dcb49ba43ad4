"""Many texts at once, over several cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from instep.encode.base import Encoder, Kind

CHUNK_TEXTS = 256
Progress = Callable[[int, int], None]


def encode_all(
    encoder: Encoder,
    texts: Sequence[str],
    kind: Kind = "item",
    threads: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Encode many texts; the same bytes as `encoder.encode(texts)`, sooner.

    Texts are taken by length, so that those of equal token count meet and share a run of the model.

    Args:
        encoder: any encoder.
        texts: any number.
        kind: items or queries.
        threads: how many chunks to encode side by side; None means one for each core.
        progress: called with (texts done, texts in all) from the calling thread.

    Returns:
        float32 (len(texts), dimensions), in the order of `texts`.

    >>> from instep.encode import open_encoder
    >>> encode_all(open_encoder("english"), ["tea", "coffee"], threads=2).shape
    (2, 384)
    """
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    chunks = [order[start : start + CHUNK_TEXTS] for start in range(0, len(order), CHUNK_TEXTS)]
    vectors = np.empty((len(texts), encoder.dimensions), np.float32)
    done = 0

    def encode(rows: list[int]) -> NDArray[np.float32]:
        return encoder.encode([texts[row] for row in rows], kind)

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for rows, part in zip(chunks, pool.map(encode, chunks), strict=True):
            vectors[rows] = part
            done += len(rows)
            if progress is not None:
                progress(done, len(texts))
    return vectors
