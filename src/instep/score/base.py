"""Scorers: candidates to scores.

Instep's own ranker learns online how to weigh its signals (`ranker.py`). A scorer adds its number to the ranker's;
it is named in `recommend.scorers` and found by the entry-point group `instep.scorers`.

Laws (checked by `instep.testing.ScorerContract`):
- One score a candidate, in the candidates' order: nothing dropped, nothing reordered.
- It reads only: the state is byte-identical afterwards. The same input gives the same scores.
- A score that is not finite puts its candidate last and is counted.
- It may fail: the request goes on without it, the failure is counted and visible in the answer's `degraded`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from instep.domain import Context
from instep.state import State


class Scorer(Protocol):
    """Adds to candidates' scores."""

    @property
    def name(self) -> str:
        """What the configuration and `degraded` call it."""
        ...

    def score(self, state: State, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of candidates.

        Args:
            state: read only.
            context: the request.
            items: int32 (n,), item numbers.

        Returns:
            float32 (n,), in log-odds: added to the ranker's score; higher is better.
        """
        ...


@runtime_checkable
class Reranker(Scorer, Protocol):
    """A scorer too slow for all candidates: it is asked for the best few that qualify, after all others.

    `Flow` asks it twice: `prepare` while the model is held still, and what that gives is run while it is not, so that
    nobody else waits; then `score`. Whoever asks the model itself calls `score` alone.
    """

    @property
    def top(self) -> int:
        """How many candidates it is asked for at most."""
        ...

    def prepare(self, state: State, context: Context, items: NDArray[np.int32]) -> Callable[[], None] | None:
        """Read what is needed of the state, within a millisecond.

        Args:
            state, context, items: as for `score`, which will follow with the same request id.

        Returns:
            The slow part, which reads no state and returns within the scorer's own deadline whatever happens; None
            where there is nothing to do.
        """
        ...
