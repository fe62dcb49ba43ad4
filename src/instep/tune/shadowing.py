"""Follow a log with `instep.tune.shadow`, beside the process that writes it, and keep a version's shadow.json."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from instep.domain import ConfigError, Entry, InstepError
from instep.encode import encode_all, open_encoder
from instep.evaluate.vectors import item_vectors
from instep.flow import Settings
from instep.log import LogReader
from instep.tune.gate import Told
from instep.tune.judging import model_of, opens
from instep.tune.margins import MARGINS, Margins
from instep.tune.registry import Registry, check_whole
from instep.tune.shadow import FILE, Scoring, Shadow, Space
from instep.tune.unseen import Acts

AT_ONCE: Final = 256
"""So many offsets are read, then scored."""
POLL_SECONDS: Final = 0.3
WRITE_SECONDS: Final = 5.0
WRITING_SHARE: Final = 0.05
"""Of the time, that comparing and writing may take."""
STOPPED: Final = "it was stopped"


class Until(msgspec.Struct, frozen=True):
    """When scoring ends, but for being stopped.

    Args:
        events: when so many choices were scored; 0 for never.
        minutes: so long after following began; 0 for never.

    Raises:
        ConfigError: a number is negative.
    """

    events: int = 0
    minutes: float = 0.0

    def __post_init__(self) -> None:
        if self.events < 0 or not self.minutes >= 0.0:
            raise ConfigError("shadow: events and minutes must not be negative")

    def met(self, scored: int, seconds: float) -> str:
        """Why it ends now; "" when it goes on.

        >>> Until(events=5).met(5, 0.0), Until(minutes=1.0).met(5, 59.0)
        ('5 choices were scored', '')
        """
        if self.events and scored >= self.events:
            return f"{scored:,} choices were scored"
        return f"{self.minutes:g} minutes are over" if self.minutes and seconds >= 60.0 * self.minutes else ""


ENDLESS: Final = Until()


def shadow_version(
    registry: Registry,
    name: str,
    log: LogReader,
    settings: Settings,
    live: str = "auto",
    *,
    until: Until = ENDLESS,
    margins: Margins = MARGINS,
    cache: Path | None = None,
    progress: Told | None = None,
    stop: threading.Event | None = None,
) -> Shadow:
    """Score a version beside the live encoder on what comes into the log from now on; nothing is shown.

    Args:
        registry: where the version is; its shadow.json is written every few seconds.
        name: which.
        log: the log, which a service has open.
        settings: the service's (`instep.serve.settings.flow_settings`).
        live: the name that opens the configured encoder; the live version's own model takes its place.
        until: when it ends.
        margins: by which it is said which slices are worse.
        cache: a file of vectors known already; None encodes anew.
        progress: is told how far it is; of choices without a bound, the total is 0.
        stop: ends it, too.

    Returns:
        What shadow.json says at the end.

    Raises:
        UnknownVersion: there is none of this name.
        ConfigError: before anything is replayed: the version is damaged, was not exported, or its data lost an erased
            user. Later on: it was stopped before it followed, the live encoder was switched, or somebody was erased;
            of the latter two shadow.json tells.
    """
    version, model = registry.get(name), model_of(registry, name)
    check_whole(version, log.count(version.start, version.end))
    registry.verify(name)
    told = progress or (lambda work, done, whole: None)
    follower = _Follower(registry, name, log, margins, until, told, stop or threading.Event())
    follower.begin(settings, model, "" if live == "none" else opens(registry, live), cache)
    return follower.follow()


class _Follower:
    """Where following a log is."""

    def __init__(
        self,
        registry: Registry,
        name: str,
        log: LogReader,
        margins: Margins,
        until: Until,
        progress: Told,
        stop: threading.Event,
    ) -> None:
        self.registry, self.name, self.log = registry, name, log
        self.margins, self.until, self.progress, self.stop = margins, until, progress, stop
        self.version = registry.get(name)
        self.start = self.at = log.end
        self.records = 0  # of all before `at`
        self.space = Space()
        self.began = time.time()
        self.written, self.cost = 0.0, 0.0
        self.fault = ""  # why it cannot go on, once what was read is scored

    def begin(self, settings: Settings, model: str, live: str, cache: Path | None) -> None:
        """Read the log so far, have both encoders read its catalogue, and both systems learn it."""
        acts = Acts(settings.rewards)
        for entry in self.log.read(0, self.start):
            acts.note(entry)
            self._note(entry)
        stream, _ = acts.stream()
        reading = partial(self._under_way, "Reading texts with the language model")
        candidate = item_vectors(stream, model, cache, reading)
        now = item_vectors(stream, live, cache, reading) if live else []
        if now and self.space.live not in ("", now[0].encoder):
            raise ConfigError(
                f"requests read the vectors of {self.space.live}, but {now[0].encoder} is to serve: wait until the "
                "service has switched"
            )
        encoder = open_encoder(model)
        self.scoring = Scoring(acts, now, candidate, partial(encode_all, encoder))
        done = 0
        while self.scoring.learn_next():
            done += 1
            if done % AT_ONCE == 0:
                self._under_way("Learning the log so far", done, self.scoring.old)

    def _under_way(self, work: str, done: int, whole: int) -> None:
        self.progress(work, done, whole)
        if self.stop.is_set():
            raise ConfigError(f"{self.name}: {STOPPED} before it began to follow the log")

    def follow(self) -> Shadow:
        """Score what comes until it is to end."""
        self.began = time.time()
        began = time.monotonic()
        self.write()
        try:
            while not (why := STOPPED if self.stop.is_set() else self._met(began)):
                if self.scoring.score_next():
                    self.progress("Scoring live choices", self.scoring.scored, self.until.events)
                elif self.fault:
                    raise ConfigError(self.fault)
                elif not self._read():
                    self.stop.wait(POLL_SECONDS)
                if time.monotonic() - self.written >= max(WRITE_SECONDS, self.cost / WRITING_SHARE):
                    self._check_erased()
                    self.write()
            self._check_erased()
        except InstepError as error:
            self.write(str(error))
            raise
        return self.write(why)

    def _met(self, began: float) -> str:
        return self.until.met(self.scoring.scored, time.monotonic() - began)

    def _read(self) -> bool:
        """Read on; False when there is nothing new."""
        end = min(self.log.end, self.at + AT_ONCE)
        if end <= self.at:
            return False
        live, entries = self.scoring.live, list[Entry]()
        for entry in self.log.read(self.at, end):
            self._note(entry)
            if live and not self.fault and self.space.live not in ("", live):
                self.fault = (
                    f"the live encoder was switched at offset {entry.offset:,}, from {live} to {self.space.live}: "
                    "the numbers are of what came before"
                )
            if not self.fault:
                entries.append(entry)
        self.scoring.add(entries)
        self.at = end
        return True

    def _note(self, entry: Entry) -> None:
        self.space.note(entry.record)
        self.records += 1

    def _check_erased(self) -> None:
        """Refuse to go on with what somebody taught who was erased since."""
        log, version = self.log, self.version
        check_whole(version, log.count(version.start, version.end))
        if log.count(0, self.at) < self.records:
            raise ConfigError(
                f"{self.name}: somebody was erased from the log while it was scored: score it again without them"
            )

    def told(self, ended: str = "") -> Shadow:
        """The numbers as they are."""
        scoring = self.scoring
        return Shadow(
            live=scoring.live,
            candidate=scoring.candidate,
            events=scoring.scored,
            parts=scoring.parts(self.margins),
            overlap=scoring.overlap(),
            start=self.start,
            end=max(self.start, scoring.end),
            began=self.began,
            written=time.time(),
            ended=ended,
        )

    def write(self, ended: str = "") -> Shadow:
        """Put them into shadow.json."""
        began = time.monotonic()
        found = self.told(ended)
        self.registry.write(self.name, FILE, found)
        self.written = time.monotonic()
        self.cost = self.written - began
        return found
