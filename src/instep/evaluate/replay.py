"""Test, then learn: every event is first a question, then a lesson.

The protocol (docs/replay.md tells it in full):

    for each group of ties:        events of one user at one time
        slate = recommend(user)    once, before any of the group is learned
        note the rank of each item of the group in the slate
        learn each event           at once, or `delay` events later
"""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instep.domain import ConfigError, StageError
from instep.evaluate.base import Float64, Int32, SplitSystem, System
from instep.evaluate.stream import Stream

PROGRESS_EVERY = 500


@dataclass(frozen=True)
class Options:
    """How a replay goes.

    Args:
        k: slate length.
        warmup: share of the events, 0 <= warmup < 1, that is learned and not scored.
        repeat: whether consumed items are candidates (and events on them are scored).
        delay: by how many events all learning is late.
        delay_items: by how many events what others see is late; the user's own history is fresh.
    """

    k: int = 10
    warmup: float = 0.1
    repeat: bool = False
    delay: int = 0
    delay_items: int = 0


@dataclass(frozen=True)
class Outcome:
    """What one system answered, and how long it took.

    Args:
        system: the system's name.
        event: int32 (scored,), index of each scored event in the stream.
        rank: int32 (scored,), 0-based place of its item in the slate; -1 when it is not there.
        slate: int32 (scored,), which slate was asked for it.
        slates: int32 (slates, k), the slates, padded with -1.
        recommend_ns: float64 (slates,), nanoseconds of each answer.
        observe_ns: float64 (events after the warm-up,), nanoseconds of each lesson.
        seconds: wall time of everything after the warm-up.
        peak_rss_mib: most memory the process held during the replay, MiB.
    """

    system: str
    event: Int32
    rank: Int32
    slate: Int32
    slates: Int32
    recommend_ns: Float64
    observe_ns: Float64
    seconds: float
    peak_rss_mib: float


class Consumed:
    """What each user has consumed, in order, each item once."""

    def __init__(self) -> None:
        self._items: list[Int32] = []
        self._count: list[int] = []
        self._seen: list[set[int]] = []

    def grow(self, users: int) -> None:
        """Have room for so many users."""
        more = range(len(self._seen), users)
        self._items += [np.empty(0, np.int32) for _ in more]
        self._count += [0 for _ in more]
        self._seen += [set() for _ in more]

    def has(self, user: int, item: int) -> bool:
        """Whether this user has consumed this item."""
        return item in self._seen[user]

    def of(self, user: int) -> Int32:
        """int32 (m,), the user's items, distinct, oldest first."""
        return self._items[user][: self._count[user]]

    def add(self, user: int, item: int) -> None:
        """Note that this user consumed this item."""
        if item in self._seen[user]:
            return
        self._seen[user].add(item)
        count = self._count[user]
        if count == len(self._items[user]):
            grown = np.empty(max(8, 2 * count), np.int32)
            grown[:count] = self._items[user]
            self._items[user] = grown
        self._items[user][count] = item
        self._count[user] = count + 1


