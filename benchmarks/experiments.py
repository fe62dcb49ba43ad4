"""Experiments: how often equal arms are called different, how soon harm is stopped, what interleaving saves and costs.

Simulated users come back to a service; every slate and every act goes through the very code that counts in the service,
and the verdict is looked at after each one.

- errs: of experiments with equal arms, the share that ever gets a verdict (alpha 0.05).
- harm: an arm that loses four clicks in ten; how many are stopped, and after how many slates.
- interleaving: two rankings of which one is better, clicked on by users who look at one in k + 1 of the k-th places;
  slates until the verdict, by team draft and by a split of users (which is given up after 60,000).
- cost: `recommend` with and without experiments, and the time to count a record.

    python benchmarks/experiments.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from instep.domain import (
    Arm,
    Assignment,
    Context,
    Experiment,
    ExperimentChange,
    Feedback,
    Impression,
    Overrides,
)
from instep.experiment import arms_of, count_record, team_draft
from instep.experiment.judge import verdict
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.state.trials import Trial, Trials

SHOP, CLUB = (
    (0.05, 20.0, 0.3),
    (0.3, 3.0, 0.05),
)  # click rate, likeness of users, share of slates to new users
ITEMS, PLACES, USERS = 30, 8, 3_000


def trial_of(kind: str = "split") -> tuple[Trials, Trial]:
    """A launched experiment."""
    arms = (Arm("control", 0.5), Arm("other", 0.5))
    trials = Trials()
    definition = Experiment("x", arms, kind=kind)  # type: ignore[arg-type]
    count_record(trials, {}, ExperimentChange("launch", "x", 0.0, "launch", definition))
    return trials, trials.by_name["x"]


def watched(traffic: tuple[float, float, float], lift: float, steps: int, seed: int) -> tuple[str, int]:
    """One experiment until the first verdict: what it was ("" for none), and after how many slates."""
    rate, alike, fresh = traffic
    rng = np.random.default_rng(seed)
    trials, trial = trial_of()
    tastes: list[float] = []
    arms: list[int] = []
    for step in range(steps):
        if not tastes or rng.random() < fresh:
            tastes.append(rng.beta(rate * alike, (1.0 - rate) * alike))
            arms.append(arms_of(trials, f"u{len(arms)}", "default")[0][1])
        user = len(tastes) - 1 if rng.random() < fresh else int(rng.integers(len(tastes)))
        shown = (Assignment("x", ("control", "other")[arms[user]]),)
        slate = Impression(f"s{step}", f"u{user}", float(step), ("a",), (1.0,), experiments=shown)
        count_record(trials, {}, slate)
        if rng.random() < tastes[user] * (lift if arms[user] else 1.0):
            act = Feedback(f"f{step}", f"u{user}", "a", step + 0.5, "click", slate_id=f"s{step}")
            count_record(trials, {}, act)
        found = verdict(trial, 1, 0)
        if found in ("better", "worse"):
            return found, step + 1
    return "", steps


def preferred(kind: str, most: int, seed: int) -> int:
    """Slates until the better of two rankings is known for it."""
    rng = np.random.default_rng(seed)
    trials, trial = trial_of(kind)
    eager = rng.beta(0.5, 2.0, USERS)  # some click on much, most on little
    for step in range(most):
        wanted, noise = rng.standard_normal(ITEMS), rng.standard_normal(ITEMS)  # what this user likes today
        orders = [np.argsort(-(wanted + share * noise)) for share in (1.2, 0.8)]
        rankings = [[str(item) for item in order] for order in orders]
        number = int(rng.integers(USERS))
        user = f"u{number}"
        if kind == "interleave":
            draft = team_draft((rankings[0], rankings[1]), PLACES, step)
            items, found = draft.items, Assignment("x", "interleaved", draft.teams)
        else:
            arm = arms_of(trials, user, "default")[0][1]
            items, found = tuple(rankings[arm][:PLACES]), Assignment("x", ("control", "other")[arm])
        slate = Impression(f"s{step}", user, float(step), items, (1.0,) * len(items), experiments=(found,))
        count_record(trials, {}, slate)
        for place, item in enumerate(items):
            likes = 1.0 / (1.0 + np.exp(2.0 - 1.5 * wanted[int(item)]))
            if rng.random() < eager[number] * likes / (place + 1.0):
                act = Feedback(f"f{step} {place}", user, item, step + 0.5, "click", slate_id=f"s{step}")
                count_record(trials, {}, act)
        if verdict(trial, 1, 0) == "better":
            return step + 1
    return most


def shop(acts: int, definition: Experiment | None) -> Flow:
    """A flow with a small shop, under an experiment or under none."""
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    rng = np.random.default_rng(1)
    now = time.time() - 30_000
    flow.observe(
        [
            Feedback(f"e{n}", f"c{n % 400}", f"i{int(2_000 * rng.random() ** 2)}", now + n, "click")
            for n in range(acts)
        ]
    )
    if definition is not None:
        change = ExperimentChange("launch", definition.name, now + 25_000, "launch", definition)
        flow.observe([change])
    return flow


def costs(calls: int, acts: int) -> dict[str, float]:
    """p50 of `rank` in microseconds, by what is under way, taking turns."""
    arms = (Arm("control", 0.5), Arm("other", 0.5, Overrides(repeat=False)))
    flows = {
        "none": shop(acts, None),
        "split": shop(acts, Experiment("x", arms)),
        "interleave": shop(acts, Experiment("x", arms, kind="interleave")),
    }
    seconds: dict[str, list[float]] = {name: [] for name in flows}
    for call in range(calls + 50):
        for name, flow in flows.items():
            context = Context(f"c{call % 400}", n=10, now=time.time(), request_id=f"r{call}")
            began = time.perf_counter()
            flow.rank(context)
            if call >= 50:
                seconds[name].append(time.perf_counter() - began)
    return {name: 1e6 * statistics.median(found) for name, found in seconds.items()}


def counting(records: int) -> float:
    """Microseconds to count a record of an experiment."""
    trials, _ = trial_of()
    made: list[Impression | Feedback] = []
    for n in range(records // 2):
        user, shown = f"u{n % 5_000}", (Assignment("x", ("control", "other")[n % 2]),)
        made.append(Impression(f"s{n}", user, float(n), ("a",), (1.0,), experiments=shown))
        made.append(Feedback(f"f{n}", user, "a", n + 0.5, "click", slate_id=f"s{n}"))
    began = time.perf_counter()
    for record in made:
        count_record(trials, {}, record)
    return 1e6 * (time.perf_counter() - began) / len(made)


def measured(quick: bool) -> dict[str, float]:
    """All numbers by name."""
    runs, steps = (24, 2_000) if quick else (400, 12_000)
    watched(SHOP, 1.0, 400, 0)  # compiles
    equal = [watched(traffic, 1.0, steps, seed)[0] for traffic in (SHOP, CLUB) for seed in range(runs)]
    harmed = [watched(SHOP, 0.6, 24_000 if quick else 48_000, seed) for seed in range(runs // 4)]
    drafted, splits = (
        [preferred(kind, 12_000 if quick else 60_000, seed) for seed in range(2 if quick else 10)]
        for kind in ("interleave", "split")
    )
    cost = costs(100, 4_000) if quick else costs(2_000, 20_000)
    return {
        "erred": sum(found != "" for found in equal) / len(equal),
        "stopped": sum(found == "worse" for found, _ in harmed) / len(harmed),
        "slates until stopped": statistics.median(slates for _, slates in harmed),
        "slates, interleaved": statistics.median(drafted),
        "slates, split": statistics.median(splits),
        "rank, none": cost["none"],
        "rank, split": cost["split"],
        "rank, interleave": cost["interleave"],
        "count": counting(20_000 if quick else 200_000),
    }


def claims_of(found: dict[str, float]) -> list[dict[str, Any]]:
    """What is claimed."""

    def claim(
        name: str, value: float, target: float, holds: Callable[[float, float], bool]
    ) -> dict[str, Any]:
        return {
            "claim": name,
            "value": round(value, 4),
            "target": target,
            "holds": bool(holds(value, target)),
        }

    def most(value: float, target: float) -> bool:
        return value <= target

    def least(value: float, target: float) -> bool:
        return value >= target

    saved = found["slates, split"] / found["slates, interleaved"]
    under = found["rank, split"] / found["rank, none"]
    mixed = found["rank, interleave"] / found["rank, none"]
    return [
        claim("equal arms that ever get a verdict, watched at every event", found["erred"], 0.05, most),
        claim("arms that lose four clicks in ten and are stopped", found["stopped"], 0.95, least),
        claim("slates of a split for one of interleaving, to the same verdict, at least", saved, 5.0, least),
        claim("a slate's p50 under an experiment, of one under none", under, 1.1, most),
        claim("a mixed slate's p50, of an ordinary one", mixed, 2.5, most),
        claim("microseconds to count a record", found["count"], 20.0, most),
    ]


def main() -> None:
    """Measure, print, and say what holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter experiments: under half a minute"
    )
    parser.add_argument("--json", action="store_true", help="last, one line of JSON with the claims")
    options = parser.parse_args()
    found = measured(options.quick)
    table = Table("what", "value")
    for name, value in found.items():
        table.add_row(name, f"{value:,.3f}" if value < 10 else f"{value:,.0f}")
    console = Console()
    console.print(table)
    claims = claims_of(found)
    for each in claims:
        target = f"{each['value']} (target {each['target']})"
        console.print(f"{'holds' if each['holds'] else 'fails'}: {each['claim']}: {target}")
    if options.json:
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
