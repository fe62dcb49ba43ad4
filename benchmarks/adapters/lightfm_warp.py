"""lightfm-next 1.19: matrix factorisation with the WARP loss, `fit_partial` at every event.

Source: Kula 2015; Weston, Bengio and Usunier 2011. Its ids cannot grow: it is told all of them beforehand.
"""

from __future__ import annotations

import numpy as np
from lightfm import LightFM
from link import Int32, best, run
from scipy.sparse import coo_matrix, identity

FACTORS, RATE, EPOCHS = 32, 0.05, 20


class LightFmWarp:
    """One pair at a time, passed over a few times."""

    def __init__(self, users: int, items: int, seed: int) -> None:
        self.shape = (users, items)
        self.taken = np.zeros(items, np.float32)
        self.known = np.zeros(users, bool)
        self.model = LightFM(no_components=FACTORS, loss="warp", learning_rate=RATE, random_state=seed)
        # Made once: without them every call would make both identity matrices anew.
        self.features = {
            "user_features": identity(users, np.float32, "csr"),
            "item_features": identity(items, np.float32, "csr"),
        }

    def learn(self, user: int, item: int, t: float) -> None:
        """Fit the pair."""
        pair = coo_matrix((np.ones(1, np.float32), ([user], [item])), shape=self.shape)
        self.model.fit_partial(pair, epochs=EPOCHS, num_threads=1, **self.features)
        self.taken[item] += 1
        self.known[user] = True

    def recommend(self, user: int, k: int, exclude: Int32) -> Int32:
        """By the factors' product and the items' biases; the most taken for a user without any event."""
        if not self.known[user]:
            return best(self.taken.copy(), k, exclude)
        model = self.model
        return best(model.item_embeddings @ model.user_embeddings[user] + model.item_biases, k, exclude)


if __name__ == "__main__":
    run(LightFmWarp)
