"""Tuning for as long as a service runs: when there is enough that is new, and within a share of one core.

Each round is a process of its own, of the lowest priority, that tunes the version that is live on a mix of new and
older feedback, has the gate judge what came of it, and promotes what passed. Between rounds nothing is held in memory.
A round that fails is told of and tried again after the next trigger; what is live stays so.
"""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from instep.domain import ConfigError, Feedback
from instep.log import Readable
from instep.tune.registry import Registry

NEWEST: Final = 500
"""Acts that are looked at for drift; of fewer, nothing is said."""
LEAST: Final = 50
"""Acts without which nothing is tuned."""
LOWEST_PRIORITY: Final = 19
Tell = Callable[[str], None]


class Trigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What begins a round; the first that comes true does.

    Args:
        events: so many acts since the newest version's data ended; 0 for never.
        minutes: so long since the last round began, if anything was heard since; 0 for never.
        unseen: drift: this share of the newest acts is on items that the newest version has not seen; 0 for never.

    Raises:
        ConfigError: a number is out of range, or nothing could ever begin a round.
    """

    events: int = 5_000
    minutes: float = 0.0
    unseen: float = 0.3

    def __post_init__(self) -> None:
        if self.events < 0 or self.minutes < 0 or not 0.0 <= self.unseen <= 1.0:
            raise ConfigError("events and minutes must not be negative, and unseen a share between 0 and 1")
        if not (self.events or self.minutes or self.unseen):
            raise ConfigError(
                "events, minutes and unseen are all 0: nothing would ever begin a round of tuning"
            )


class News:
    """What a log has told since the newest version's data ended. Reads each record once.

    Args:
        log: read from its beginning, for what is not new.
        start: where the data of the newest version ended.

    >>> from instep.log import MemoryLog
    >>> log = MemoryLog()
    >>> _ = log.append([Feedback(f"e{n}", "u", "new", 1e9) for n in range(500)])
    >>> news = News(log, 0)
    >>> news.due(Trigger(events=0, unseen=0.5), waited=0.0)
    '100 % of the newest 500 acts are on items that are new'
    """

    def __init__(self, log: Readable, start: int) -> None:
        self._log = log
        self._seen: set[str] = set()
        self._new: set[str] = set()
        self._newest: deque[bool] = deque(maxlen=NEWEST)
        self.acts = 0
        """Acts since `start`."""
        self._at = 0
        self._read(start)
        self.begin_again()

    def begin_again(self) -> None:
        """What was read is news no more: a version has seen it, or a round has failed on it."""
        self._new.clear()
        self._newest.clear()
        self.acts = 0

    def due(self, trigger: Trigger, waited: float) -> str:
        """Why a round should begin now; "" when it should not.

        Args:
            trigger: what begins one.
            waited: seconds since the last one began.
        """
        self._read(self._log.end)
        if self.acts < LEAST:
            return ""
        if trigger.events and self.acts >= trigger.events:
            return f"{self.acts:,} acts since the last version"
        unseen = sum(self._newest) / NEWEST
        if trigger.unseen and len(self._newest) == NEWEST and unseen >= trigger.unseen:
            return f"{100 * unseen:.0f} % of the newest {NEWEST} acts are on items that are new"
        if trigger.minutes and waited >= 60.0 * trigger.minutes:
            return f"{waited / 60.0:.0f} minutes since the last round"
        return ""

    def _read(self, end: int) -> None:
        for entry in self._log.read(self._at, end):
            if isinstance(entry.record, Feedback):
                item = entry.record.item_id
                if item not in self._seen:
                    self._seen.add(item)
                    self._new.add(item)
                self.acts += 1
                self._newest.append(item in self._new)
        self._at = max(self._at, end)


class Round(msgspec.Struct, frozen=True):
    """How one round went: its exit status, seconds of processor time, and the last line that it wrote."""

    status: int
    cpu_seconds: float
    said: str


def run_round(command: Sequence[str], threads: int = 1) -> Round:
    """Run a command at the lowest priority, with few threads.

    Args:
        command: program and arguments.
        threads: of the linear algebra.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "TOKENIZERS_PARALLELISM": "false"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["nice", "-n", str(LOWEST_PRIORITY), *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = done.stdout.strip().splitlines()
    return Round(done.returncode, spent, lines[-1] if lines else "")


def follow(
    log: Readable,
    registry: Registry,
    trigger: Trigger,
    tune: Callable[[], Round],
    tell: Tell,
    stop: threading.Event,
    share: float = 0.25,
    rounds: int | None = None,
    poll: float = 2.0,
) -> int:
    """Begin a round of tuning whenever there is reason to, until told to stop.

    Args:
        log: what is followed.
        registry: whose newest version says how far the data was used.
        trigger: what begins a round.
        tune: one round.
        tell: is told what happens.
        stop: ends it, after the round at hand.
        share: of one core: after a round that took c seconds of processor time, the next one begins c / share
            seconds after it at the earliest.
        rounds: stop after so many; None for never.
        poll: seconds between looks at the log.

    Returns:
        How many rounds there were.
    """
    if not 0.0 < share <= 1.0:
        raise ConfigError(f"share: must be above 0 and at most 1, not {share!r}")
    news, began, earliest, done = News(log, _used(registry)), time.monotonic(), 0.0, 0
    while not stop.is_set() and (rounds is None or done < rounds):
        now = time.monotonic()
        why = news.due(trigger, now - began) if now >= earliest else ""
        if not why:
            stop.wait(poll)
            continue
        tell(f"A round of tuning begins: {why}.")
        began = now
        news.begin_again()  # a round that fails waits for as much news as any other
        ended = tune()
        earliest = began + ended.cpu_seconds / share
        done += 1
        tell(
            f"It ended with status {ended.status} after {ended.cpu_seconds:.0f} s of processor time: {ended.said}"
        )
    return done


def _used(registry: Registry) -> int:
    """The log offset up to which the newest version has used the data; 0 without a version."""
    return max((version.end for version in registry.versions()), default=0)
