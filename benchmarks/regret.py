"""Regret in a shop whose truth is known: Instep beside LinUCB, epsilon-greedy and greedy, with drift and without.

    python benchmarks/regret.py [--quick] [--json]

Everybody shows slates to the same visitors of the same worlds (`instep.evaluate.simulate`) and learns from what comes
of them; regret is what was given up against who knows the truth. Instep plays through the flow that serves, in which
the language model reads the titles. LinUCB is mabwiser's, one ridge regression an item over the topics that the user
clicked, at the better of two alphas in hindsight; it is installed once in an environment of its own under .bench. Who
is told the rules of the shop (made_up/bayes.py) shows how much regret nobody could spare.
`--quick` plays two short worlds, and LinUCB only when that environment is there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from instep.encode import Encoder, open_encoder
from instep.evaluate.simulate import Agent, Instep, Oracle, Outcome, Plan, Random, Visit, World, play
from instep.evaluate.simulate.world import TOPICS
from instep.flow import Settings
from made_up.bayes import Told

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".bench" / "peers" / "mabwiser"
PACKAGE = "mabwiser==2.7.4"
SEEDS, ALPHAS = 10, (0.1, 0.5)
FADING = 0.95
POLICIES = ("thompson", "epsilon-greedy", "greedy")
Play = Callable[[World, int], Agent]


class LinUCB:
    """mabwiser at the other end of a pipe (benchmarks/adapters/mabwiser_linucb.py)."""

    def __init__(self, process: subprocess.Popen[str], world: World, alpha: float, seed: int) -> None:
        self.name = f"LinUCB {alpha}"
        self._process = process
        self._number = {name: number for number, name in enumerate(TOPICS)}
        self._topic: dict[int, int] = {}
        self._clicked = np.zeros((world.plan.users, len(TOPICS)))
        self._ask(start={"alpha": alpha, "seed": seed})

    def _ask(self, **message: object) -> Any:
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def _context(self, user: int) -> list[float]:
        """1, and the share of each topic in what the user clicked, the newest weighing most."""
        clicked = self._clicked[user]
        return [1.0, *(clicked / max(float(clicked.sum()), 1.0)).tolist()]

    def show(self, visit: Visit, k: int) -> NDArray[np.int64]:
        """See `Agent`."""
        add, remove = [each.item for each in visit.arrivals], list(visit.departures)
        self._topic |= {each.item: self._number[each.topic] for each in visit.arrivals}
        if add or remove:
            self._ask(arms={"add": add, "remove": remove})
        available = np.flatnonzero(visit.available).tolist()
        asked = {"context": self._context(visit.user), "available": available, "k": k}
        return np.array(self._ask(show=asked), np.int64)

    def learn(self, visit: Visit, slate: NDArray[np.int64], outcome: Outcome) -> None:
        """See `Agent`."""
        clicked = {act.item for act in outcome.acts}
        rewards = [float(item in clicked) for item in slate.tolist()]
        self._ask(learn={"context": self._context(visit.user), "shown": slate.tolist(), "rewards": rewards})
        for item in clicked:
            self._clicked[visit.user] *= FADING
            self._clicked[visit.user, self._topic[item]] += 1.0


@contextmanager
def mabwiser(install: bool) -> Iterator[subprocess.Popen[str] | None]:
    """mabwiser in its own process; None when it is not there and cannot be installed."""
    python = PLACE / "bin" / "python"
    if not (PLACE / "ready").exists():
        if not install:
            yield None
            return
        venv.create(PLACE, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]
        if subprocess.run(command).returncode:
            yield None
            return
        (PLACE / "ready").touch()
    script = ROOT / "benchmarks" / "adapters" / "mabwiser_linucb.py"
    process = subprocess.Popen(
        [str(python), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.communicate()


def players(encoder: Encoder, process: subprocess.Popen[str] | None) -> dict[str, Play]:
    """Who plays: a name and how to make it for a world and a seed."""

    def instep(policy: str) -> Play:
        return lambda world, seed: Instep(Settings(policy=policy), seed, encoder)

    def linucb(process: subprocess.Popen[str], alpha: float) -> Play:
        return lambda world, seed: LinUCB(process, world, alpha, seed)

    found: dict[str, Play] = {f"instep {policy}": instep(policy) for policy in POLICIES}
    if process is not None:
        found |= {f"LinUCB {alpha}": linucb(process, alpha) for alpha in ALPHAS}
    return found | {Told.name: Told, "random": lambda world, seed: Random(seed)}


def measured(plan: Plan, seeds: int, found: dict[str, Play]) -> dict[str, NDArray[np.float64]]:
    """What each player gave up in each world, float64 (seeds,)."""
    result: dict[str, list[float]] = {name: [] for name in found}
    for seed in range(seeds):
        world = World(plan, seed)
        best = float(play(Oracle(world), world).expected.sum())
        for name, make in found.items():
            world = World(plan, seed)
            result[name].append(best - float(play(make(world, seed), world).expected.sum()))
    return {name: np.array(values) for name, values in result.items()}


def claims(drift: bool, found: dict[str, NDArray[np.float64]]) -> list[dict[str, object]]:
    """Thompson's regret as a share of the others'."""
    ours = float(found["instep thompson"].mean())
    others = {name: float(values.mean()) for name, values in found.items()}
    linucb = [value for name, value in others.items() if name.startswith("LinUCB")]
    when = "with drift" if drift else "without drift"
    rows = [
        ("greedy", others["instep greedy"], 1.0),
        ("epsilon-greedy", others["instep epsilon-greedy"], 1.0),
    ]
    rows += [("LinUCB", min(linucb), 0.7 if drift else 1.0)] if linucb else []
    return [
        {
            "claim": f"regret {when}, as a share of {name}'s",
            "value": round(ours / theirs, 3),
            "target": target,
            "holds": ours <= target * theirs,
        }
        for name, theirs, target in rows
    ]


def main() -> None:
    """Play, print the table, and with --json the claims."""
    parser = argparse.ArgumentParser(description="Regret beside LinUCB, epsilon-greedy and greedy.")
    parser.add_argument(
        "--quick", action="store_true", help="two worlds of 200 visits in place of ten of 1,000"
    )
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    given = parser.parse_args()
    seeds, size = (2, {"users": 40, "items": 100, "steps": 200}) if given.quick else (SEEDS, {"steps": 1000})
    table = Table("", "regret with drift", "of random's", "regret without", "of random's")
    told, columns = [], []
    with mabwiser(install=not given.quick) as process:
        if process is None:
            Console(stderr=True).print("LinUCB is left out: mabwiser is not installed")
        found = players(open_encoder("english"), process)
        for drift in (True, False):
            columns.append(measured(Plan(drift=drift, **size), seeds, found))
            told += claims(drift, columns[-1])
    for name in found:
        cells = []
        for column in columns:
            mean, error = column[name].mean(), column[name].std() / np.sqrt(seeds)
            cells += [f"{mean:,.0f} ± {error:,.0f}", f"{mean / column['random'].mean():.2f}"]
        table.add_row(name, *cells)
    Console(width=120).print(table)
    if given.json:
        print(json.dumps({"claims": told}))


if __name__ == "__main__":
    main()
