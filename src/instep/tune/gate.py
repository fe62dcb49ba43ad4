"""The gate: whether a candidate may serve, by events it has not seen and by what logged slates would have earned.

    replay      both encoders' vectors through the very system that serves (`evaluate.instep.Instep`), test-then-learn,
                on events after the training data; NDCG@10 compared event by event, users resampled
    slates      logged impressions, with their propensities: what the candidate would have shown, and earned

A candidate is refused when the replay finds it worse than the live one by more than a margin, over all events or in
one slice (cold items, cold users, the groups of users to be fair to), or when the slates say that it would have
earned less. A slice with few events says nothing, and neither do few slates: that is written down, and no refusal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from instep.domain import ConfigError, EncoderSwitch, Entry, ItemVector
from instep.evaluate import Options, replay
from instep.evaluate.base import Int32
from instep.evaluate.bootstrap import mean_interval
from instep.evaluate.instep import Instep
from instep.evaluate.metrics import gains
from instep.evaluate.offpolicy import NoOverlap, Selection, replay_slates
from instep.evaluate.offpolicy import judge as judge_slates
from instep.evaluate.replay import Outcome
from instep.flow import Settings
from instep.log import Readable
from instep.tune.margins import MARGINS, Margins
from instep.tune.unseen import Mask, Unseen, slices_of

NOT_WORSE: Final = "not worse"
WORSE: Final = "worse"
CANNOT_TELL: Final = "cannot tell"
Told = Callable[[str, int, int], None]


class Slice(msgspec.Struct, frozen=True):
    """One set of events under both encoders.

    Args:
        name: which.
        events: how many were scored.
        live: NDCG@10 of the live one; None when there are no events.
        candidate: NDCG@10 of the candidate.
        live_hr: HR@10 of the live one.
        candidate_hr: HR@10 of the candidate.
        change: of NDCG, relative to the live one's.
        low: lower end of its 95 % interval, users resampled, both encoders on the same ones.
        high: upper end.
        margin: what may be lost.
        says: ``not worse``, ``worse`` or ``cannot tell``.
    """

    name: str
    events: int
    live: float | None = None
    candidate: float | None = None
    live_hr: float | None = None
    candidate_hr: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float = 0.0
    says: str = CANNOT_TELL


class Slates(msgspec.Struct, frozen=True):
    """What the logged slates say.

    Args:
        says: ``not worse``, ``worse`` or ``cannot tell``.
        why: why they cannot tell.
        impressions: how many were judged.
        earned: reward an impression, as logged.
        estimator: whose numbers these are.
        change: what the candidate would have earned more, an impression.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    says: str = CANNOT_TELL
    why: str = ""
    impressions: int = 0
    earned: float | None = None
    estimator: str = ""
    change: float | None = None
    low: float | None = None
    high: float | None = None


UNASKED: Final = Slates(why="the log was not asked")


class Decision(msgspec.Struct, frozen=True):
    """The content of gate.json.

    Args:
        passed: whether the candidate may serve.
        reasons: why not; empty when it may.
        live: name of the live encoder.
        candidate: name of the candidate's.
        events: how many unseen events were scored.
        parts: all events, then each slice.
        slates: the off-policy estimate.
        margins: what was allowed.
        seconds: how long it took.
        judged: when, epoch seconds.
        shadow: all choices of live traffic, then each slice of them; empty where it was not scored on any.
    """

    passed: bool
    reasons: list[str]
    live: str
    candidate: str
    events: int
    parts: list[Slice]
    slates: Slates
    margins: Margins
    seconds: float
    judged: float
    shadow: list[Slice] = []

    def lines(self) -> list[str]:
        """The decision and its numbers, for people."""
        head = "may serve" if self.passed else "refused: " + "; ".join(self.reasons)
        return [
            f"{self.candidate} against {self.live} on {self.events:,} unseen events: {head}",
            *(f"  {as_line(each)}" for each in self.parts),
            *(f"  live traffic, {as_line(each)}" for each in self.shadow),
            f"  logged slates: {self.slates.says}"
            + (f" ({self.slates.why})" if self.slates.why else "")
            + (f", {self.slates.change:+.4f} an impression" if self.slates.change is not None else ""),
        ]


