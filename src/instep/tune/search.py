"""Hyperparameters by trial: Optuna's TPE, with trials that lag behind cut short. The study is kept in the folder.

Source: Akiba et al. 2019, "Optuna"; Bergstra et al. 2011 (TPE).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from instep.domain import ConfigError
from instep.log import Readable
from instep.tune.causal_models import need
from instep.tune.making import Order, read_order, settled
from instep.tune.models import open_text_model
from instep.tune.registry import Registry
from instep.tune.tasks.base import make_task
from instep.tune.train import RATES, Told, train

STUDY: Final = "study.sqlite"
RANKS: Final = (4, 8, 16)


def search(
    log: Readable,
    registry: Registry,
    order: Order,
    trials: int,
    configured: str = "auto",
    rewards: Mapping[str, float] | None = None,
    told: Told | None = None,
) -> Order:
    """Try settings on the newest acts and give the order with the best ones.

    Learning rate, weight decay and dropout are tried, the rank where the method has one, and the temperature where the
    task has one. Trials of the same task, method and model are remembered from one search to the next.

    Args:
        log, registry, order, configured, rewards: as for `instep.tune.making.make_version`.
        trials: how many more.
        told: is told how far it is.

    Returns:
        The order with the best settings of all trials so far.

    Raises:
        ConfigError: optuna is missing, or no trial came to an end.
    """
    need("optuna")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    fixed = settled(order, log, registry, configured)
    examples = read_order(log, fixed, rewards)
    registry.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    study = optuna.create_study(
        study_name=f"{fixed.task}/{fixed.method.name}/{fixed.model}",
        storage=f"sqlite:///{(registry.folder / STUDY).resolve()}",
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=fixed.plan.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=max(1, fixed.plan.steps // 5)),
    )
    done = 0

    def objective(trial: Any) -> float:
        """Train what a trial suggests; its score afterwards."""
        nonlocal done
        tried = suggested(trial, fixed)
        task = make_task(tried.task, tried.settings)
        place = registry.folder / ".runs" / f"trial-{trial.number}"

        def judge(step: int, found: dict[str, float]) -> None:
            trial.report(found.get(task.score, 0.0), step)
            if trial.should_prune():
                raise optuna.TrialPruned()

        try:
            model = open_text_model(tried.model, registry)
            _, result = train(model, task, tried.method, tried.plan, place, examples=examples, stop=judge)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            done += 1
            if told is not None:
                told("Searching", done, trials, "trials")
        return result.after.get(task.score, 0.0)

    study.optimize(objective, n_trials=trials)
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
        raise ConfigError("no trial came to an end, so there are no best settings; give more with --search")
    return suggested(study.best_trial, fixed)


def suggested(trial: Any, order: Order) -> Order:
    """The order with what a trial suggests; a finished trial suggests what it had."""
    usual = order.plan.lr or RATES[order.method.name]
    lr = _float(trial, "lr", usual / 5, usual * 5, log=True)
    decay = _float(trial, "decay", 1e-4, 0.1, log=True)
    method = msgspec.structs.replace(order.method, dropout=_float(trial, "dropout", 0.0, 0.3))
    if method.name in ("lora", "adalora"):
        rank = trial.params["rank"] if "rank" in trial.params else trial.suggest_categorical("rank", RANKS)
        method = msgspec.structs.replace(method, rank=rank)
    settings = dict(order.settings)
    if order.task in ("matching", "simcse"):
        settings["temperature"] = _float(trial, "temperature", 0.05, 0.3, log=True)
    plan = msgspec.structs.replace(order.plan, lr=lr, decay=decay)
    return msgspec.structs.replace(order, method=method, plan=plan, settings=settings)


def _float(trial: Any, name: str, low: float, high: float, log: bool = False) -> float:
    if name in trial.params:
        return float(trial.params[name])
    return float(trial.suggest_float(name, low, high, log=log))
