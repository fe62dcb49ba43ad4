"""Vowpal Wabbit 9.11.9: a contextual bandit over candidates (`--cb_adf`), updated at every event.

Source: Bietti, Agarwal and Langford 2021. The shared features are the user and the newest items of the history;
an action's are the item. What was taken was "shown" with cost -1 among items drawn at random; one of these is then
shown with cost 0, since the events hold no refusals.
"""

from __future__ import annotations

import random

import numpy as np
from link import Int32, best, run
from vowpalwabbit import Workspace

OPTIONS = "--cb_adf --cb_type mtr -q ui -q hi -b 22 --learning_rate 0.5 --l2 1e-8 --quiet"
DRAWN, HISTORY = 30, 5


class VowpalWabbit:
    """Every candidate is an action."""

    def __init__(self, users: int, items: int, seed: int) -> None:
        self.items = items
        self.draw = random.Random(seed)
        self.history: list[list[int]] = [[] for _ in range(users)]
        self.model = Workspace(f"{OPTIONS} --random_seed {seed}")
        self.actions = [f"|i {item}" for item in range(items)]

    def learn(self, user: int, item: int, t: float) -> None:
        """One step for the item taken, one for another."""
        drawn = [self.draw.randrange(self.items) for _ in range(DRAWN)]
        others = [self.actions[other] for other in drawn if other != item]
        shared, chance = self._shared(user), 1.0 / (len(others) + 1)
        self.model.learn([shared, f"0:-1:{chance:.5f} {self.actions[item]}", *others])
        self.model.learn([shared, self.actions[item], f"1:0:{chance:.5f} {others[0]}", *others[1:]])
        recent = self.history[user]
        recent.append(item)
        del recent[:-HISTORY]

    def recommend(self, user: int, k: int, exclude: Int32) -> Int32:
        """The cheapest actions, by one prediction over all of them."""
        ranked = self.model.predict([self._shared(user), *self.actions])
        return best(-np.array(ranked, np.float32), k, exclude)

    def _shared(self, user: int) -> str:
        recent = " ".join(str(item) for item in self.history[user])
        return f"shared |u {user} |h {recent}"


if __name__ == "__main__":
    run(VowpalWabbit)