def judge(
    given: Unseen,
    live: Sequence[ItemVector],
    candidate: Sequence[ItemVector],
    margins: Margins = MARGINS,
    slates: Slates = UNASKED,
    progress: Told | None = None,
    shadow: Sequence[Slice] = (),
) -> Decision:
    """Decide whether a candidate may take the live encoder's place.

    Args:
        given: the events; see `instep.tune.unseen.read_unseen`.
        live: the catalogue's vectors by the live encoder (`instep.evaluate.item_vectors`); empty without one.
        candidate: the catalogue's vectors by the candidate.
        margins: what may be lost.
        slates: see `judge_logged`.
        progress: is told how far the replays are.
        shadow: what live traffic said (`instep.tune.shadow`); refuses as the replay does where it says worse.

    Returns:
        The decision with all its numbers; `Registry.write` puts it into gate.json.
    """
    began = time.perf_counter()
    if not candidate:
        raise ConfigError("the candidate gave no vectors: there is nothing to judge")
    ranks = [_outcome(given, vectors, progress) for vectors in (live, candidate)]
    parts, shadow = compare(given, ranks, margins), [weighed(each, margins) for each in shadow]
    reasons = []
    if parts[0].says == CANNOT_TELL:
        reasons.append(f"only {parts[0].events} unseen events, {margins.events} are needed to judge")
    reasons += [_reason(each) for each in parts if each.says == WORSE]
    reasons += [f"on live traffic, {_reason(each)}" for each in shadow if each.says == WORSE]
    if slates.says == WORSE:
        reasons.append(f"logged slates would have earned {slates.change:+.4f} an impression")
    return Decision(
        not reasons,
        reasons,
        live[0].encoder if live else "",
        candidate[0].encoder,
        parts[0].events,
        parts,
        slates,
        margins,
        round(time.perf_counter() - began, 3),
        time.time(),
        shadow,
    )


def compare(given: Unseen, ranks: Sequence[Outcome], margins: Margins = MARGINS) -> list[Slice]:
    """Two encoders' ranks event by event, over all scored events and in each slice.

    Args:
        given: the events, and which of them count.
        ranks: of the live one and of the candidate, on the same events.
        margins: what may be lost.

    Returns:
        All events, then each slice of `slices_of`.
    """
    parts = [_compared("all", np.ones(len(given.stream), np.bool_), given, ranks, margins)]
    return parts + [
        _compared(name, mask, given, ranks, margins) for name, mask in slices_of(given, margins.attribute)
    ]


def weighed(part: Slice, margins: Margins) -> Slice:
    """A slice and what it says by these margins.

    >>> weighed(Slice("all", 80, 0.1, 0.098, 0.2, 0.2, -0.02, -0.05, 0.01), Margins(overall=0.03)).says
    'not worse'
    """
    margin = margins.overall if part.name == "all" else margins.part
    says = CANNOT_TELL
    if part.change is not None and part.high is not None and part.events >= margins.events:
        worse = part.change < -margin and (part.name == "all" or part.high < 0.0)
        says = WORSE if worse else NOT_WORSE
    return msgspec.structs.replace(part, margin=margin, says=says)


