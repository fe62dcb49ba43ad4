"""The log played again: what each impression earned, and what the logging policy and a candidate think of it.

Both policies go the way that a request goes (`Model.slate`) with the state as of each impression. Where the two
configurations differ in policies alone, one model serves both; otherwise each learns the log in its own way. Rewards
are those of the folder's own configuration, so that both policies are measured with one yardstick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from instep.domain import Context, Entry, Feedback, Impression, InvalidRequest
from instep.evaluate.base import Float64, Int32
from instep.evaluate.offpolicy.joining import Join, Selection, Shown, shown_slates
from instep.evaluate.offpolicy.logged import Logged, Spread
from instep.evaluate.offpolicy.odds import Odds, Reveal, policy_odds, pseudo_inverse_factor
from instep.flow import Flow, Settings
from instep.log import MemoryLog, Readable
from instep.model import Model

SAME: Final = 1e-4
"""By how much a logged propensity and its replay may differ, relatively: scores are float32."""
NOBODY: Final = -2
"""Where a policy shows nothing: the item of a place that it does not fill."""
Told = Callable[[str, int, int], None]
"""Is told which work is under way, how far it is, and its whole."""
Instead = Callable[[Entry], Entry | None]
"""What is learned in an entry's place."""


class Asker:
    """Asks a configuration's policies about logged slates.

    Args:
        model: whose state, and whose way of a request.
        settings: whose policies.
        number: item id to its number, shared by all askers; grows.
    """

    def __init__(self, model: Model, settings: Settings, number: dict[str, int]) -> None:
        self.model = model
        made = Flow(MemoryLog(), settings).model
        self._policy = Reveal(made.policy)
        self._surfaces = {name: Reveal(policy) for name, policy in made.surfaces.items()}
        self._number = number

    def ask(self, impression: Impression) -> tuple[Float64, Odds]:
        """The policy's probability of each item of a logged slate given those above it, and its odds.

        Returns:
            float64 (k,), 0 from where the slate could not be; and odds over slates of k places, in which places that
            the policy would leave empty hold `NOBODY`.
        """
        k = len(impression.item_ids)
        self.model.policy, self.model.surfaces = self._policy, dict(self._surfaces)
        reveal = self._surfaces.get(impression.surface, self._policy)
        who = {"user_id": impression.user_id, "now": impression.timestamp, "surface": impression.surface}
        asked = {**impression.asked, **who, "request_id": impression.event_id}
        context = msgspec.convert({"n": k, **asked}, Context)
        try:
            candidates = [item.item_id for item in self.model.slate(context).items]
        except InvalidRequest:  # an import may have brought what no request of ours could ask
            candidates = []
        length = min(context.n, len(candidates))
        filled = min(length, k)
        if filled == 0:
            return np.zeros(k), Odds(np.full((1, k), NOBODY, np.int32), np.ones(1), True)
        odds = policy_odds(reveal.real, reveal.scores, length)
        numbers = np.array([self.number(name) for name in candidates], np.int32)
        slates = np.full((len(odds.slates), k), NOBODY, np.int32)
        slates[:, :filled] = numbers[odds.slates[:, :filled]]
        given = np.zeros(k)
        given[:filled] = _given(reveal, candidates, impression.item_ids[:filled], length)
        return given, Odds(slates, odds.share, odds.exact)

    def number(self, item_id: str) -> int:
        """The number of an item."""
        return self._number.setdefault(item_id, len(self._number))


def _given(reveal: Reveal, candidates: list[str], slate: tuple[str, ...], length: int) -> Float64:
    """float64 (k,): probabilities of a slate's items given those above; 0 from the first that is no candidate."""
    place = {name: at for at, name in enumerate(candidates)}
    places = [place.get(name, -1) for name in slate]
    known = places.index(-1) if -1 in places else len(places)
    # What follows the first unknown item does not matter, but a policy's odds depend on how long the slate is.
    taken = set(places[:known])
    spare = (at for at in range(len(candidates)) if at not in taken)
    whole = np.array([*places[:known], *(next(spare) for _ in range(known, length))], np.int64)
    given = np.array(reveal.real.propensities(reveal.scores, whole)[: len(slate)], np.float64)
    given[known:] = 0.0
    return given


