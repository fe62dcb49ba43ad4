"""The model: one state with all that moves and reads it.

`learn` applies the log's entries in order; `slate` answers a request and writes nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from instep.domain import Context, Entry, Feedback, Item, Reason, Slate, SlateItem, StageError
from instep.experiment import count_record, forget_users
from instep.explain import reasons
from instep.learn import Choice, FastLearner, recent_items, start_vectors
from instep.policy import Policy, best_places
from instep.retrieve import MOST, SOURCES, compile_filter, may_be_shown
from instep.retrieve.base import Retriever
from instep.retrieve.gather import in_categories
from instep.reward import Attribution, RewardTable
from instep.score import SIGNALS, WIDTH, Shortlist, new_weights
from instep.score.base import Reranker, Scorer
from instep.score.posterior import item_noise
from instep.state import State
from instep.state.tables import F32, I32, I64

HEADROOM: Final = 48
MOST_PROPOSED: Final = 500
MOST_FILTERED: Final = 8192
_log = structlog.get_logger("instep.model")


@lru_cache(maxsize=1 << len(SOURCES))
def _sources_of(bits: int) -> tuple[str, ...]:
    """The retrievers' names, from their bits."""
    return tuple(name for k, name in enumerate(SOURCES) if bits & 1 << k)


class Served(NamedTuple):
    """What a request is served with where that is not as configured: an experiment's arm (variants.py)."""

    policy: Policy
    repeat: bool
    retrievers: tuple[Retriever, ...]
    scorers: tuple[Scorer, ...]


class Visit(NamedTuple):
    """A request as it is answered.

    Args:
        context: as it came.
        user: row, -1 for an unknown one.
        repeat: whether consumed items may come back.
        browsed: int32 (c,), the categories that are looked at.
        allowed: a predicate over item numbers; None when everything qualifies.
        began: by the performance counter, seconds.
        degraded: the optional stages that failed; added to.
    """

    context: Context
    user: int
    repeat: bool
    browsed: I32
    allowed: Callable[[int], bool] | None
    began: float
    degraded: list[str]


