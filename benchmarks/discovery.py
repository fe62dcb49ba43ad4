"""A good new item: how often must it be shown until it is ranked where its true rate puts it?

    python benchmarks/discovery.py [--quick] [--json]

In a simulated shop (`instep.evaluate.simulate`) one item of high quality appears after a quarter of the visits. It is
found when the ranking without exploration has it among the best ten in half of twenty visits in a row in which it truly
belongs there; what counts is how often it was shown before the first time that it was there in those twenty (all of its
showings, where it is never found). What exploring costs is the expected reward given up against the slate without
exploration, by the ranker's own expectations; epsilon-greedy explores without a limit, with the epsilon of several that
costs most nearly as much as Thompson sampling within the default budget. Who is told the rules of the shop
(made_up/bayes.py) shows how few showings anybody can do with. `--quick` plays three short worlds, and one epsilon.
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
from made_up.bayes import Told

SEEDS, QUALITY, EPSILONS = 20, 2.5, (0.01, 0.02, 0.05)
LAST, ENOUGH = 20, 0.5
TARGET = 3.0


class Watch:
    """Whether the planted item has been found, and what it took.

    Args:
        world: whose planted item it is.
        k: places of a slate.

    Attributes:
        found: whether it has been found.
    """

    def __init__(self, world: World, k: int) -> None:
        self.found = False
        self._world, self._k = world, k
        self._shown = 0
        self._visits: deque[tuple[bool, int]] = deque(maxlen=LAST)  # ranked where it belongs? shown before

    def note(self, visit: Visit, best: NDArray[np.int64], slate: NDArray[np.int64]) -> None:
        """A visit: the best ten without exploration, and what is shown."""
        planted, truth = self._world.planted, self._world.truth(visit.user)
        if not visit.available[planted] or self.found:
            return
        if int((truth > truth[planted]).sum()) < self._k:
            self._visits.append((planted in best, self._shown))
            right = sum(ranked for ranked, _ in self._visits)
            self.found = len(self._visits) == LAST and right >= ENOUGH * LAST
        self._shown += int(planted in slate)

    @property
    def showings(self) -> int:
        """How often it was shown before it was ranked where it belongs; until now, while it is not found."""
        return next(shown for ranked, shown in self._visits if ranked) if self.found else self._shown


class Watched(Instep):
    """Instep, with a look at what it would show without exploring."""

    def __init__(self, settings: Settings, seed: int, world: World) -> None:
        super().__init__(msgspec.structs.replace(settings, surfaces={"still": Surface(explore=False)}), seed)
        self.watch = Watch(world, world.plan.slate)
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
        self.watch.note(visit, best, slate)
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


class WatchedTold(Told):
    """Who is told the rules, and does not explore."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world, seed)
        self.watch = Watch(world, world.plan.slate)
        self.costs: list[float] = [0.0]

    def show(self, visit: Visit, k: int) -> NDArray[np.int64]:
        """See `Agent`."""
        slate = super().show(visit, k)
        self.watch.note(visit, slate, slate)
        return slate


@dataclass(frozen=True)
class Found:
    """What was seen of a policy: showings until the item was found, whether it was, and the cost, each a world."""

    shown: NDArray[np.float64]
    found: NDArray[np.bool_]
    cost: float


def measured(settings: Settings | None, plan: Plan, seeds: int) -> Found:
    """Play all worlds with one policy of Instep's; None for who is told the rules."""
    shown, found, costs = [], [], []
    for seed in range(seeds):
        world = World(plan, seed)
        agent = WatchedTold(world, seed) if settings is None else Watched(settings, seed, world)
        play(agent, world)
        shown.append(float(agent.watch.showings))
        found.append(agent.watch.found)
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
    results[Told.name] = measured(None, plan, seeds)
    ours = results["thompson"]
    rivals = [name for name in results if name.startswith("epsilon")]
    rival = min(rivals, key=lambda name: abs(results[name].cost - ours.cost))
    # Showings for each time it was found; who never finds it has no part of an advantage.
    each = {name: result.shown.sum() / max(int(result.found.sum()), 1) for name, result in results.items()}
    table = Table(
        "policy", "showings until found", "found in", "for each time found", "expected reward given up"
    )
    for name, result in results.items():
        error = result.shown.std() / np.sqrt(seeds)
        found = f"{int(result.found.sum())} of {seeds}"
        shown = f"{result.shown.mean():,.1f} ± {error:,.1f}"
        table.add_row(name, shown, found, f"{each[name]:,.1f}", f"{result.cost:.2%}")
    Console(width=120).print(table)
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