class _Table:
    """The arrays of `Logged`, row by row."""

    def __init__(self, shown: list[Shown], number: Callable[[str], int]) -> None:
        n, k = len(shown), max(len(each.impression.item_ids) for each in shown)
        self.item: Int32 = np.full((n, k), -1, np.int32)
        self.logged = np.ones((n, k))
        self.reward = np.zeros((n, k))
        self.candidate, self.theirs, self.ours = np.ones((n, k)), np.ones((n, k)), np.ones((n, k))
        self.factor, self.reproduced = np.full(n, np.nan), np.zeros(n)
        self.anywhere: list[tuple[NDArray[np.generic], ...]] = []
        self.following: list[tuple[NDArray[np.generic], ...]] = []
        for row, each in enumerate(shown):
            length = len(each.impression.item_ids)
            self.item[row, :length] = [number(name) for name in each.impression.item_ids]
            self.logged[row, :length] = each.impression.propensities
            if each.impression.as_of == 0:  # imported: no policy of ours, which a replay could ask again
                self.reproduced[row] = np.nan

    def fill(self, row: int, ours: tuple[Float64, Odds], theirs: tuple[Float64, Odds]) -> None:
        """What the logging policy and the candidate said of a row."""
        (given, logging), (wanted, candidate) = ours, theirs
        k = len(given)
        slate = self.item[row, :k]
        self.candidate[row, :k] = wanted
        same = np.allclose(given, self.logged[row, :k], rtol=SAME, atol=0.0)
        self.reproduced[row] = np.nan if np.isnan(self.reproduced[row]) else same
        self.theirs[row, :k] = wanted if k == 1 else candidate.share_at(slate)
        self.ours[row, :k] = self.logged[row, :k] if k == 1 else np.nan
        if k == 1:
            self.factor[row] = wanted[0] / self.logged[row, 0]
        elif same and logging.exact:
            self.ours[row, :k] = logging.share_at(slate)
            self.factor[row] = pseudo_inverse_factor(logging, candidate, slate)
        places, items, share = candidate.marginal
        self.anywhere.append((np.full(len(items), row), places, items, share))
        for place, (items, share) in enumerate(candidate.following(slate)):
            at = np.full(len(items), place)
            self.following.append((np.full(len(items), row), at, items, share))

    def logged_slates(self, user: Int32, notes: dict[str, int], names: tuple[str, ...]) -> Logged:
        """Everything, as arrays."""
        n, k = self.item.shape
        kind = np.tile(np.arange(k, dtype=np.int32), (n, 1))
        return Logged(
            self.item,
            kind,
            self.reward,
            self.logged,
            self.candidate,
            user,
            self.ours,
            self.theirs,
            self.factor,
            _spread(self.anywhere, n),
            _spread(self.following, n),
            self.reproduced,
            notes,
            names,
        )


def _spread(parts: list[tuple[NDArray[np.generic], ...]], rows: int) -> Spread:
    row, place, item, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    filled = item != NOBODY
    at = place[filled].astype(np.int32)
    return Spread(
        np.arange(rows, dtype=np.int32),
        row[filled].astype(np.int32),
        at,
        at,
        item[filled].astype(np.int32),
        share[filled].astype(np.float64),
    )


def replay_slates(
    log: Readable,
    own: Settings,
    candidate: Settings,
    selection: Selection,
    progress: Told | None = None,
    instead: Instead | None = None,
) -> Logged:
    """Judge a log's impressions by two configurations.

    Args:
        log: read from its first record to its end; nothing is written.
        own: the configuration under which the log was made; its rewards are the yardstick.
        candidate: the one to judge.
        selection: which impressions.
        progress: is told how far it is.
        instead: what the candidate learns in an entry's place, None for nothing (vectors of another encoder);
            without it, the entry.

    Raises:
        ConfigError: there is no impression to judge, or a configuration names a part that is not installed.
    """
    told = progress or (lambda work, done, whole: None)
    end = log.end
    looked = "Looking for impressions"
    shown, notes = shown_slates(log.read(), end, selection, lambda at: told(looked, at, end))
    told(looked, end, end)
    number: dict[str, int] = {}
    model = Flow(MemoryLog(), own).model
    alike = instead is None and _learn_alike(own, candidate)
    models = [model] if alike else [model, Flow(MemoryLog(), candidate).model]
    ours, theirs = Asker(model, own, number), Asker(models[-1], candidate, number)
    table, join = _Table(shown, ours.number), Join(shown, selection, model.state.names.merged)
    work, asked = "Replaying the log", 0
    for count, entry in enumerate(log.read(0, end)):
        while asked < len(shown) and shown[asked].as_of <= entry.offset:
            table.fill(asked, ours.ask(shown[asked].impression), theirs.ask(shown[asked].impression))
            asked += 1
        if isinstance(entry.record, Feedback):
            found = join.place(entry.record)
            if found is not None:
                table.reward[found] += model.reward_of(entry.record)
        for each in models:
            learned = entry if instead is None or each is model else instead(entry)
            if learned is not None:
                each.learn((learned,))
        if count % 1000 == 0:
            told(work, entry.offset, end)
    for row in range(asked, len(shown)):
        table.fill(row, ours.ask(shown[row].impression), theirs.ask(shown[row].impression))
    told(work, end, end)
    if join.uncredited:
        notes["feedback that belongs to no slate"] = join.uncredited
    return table.logged_slates(_users(shown, model), notes, tuple(number))


def _learn_alike(own: Settings, candidate: Settings) -> bool:
    """Whether two configurations learn the same from a log: they differ in policies alone."""
    policies = {name: getattr(own, name) for name in ("policy", "budget", "parameters", "surfaces")}
    return msgspec.structs.replace(candidate, **policies) == own


def _users(shown: list[Shown], model: Model) -> Int32:
    """Each impression's user, sessions under the user they were merged into: int32 (n,)."""
    merged = model.state.names.merged
    names = [merged.get(each.impression.user_id, each.impression.user_id) for each in shown]
    return np.unique(names, return_inverse=True)[1].reshape(-1).astype(np.int32)
