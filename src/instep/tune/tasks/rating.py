"""Regression: how many stars will a user give an item? Mean squared error, against the mean of all ratings."""

from __future__ import annotations

from typing import Any

import numpy as np

from instep.domain import ConfigError
from instep.tune.examples import Examples
from instep.tune.models import TextModel
from instep.tune.tasks.acts import MOST, Cases, Profiled


class Rating(Profiled):
    """Stars from user and item, both as vectors of the model.

    Args:
        batch: ratings a step.
        history: how many of the newest acts are read.
        kind: the type of feedback whose value is told.
        seed: of which ratings are looked at in validation.
    """

    name = "rating"
    score = "gain"

    def __init__(self, batch: int = 32, history: int = 5, kind: str = "rating", seed: int = 0) -> None:
        super().__init__(batch, history)
        self.kind, self.seed = kind, seed

    def prepare(self, examples: Examples, model: TextModel) -> None:
        """Take the ratings of users who acted before."""
        self._read(examples, model)
        number = examples.kinds.index(self.kind) if self.kind in examples.kinds else -1
        rows = np.flatnonzero((examples.acts.kind == number) & np.isfinite(examples.acts.value))
        self._learn = self._cases(rows[rows < examples.split], examples.acts.value)
        held = self._cases(rows[rows >= examples.split], examples.acts.value)
        if len(self._learn.items) < 2 or not len(held.items):
            raise ConfigError(
                f"rating: too few acts of type {self.kind!r} with a value, in the range or in its newest part; the log "
                f"has {', '.join(examples.kinds)}: give --set kind=..."
            )
        rng = np.random.default_rng((self.seed, 2))
        self._held: Cases = held.some(np.sort(rng.permutation(len(held.items))[:MOST]))
        self._mean = float(self._learn.wanted.mean())
        self._spread = float(max(self._learn.wanted.std(), 1e-3))

    def head(self) -> Any:
        """A linear layer to one number, in units of the ratings' spread around their mean."""
        import torch

        layer = torch.nn.Linear(3 * self.width, 1)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        return layer

    def loss(self, net: Any, batch: Cases) -> Any:
        """Mean squared error, in units of the ratings' variance."""
        import torch

        told = net.head(self.pairs(net, batch))[:, 0]
        wanted = torch.from_numpy((batch.wanted - self._mean) / self._spread).to(told.device)
        return torch.nn.functional.mse_loss(told, wanted)

    def validate(self, net: Any) -> dict[str, float]:
        """Root mean squared error in stars, that of the mean, and the share by which it is smaller."""
        told = self.outputs(net, self._held)[:, 0] * self._spread + self._mean
        error = float(np.sqrt(((told - self._held.wanted) ** 2).mean()))
        usual = float(np.sqrt(((self._mean - self._held.wanted) ** 2).mean()))
        return {"rmse": error, "rmse_of_mean": usual, "gain": 1.0 - error / max(usual, 1e-9)}
