"""A shop with known truth: what logs cannot tell, regret and recovery, can be measured in it.

Users come one after another, each with a taste; items have topics, titles and a quality. Who is shown a slate looks at
the places from the top down, ever less likely; clicks on what is seen by the sigmoid of taste, quality and fatigue; and
of the clicks some become purchases, hours later. What a user has taken once brings nothing more. Items come and go.
With `drift`, tastes move to other topics and items change their quality. Everything follows from the seed and from
what is shown.

Source: Craswell et al. 2008 (position-based clicks); Ie et al. 2019, "RecSim" (tastes that move, fatigue).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from instep.domain import InvalidRequest

START: Final = 1_700_000_000.0
TOPICS: Final = {
    "tea": ("green tea", "black tea", "oolong", "teapot", "jasmine tea", "tea strainer"),
    "garden": ("rake", "garden hose", "spade", "flower pot", "watering can", "pruning shears"),
    "tools": ("saw", "drill", "hammer", "wrench", "tape measure", "chisel"),
    "books": ("novel", "cookbook", "book of poems", "atlas", "biography", "comic"),
    "music": ("guitar", "drum", "violin strings", "record player", "harmonica", "piano stool"),
    "sports": ("football", "tennis racket", "yoga mat", "running shoes", "bicycle helmet", "skates"),
    "toys": ("puzzle", "kite", "doll", "model train", "board game", "teddy bear"),
    "lamps": ("lantern", "desk lamp", "candle", "torch", "string of lights", "night light"),
}
LOOKS: Final = ("small", "large", "red", "blue", "antique", "modern", "wooden", "light", "fine", "plain")
TASTE: Final = 2.5
QUALITY: Final = 0.7
BASE: Final = -2.5
TIRED_BY_SHOWING: Final = 0.25
TIRED_FOR: Final = 0.8  # of the fatigue that is left at the user's next visit
SEEN: Final = 0.7  # the k-th place is seen by one in k to this power
PURCHASE: Final = 2.0
PURCHASE_SECONDS: Final = 21_600.0
GAP_SECONDS: Final = 600.0
NEVER: Final = np.iinfo(np.int64).max

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Plan(msgspec.Struct, frozen=True):
    """What kind of world.

    Args:
        users: how many come back again and again.
        items: how many there are at any time.
        steps: visits until it ends.
        slate: places of a slate.
        drift: whether tastes move and items change their quality.
        churn: share of the items that is replaced within 1,000 visits.
        planted: quality of one item that appears after a quarter of the visits and stays; None for none.

    Raises:
        InvalidRequest: a number is out of range.
    """

    users: int = 150
    items: int = 300
    steps: int = 1500
    slate: int = 10
    drift: bool = True
    churn: float = 0.3
    planted: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("users", 1), ("items", 1), ("steps", 1), ("slate", 1)):
            if getattr(self, name) < least:
                raise InvalidRequest(f"must be at least {least}, not {getattr(self, name)}", name)
        if self.slate > self.items:
            raise InvalidRequest(f"must be at most the number of items, {self.items}", "slate")
        if not 0.0 <= self.churn <= 100.0:
            raise InvalidRequest(f"must be between 0 and 100, not {self.churn}", "churn")


class Arrival(msgspec.Struct, frozen=True):
    """An item as its description says."""

    item: int
    title: str
    topic: str


class Act(msgspec.Struct, frozen=True):
    """A click or purchase: by whom, on what, when (seconds), at which place of which visit's slate."""

    user: int
    item: int
    type: str
    time: float
    visit: int
    place: int


