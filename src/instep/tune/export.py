"""From a torch sentence encoder to the folder that serves: ONNX with 8-bit weights, tokenizer, recipe.

Which form was measured on two cores, MiniLM, 1,500 film titles with genres; cosine and overlap of the ten nearest
are against float32 (`benchmarks/quantised.py` measures the one that was taken):

| form | MB | texts a CPU second | one text, ms | cosine | overlap | batches exactly |
|---|---|---|---|---|---|---|
| float32 | 91 | 676 | 3.9 | 1 | 1 | yes |
| dynamic int8, a scale a channel, 7 bits | 23 | 787 | 1.4 | 0.992 | 0.84 | no |
| 8-bit weights, a scale for 32, embeddings in float32 | 60 | 736 | 2.2 | 0.9996 | 0.97 | yes |
| the same, a scale for 64 | 60 | 849 | 1.7 | 0.9994 | 0.96 | yes |
| a scale for 128 | 59 | 589 | 2.0 | 0.9990 | 0.96 | no |
| a scale for 32, embeddings in 8 bits with one scale | 24 | 762 | 2.1 | 0.9992 | 0.95 | yes |
| **a scale for 32, embeddings in 8 bits, a scale a row** | 25 | 708 | 2.0 | 0.9996 | 0.97 | yes |

Dynamic quantisation rounds activations by the largest of a whole batch: one vector depends on its neighbours, so
texts must go one by one, and every sixth of the ten nearest items is another one. Weights in blocks (`MatMulNBits`,
accuracy level 4: activations are rounded too, but a row's block at a time) give what float32 gives, at the speed of
int8. Blocks of 32 are taken: the overlap leaves room for models that are harder to quantise. Static quantisation
(QDQ) was not measured: it would need texts to calibrate by, which differ from shop to shop.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.resources import files
from inspect import signature
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.encode import open_folder
from instep.encode.onnx import MAX_TOKENS, Pooling, pool
from instep.encode.text import readable
from instep.encode.vectors import unit_rows
from instep.tune.methods import merged

EXTRA: Final = "pip install 'instep[tune]'"
BLOCK: Final = 32
SMALL: Final = 64
"""Tables with fewer rows are left in float32."""
LEAST_OVERLAP: Final = 0.9
LEAST_COSINE: Final = 0.98
NEAREST: Final = 10
_FLAGS: Final[dict[Pooling, str]] = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "last": "pooling_mode_lasttoken",
}


class Exported(NamedTuple):
    """What an export gave.

    Args:
        encoder_name: the identity its vectors bear; `instep.encode.open_folder` gives it again.
        cosine: mean cosine of its vectors to the torch model's.
        overlap: mean share of the torch model's ten nearest texts that are among its ten nearest.
    """

    encoder_name: str
    cosine: float
    overlap: float


class Encodes(Protocol):
    """What the two sides of a comparison do."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, float32 (n, d)."""
        ...


def export_encoder(
    model: Any,
    tokenizer: Any,
    folder: Path,
    pooling: str = "mean",
    max_tokens: int = 256,
    texts: Sequence[str] | None = None,
) -> Exported:
    """Write a torch encoder as a folder that `instep.encode.open_folder` opens.

    Args:
        model: a transformers encoder; adapters of peft are merged into a copy of it where they can be.
        tokenizer: its fast tokenizer.
        folder: gets model.onnx, tokenizer.json and the recipe; made if missing.
        pooling: ``mean``, ``cls``, ``max`` or ``last``.
        max_tokens: texts are cut to so many tokens.
        texts: what the comparison with the torch model is made on, at least 20; by default titles of ours.

    Raises:
        ConfigError: a package is missing, the model cannot be exported, or what came out does not agree with it.
    """
    if pooling not in get_args(Pooling):
        raise ConfigError(f"pooling {pooling!r}: must be one of {', '.join(get_args(Pooling))}")
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError("the tokenizer has no fast form, hence no tokenizer.json: this model cannot serve")
    folder.mkdir(parents=True, exist_ok=True)
    length = min(max_tokens, MAX_TOKENS)
    plain = merged(model)
    with _as_it_serves(plain), tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "float32.onnx"
        _to_onnx(plain, tokenizer, whole)
        _quantise(whole, folder / "model.onnx")
        _write_recipe(tokenizer, folder, cast(Pooling, pooling), length)
        served = open_folder(folder)
        own = TorchEncoder(plain, tokenizer, cast(Pooling, pooling), length)
        cosine, overlap = agreement(own, served, texts or sample_texts())
    if overlap < LEAST_OVERLAP or cosine < LEAST_COSINE:
        raise ConfigError(
            f"the exported model does not agree with the tuned one: cosine {cosine:.4f} (at least {LEAST_COSINE}), "
            f"overlap of the {NEAREST} nearest {overlap:.3f} (at least {LEAST_OVERLAP}); it must not serve"
        )
    return Exported(served.name, cosine, overlap)


