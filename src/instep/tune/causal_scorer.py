"""The scorer `causal`: a causal language model reranks the best few of a request, within a deadline.

It is off until `recommend.scorers = ["causal"]`, and has a table of its own in the configuration. It reads a user's
history and the candidates' titles while the model is held still, and thinks while it is not (score/base.py).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from instep.domain import Context, StageError
from instep.learn import recent_items
from instep.state import State

F32 = NDArray[np.float32]
Titles = tuple[str, ...]

KEPT: Final = 1024
WAITING: Final = 8
MOST_HISTORY: Final = 20  # as in causal.py, which is not imported before a model is opened


class CausalSettings(NamedTuple):
    """How the scorer works.

    Args:
        top: how many candidates are asked about.
        weight: what a nat a token is worth in log-odds.
        less: the share of a title's likelihood without a history that is taken off.
        users: ``cold`` for those with at most `cold_events` events, or ``all``.
        cold_events: see `users`.
        deadline: seconds after which a request goes on without it.
    """

    top: int = 20
    weight: float = 0.35
    less: float = 0.5
    users: Literal["cold", "all"] = "cold"
    cold_events: int = 5
    deadline: float = 1.0


class CausalScorer:
    """Adds `weight` times what the user's history says of a title, less the mean over the candidates.

    Args:
        ranker: a `CausalRanker`; anything with its `pmi`.
        settings: how it works.

    The same request over the same state gets the same numbers to the bit, unless the deadline passes: then the request
    goes on without it, is counted, and says ``scorer:causal`` among what is degraded.
    """

    name = "causal"

    def __init__(self, ranker: Any, settings: CausalSettings | None = None) -> None:
        self._ranker = ranker
        self._settings = settings or CausalSettings()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="causal")
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Titles, Titles], F32] = OrderedDict()
        self._prepared: OrderedDict[str, dict[str, float] | None] = OrderedDict()
        self._waiting = 0

    @property
    def top(self) -> int:
        """How many candidates it is asked for at most."""
        return self._settings.top

    def prepare(self, state: State, context: Context, items: NDArray[np.int32]) -> Callable[[], None] | None:
        """Note the titles; what comes back asks the language model. None for users whom it does not serve.

        Args:
            state: held still while this runs; what comes back does not read it.
            context: the request.
            items: int32 (n,), the candidates' numbers, best first.

        Returns:
            What to run before `score` is asked; None when there is nothing to ask.
        """
        question = self._question(state, context, items)
        if question is None or not context.request_id:
            return None

        def work() -> None:
            """Ask, and keep the answer for `score`; None where the deadline passed."""
            try:
                values = self._answer(question)
            except StageError:
                values = None
            with self._lock:
                found = self._prepared.get(context.request_id)
                if values is not None:  # a mixed slate asks twice
                    values = {**(found or {}), **values}
                _keep(self._prepared, context.request_id, values)

        return work

    def score(self, state: State, context: Context, items: NDArray[np.int32]) -> F32:
        """Log-odds to be added, float32 (n,).

        Args:
            state: held still while this runs.
            context: the request.
            items: int32 (n,), the candidates' numbers.

        Returns:
            float32 (n,), of mean 0 over the titles that are known; all 0 for users whom it does not serve.

        Raises:
            StageError: the language model took longer than the deadline.
        """
        question = self._question(state, context, items)
        if question is None:
            return np.zeros(len(items), np.float32)
        titles = question[1]
        with self._lock:
            prepared = context.request_id in self._prepared
            values = self._prepared.get(context.request_id)
        if not prepared:
            values = self._answer(question)
        if values is None:
            raise StageError(self._too_slow())
        known = np.array([values.get(title, np.nan) for title in titles], np.float32)
        if np.isnan(known).all():  # all others came up while it was thinking
            return np.zeros(len(items), np.float32)
        known -= np.nanmean(known.astype(np.float64))
        return (self._settings.weight * np.nan_to_num(known)).astype(np.float32)

    def close(self) -> None:
        """Stop thinking."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _question(
        self, state: State, context: Context, items: NDArray[np.int32]
    ) -> tuple[Titles, Titles] | None:
        """The history's titles, oldest first, and the candidates'; None where there is nothing to ask."""
        user = state.user_number.get(state.names.merged.get(context.user_id, context.user_id), -1)
        if user < 0 or not len(items):
            return None
        if self._settings.users == "cold" and state.users.events[user] > self._settings.cold_events:
            return None
        liked = recent_items(state.history, user, MOST_HISTORY, -1, True)[::-1]
        history = tuple(title for item in liked.tolist() if (title := _title(state, item)))
        return (history, tuple(_title(state, item) for item in items.tolist())) if history else None

    def _answer(self, question: tuple[Titles, Titles]) -> dict[str, float]:
        """What the language model says of each title, within the deadline. Raises `StageError` after it."""
        history = question[0]
        titles = tuple(sorted({title for title in question[1] if title}))
        key = (history, titles)
        with self._lock:
            known = self._known.get(key)
            if known is None and self._waiting >= WAITING:
                raise StageError("the causal language model has too many requests waiting")
            self._waiting += known is None
        if known is None:
            known = self._ask(key)
        return dict(zip(titles, known.tolist(), strict=True))

    def _ask(self, key: tuple[Titles, Titles]) -> F32:
        until = time.monotonic() + self._settings.deadline
        asked: Future[F32] = self._threads.submit(self._think, key, until)
        asked.add_done_callback(lambda _: self._done())
        try:
            return asked.result(self._settings.deadline)
        except TimeoutError:
            asked.cancel()  # begun, it is finished and kept: the same question may come again
            raise StageError(self._too_slow()) from None

    def _think(self, key: tuple[Titles, Titles], until: float) -> F32:
        if time.monotonic() > until:
            raise StageError(self._too_slow())
        values: F32 = self._ranker.pmi(*key, self._settings.less)
        with self._lock:
            _keep(self._known, key, values)
        return values

    def _done(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _too_slow(self) -> str:
        return f"the causal language model took longer than {1e3 * self._settings.deadline:.0f} ms"


def causal_scorer(model: str, settings: CausalSettings) -> CausalScorer:
    """The scorer with its model opened.

    Args:
        model: as `instep.tune.causal_models.open_causal` takes it.
        settings: how the scorer works.

    Returns:
        The scorer, ready to be asked.

    Raises:
        ConfigError: a package or the model is missing.
    """
    from instep.tune.causal import CausalRanker
    from instep.tune.causal_models import open_causal

    return CausalScorer(CausalRanker(open_causal(model)), settings)


def _title(state: State, item: int) -> str:
    found = state.names.catalogue[item]
    return found.title.strip() if found is not None else ""


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    """Put at the end, and let the oldest go."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
