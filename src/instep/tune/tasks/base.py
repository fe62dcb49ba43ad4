"""What a model is tuned for: a task turns examples into batches, batches into a loss, and says how good the model is.

A batch is a function of the step's random generator alone (and of what `mined` was told last), so a run that was killed
goes on with the very batches it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.tune.examples import Examples
from instep.tune.models import TextModel, encode_ids, vectors

TASKS: Final = {
    "matching": "instep.tune.tasks.matching:Matching",
    "acts": "instep.tune.tasks.acts:NextAct",
    "rating": "instep.tune.tasks.rating:Rating",
    "masked": "instep.tune.tasks.texts:Masked",
    "simcse": "instep.tune.tasks.texts:SimCse",
    "ranking": "instep.tune.tasks.ranking:Ranking",
}
"""Name -> where its class is; imported when it is asked for."""
State = dict[str, NDArray[Any]]


class Task(Protocol):
    """One thing to tune for."""

    name: str
    score: str
    """Which of the numbers of `validate` is to be as high as can be."""

    def prepare(self, examples: Examples, model: TextModel) -> None:
        """Read the examples once. Raises ConfigError when they hold nothing for this task."""
        ...

    def head(self) -> Any:
        """A torch module that is trained with the model and is the task's own; None without one."""
        ...

    def batch(self, rng: np.random.Generator) -> Any:
        """The examples of one step."""
        ...

    def loss(self, net: Any, batch: Any) -> Any:
        """A scalar tensor. `net` is what `make_net` gives."""
        ...

    def validate(self, net: Any) -> dict[str, float]:
        """Numbers on the newest acts, which no batch holds."""
        ...

    def mined(self, net: Any) -> State:
        """What later batches take from the model as it is now (hard negatives); {} for nothing."""
        ...

    def restore(self, state: State) -> None:
        """Take back what `mined` once gave."""
        ...


def make_task(name: str, settings: dict[str, Any] | None = None) -> Task:
    """A task by name.

    Args:
        name: one of `TASKS`.
        settings: its own, by name.

    Raises:
        ConfigError: there is no such task, or it has no such setting.
    """
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}; there are {', '.join(TASKS)}")
    module, _, kind = TASKS[name].partition(":")
    try:
        return cast(Task, getattr(import_module(module), kind)(**(settings or {})))
    except ModuleNotFoundError as error:
        raise ConfigError(f"task {name!r}: {error}") from error
    except TypeError as error:
        raise ConfigError(f"task {name!r}: {str(error).split('() ')[-1]}") from None


class Plain:
    """What tasks have in common that mine nothing and need no head."""

    def head(self) -> Any:
        """No head."""
        return None

    def mined(self, net: Any) -> State:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing."""


def make_net(model: TextModel, body: Any, task: Task) -> Any:
    """What is trained as one torch module: the model and the task's head.

    Args:
        model: how its vectors are read.
        body: the model as `methods.prepare` gave it.
        task: prepared.

    Returns:
        A module whose forward turns a batch into the task's loss; `vectors` and `encode` read texts.
    """
    import torch

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.head = task.head()
            self.pad = model.tokenizer.pad_token_id or 0

        def forward(self, batch: Any) -> Any:
            return task.loss(self, batch)

        def vectors(self, ids: Sequence[Sequence[int]]) -> Any:
            return vectors(self.body, ids, model.pooling, self.pad)

        def encode(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
            return encode_ids(self.body, ids, model.pooling, self.pad)

    return Net()
