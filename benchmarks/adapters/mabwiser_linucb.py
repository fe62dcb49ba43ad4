"""mabwiser 2.7: one ridge regression an item with an upper bound (LinUCB), asked over a pipe, a JSON object a line.

    {"start": {"alpha": 0.5, "seed": 1}}                            a new game; nothing is known
    {"arms": {"add": [1, 2], "remove": [0]}}                        the catalogue changed
    {"show": {"context": [...], "available": [1, 2], "k": 10}}      answers [2, 1]
    {"learn": {"context": [...], "shown": [2, 1], "rewards": [0, 1]}}

Source: Li et al. 2010; Strong et al. 2019, "MABWiser".
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from mabwiser.mab import MAB, LearningPolicy


class LinUCB:
    """The k arms with the highest bounds."""

    def __init__(self, alpha: float, seed: int) -> None:
        self.policy = LearningPolicy.LinUCB(alpha=alpha)
        self.seed = seed
        self.bandit: MAB | None = None
        self.arms: list[int] = []

    def change(self, add: list[int], remove: list[int]) -> None:
        """Arms that came and went."""
        self.arms = [arm for arm in [*self.arms, *add] if arm not in set(remove)]
        if self.bandit is not None:
            for arm in add:
                self.bandit.add_arm(arm)
            for arm in remove:
                self.bandit.remove_arm(arm)

    def show(self, context: list[float], available: list[int], k: int) -> list[int]:
        """The available arms with the highest bounds; any before the first lesson."""
        if self.bandit is None:
            return [int(arm) for arm in np.random.default_rng(self.seed).permutation(available)[:k]]
        bounds = self.bandit.predict_expectations([context])
        return sorted(available, key=lambda arm: (-bounds[arm], arm))[:k]

    def learn(self, context: list[float], shown: list[int], rewards: list[float]) -> None:
        """What each shown arm brought."""
        contexts = [context] * len(shown)
        if self.bandit is None:
            self.bandit = MAB(list(self.arms), self.policy, seed=self.seed)
            self.bandit.fit(shown, rewards, contexts)
        else:
            shown_, rewards_, contexts_ = np.array(shown), np.array(rewards), np.array(contexts)
            for arm in shown:  # what `partial_fit` does, without visiting the arms that were not shown
                self.bandit._imp._fit_arm(arm, shown_, rewards_, contexts_)


def main() -> None:
    """Answer until the pipe is closed."""
    game = LinUCB(1.0, 0)
    for line in sys.stdin:
        asked: dict[str, dict[str, Any]] = json.loads(line)
        answer: Any = None
        if "start" in asked:
            game = LinUCB(**asked["start"])
        elif "arms" in asked:
            game.change(**asked["arms"])
        elif "show" in asked:
            answer = game.show(**asked["show"])
        else:
            game.learn(**asked["learn"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
