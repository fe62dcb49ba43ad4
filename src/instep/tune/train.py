"""The loop: steps, validation on the newest acts, checkpoints that a killed run goes on from with the same numbers.

Everything a step depends on is in a checkpoint: the trained tensors, the optimiser's, the random generator's state,
what was mined. The batch and the learning rate are functions of the step's number. So the resumed run computes what the
unkilled one would have.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from instep.domain import ConfigError
from instep.tune import checkpoints
from instep.tune.checkpoints import Progress
from instep.tune.examples import Examples
from instep.tune.methods import Method, after_step, kept_beside, penalty, prepare, take_back, trained
from instep.tune.models import TextModel, device_of
from instep.tune.optimise import make_optimiser, rate_at
from instep.tune.tasks.base import Task, make_net
from instep.tune.tracking import Tracker

Told = Callable[[str, int, int | None, str], None]
Stop = Callable[[int, dict[str, float]], None]
"""Is told of each validation; a search raises what ends a trial."""
LOSSES: Final = "losses.jsonl"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a run goes.

    Args:
        steps: at most so many.
        minutes: at most so long, of this process; 0 for no limit.
        lr: learning rate after the warm-up.
        optimiser: ``adamw``, ``sgd`` or ``adamw8bit``.
        schedule: ``cosine``, ``linear`` or ``constant``.
        warmup: share of the steps in which the rate rises.
        decay: weight decay.
        clip: largest norm of the gradient; 0 for no limit.
        accumulate: batches a step.
        precision: ``fp32`` or ``bf16``.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda`` ...
        validate_every: steps between validations; 0 for a fifth of all.
        patience: validations without a better score before it stops; 0 for never.
        checkpoint_every: steps between checkpoints.
        mine_every: steps between searches for hard negatives; 0 for none.
        threads: of the processor; 0 for as many as torch takes.
    """

    steps: int = 120
    minutes: float = 0.0
    lr: float = 0.0
    optimiser: str = "adamw"
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.1
    decay: float = 0.01
    clip: float = 1.0
    accumulate: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    device: str = "auto"
    validate_every: int = 0
    patience: int = 3
    checkpoint_every: int = 20
    mine_every: int = 60
    threads: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.accumulate < 1 or self.checkpoint_every < 1 or self.minutes < 0:
            raise ConfigError(
                "steps, accumulate and checkpoint_every must be at least 1, minutes not below 0"
            )
        if not 0.0 <= self.warmup < 1.0 or self.decay < 0 or self.lr < 0 or self.clip < 0:
            raise ConfigError("warmup must be in [0, 1); lr, decay and clip not below 0")


class Result(msgspec.Struct, frozen=True):
    """What a run gave.

    Args:
        steps: how many it took.
        best: the step whose weights are kept; 0 when none was better than the model before.
        loss: mean of the last tenth of the steps.
        before: the task's numbers before the first step.
        after: its numbers with the weights that are kept.
        trained: how many parameters were trained.
        share: of all parameters.
        seconds_a_step: without validation, mean.
        resumed: the step it was taken up at; 0 for none.
    """

    steps: int
    best: int
    loss: float
    before: dict[str, float]
    after: dict[str, float]
    trained: int
    share: float
    seconds_a_step: float
    resumed: int = 0


RATES: Final = {
    "head": 1e-3,
    "full": 1e-4,
    "last-n": 2e-4,
    "lora": 1e-3,
    "adalora": 2e-3,
    "prefix": 1e-2,
    "adapter": 1e-3,
    "ia3": 1e-2,
}
"""The learning rate of each method where none is given."""


def train(
    model: TextModel,
    task: Task,
    method: Method,
    plan: Plan,
    place: Path,
    *,
    examples: Examples,
    trackers: Sequence[Tracker] = (),
    told: Told | None = None,
    stop: Stop | None = None,
) -> tuple[Any, Result]:
    """Tune a model.

    Args:
        model: changed in place.
        task: what for.
        method: which parameters.
        plan: how.
        place: a folder for checkpoints and losses.jsonl; a run that was killed there is taken up again.
        examples: what it learns from.
        trackers: are told the numbers.
        told: is told how far it is.
        stop: see `Stop`.

    Returns:
        The tuned model (as `methods.prepare` gives it, with the best weights), and the numbers.

    Raises:
        ConfigError: something it needs is missing, or the loss is not a number.
    """
    run = _Run(model, task, method, plan, place, examples)
    for tracker in trackers:
        tracker.start(
            {**msgspec.to_builtins(plan), "method": method.name, "task": task.name, "model": model.name}
        )
    try:
        return run.go(list(trackers), told or (lambda *_: None), stop)
    finally:
        for tracker in trackers:
            tracker.finish()