def agreement(fp32: Encodes, int8: Encodes, texts: Sequence[str]) -> tuple[float, float]:
    """How alike two encoders see the same texts.

    Args:
        fp32: the one to go by.
        int8: the other.
        texts: distinct, more than `NEAREST` + 1.

    Returns:
        Mean cosine of the vectors, and mean overlap of each text's `NEAREST` nearest others.
    """
    if len(texts) < 2 * NEAREST:
        raise ConfigError(f"{len(texts)} texts are too few to compare encoders by; {2 * NEAREST} at least")
    one, other = fp32.encode(texts), int8.encode(texts)
    if one.shape != other.shape:
        raise ConfigError(f"the encoders give vectors of {one.shape[1]} and {other.shape[1]} dimensions")
    shared = [
        len(set(a.tolist()) & set(b.tolist())) for a, b in zip(nearest(one), nearest(other), strict=True)
    ]
    return float((one * other).sum(axis=1).mean()), float(np.mean(shared)) / NEAREST


def nearest(vectors: NDArray[np.float32], k: int = NEAREST) -> NDArray[np.int64]:
    """The k nearest others of each row by cosine, int64 (n, k).

    >>> nearest(np.array([[1, 0], [0.9, 0.1], [0, 1]], np.float32), 1).ravel().tolist()
    [1, 0, 1]
    """
    found = np.empty((len(vectors), k), np.int64)
    for row, vector in enumerate(vectors):
        cosine = vectors @ vector
        cosine[row] = -np.inf
        found[row] = np.argsort(-cosine, kind="stable")[:k]
    return found


def sample_texts() -> list[str]:
    """Titles that come with Instep, in the languages that need no more than ASCII."""
    lines = (files("instep.encode") / "data" / "multilingual-sample.tsv").read_text("utf-8").splitlines()
    return list(dict.fromkeys(line.split("\t")[-1] for line in lines if line.isascii() and line.strip()))[
        :400
    ]


