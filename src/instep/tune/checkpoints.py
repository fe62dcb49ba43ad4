"""Checkpoints: all a run needs to go on, whole or not at all, two of them.

step-00000020/
  tensors.safetensors   weights, the best weights, the optimiser's, the random state, what was mined
  progress.json         numbers, and the BLAKE2b of the tensors' file
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from instep.tune.version import sync

KEEP: Final = 2
TENSORS: Final = "tensors.safetensors"
NUMBERS: Final = "progress.json"
_log = logging.getLogger("instep.tune")


class Progress(msgspec.Struct):
    """How far a run is.

    Args:
        step: steps done.
        best: the step of the best weights; 0 for the model before.
        best_score: its score.
        worse: validations since.
        seconds: spent in steps.
        losses: of every step.
        before: the task's numbers before the first step.
        after: the task's numbers of the best weights.
        best_weights: tensors by name.
        mined: what the task mined last.
        extra: numbers of the optimiser and the method.
        digest: of the file of tensors.
    """

    step: int = 0
    best: int = 0
    best_score: float = -1e30
    worse: int = 0
    seconds: float = 0.0
    losses: list[float] = []
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    best_weights: dict[str, Any] = {}
    mined: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    digest: str = ""


def save(
    place: Path, at: Progress, tensors: dict[str, Any], optimiser: Any, more: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint; on disk in full before it has its name. The two newest are kept.

    Args:
        place: the run's folder.
        at: how far it is.
        tensors: what is trained, by name.
        optimiser: whose state goes along.
        more: further tensors by name, such as those that a method keeps.
    """
    import torch
    from safetensors.torch import save_file

    held = {f"weights.{name}": each.detach() for name, each in tensors.items()}
    held |= {f"best.{name}": each for name, each in at.best_weights.items()}
    held |= {f"mined.{name}": torch.from_numpy(np.ascontiguousarray(each)) for name, each in at.mined.items()}
    held |= {f"more.{name}": each.detach() for name, each in (more or {}).items()}
    held["random"] = torch.get_rng_state()
    numbers: dict[str, float] = {}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            if torch.is_tensor(value):
                held[f"optimiser.{index}.{name}"] = value
            elif value is not None:
                numbers[f"{index}.{name}"] = value
    draft = place / f".draft-{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    save_file({name: each.cpu().contiguous().clone() for name, each in held.items()}, str(draft / TENSORS))
    whole = msgspec.structs.replace(
        at,
        best_weights={},
        mined={},
        extra=at.extra | {"optimiser": numbers},
        digest=_digest(draft / TENSORS),
    )
    (draft / NUMBERS).write_bytes(msgspec.json.encode(whole))
    for path in (draft / TENSORS, draft / NUMBERS, draft):
        sync(path)
    name = place / f"step-{at.step:08d}"
    shutil.rmtree(name, ignore_errors=True)
    draft.rename(name)
    sync(place)
    for old in sorted(place.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)


def load(
    place: Path, tensors: dict[str, Any], optimiser: Any, more: dict[str, Any] | None = None
) -> Progress | None:
    """Take up the newest sound checkpoint; a damaged one is told of and passed over.

    Args:
        place: the run's folder.
        tensors: overwritten, by name.
        optimiser: overwritten.
        more: overwritten with the further tensors of the same name.

    Returns:
        How far the run was, or None without a checkpoint.
    """
    for folder in sorted(place.glob("step-*"), reverse=True):
        try:
            return _read(folder, tensors, optimiser, more if more is not None else {})
        except Exception as error:  # damaged in any way: its parsers raise what they like
            _log.warning("checkpoint %s cannot be used (%s); going on from the one before", folder, error)
    return None


def _read(folder: Path, tensors: dict[str, Any], optimiser: Any, more: dict[str, Any]) -> Progress:
    import torch
    from safetensors.torch import load_file

    at = msgspec.json.decode((folder / NUMBERS).read_bytes(), type=Progress)
    if _digest(folder / TENSORS) != at.digest:
        raise ValueError("its tensors do not match their checksum")
    held = load_file(str(folder / TENSORS))
    parts: dict[str, dict[str, Any]] = {}
    for name, each in held.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = each
    weights = parts.get("weights", {})
    if weights.keys() != tensors.keys():
        raise ValueError("it is of another model or method")
    state: dict[int, dict[str, Any]] = {}
    for name, each in parts.get("optimiser", {}).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = each
    for name, value in at.extra.get("optimiser", {}).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    with torch.no_grad():
        for name, each in weights.items():
            tensors[name].copy_(each)
    more |= parts.get("more", {})
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    torch.set_rng_state(held["random"])
    at.best_weights = parts.get("best", {})
    at.mined = {name: each.numpy() for name, each in parts.get("mined", {}).items()}
    return at


def drop(place: Path) -> None:
    """Delete a run's checkpoints: it has ended."""
    for folder in place.glob("step-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def newest(place: Path) -> int:
    """The step of the newest checkpoint that is whole; 0 without one."""
    for folder in sorted(place.glob("step-*"), reverse=True):
        try:
            at = msgspec.json.decode((folder / NUMBERS).read_bytes(), type=Progress)
            if _digest(folder / TENSORS) == at.digest:
                return at.step
        except (OSError, msgspec.DecodeError):
            continue
    return 0
