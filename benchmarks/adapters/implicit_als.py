"""implicit 0.7.3: alternating least squares, one user's and one item's factors solved anew at every event.

Source: Hu, Koren and Volinsky 2008; `partial_fit_users` and `partial_fit_items` are the library's own way to
keep up. The whole model is fitted anew whenever the number of events has doubled.
"""

from __future__ import annotations

import numpy as np
from implicit.als import AlternatingLeastSquares
from link import Int32, best, run
from scipy.sparse import csr_matrix

FACTORS, REGULARISATION, ALPHA, SWEEPS, FIRST = 64, 5.0, 1.0, 15, 500


class ImplicitAls:
    """ALS that is never more than one event behind for the user and the item of the event."""

    def __init__(self, users: int, items: int, seed: int) -> None:
        self.users, self.items, self.seed = users, items, seed
        self.of_user: list[list[int]] = [[] for _ in range(users)]
        self.of_item: list[list[int]] = [[] for _ in range(items)]
        self.taken = np.zeros(items, np.float32)
        self.events, self.due = 0, FIRST
        self.model: AlternatingLeastSquares | None = None

    def learn(self, user: int, item: int, t: float) -> None:
        """Solve for the user and the item; fit everything when as many events again have come."""
        self.of_user[user].append(item)
        self.of_item[item].append(user)
        self.taken[item] += 1
        self.events += 1
        if self.events >= self.due:
            self.due *= 2
            self.fit()
        elif self.model is not None:
            self.model.partial_fit_users([user], _row(self.of_user[user], self.items))
            self.model.partial_fit_items([item], _row(self.of_item[item], self.users))

    def fit(self) -> None:
        """Fit all events so far."""
        self.model = AlternatingLeastSquares(
            factors=FACTORS,
            regularization=REGULARISATION,
            alpha=ALPHA,
            iterations=SWEEPS,
            num_threads=1,
            random_state=self.seed,
        )
        lengths = [len(items) for items in self.of_user]
        flat = np.array([item for items in self.of_user for item in items], np.int32)
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        whole = csr_matrix((np.ones(len(flat), np.float32), flat, start), shape=(self.users, self.items))
        whole.sum_duplicates()
        self.model.fit(whole, show_progress=False)

    def recommend(self, user: int, k: int, exclude: Int32) -> Int32:
        """By the factors' product; the most taken for a user without any event."""
        if self.model is None or not self.of_user[user]:
            return best(self.taken.copy(), k, exclude)
        return best(self.model.item_factors @ self.model.user_factors[user], k, exclude)


def _row(columns: list[int], width: int) -> csr_matrix:
    index = np.array(columns, np.int32)
    return csr_matrix((np.ones(len(index), np.float32), index, [0, len(index)]), shape=(1, width))


if __name__ == "__main__":
    run(ImplicitAls)
