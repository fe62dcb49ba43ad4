"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from instep.domain import ConfigError

OPTIMISERS: Final = ("adamw", "sgd", "adamw8bit")
SCHEDULES: Final = ("cosine", "linear", "constant")


def make_optimiser(name: str, parameters: list[Any], lr: float, decay: float) -> Any:
    """A torch optimiser.

    Args:
        name: one of `OPTIMISERS`.
        parameters: what is trained.
        lr: learning rate; the schedule changes it.
        decay: weight decay.

    Raises:
        ConfigError: there is no such optimiser here.
    """
    import torch

    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay, foreach=False)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=decay, momentum=0.9, foreach=False)
    if name == "adamw8bit":
        if find_spec("bitsandbytes") is None:
            raise ConfigError(
                "optimiser 'adamw8bit' needs bitsandbytes, which is not installed: pip install bitsandbytes, "
                "on a machine whose processor it supports; or take adamw"
            )
        bitsandbytes: Any = import_module("bitsandbytes")
        return bitsandbytes.optim.AdamW8bit(parameters, lr=lr, weight_decay=decay)
    raise ConfigError(f"optimiser {name!r}: there are {', '.join(OPTIMISERS)}")


def rate_at(step: int, steps: int, lr: float, schedule: str, warmup: float) -> float:
    """The learning rate of a step.

    Args:
        step: 1 for the first.
        steps: how many there will be.
        lr: after the warm-up.
        schedule: one of `SCHEDULES`.
        warmup: share of the steps in which the rate rises.

    >>> [round(rate_at(step, 10, 1.0, "linear", 0.2), 3) for step in (1, 2, 6, 10)]
    [0.5, 1.0, 0.5, 0.0]
    >>> rate_at(7, 10, 0.5, "constant", 0.0)
    0.5
    """
    rise = warmup * steps
    if step < rise:
        return lr * step / rise
    left = (step - rise) / max(steps - rise, 1e-9)
    if schedule == "linear":
        return lr * max(0.0, 1.0 - left)
    if schedule == "cosine":
        return lr * 0.5 * (1.0 + math.cos(math.pi * min(left, 1.0)))
    return lr