def judge_logged(
    log: Readable,
    settings: Settings,
    candidate: Sequence[ItemVector],
    since: float,
    margins: Margins = MARGINS,
    progress: Told | None = None,
) -> Slates:
    """What the candidate would have earned on the slates that were logged.

    Args:
        log: read from its first record to its end; nothing is written.
        settings: the service's.
        candidate: the catalogue's vectors by the candidate.
        since: only impressions from then on, epoch seconds: those the candidate was not trained on.
        margins: what may be lost, and how many slates are needed.
        progress: is told how far it is.
    """
    selection = Selection(since=since, window=margins.window)
    swap = _Swap({vector.item_id: vector for vector in candidate})
    try:
        logged = replay_slates(log, settings, settings, selection, progress, swap)
        if len(logged) < margins.slates:
            why = f"{len(logged)} slates, {margins.slates} are needed"
            return Slates(why=why, impressions=len(logged))
        verdict = judge_slates(logged)
    except NoOverlap as error:
        return Slates(why=str(error))
    except ConfigError as error:  # no impression in the range
        return Slates(why=str(error))
    gain, earned = verdict.best.gain, verdict.logging.value
    says = WORSE if gain.high < -margins.earned * abs(earned) else NOT_WORSE
    if verdict.warnings:
        says = CANNOT_TELL
    return Slates(
        says,
        "; ".join(verdict.warnings),
        verdict.impressions,
        earned,
        verdict.headline,
        gain.value,
        gain.low,
        gain.high,
    )


class _Swap:
    """A log as it were had the candidate been live: its vectors in the place of every other encoder's.

    Args:
        vectors: the candidate's, by item id.
    """

    def __init__(self, vectors: Mapping[str, ItemVector]) -> None:
        self._vectors = vectors

    def __call__(self, entry: Entry) -> Entry | None:
        record = entry.record
        if isinstance(record, EncoderSwitch):
            return None
        if not isinstance(record, ItemVector):
            return entry
        mine = self._vectors.get(record.item_id)
        if mine is None:
            return None
        # The hash stays: it says whether the vector is of the item's text as it was then.
        changed = msgspec.structs.replace(record, encoder=mine.encoder, vector=mine.vector)
        return Entry(entry.offset, changed)


def _outcome(given: Unseen, vectors: Sequence[ItemVector], progress: Told | None) -> Outcome:
    """One encoder's ranks, from the first unseen event on."""
    stream = given.stream
    first = int(np.argmax(given.unseen))
    told = None
    if progress is not None:
        told = lambda done: progress("Judging the candidate", done, len(stream))  # noqa: E731
    return replay(stream, Instep(stream, vectors), Options(warmup=first / len(stream)), told)


def _compared(name: str, mask: Mask, given: Unseen, ranks: Sequence[Outcome], margins: Margins) -> Slice:
    """One slice of the scored events under both encoders."""
    live, candidate = ranks
    scored = (mask & given.unseen)[live.event]
    events = int(scored.sum())
    if not events:
        return weighed(Slice(name, 0), margins)
    old, new = gains(live.rank[scored]), gains(candidate.rank[scored])
    change, low, high = 0.0, 0.0, 0.0
    if old[1].any():
        user = in_order_of_appearance(given.stream.user[live.event[scored]])
        found = mean_interval(new[1] - old[1], user)
        change, low, high = (each / float(old[1].mean()) for each in (found.value, found.low, found.high))
    hr, ndcg = (float(old[0].mean()), float(new[0].mean())), (float(old[1].mean()), float(new[1].mean()))
    return weighed(Slice(name, events, *ndcg, *hr, change, low, high), margins)


def in_order_of_appearance(numbers: Int32) -> Int32:
    """The first number is 0, the next one that is new is 1 ...: how users are drawn does not hang on their numbers.

    >>> in_order_of_appearance(np.array([7, 3, 7, 9], np.int32)).tolist()
    [0, 1, 0, 2]
    """
    _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first)).astype(np.int32)[place.reshape(-1)]


def _reason(part: Slice) -> str:
    where = "over all events" if part.name == "all" else f"for {part.name}"
    return f"NDCG@10 {part.change:+.1%} {where} ({part.events:,} events, {part.margin:.0%} may be lost)"


def as_line(part: Slice) -> str:
    """A slice as one line, for people."""
    if part.change is None:
        return f"{part.name}: no events"
    return (
        f"{part.name}: NDCG@10 {part.live:.4f} -> {part.candidate:.4f}, {part.change:+.1%} "
        f"[{part.low:+.1%}, {part.high:+.1%}] on {part.events:,} events: {part.says}"
    )
