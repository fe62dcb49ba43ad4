"""Odds: which slates a policy shows for one request, and how often; found by asking the policy itself.

A policy is asked with one seed after another. When the slates seen account for all probability, as the policy tells
it (`Choice.propensities`), the odds are exact: Thompson sampling over a fixed ensemble has at most as many slates as
draws, greedy has one. Otherwise they are frequencies over `MOST_SEEDS` seeds: an average over them is right on
average, with the noise of that many draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from instep.evaluate.base import Float64, Int32
from instep.policy import Choice, Policy

ASKED: Final = (1, 16, 64, 128)
"""After how many seeds it is checked whether all slates were seen."""
MOST_SEEDS: Final = ASKED[-1]
WHOLE: Final = 1.0 - 1e-9


class Reveal(Policy):
    """A policy that shows all candidates in their order, and keeps what a real one would have chosen among.

    With it in place of a model's policy, a request goes the way it always goes, up to the choice.

    Args:
        real: the policy whose choice is wanted; what it wants to see is what is kept.
    """

    def __init__(self, real: Policy) -> None:
        self.real = real
        self.name = real.name
        self.draws = real.draws
        self.deviation = real.deviation
        self.tilt = real.tilt
        self.scores: NDArray[np.float32] = np.zeros((1, 0), np.float32)

    def choose(self, scores: NDArray[np.float32], k: int, seed: int) -> Choice:
        """All places; see the class."""
        self.scores = scores.copy()
        return Choice(np.arange(scores.shape[1]), np.ones(scores.shape[1]))


@dataclass(frozen=True)
class Odds:
    """A policy's slates for one request.

    Args:
        slates: int32 (m, k), distinct slates of item numbers.
        share: float64 (m,), how often each is shown; sums to 1.
        exact: whether these are all, with their true probabilities.
    """

    slates: Int32
    share: Float64
    exact: bool

    @property
    def marginal(self) -> tuple[Int32, Int32, Float64]:
        """Which items stand where, how often: places int32 (e,), items int32 (e,), shares float64 (e,)."""
        m, k = self.slates.shape
        places = np.tile(np.arange(k, dtype=np.int32), m)
        cells, place_of = np.unique(np.stack([places, self.slates.reshape(-1)]), axis=1, return_inverse=True)
        share = np.bincount(place_of.reshape(-1), np.repeat(self.share, k))
        return cells[0], cells[1], share.astype(np.float64)

    def share_at(self, slate: Int32) -> Float64:
        """How often each of a slate's items stands at its place: float64 (k,) for int32 (k,).

        >>> Odds(np.array([[1, 2], [2, 1]], np.int32), np.array([0.75, 0.25]), True).share_at(np.array([1, 1]))
        array([0.75, 0.25])
        """
        return np.asarray(self.share @ (self.slates == slate))

    def following(self, slate: Int32) -> list[tuple[Int32, Float64]]:
        """For each place of a slate: which items come there after the slate's items above, and how often.

        Returns:
            For each of the k places items int32 (e,) and shares float64 (e,), which sum to 1, or are empty where no
            slate of these odds begins so.
        """
        found = []
        agree = np.ones(len(self.slates), bool)
        for place, item in enumerate(slate.tolist()):
            share, there = self.share[agree], self.slates[agree, place]
            items, which = np.unique(there, return_inverse=True)
            found.append((items, np.bincount(which.reshape(-1), share) / max(share.sum(), 1e-300)))
            agree = agree & (self.slates[:, place] == item)
        return found


def policy_odds(policy: Policy, scores: NDArray[np.float32], k: int) -> Odds:
    """The odds of a policy's slates of places.

    Args:
        policy: asked with seeds 0, 1, 2 ...
        scores: float32 (1 + ..., m), see `Policy.choose`.
        k: slate length, 1 <= k <= m.

    >>> from instep.policy import Greedy
    >>> policy_odds(Greedy(), np.array([[0.1, 0.3, 0.2]], np.float32), 2)
    Odds(slates=array([[1, 2]], dtype=int32), share=array([1.]), exact=True)
    """
    told: dict[tuple[int, ...], float] = {}
    count: dict[tuple[int, ...], int] = {}
    seed = 0
    for asked in ASKED:
        while seed < asked:
            choice = policy.choose(scores, k, seed)
            slate = tuple(choice.places.tolist())
            told[slate] = float(np.prod(choice.propensities))
            count[slate] = count.get(slate, 0) + 1
            seed += 1
        mass = sum(told.values())
        if WHOLE <= mass <= 2.0 - WHOLE:
            share = np.array(list(told.values())) / mass
            return Odds(np.array(list(told), np.int32), share, True)
    return Odds(np.array(list(count), np.int32), np.array(list(count.values())) / seed, False)


def pseudo_inverse_factor(logging: Odds, candidate: Odds, slate: Int32) -> float:
    """The weight of a slate's reward, where the reward is a sum of what each item earns at its place.

    Args:
        logging: exact odds of the policy that logged.
        candidate: odds of the one to judge.
        slate: int32 (k,), the slate that was logged.

    Source: Swaminathan et al. 2017, eq. 4: q' G⁺ 1, with G the logging policy's matrix of how often two items stand at
    their places together. With B'B = G, G⁺ = B⁺ B⁺'.

    >>> both = Odds(np.array([[1, 2], [2, 1]], np.int32), np.array([0.5, 0.5]), True)
    >>> one = Odds(np.array([[1, 2]], np.int32), np.array([1.0]), True)
    >>> round(pseudo_inverse_factor(both, one, np.array([1, 2])), 6)
    2.0
    >>> abs(round(pseudo_inverse_factor(both, one, np.array([2, 1])), 6))
    0.0
    """
    m, k = logging.slates.shape
    place = np.arange(k)
    _, cell = np.unique(
        np.stack([np.tile(place, m), logging.slates.reshape(-1)]), axis=1, return_inverse=True
    )
    cell = cell.reshape(m, k)
    columns = int(cell.max()) + 1
    root = np.zeros((m, columns))
    root[np.arange(m)[:, None], cell] = np.sqrt(logging.share)[:, None]
    wanted = np.zeros(columns)
    wanted[cell] = candidate.share @ (candidate.slates == logging.slates[:, None])  # each cell once a slate
    shown = np.zeros(columns)
    at = np.argmax((logging.slates == slate).all(1))
    shown[cell[at]] = 1.0
    inverse = np.linalg.pinv(root)
    return float((wanted @ inverse) @ (inverse.T @ shown))