class Model:
    """State, learner and shortlist.

    Args:
        rewards: type to reward, over the defaults.
        policy: how slates are chosen.
        repeat: whether consumed items may come back when a request does not say.
        retrievers: plugins that propose more candidates.
        scorers: plugins that add to the ranker's scores.
        surfaces: other policies for some surfaces, by the name that requests give.
        attribution: how acts are joined to slates.
    """

    def __init__(
        self,
        rewards: Mapping[str, float],
        policy: Policy,
        repeat: bool,
        retrievers: Sequence[Retriever] = (),
        scorers: Sequence[Scorer] = (),
        surfaces: Mapping[str, Policy] | None = None,
        attribution: Attribution | None = None,
    ) -> None:
        self.state = State(new_weights(), start_vectors)
        self.policy = policy
        self.surfaces = dict(surfaces or {})
        self.repeat = repeat
        self.retrievers = tuple(retrievers)
        self.scorers = tuple(scorers)
        self.preparing: list[Callable[[], None]] | None = None
        self.non_finite = 0
        self.failures: Counter[str] = Counter()
        self.on_stage: Callable[[str, float], None] = lambda stage, seconds: None
        self._shortlist = Shortlist(self.state)
        self.learner = FastLearner(self.state, RewardTable(rewards), self._learn_choice, attribution)
        # One set of posterior draws for good: propensities are counts over them (policy/thompson.py).
        self._noise: F32 = np.zeros((0, WIDTH), np.float32)
        self._item_noise: F32 = item_noise(0)
        self._draw_noise(max(each.draws for each in (policy, *self.surfaces.values())))

    def _draw_noise(self, most: int) -> None:
        """Have as many draws as a policy wants; the first ones stay what they were."""
        if most > len(self._noise):
            self._noise = np.random.default_rng(7).standard_normal((most, WIDTH)).astype(np.float32)
            self._item_noise = item_noise(most)

    def policy_of(self, surface: str) -> Policy:
        """The policy that chooses the slates of a surface."""
        return self.surfaces.get(surface, self.policy)

    def learn(self, entries: Iterable[Entry]) -> None:
        """Apply entries in the log's order."""
        for entry in entries:
            self.learner.learn_one(entry.record)
            count_record(self.state.names.trials, self.state.names.merged, entry.record)
            self.state.offset = entry.offset + 1

    def _learn_choice(self, user: int, item: int, now: float, weight: float, among: Choice) -> None:
        if len(among.items) > 1:  # what was shown and left is known: the choice was among the slate's items
            self._shortlist.learn(user, item, now, weight, self.repeat, among.items, among.looks)
            return
        # The item is not added to what would have been considered: among candidates of which all but one were
        # retrieved for their popularity, popularity would look like a fault. Given that the choice fell on a
        # candidate, the softmax over the candidates is exact (independence of irrelevant alternatives).
        self._shortlist.learn(user, item, now, weight, self.repeat, self._asked([]))

    def slate(self, context: Context, served: Served | None = None) -> Slate:
        """Choose a slate. The state stays as it was, to the byte.

        Args:
            context: the request.
            served: what it is served with; None for what is configured.

        Returns:
            The slate, with a propensity for each item.

        Raises:
            InvalidRequest: the filter is no CEL expression that gives true or false, or a category is unknown.
        """
        state = self.state
        served = served or Served(self.policy_of(context.surface), self.repeat, self.retrievers, self.scorers)
        self._draw_noise(served.policy.draws)
        user_id = state.names.merged.get(context.user_id, context.user_id)
        looking_at = context.attributes.get("category")  # steers what is retrieved; `categories` also filters
        wanted = (*context.categories, looking_at) if isinstance(looking_at, str) else context.categories
        browsed = [state.category_number[name] for name in wanted if name in state.category_number]
        visit = Visit(
            context,
            state.user_number.get(user_id, -1),
            served.repeat if context.repeat is None else context.repeat,
            np.array(browsed, np.int32),
            self._allowed(context),
            time.perf_counter(),
            [],
        )
        asked = np.concatenate(
            [self._asked(browsed), *self._proposed(context, served.retrievers, visit.degraded)]
        )
        enough = min(context.n, state.n_items) if len(asked) < state.n_items else 0
        items = self._items(visit, served, asked, enough)
        if items is None:
            items = self._items(visit, served, np.concatenate([asked, self._everything(visit)]), 0)
        degraded = tuple(dict.fromkeys(visit.degraded))
        return Slate(context.request_id, items or (), served.policy.name, state.offset, degraded)

    def _items(self, visit: Visit, served: Served, asked: I32, enough: int) -> tuple[SlateItem, ...] | None:
        """Retrieve, score, filter, choose; None when fewer than `enough` candidates qualify."""
        clock, context, policy = time.perf_counter, visit.context, served.policy
        found = self._shortlist.gather(visit.user, context.now, visit.repeat, asked, visit.browsed)
        gathered = clock()
        self.on_stage("retrieve", gathered - visit.began)
        added = np.zeros(found.size, np.float32)
        for stage in served.scorers:
            if isinstance(stage, Reranker):
                continue
            extra = self._optional(
                f"scorer:{stage.name}", visit.degraded, stage.score, self.state, context, found.items
            )
            added = added if extra is None else added + extra
        scores = found.scores + added
        self.non_finite += int(np.count_nonzero(~np.isfinite(scores)))
        rerankers = [stage for stage in served.scorers if isinstance(stage, Reranker)]
        wanted = max([context.n, *(stage.top for stage in rerankers)])
        places = self._qualified(found, scores, visit.allowed, wanted, policy)
        if len(places) < enough:
            return None
        for reranker in rerankers:
            scores, places = self._reranked(reranker, visit, found.items, scores, places)
        scored = clock()
        self.on_stage("score", scored - gathered)
        items = self._chosen(found, scores, places, context, policy)
        self.on_stage("choose", clock() - scored)
        return items

    def _reranked(
        self, stage: Reranker, visit: Visit, items: I32, scores: F32, places: I64
    ) -> tuple[F32, I64]:
        """Scores with a reranker's numbers added to the best few, and the places in their new order."""
        best = places[: stage.top]
        if not len(best):
            return scores, places
        name, asked = f"scorer:{stage.name}", items[best].copy()
        if self.preparing is not None:
            try:
                work = stage.prepare(self.state, visit.context, asked)
            except Exception:  # `score` will fail, too, and be counted
                work = None
            self.preparing += [work] if work is not None else []
            return scores, places
        extra = self._optional(name, visit.degraded, stage.score, self.state, visit.context, asked)
        if extra is None:
            return scores, places
        scores = scores.copy()
        scores[best] += extra
        self.non_finite += int(np.count_nonzero(~np.isfinite(extra)))
        return scores, places[best_places(scores[places], len(places))]

    def considered(self, user_id: str, now: float, n: int) -> tuple[I32, F32, F32]:
        """What would be considered for a user, best first, without filters: reads only.

        Args:
            user_id: who.
            now: when, seconds.
            n: how many at most.

        Returns:
            Item numbers, int32 (m,); the ranker's scores, float32 (m,); the signals, float32 (m, WIDTH).
        """
        user = self.state.user_number.get(self.state.names.merged.get(user_id, user_id), -1)
        found = self._shortlist.gather(user, now, self.repeat, self._asked([]))
        scores = found.scores
        places = best_places(scores, min(n, found.size))
        return found.items[places].copy(), scores[places].copy(), found.signals[places].copy()

    def _proposed(self, context: Context, retrievers: Sequence[Retriever], degraded: list[str]) -> list[I32]:
        """What the plugins' retrievers propose."""
        proposed = [
            self._optional(f"retriever:{stage.name}", degraded, stage.retrieve, self.state, context)
            for stage in retrievers
        ]
        return [items[:MOST_PROPOSED].astype(np.int32) for items in proposed if items is not None]

    def _optional(
        self, name: str, degraded: list[str], stage: Callable[..., NDArray[Any]], *arguments: object
    ) -> Any:
        """An optional stage's answer, or None when it failed: counted, and told in the slate."""
        try:
            answer = stage(*arguments)
            if answer.ndim != 1 or (name.startswith("scorer:") and len(answer) != len(arguments[-1])):  # type: ignore[arg-type]
                raise StageError(f"{name} answered with shape {answer.shape}")
            if name.startswith("retriever:") and not self._are_items(answer):
                raise StageError(f"{name} answered with numbers that are no items'")
        except Exception as error:  # a plugin may fail in any way; the request goes on
            self.failures[name] += 1
            degraded.append(name)
            _log.warning(
                "an optional stage failed; the request went on without it", stage=name, why=repr(error)
            )
            return None
        return answer

    def _are_items(self, numbers: NDArray[Any]) -> bool:
        """Whether compiled code, which checks no bounds, may read these rows."""
        whole = numbers.dtype.kind in "iu"
        return whole and (
            numbers.size == 0 or bool(numbers.min() >= 0 and numbers.max() < self.state.n_items)
        )

    def _qualified(
        self, found: Shortlist, scores: F32, allowed: Callable[[int], bool] | None, n: int, policy: Policy
    ) -> I64:
        """Places of the best candidates that qualify, best first, with headroom for the policy to explore in."""
        wanted = n + (HEADROOM if policy.draws or policy.deviation else 0)
        if allowed is None:
            return best_places(scores, min(wanted, len(scores)))
        clean = np.where(np.isfinite(scores), scores, -np.inf)
        kept = []
        for place in np.argsort(-clean, kind="stable"):
            if allowed(int(found.items[place])):
                kept.append(place)
                if len(kept) == wanted:
                    break
        return np.array(kept, np.int64)

    def _chosen(
        self,
        found: Shortlist,
        scores: F32,
        places: I64,
        context: Context,
        policy: Policy,
    ) -> tuple[SlateItem, ...]:
        if len(places) == 0:
            return ()
        rows = self._rows(found, scores, places, policy)
        choice = policy.choose(rows, min(context.n, len(places)), seed_of(context.request_id))
        names = self.state.names.items
        chosen = places[choice.places]
        past = found.past() if context.explain else None
        slate = []
        for place, item, bits, value, propensity in zip(
            chosen.tolist(),
            found.items[chosen].tolist(),
            found.sources[chosen].tolist(),
            scores[chosen].tolist(),
            choice.propensities.tolist(),
            strict=True,
        ):
            why: tuple[Reason, ...] = ()
            if past is not None:
                why = reasons(self.state, item, found.addends(place), *past)
            slate.append(SlateItem(names[item], value, propensity, _sources_of(bits), why))
        return tuple(slate)

    def _rows(self, found: Shortlist, scores: F32, places: I64, policy: Policy) -> F32:
        """What a policy sees of the candidates at `places`: see `Policy.choose`."""
        expected = scores[places]
        if not (policy.draws or policy.deviation or policy.tilt):
            return expected[None]
        seen: F32 = expected[None]
        if policy.draws:
            noise, item_noise = self._noise[: policy.draws], self._item_noise[: policy.draws]
            seen = found.draws(places, expected, noise, item_noise)
        if policy.deviation:
            seen = np.concatenate([seen, found.deviations(places)[None]])
        if policy.tilt is not None:
            tilt = np.array([policy.tilt.get(name, 0.0) for name in SIGNALS], np.float32)
            seen[: 1 + policy.draws] += found.signals[places] @ tilt
        return seen

    def _allowed(self, context: Context) -> Callable[[int], bool] | None:
        """A predicate over item numbers, or None when everything qualifies."""
        if not (context.exclude or context.categories or context.filter):
            return None
        state = self.state
        excluded = {state.item_number[name] for name in context.exclude if name in state.item_number}
        wanted = {state.category_number.get(name, -2) for name in context.categories}
        qualifies = compile_filter(context.filter) if context.filter else None

        def allowed(row: int) -> bool:
            if row in excluded:
                return False
            if wanted and wanted.isdisjoint(state.items.categories[row].tolist()):
                return False
            if qualifies is None:
                return True
            item = state.names.catalogue[row] or Item(state.names.items[row])
            return qualifies(item, context.now)

        return allowed

    def _asked(self, browsed: list[int]) -> I32:
        """A browsed category's own items; a small catalogue whole."""
        n = self.state.n_items
        if n <= MOST // 2:
            return np.arange(n, dtype=np.int32)
        if not browsed:
            return np.zeros(0, np.int32)
        return in_categories(self.state.items.categories[:n], np.array(browsed, np.int32), MOST // 2)

    def _everything(self, visit: Visit) -> I32:
        """When too few candidates qualify: the most taken items that do, as many as fit.

        A filter is evaluated on MOST_FILTERED items at most, so that no expression can stop the service.
        """
        state, n = self.state, self.state.n_items
        context, user, allowed = visit.context, visit.user, visit.allowed
        open_ = may_be_shown(state.items, slice(n), context.now)
        if context.categories:
            wanted = [state.category_number.get(name, -2) for name in context.categories]
            open_ &= np.isin(state.items.categories[:n], wanted).any(1)
        if user >= 0 and not visit.repeat:
            start = int(state.history.start[user])
            open_[state.history.ids[start : start + int(state.history.length[user])]] = False
        rows = np.flatnonzero(open_)
        rows = rows[np.argsort(-state.items.taken[rows], kind="stable")]
        if allowed is not None:
            rows = np.array([row for row in rows[:MOST_FILTERED].tolist() if allowed(row)], np.int64)
        return rows[:MOST].astype(np.int32)

    def forget(self, user_ids: Iterable[str]) -> None:
        """Drop users' own state at once: history, counts, attributes. What items learned from them stays."""
        state, user_ids = self.state, list(user_ids)
        self.learner.forget(user_ids)
        forget_users(state.names.trials, user_ids)
        for user_id in user_ids:
            state.names.attributes.pop(user_id, None)
            row = state.user_number.get(user_id)
            if row is not None:
                state.history.length[row] = state.passed.length[row] = 0
                for column in (state.users.events, state.users.rating, state.users.dwell):
                    column[row] = 0

    def reward_of(self, event: Feedback) -> float:
        """The reward that an act would get now."""
        return self.learner.judge(event)

    def liked_items(self, user_id: str, n: int) -> list[str]:
        """Distinct items a user took and did not refuse, newest first."""
        state = self.state
        row = state.user_number.get(state.names.merged.get(user_id, user_id), -1)
        return [state.names.items[int(i)] for i in recent_items(state.history, row, n, -1, True)]


def seed_of(request_id: str) -> int:
    """A request's seed: a hash of its id, so that the same request is answered the same way on any machine.

    >>> seed_of("r1") == seed_of("r1") != seed_of("r2")
    True
    """
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest(), "little") >> 1
