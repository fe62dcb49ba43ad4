"""A good new item: how often must it be shown until it is ranked where its true rate puts it?

    python benchmarks/discovery.py [--quick] [--json]

In a simulated shop (`instep.evaluate.simulate`) one item of high quality appears after a quarter of the visits. It is
found when the ranking without exploration has it among the best ten in half of the last twenty visits in which it truly
belongs there; what counts is how often it was shown until then (all of its showings, where it is never found). What
exploring costs is the expected reward given up against the slate without exploration, by the ranker's own expectations;
epsilon-greedy explores without a limit, with the epsilon of several that costs most nearly as much as Thompson sampling
within the default budget. `--quick` plays three short worlds, and one epsilon.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from instep.domain import Context, Slate
from instep.evaluate.simulate import Instep, Plan, Visit, World, play
from instep.flow import Settings
from instep.policy import Surface

SEEDS, QUALITY, EPSILONS = 20, 2.5, (0.01, 0.02, 0.05)
LAST, ENOUGH = 20, 0.5
TARGET = 3.0


class Watched(Instep):
    """Instep, with a look at what it would show without exploring."""

    def __init__(self, settings: Settings, seed: int, world: World) -> None:
        super().__init__(msgspec.structs.replace(settings, surfaces={"still": Surface(explore=False)}), seed)
        self._world = world
        self._place: deque[bool] = deque(maxlen=LAST)
        self.shown, self.found = 0, False
        self.costs: list[float] = []

    def show(self, visit: Visit, k: int) -> NDArray[np.int64]:
        """See `Agent`."""
        slate = super().show(visit, k)
        asked = Context(
            f"u{visit.user}", n=k, now=visit.now, request_id=f"still-{visit.number}", surface="still"
        )
        still = self.flow.rank(asked)
        best = np.array([int(item.item_id[1:]) for item in still.items])
        self.costs.append(1.0 - self._worth(slate, still, visit, k) / self._worth(best, still, visit, k))
        planted, truth = self._world.planted, self._world.truth(visit.user)
        if visit.available[planted] and not self.found:
            if int((truth > truth[planted]).sum()) < k:
                self._place.append(planted in best)
                self.found = len(self._place) == LAST and sum(self._place) >= ENOUGH * LAST
            self.shown += int(planted in slate and not self.found)
        return slate

    def _worth(self, slate: NDArray[np.int64], still: Slate, visit: Visit, k: int) -> float:
        """What the ranker expects of a slate, up to a common factor: the k-th place is seen by one in k."""
        if not hasattr(self, "_scores") or self._at != visit.number:
            wide = Context(f"u{visit.user}", n=k + 60, now=visit.now, request_id="wide", surface="still")
            self._scores = {int(item.item_id[1:]): item.score for item in self.flow.rank(wide).items}
            self._at = visit.number
        highest = still.items[0].score
        brings = [np.exp(self._scores.get(item, -np.inf) - highest) for item in slate.tolist()]
        return float(np.dot(brings, 1.0 / np.arange(1, len(brings) + 1)))


@dataclass(frozen=True)
class Found:
    """What was seen of a policy: showings until the item was found, whether it was, and the cost, each a world."""

    shown: NDArray[np.float64]
    found: NDArray[np.bool_]
    cost: float


def measured(settings: Settings, plan: Plan, seeds: int) -> Found:
    """Play all worlds with one policy."""
    shown, found, costs = [], [], []
    for seed in range(seeds):
        world = World(plan, seed)
        agent = Watched(settings, seed, world)
        play(agent, world)
        shown.append(float(agent.shown))
        found.append(agent.found)
        costs.append(float(np.mean(agent.costs)))
    return Found(np.array(shown), np.array(found), float(np.mean(costs)))


def main() -> None:
    """Play, print the table, and with --json the claims."""
    parser = argparse.ArgumentParser(description="How often a good new item is shown until it is found.")
    parser.add_argument("--quick", action="store_true", help="three short worlds in place of twenty")
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    given = parser.parse_args()
    size = {"users": 40, "items": 100, "steps": 300} if given.quick else {"steps": 1000}
    plan = Plan(drift=False, churn=0.0, planted=QUALITY, **size)
    seeds = 3 if given.quick else SEEDS
    results = {"thompson": measured(Settings(), plan, seeds)}
    for epsilon in EPSILONS[1:2] if given.quick else EPSILONS:
        settings = Settings(policy="epsilon-greedy", budget=1.0, parameters={"epsilon": epsilon})
        results[f"epsilon-greedy {epsilon}"] = measured(settings, plan, seeds)
    results["greedy"] = measured(Settings(policy="greedy"), plan, seeds)
    ours = results["thompson"]
    rivals = [name for name in results if name.startswith("epsilon")]
    rival = min(rivals, key=lambda name: abs(results[name].cost - ours.cost))
    table = Table("policy", "showings until found", "found in", "expected reward given up")
    for name, result in results.items():
        error = result.shown.std() / np.sqrt(seeds)
        found = f"{int(result.found.sum())} of {seeds}"
        table.add_row(name, f"{result.shown.mean():,.0f} ± {error:,.0f}", found, f"{result.cost:.2%}")
    Console(width=120).print(table)
    # Showings for each time it was found; who never finds it has no part of an advantage.
    each = {name: result.shown.sum() / max(int(result.found.sum()), 1) for name, result in results.items()}
    fewer = float(each[rival] / max(each["thompson"], 1.0)) if ours.found.any() else 0.0
    if given.json:
        claims = [
            {
                "claim": f"times fewer showings of a good new item until it is found than {rival} (at equal cost)",
                "value": round(fewer, 2),
                "target": TARGET,
                "holds": fewer >= TARGET,
            }
        ]
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