def replay(
    stream: Stream,
    system: System,
    options: Options = Options(),
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Run a system over a stream, test-then-learn.

    Args:
        stream: the events in order.
        system: fresh: it has learned nothing yet.
        options: the protocol's choices.
        progress: called now and then with the number of events that are done.

    Returns:
        Ranks, slates and times; `instep.evaluate.metrics.summarise` makes numbers of them.

    Raises:
        ConfigError: an option is out of range, or `delay_items` was asked of a system that cannot be split.
        StageError: the system returned a slate that breaks its laws.
    """
    check(system, options)
    _reset_peak_rss()
    run = Replay(stream, system, options)
    starts = np.flatnonzero(np.diff(stream.group, prepend=-1))
    ends = np.append(starts[1:], len(stream))
    cut = int(options.warmup * len(stream))
    began = time.perf_counter()
    warm, told = True, 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if warm and end > cut:
            warm, began = False, time.perf_counter()
        run.step(start, end, cut)
        if progress is not None and start >= told + PROGRESS_EVERY:
            told = start
            progress(told)
    run.learn_until(len(stream) + options.delay + options.delay_items, timed=True)
    return run.outcome(time.perf_counter() - began)


class Replay:
    """A replay under way, group by group: `replay` runs one over a whole stream, this one's stream may grow.

    Args:
        stream: the events so far, in order.
        system: fresh: it has learned nothing yet.
        options: the protocol's choices; `warmup` is for `replay`, `step` is told what to score.

    >>> from instep.evaluate import Rows, arrange, Options
    >>> from instep.evaluate.baselines import Popularity
    >>> stream = arrange("toy", Rows(["u", "v"], ["a", "a"], np.array([1.0, 2.0])), ties="file")
    >>> run = Replay(stream.first(1), Popularity(len(stream.items)), Options())
    >>> run.step(0, 1)
    >>> run.grow(stream)
    >>> run.step(1, 2)
    >>> run.outcome().rank.tolist()
    [0, 0]
    """

    def __init__(self, stream: Stream, system: System, options: Options = Options()) -> None:
        self.system, self.options = system, options
        self.consumed = Consumed()
        self.nothing = np.empty(0, np.int32)
        self.late = options.delay or options.delay_items
        self.learned = 0
        self.user: list[int] = []
        self.item: list[int] = []
        self.t: list[float] = []
        self.value: list[float] = []
        self.event: list[int] = []
        self.rank: list[int] = []
        self.slate: list[int] = []
        self.slates: list[Int32] = []
        self.recommend_ns: list[int] = []
        self.observe_ns: list[int] = []
        self.grow(stream)

    def grow(self, stream: Stream) -> None:
        """Go on with a longer stream, whose first events, users and items are those of the one before."""
        known = len(self.user)
        self.user += stream.user[known:].tolist()
        self.item += stream.item[known:].tolist()
        self.t += stream.t[known:].tolist()
        self.value += stream.value[known:].tolist()
        self.consumed.grow(len(stream.users))

    def step(self, start: int, end: int, cut: int = 0) -> None:
        """One group: learn what was before it, ask, note the ranks, and count it as consumed.

        Args:
            start: index of its first event: the one after the group before.
            end: the index after its last.
            cut: events before this one are not scored.
        """
        warm = end <= cut
        self.learn_until(start, timed=not warm)
        if not warm:
            self.score(start, end, cut)
        self.consume(start, end)

    def learn_until(self, place: int, timed: bool) -> None:
        """Learn every event that is at least `late` events before `place`."""
        learn = self.system.learn
        if self.options.delay_items and isinstance(self.system, SplitSystem):
            learn = self.system.learn_shared
        for event in range(self.learned, min(place - self.late, len(self.user))):
            began = time.perf_counter_ns()
            learn(self.user[event], self.item[event], self.t[event], self.value[event])
            if timed:
                self.observe_ns.append(time.perf_counter_ns() - began)
            self.learned = event + 1

    def score(self, start: int, end: int, cut: int) -> None:
        """Ask for one slate and note where the items of a group's events are in it, from event `cut` on."""
        user = self.user[start]
        wanted: list[int] = []
        mine: set[int] = set()
        for event in range(start, end):
            item = self.item[event]
            again = item in mine or self.consumed.has(user, item)
            if event >= cut and (self.options.repeat or not again):
                wanted.append(event)
            mine.add(item)
        if not wanted:
            return
        exclude = self.nothing if self.options.repeat else self.consumed.of(user)
        began = time.perf_counter_ns()
        slate = self.system.recommend(user, self.t[start], self.options.k, exclude)
        self.recommend_ns.append(time.perf_counter_ns() - began)
        self._check_slate(slate, user)
        place = {int(item): rank for rank, item in enumerate(slate)}
        for event in wanted:
            self.event.append(event)
            self.rank.append(place.get(self.item[event], -1))
            self.slate.append(len(self.slates))
        padded = np.full(self.options.k, -1, np.int32)
        padded[: len(slate)] = slate
        self.slates.append(padded)

    def consume(self, start: int, end: int) -> None:
        """The group is over: its items are consumed, and the user's own history has them."""
        split = self.options.delay_items > 0 and isinstance(self.system, SplitSystem)
        for event in range(start, end):
            self.consumed.add(self.user[event], self.item[event])
            if split:
                assert isinstance(self.system, SplitSystem)
                self.system.remember(self.user[event], self.item[event], self.t[event], self.value[event])

    def _check_slate(self, slate: Int32, user: int) -> None:
        distinct = set(slate.tolist())
        if len(distinct) != len(slate) or len(slate) > self.options.k:
            raise StageError(f"{self.system.name} returned a slate with repeated or too many items: {slate}")
        if not self.options.repeat:
            again = [i for i in distinct if self.consumed.has(user, i)]
            if again:
                raise StageError(f"{self.system.name} returned items its user consumed: {again}")

    def outcome(self, seconds: float = 0.0) -> Outcome:
        """Everything noted so far, as arrays; `seconds` is how long it took."""
        return Outcome(
            system=self.system.name,
            event=np.array(self.event, np.int32),
            rank=np.array(self.rank, np.int32),
            slate=np.array(self.slate, np.int32),
            slates=np.array(self.slates, np.int32).reshape(-1, self.options.k),
            recommend_ns=np.array(self.recommend_ns, np.float64),
            observe_ns=np.array(self.observe_ns, np.float64),
            seconds=seconds,
            peak_rss_mib=_peak_rss_mib(),
        )


def check(system: System, options: Options) -> None:
    """Raise `ConfigError` when a replay with these options cannot be run on this system."""
    if options.k < 1:
        raise ConfigError(f"k must be at least 1, not {options.k}")
    if not 0 <= options.warmup < 1:
        raise ConfigError(f"warmup is a share of the events, 0 <= warmup < 1, not {options.warmup}")
    if options.delay < 0 or options.delay_items < 0:
        raise ConfigError("delay and delay_items count events: 0 or more")
    if options.delay and options.delay_items:
        raise ConfigError("give delay or delay_items, not both")
    if options.delay_items and not isinstance(system, SplitSystem):
        raise ConfigError(
            f"{system.name} learns users together with items: it has no history of its own to keep fresh; "
            "leave it out of --with, or use --delay"
        )


def _reset_peak_rss() -> None:
    """Start the peak anew where the kernel lets us (Linux: 5 in clear_refs resets VmHWM)."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_rss_mib() -> float:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
