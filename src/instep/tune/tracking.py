"""Where a run tells its numbers: TensorBoard, Weights & Biases, MLflow, and always losses.jsonl."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from instep.domain import ConfigError

TRACKERS: Final = ("tensorboard", "wandb", "mlflow", "none")
_EXTRA: Final = {"tensorboard": "tune", "wandb": "wandb", "mlflow": "mlflow"}


class Tracker(Protocol):
    """Is told how a run goes."""

    def start(self, config: Mapping[str, Any]) -> None:
        """Before the first step."""
        ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """After a step, or a validation."""
        ...

    def finish(self) -> None:
        """After the last one, also when the run failed."""
        ...


class Losses:
    """losses.jsonl: one object a line; lines after the step that a run is taken up at are dropped.

    Args:
        path: the file.
        step: the step after which it goes on.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        self._path = path
        if path.exists():
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(line for line in lines if _step(line) <= step))

    def start(self, config: Mapping[str, Any]) -> None:
        """Nothing: the version's own file has the configuration."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode({"step": step, **values}) + b"\n")

    def finish(self) -> None:
        """Nothing is open."""


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))

    def start(self, config: Mapping[str, Any]) -> None:
        self._writer.add_text("config", msgspec.json.encode(config).decode())

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """Offline unless WANDB_MODE says otherwise: nothing of a shop leaves the machine by default."""

    def __init__(self, folder: Path) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run: Any = wandb.init(
            project="instep", dir=str(folder), mode=mode, settings=wandb.Settings(silent=True)
        )

    def start(self, config: Mapping[str, Any]) -> None:
        self._run.config.update(dict(config))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def finish(self) -> None:
        self._run.finish()


class _MLflow:
    """In a SQLite file unless MLFLOW_TRACKING_URI says otherwise."""

    def __init__(self, folder: Path) -> None:
        import mlflow

        folder.mkdir(parents=True, exist_ok=True)
        uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{folder.resolve()}/mlflow.db")
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment("instep")
        self._mlflow: Any = mlflow
        mlflow.start_run()

    def start(self, config: Mapping[str, Any]) -> None:
        self._mlflow.log_params({name: str(value)[:500] for name, value in config.items()})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step)

    def finish(self) -> None:
        self._mlflow.end_run()


def open_trackers(names: Sequence[str], folder: Path) -> list[Tracker]:
    """The trackers of these names.

    Args:
        names: of `TRACKERS`.
        folder: where each keeps its files, in a folder of its name.

    Raises:
        ConfigError: there is no such tracker, or its package is missing.
    """
    kinds: dict[str, Callable[[Path], Tracker]] = {
        "tensorboard": _TensorBoard,
        "wandb": _WeightsAndBiases,
        "mlflow": _MLflow,
    }
    found: list[Tracker] = []
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(f"tracker {name!r}: there are {', '.join(TRACKERS)}")
        if name == "none":
            continue
        if find_spec(name) is None:
            raise ConfigError(f"tracker {name!r} is not installed: pip install 'instep[{_EXTRA[name]}]'")
        found.append(kinds[name](folder / name))
    return found


def _step(line: bytes) -> int:
    try:
        return int(msgspec.json.decode(line)["step"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return 1 << 60  # torn by a kill