class Visit(msgspec.Struct, frozen=True):
    """What is known when a user comes.

    Args:
        number: 0 for the first.
        user: who.
        now: when, seconds.
        available: bool (items,), what can be shown: there now, and not taken by this user before.
        arrivals: items that are new since the last visit.
        departures: items that are gone since the last visit.
        late: purchases made since the last visit.
    """

    number: int
    user: int
    now: float
    available: NDArray[np.bool_]
    arrivals: tuple[Arrival, ...]
    departures: tuple[int, ...]
    late: tuple[Act, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What came of a slate.

    Args:
        acts: its clicks.
        expected: what the slate was worth in truth: expected clicks plus twice the expected purchases.
        best: what the best slate would have been worth.
    """

    acts: tuple[Act, ...]
    expected: float
    best: float


class World:
    """Users, items and the truth about them.

    Args:
        plan: what kind.
        seed: the only source of randomness.

    Attributes:
        size: how many items there ever are; they are numbered from 0 in the order of their arrival.
        planted: number of the planted item, -1 for none.

    >>> world = World(Plan(users=3, items=20, steps=2), seed=1)
    >>> visit = world.visit()
    >>> outcome = world.show(np.flatnonzero(visit.available)[:10])
    >>> 0.0 < outcome.expected <= outcome.best
    True
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        # The world's course and the users' answers each have a source: what is shown does not change who comes.
        self._course, self._answers = (
            np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2)
        )
        self._make_items()
        self._main = self._course.integers(0, len(TOPICS), plan.users)
        self._taste = np.stack([self._new_taste(topic) for topic in self._main])
        self._tired: F64 = np.zeros((plan.users, self.size))
        self._taken = np.zeros((plan.users, self.size), bool)
        self._clock, self._number, self._told = START, -1, 0
        self._gone: set[int] = set()
        self._late: list[Act] = []
        self._visit: Visit | None = None

    def _make_items(self) -> None:
        plan, rng = self.plan, self._course
        births = round(plan.churn * plan.items * plan.steps / 1000)
        born = np.concatenate(
            [np.zeros(plan.items, np.int64), np.sort(rng.integers(1, max(plan.steps, 2), births))]
        )
        dies = np.full(len(born), NEVER)
        there = list(range(plan.items))
        for newcomer in range(plan.items, len(born)):  # one comes, one goes: as many as ever
            dies[there.pop(rng.integers(len(there)))] = born[newcomer]
            there.append(newcomer)
        self.planted = -1
        if plan.planted is not None:
            at = int(np.searchsorted(born, max(1, plan.steps // 4)))
            self.planted = max(at, plan.items)
            born = np.insert(born, self.planted, max(1, plan.steps // 4))
            dies = np.insert(dies, self.planted, NEVER)
        self.size = len(born)
        self._born, self._dies = born, dies
        names, looks = list(TOPICS), list(LOOKS)
        self._topic = rng.integers(0, len(TOPICS), self.size)
        self._vector = np.stack([self._new_taste(topic, 0.3) for topic in self._topic])
        self._quality = rng.normal(0.0, QUALITY, self.size)
        self._buys = rng.beta(2.0, 8.0, self.size)
        if plan.planted is not None:
            self._quality[self.planted] = plan.planted
        self._arrival = [
            Arrival(
                item,
                f"{looks[rng.integers(len(looks))]} {TOPICS[names[topic]][rng.integers(6)]} {item}",
                names[topic],
            )
            for item, topic in enumerate(self._topic)
        ]

    def _new_taste(self, topic: int, noise: float = 0.4) -> F64:
        vector = np.abs(self._course.normal(0.0, noise, len(TOPICS))) * 0.5
        vector[topic] += 1.0
        return vector / float(np.linalg.norm(vector))

    def truth(self, user: int) -> F64:
        """What each item would bring from a user now if it is seen: float64 (size,); 0 where it cannot be shown."""
        logit = BASE + TASTE * (self._vector @ self._taste[user]) + self._quality - self._tired[user]
        worth = (1.0 + PURCHASE * self._buys) / (1.0 + np.exp(-logit))
        return np.where(self._available(user), worth, 0.0)

    def _available(self, user: int) -> NDArray[np.bool_]:
        there: NDArray[np.bool_] = (self._born <= self._number) & (self._dies > self._number)
        there &= ~self._taken[user]
        return there

    def visit(self) -> Visit:
        """The next user comes. `show` answers, before the next visit."""
        rng, plan = self._course, self.plan
        self._number += 1
        self._clock += rng.exponential(GAP_SECONDS)
        user = int(rng.integers(plan.users))
        moves, changes = rng.random(), rng.random(self.size)
        topic, quality = int(rng.integers(len(TOPICS))), rng.normal(0.0, QUALITY, self.size)
        taste = self._new_taste(topic)
        if plan.drift:
            if moves < 0.06:
                self._taste[user] = taste
            changed = changes < 1.0 / 500.0
            if self.planted >= 0:
                changed[self.planted] = False
            self._quality = np.where(changed, quality, self._quality)
        self._tired[user] *= TIRED_FOR
        there = int(np.searchsorted(self._born, self._number, side="right"))
        arrivals = tuple(self._arrival[self._told : there])
        self._told = there
        gone = tuple(np.flatnonzero((self._dies <= self._number) & (self._born < self._number)).tolist())
        departures = tuple(item for item in gone if item not in self._gone)
        self._gone.update(departures)
        late = tuple(act for act in self._late if act.time <= self._clock)
        self._late = [act for act in self._late if act.time > self._clock]
        self._visit = Visit(
            self._number, user, self._clock, self._available(user), arrivals, departures, late
        )
        return self._visit

    def show(self, slate: I64) -> Outcome:
        """Show a slate to the visitor.

        Args:
            slate: int64 (k,), numbers of available items, at most `plan.slate`, each once.

        Raises:
            InvalidRequest: nobody is there, or the slate holds what cannot be shown.
        """
        visit, slate = self._visit, np.asarray(slate, np.int64)
        if visit is None:
            raise InvalidRequest("nobody is there; call `visit` first")
        inside = slate.ndim == 1 and bool(((slate >= 0) & (slate < self.size)).all())
        if not inside or len(slate) > self.plan.slate or len(set(slate.tolist())) < len(slate):
            raise InvalidRequest(f"must hold at most {self.plan.slate} items, each once", "slate")
        if not visit.available[slate].all():
            raise InvalidRequest("holds an item that is not available", "slate")
        self._visit = None
        truth = self.truth(visit.user)
        seen: F64 = np.arange(1, self.plan.slate + 1, dtype=np.float64) ** -SEEN
        best = np.sort(truth)[::-1][: self.plan.slate]
        expected = float(truth[slate] @ seen[: len(slate)])
        acts = self._clicks(visit, slate, truth, seen)
        return Outcome(acts, expected, float(best @ seen[: len(best)]))

    def _clicks(self, visit: Visit, slate: I64, truth: F64, seen: F64) -> tuple[Act, ...]:
        rng, user = self._answers, visit.user
        looks, likes, buys = rng.random((3, self.plan.slate))
        delays = rng.exponential(PURCHASE_SECONDS, self.plan.slate)
        acts = []
        for place, item in enumerate(slate.tolist()):
            if looks[place] >= seen[place]:
                continue
            self._tired[user, item] += TIRED_BY_SHOWING
            if likes[place] >= truth[item] / (1.0 + PURCHASE * self._buys[item]):
                continue
            self._taken[user, item] = True
            acts.append(Act(user, item, "click", visit.now + place, visit.number, place))
            if buys[place] < self._buys[item]:
                when = visit.now + place + float(delays[place])
                self._late.append(Act(user, item, "purchase", when, visit.number, place))
        return tuple(acts)
