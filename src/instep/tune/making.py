"""From a log to a version: read, train, export, store, have the gate judge."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from instep.domain import ConfigError
from instep.log import Readable
from instep.tune import checkpoints
from instep.tune.causal_models import SMOLLM2, need
from instep.tune.examples import Examples, mixed, read_examples
from instep.tune.judging import HELD_OUT
from instep.tune.methods import Method, save_weights
from instep.tune.models import ENGLISH, TextModel, device_of, open_text_model
from instep.tune.registry import BASE, Registry, Version
from instep.tune.tasks.base import make_task
from instep.tune.tracking import Losses, Tracker, open_trackers
from instep.tune.train import LOSSES, Plan, Result, Stop, Told, train

RUNS: Final = ".runs"
ORDER: Final = "order.json"


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be made: the whole of a run's configuration.

    Args:
        task: one of `tasks.TASKS`.
        model: as `open_text_model` takes it; ``live`` is the version that serves, or the configured encoder's float32
            form; ``base`` is the latter.
        method: what is trained.
        plan: how.
        settings: the task's own.
        start: first log offset.
        stop: the offset after the last; -1 for the log's end.
        validation: share of the acts that chooses the weights.
        hold_back: share of the acts that is left to the gate.
        fresh: share of new feedback among what is drawn; 0 leaves it as it comes.
        fresh_from: what is new begins at this offset; -1 for where the newest version's data ended.
        track: names of trackers.
    """

    task: str = "matching"
    model: str = "live"
    method: Method = Method()
    plan: Plan = Plan()
    settings: dict[str, Any] = {}
    start: int = 0
    stop: int = -1
    validation: float = 0.1
    hold_back: float = 0.1
    fresh: float = 0.0
    fresh_from: int = -1
    track: tuple[str, ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        if not 0.0 < self.validation < 0.5 or not 0.0 <= self.hold_back < 0.5:
            raise ConfigError("validation must be above 0 and below 0.5, hold_back in [0, 0.5)")


def make_version(
    log: Readable,
    registry: Registry,
    order: Order,
    configured: str = "auto",
    rewards: Mapping[str, float] | None = None,
    told: Told | None = None,
    stop: Stop | None = None,
) -> tuple[Any, Result]:
    """Tune a model on a log and store what came of it; a run of the same order that was killed is taken up again.

    Args:
        log: a `LogReader` beside a service, or any log.
        registry: where versions are.
        order: what to make.
        configured: the encoder of the configuration.
        rewards: of the configuration.
        told: is told how far it is.
        stop: see `instep.tune.train.Stop`.

    Returns:
        The `Version`, not yet judged (None in all but the first of several processes), and the numbers of its training.

    Raises:
        ConfigError: something is missing or cannot be tuned; what is live is untouched.
    """
    need("torch", "transformers", "peft", "safetensors")
    device_of(order.plan.device)
    order = settled(order, log, registry, configured)
    place = registry.folder / RUNS / _key(order)
    examples = read_order(log, order, rewards)
    rank = int(os.environ.get("RANK", "0"))
    if rank == 0:
        _begin(place, order, examples)
    model = open_text_model(order.model, registry)
    task = make_task(order.task, order.settings)
    trackers: list[Tracker] = []
    if rank == 0:
        trackers = [Losses(place / LOSSES, checkpoints.newest(place)), *open_trackers(order.track, place)]
    net, result = train(
        model,
        task,
        order.method,
        order.plan,
        place,
        examples=examples,
        trackers=trackers,
        told=told,
        stop=stop,
    )
    if rank:
        return None, result  # of several processes the first one stores
    version = _store(registry, order, task, model, net, result, examples, place)
    with suppress(OSError):
        _keep_tracks(place, registry.path(version.name), order.track, registry.folder)
    shutil.rmtree(place, ignore_errors=True)
    return version, result


def read_order(log: Readable, order: Order, rewards: Mapping[str, float] | None = None) -> Examples:
    """The examples of an order."""
    stop = log.end if order.stop < 0 else order.stop
    examples = read_examples(log, order.start, stop, rewards, order.validation, order.hold_back)
    if order.fresh and order.fresh_from > order.start:
        examples = mixed(examples, order.fresh_from, order.fresh)
    return examples


def unfinished(registry: Registry) -> Order | None:
    """The order of the newest run that did not end; None without one."""
    found = sorted((registry.folder / RUNS).glob(f"*/{ORDER}"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        with suppress(msgspec.DecodeError, OSError):
            return msgspec.json.decode(path.read_bytes(), type=_Begun).order
    return None


class _Begun(msgspec.Struct):
    """What a run's folder says of it."""

    order: Order
    records: int


def settled(order: Order, log: Readable, registry: Registry, configured: str) -> Order:
    """The order with names and offsets in the place of `live` and -1; those of a killed run where there is one.

    Args:
        order: as given.
        log: whose end counts.
        registry: whose live version counts.
        configured: the encoder of the configuration.

    Raises:
        ConfigError: what serves cannot be tuned.
    """
    name = order.model
    if name in ("live", BASE):
        live = registry.live if name == "live" else ""
        tunable = configured if configured not in ("auto", "multilingual") else ENGLISH
        if tunable.startswith("openai:"):
            raise ConfigError(
                f"encoder {configured!r} is served by others and cannot be tuned; name one with --model english, a "
                "folder or a Hugging Face name"
            )
        name = live or tunable
        if order.task == "ranking":
            name = SMOLLM2
    method = msgspec.structs.replace(order.method, steps=order.plan.steps)
    settled = msgspec.structs.replace(order, model=name, method=method)
    fresh_from = settled.fresh_from
    if fresh_from < 0:
        fresh_from = max((each.end for each in registry.versions()), default=0)
    settled = msgspec.structs.replace(settled, fresh_from=fresh_from)
    if settled.stop < 0:
        settled = _as_begun(settled, registry) or msgspec.structs.replace(settled, stop=log.end)
    return settled


def _as_begun(order: Order, registry: Registry) -> Order | None:
    """The same order with the end of the log as it was when a run of it began that did not end."""
    for path in sorted((registry.folder / RUNS).glob(f"*/{ORDER}")):
        with suppress(msgspec.DecodeError, OSError):
            begun = msgspec.json.decode(path.read_bytes(), type=_Begun).order
            if msgspec.structs.replace(begun, stop=-1) == order:
                return begun
    return None


def _key(order: Order) -> str:
    return hashlib.blake2b(msgspec.json.encode(order, order="sorted"), digest_size=8).hexdigest()


def _begin(place: Path, order: Order, examples: Examples) -> None:
    """Make the run's folder; when somebody was erased since it was made, what it learned goes."""
    path = place / ORDER
    with suppress(OSError, msgspec.DecodeError):
        if msgspec.json.decode(path.read_bytes(), type=_Begun).records != examples.records:
            shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(msgspec.json.encode(_Begun(order, examples.records)))


def _store(
    registry: Registry,
    order: Order,
    task: Any,
    model: TextModel,
    net: Any,
    result: Result,
    examples: Examples,
    place: Path,
) -> Version:
    from safetensors.torch import save_file

    body = net.body.to("cpu")
    with registry.draft() as draft:
        save_weights(body, order.method, draft / "weights")
        if net.head is not None:
            tensors = {name: each.detach().cpu().contiguous() for name, each in net.head.state_dict().items()}
            save_file(tensors, str(draft / "weights" / "task_head.safetensors"))
        encoder, agreed = _exported(task, model, body, examples, draft / "model")
        if (place / LOSSES).is_file():
            shutil.copyfile(place / LOSSES, draft / LOSSES)
        metrics = {f"before_{name}": value for name, value in result.before.items()} | result.after
        metrics |= {
            "loss": result.loss,
            "steps": float(result.steps),
            "best_step": float(result.best),
            "trained": float(result.trained),
            "trained_share": result.share,
            "seconds_a_step": result.seconds_a_step,
            **agreed,
        }
        return registry.add(
            draft,
            Version(
                parent=model.parent,
                base=model.base,
                task=order.task,
                method=order.method.name,
                created=time.time(),
                start=examples.start,
                end=examples.end,
                records=examples.records,
                config=msgspec.to_builtins(order) | {HELD_OUT: examples.held_out_from},
                metrics={name: float(value) for name, value in metrics.items()},
                encoder=encoder,
            ),
        )


def _exported(
    task: Any, model: TextModel, body: Any, examples: Examples, folder: Path
) -> tuple[str, dict[str, float]]:
    """Write what serves; the encoder's name ("" for a task with a form of its own) and how far it agrees."""
    if hasattr(task, "export"):
        task.export(model, body, folder)
        return "", {}
    from instep.tune.export import export_encoder

    texts = [text for text in dict.fromkeys(examples.texts) if text][:300]
    given = texts if len(texts) >= 40 else None
    found = export_encoder(body, model.tokenizer, folder, model.pooling, model.max_tokens, given)
    return found.encoder_name, {"export_cosine": found.cosine, "export_overlap": found.overlap}


def _keep_tracks(place: Path, version: Path, names: tuple[str, ...], models: Path) -> None:
    """Trackers' files go beside the versions: they are of kinds that have no place in one."""
    for name in names:
        if (place / name).is_dir():
            kept = models / "runs" / version.name
            kept.mkdir(parents=True, exist_ok=True)
            shutil.move(str(place / name), str(kept / name))