class _Run:
    """One run under way."""

    def __init__(
        self, model: TextModel, task: Task, method: Method, plan: Plan, place: Path, examples: Examples
    ) -> None:
        import torch

        self.torch, self.task, self.method, self.plan, self.place = torch, task, method, plan, place
        self.device = device_of(plan.device)
        if plan.threads:
            torch.set_num_threads(plan.threads)
        self.ranks, self.rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        torch.manual_seed(plan.seed)  # the same in all processes until the model is made
        task.prepare(examples, model)
        body = prepare(model.body, method)
        self.net = make_net(model, body, task).to(self.device)
        if self.net.head is not None:
            self.net.head.requires_grad_(True)
        self.net.train()
        self.tensors = trained(self.net)
        self.lr = plan.lr or RATES[method.name]
        self.optimiser = make_optimiser(plan.optimiser, list(self.tensors.values()), self.lr, plan.decay)
        self.every = plan.validate_every or max(1, math.ceil(plan.steps / 5))
        self.at = Progress()
        self.forward: Any = self.net
        self.together: Any = None
        if self.ranks > 1:
            from accelerate import Accelerator

            self.together = Accelerator(cpu=self.device == "cpu")
            self.forward = self.together.prepare(self.net)
            torch.manual_seed(plan.seed + 1000 * self.rank)

    def go(self, trackers: list[Tracker], told: Told, stop: Stop | None) -> tuple[Any, Result]:
        """Train to the end from where a checkpoint left off; the best model that was seen."""
        self.place.mkdir(parents=True, exist_ok=True)
        resumed = self._take_up()
        if not resumed:
            self.at.before = self._validate()
            self.at.best_score = self.at.before.get(self.task.score, 0.0)
            self.at.best_weights = self._copy()  # nothing better than the model before: it stays as it was
        began, spent = time.monotonic(), self.at.seconds
        while not self._over(began):
            start = time.perf_counter()
            loss = self._step()
            self.at.seconds += time.perf_counter() - start
            self.at.losses.append(loss)
            values = {"loss": loss, "lr": self._rate(self.at.step), "seconds": time.perf_counter() - start}
            self._tell(trackers, values)
            told("Tuning", self.at.step, self.plan.steps, "steps")
            if self.at.step % self.every == 0 or self.at.step == self.plan.steps:
                self._judge(trackers, stop)
            if self.at.step % self.plan.checkpoint_every == 0 and self.rank == 0:
                beside = kept_beside(self.net.body)
                checkpoints.save(self.place, self.at, self.tensors, self.optimiser, beside)
        if self.at.step % self.every and self.at.step != self.plan.steps:
            self._judge(trackers, stop)  # the minutes ended between two validations
        return self._finished(resumed, self.at.seconds - spent)

    def _over(self, began: float) -> bool:
        late = 0 < self.plan.minutes * 60 <= time.monotonic() - began
        if self.together is not None:  # all stop at one step
            from accelerate.utils import broadcast_object_list

            late = broadcast_object_list([late])[0]
        tired = 0 < self.plan.patience <= self.at.worse
        return self.at.step >= self.plan.steps or late or tired

    def _rate(self, step: int) -> float:
        return rate_at(step, self.plan.steps, self.lr, self.plan.schedule, self.plan.warmup)

    def _step(self) -> float:
        torch, plan = self.torch, self.plan
        step = self.at.step + 1
        if plan.mine_every and self.at.step % plan.mine_every == 0:
            self.at.mined = self.task.mined(self.net)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(step)
        total = 0.0
        for part in range(plan.accumulate):
            rng = np.random.default_rng((plan.seed, step, part, self.rank))
            batch = self.task.batch(rng)
            half = torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=plan.precision == "bf16")
            with half:
                loss = (self.forward(batch) + penalty(self.net.body)) / plan.accumulate
            loss.backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise ConfigError(
                f"the loss is {total} at step {step}: give a smaller --lr (it was {self.lr:g}), or fp32 precision"
            )
        if plan.clip:
            torch.nn.utils.clip_grad_norm_(list(self.tensors.values()), plan.clip)
        self.optimiser.step()
        after_step(self.net.body, step)
        self.optimiser.zero_grad(set_to_none=True)
        self.at.step = step
        return total

    def _validate(self) -> dict[str, float]:
        training = self.net.training
        self.net.eval()
        with self.torch.inference_mode():
            found = self.task.validate(self.net)
        self.net.train(training)
        return found

    def _judge(self, trackers: list[Tracker], stop: Stop | None) -> None:
        """Validate, and keep the weights when they are the best so far."""
        found = self._validate()
        score = found.get(self.task.score, 0.0)
        self._tell(trackers, {f"validation_{name}": value for name, value in found.items()})
        if score > self.at.best_score:
            self.at.best_score, self.at.best, self.at.worse = score, self.at.step, 0
            self.at.after = found
            self.at.best_weights = self._copy()
        else:
            self.at.worse += 1
        if stop is not None:
            stop(self.at.step, found)

    def _tell(self, trackers: list[Tracker], values: dict[str, float]) -> None:
        if self.rank == 0:
            for tracker in trackers:
                tracker.log(self.at.step, values)

    def _copy(self) -> dict[str, Any]:
        return {name: each.detach().clone() for name, each in self.tensors.items()}

    def _take_up(self) -> int:
        """Go on from the newest sound checkpoint; 0 when there is none."""
        beside: dict[str, Any] = {}
        found = checkpoints.load(self.place, self.tensors, self.optimiser, beside)
        if found is None:
            return 0
        take_back(self.net.body, beside)
        self.at = found
        self.task.restore(found.mined)
        return found.step

    def _finished(self, resumed: int, seconds: float) -> tuple[Any, Result]:
        at = self.at
        with self.torch.no_grad():
            for name, kept in at.best_weights.items():
                self.tensors[name].copy_(kept)
        self.net.eval()
        parameters = sum(each.numel() for each in self.net.parameters())
        count = sum(each.numel() for each in self.tensors.values())
        last = at.losses[-max(1, len(at.losses) // 10) :]
        steps = max(at.step - resumed, 1)
        result = Result(
            at.step,
            at.best,
            float(np.mean(last)) if last else math.nan,
            at.before,
            at.after or at.before,
            count,
            count / max(parameters, 1),
            seconds / steps,
            resumed,
        )
        return self.net, result