class TorchEncoder:
    """The torch model as an encoder: what an export is compared with.

    Args:
        model: a transformers encoder, not in training mode.
        tokenizer: its tokenizer.
        pooling: how token vectors become one.
        max_tokens: texts are cut to so many.
        batch: texts a run; only texts of one length share one, so nothing is padded.
    """

    def __init__(
        self, model: Any, tokenizer: Any, pooling: Pooling = "mean", max_tokens: int = 256, batch: int = 32
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._pooling, self._max_tokens, self._batch = pooling, max_tokens, batch

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to unit vectors, float32 (n, d)."""
        from instep.encode.onnx import equal_length_batches

        torch = _torch()
        read = [readable(text) for text in texts]
        ids = self._tokenizer(read, truncation=True, max_length=self._max_tokens)["input_ids"]
        parts = []
        for rows in equal_length_batches([len(row) for row in ids], self._batch):
            batch = torch.tensor([ids[row] for row in rows])
            with torch.inference_mode():
                hidden = _hidden(self._model, batch, torch.ones_like(batch)).float().numpy()
            parts.append((rows, unit_rows(pool(hidden, self._pooling))))
        vectors = np.empty((len(texts), parts[0][1].shape[1]), np.float32)
        for rows, part in parts:
            vectors[rows] = part
        return vectors


def _hidden(model: Any, ids: Any, mask: Any) -> Any:
    given = {"input_ids": ids, "attention_mask": mask}
    return model(**given).last_hidden_state


@contextmanager
def _as_it_serves(model: Any) -> Iterator[None]:
    """Without dropout, and with attention in plain operators."""
    training = model.training
    attention = getattr(getattr(model, "config", None), "_attn_implementation", "eager")
    choose = getattr(model, "set_attn_implementation", lambda name: None)
    model.eval()
    choose("eager")
    try:
        yield
    finally:
        choose(attention)
        model.train(training)


def _to_onnx(model: Any, tokenizer: Any, path: Path) -> None:
    """Trace a model with any number of texts and tokens.

    The newer exporter is used: the older one (`dynamo=False`) fixes what depends on the shape, and is wrong at others.
    """
    torch = _torch()

    class TokenVectors(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return _hidden(self.model, input_ids, attention_mask)

    texts = ["a war film, black and white", "red wool socks for a long winter"]
    given = tokenizer(texts, padding=True, return_tensors="pt")
    dims = {
        0: torch.export.Dim("texts", min=1, max=4096),
        1: torch.export.Dim("tokens", min=1, max=MAX_TOKENS),
    }
    inputs = ("input_ids", "attention_mask")
    takes = signature(model.forward).parameters
    missing = set(inputs) - set(takes)
    if missing and not any(each.kind is each.VAR_KEYWORD for each in takes.values()):
        raise ConfigError(f"{type(model).__name__} takes no {', '.join(sorted(missing))}: not a text encoder")
    try:
        with warnings.catch_warnings(), _quiet("torch.onnx"), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                TokenVectors().eval(),
                tuple(given[name] for name in inputs),
                dynamo=True,
                dynamic_shapes=(dims, dims),
                input_names=list(inputs),
                output_names=["last_hidden_state"],
                opset_version=18,
                verbose=False,
            )
            program.save(str(path), external_data=False)
    except ImportError as error:
        raise ConfigError(f"{error.name or 'onnxscript'} is not installed: {EXTRA}") from error
    except Exception as error:  # the exporter's errors share no public root
        first = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ConfigError(f"{type(model).__name__} cannot be exported to ONNX: {first[0]}") from error


def _quantise(source: Path, path: Path) -> None:
    """Float32 ONNX to 8-bit weights in blocks; see the head of this file for why."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        import onnx
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise ConfigError(f"{error.name or 'onnx'} is not installed: {EXTRA}") from error
    finally:  # the module sets up the program's logging when it is imported
        root.handlers[:] = before
        root.setLevel(level)
    ready = source.with_name("ready.onnx")
    with _quiet("onnxruntime.quantization.matmul_nbits_quantizer"), _quiet("root"):
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        quantiser = MatMulNBitsQuantizer(
            onnx.load(str(ready)),
            bits=8,
            block_size=BLOCK,
            is_symmetric=True,
            accuracy_level=4,
        )
        quantiser.process()
        whole = quantiser.model.model
        _round_embeddings(whole.graph)
        onnx.save(whole, str(path))


def _round_embeddings(graph: Any) -> None:
    """Tables that rows are looked up in: int8 with a scale a row, which is applied to the rows that were found."""
    from onnx import helper, numpy_helper

    tables = {each.name: each for each in graph.initializer}
    nodes: list[Any] = []
    rounded: set[str] = set()
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
        if (
            table is None
            or axis != 0
            or len(table.dims) != 2
            or table.data_type != 1
            or table.dims[0] < SMALL
        ):
            nodes.append(node)
            continue
        name, values = table.name, numpy_helper.to_array(table)
        if name not in rounded:
            scale = np.maximum(np.abs(values).max(axis=1, keepdims=True) / 127.0, 1e-12).astype(np.float32)
            whole = np.rint(values / scale).astype(np.int8)
            graph.initializer.extend(
                [
                    numpy_helper.from_array(whole, f"{name}.int8"),
                    numpy_helper.from_array(scale, f"{name}.scale"),
                ]
            )
            rounded.add(name)
        found = node.output[0]
        nodes += [
            helper.make_node("Gather", [f"{name}.int8", node.input[1]], [f"{found}.int8"]),
            helper.make_node("Gather", [f"{name}.scale", node.input[1]], [f"{found}.scale"]),
            helper.make_node("Cast", [f"{found}.int8"], [f"{found}.float"], to=1),
            helper.make_node("Mul", [f"{found}.float", f"{found}.scale"], [found]),
        ]
    read = {name for node in nodes for name in node.input}
    for name in rounded - read:
        graph.initializer.remove(tables[name])
    del graph.node[:]
    graph.node.extend(nodes)


def _write_recipe(tokenizer: Any, folder: Path, pooling: Pooling, max_tokens: int) -> None:
    """What `instep.encode.onnx.read_recipe` reads, in sentence-transformers' layout."""
    backend = tokenizer.backend_tokenizer
    (folder / "tokenizer.json").write_text(backend.to_str(), encoding="utf-8")
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(kinds)
    ]
    (folder / "1_Pooling").mkdir(exist_ok=True)
    written: dict[str, Any] = {
        "modules.json": modules,
        "1_Pooling/config.json": {flag: name == pooling for name, flag in _FLAGS.items()},
        "sentence_bert_config.json": {"max_seq_length": max_tokens, "do_lower_case": False},
    }
    for name, content in written.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library's progress reports to itself."""
    logger = logging.getLogger(None if name == "root" else name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ConfigError(f"torch is not installed: {EXTRA}") from error
    return torch
