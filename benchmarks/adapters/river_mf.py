"""river 0.26.1: `reco.BiasedMF`, one positive and sampled negatives an event, every item scored one by one.

Source: Koren, Bell and Volinsky 2009; negatives as in Rendle et al. 2009, since the events hold no refusals.
"""

from __future__ import annotations

import random

import numpy as np
from link import Int32, best, run
from river import optim, reco

FACTORS, RATE, NEGATIVES = 10, 0.02, 10


class RiverMf:
    """A rating of 1 for what was taken, of 0 for items drawn at random."""

    def __init__(self, users: int, items: int, seed: int) -> None:
        self.items = items
        self.draw = random.Random(seed)
        self.model = reco.BiasedMF(
            n_factors=FACTORS,
            bias_optimizer=optim.SGD(RATE),
            latent_optimizer=optim.SGD(RATE),
            weight_initializer=optim.initializers.Normal(mu=0.0, sigma=0.1, seed=seed),
            l2_bias=0.0,
            l2_latent=0.01,
            seed=seed,
        )

    def learn(self, user: int, item: int, t: float) -> None:
        """One step toward 1, and one toward 0 for each negative."""
        self.model.learn_one(user, item, 1.0)
        for _ in range(NEGATIVES):
            self.model.learn_one(user, self.draw.randrange(self.items), 0.0)

    def recommend(self, user: int, k: int, exclude: Int32) -> Int32:
        """Predict every item."""
        predict = self.model.predict_one
        return best(np.array([predict(user, item) for item in range(self.items)]), k, exclude)


if __name__ == "__main__":
    run(RiverMf)
