"""A version on live traffic, without showing anything: scored beside the encoder that serves, in another process.

    the log so far    both learn it: the very system that serves, once with the live vectors, once with the version's
    each new choice   both are asked before either learns of it, as in the gate's replay

Only the log is read, beside the process that writes it: the service knows nothing of it, and waits for nothing.

Laws (tests/tune/test_shadow.py):
- On events that came in the order of their times, while no item came, changed or went, ranks and numbers are those of
  the gate's replay of the same events, to the bit.
- In how many pieces the log comes changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from instep.domain import (
    ConfigError,
    EncoderSwitch,
    Entry,
    Feedback,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Record,
)
from instep.encode import content_hash, item_text, to_bytes
from instep.evaluate import Outcome, Replay, Stream, rows_of
from instep.evaluate.instep import Instep
from instep.tune.gate import Slice, as_line, compare
from instep.tune.margins import MARGINS, Margins
from instep.tune.registry import Registry
from instep.tune.unseen import Acts, Unseen
from instep.tune.version import read_json

Encode = Callable[[Sequence[str]], NDArray[np.float32]]

FILE: Final = "shadow.json"


class Shadow(msgspec.Struct, frozen=True):
    """The content of shadow.json.

    Args:
        live: name of the live encoder; "" without one.
        candidate: name of the version's.
        events: choices that were scored.
        parts: all of them, then each slice (see `instep.tune.gate.compare`).
        overlap: share of the ten best that both would have shown, over the choices; None without any.
        start: first log offset that was followed.
        end: the offset after the last.
        began: when following began, epoch seconds.
        written: when these numbers were written.
        ended: why it ended; "" while it goes on, or where it was killed.
    """

    live: str
    candidate: str
    events: int
    parts: list[Slice]
    overlap: float | None
    start: int
    end: int
    began: float
    written: float
    ended: str = ""

    def lines(self) -> list[str]:
        """The numbers, for people."""
        seconds = self.written - self.began
        head = f"{self.candidate} beside {self.live or 'no encoder'}: {self.events:,} live choices"
        head += f" in {seconds:,.0f} s, offsets {self.start:,} to {self.end:,}: "
        head += self.ended or "it goes on, or was killed"
        shared = [] if self.overlap is None else [f"  of the ten best, {self.overlap:.0%} are the same"]
        return [head, *(f"  {as_line(each)}" for each in self.parts), *shared]


class Space:
    """Which encoder's vectors requests read, as the records so far leave it (as `instep.learn` has it).

    >>> space = Space()
    >>> for encoder in ("m1", "m2"):
    ...     space.note(ItemVector("", "tea", 1e9, encoder, "", b""))
    >>> space.note(EncoderSwitch("", "m2", 1e9))
    >>> space.live
    'm2'
    """

    def __init__(self) -> None:
        self.live = ""
        self._beside = ""

    def note(self, record: Record) -> None:
        """Take a record in; those of other kinds are passed over."""
        match record:
            case ItemVector(encoder=name):
                self.live = self.live or name
                self._beside = name if name != self.live else self._beside
            case EncoderSwitch(encoder=name) if name == self._beside:
                self.live, self._beside = name, self.live
            case _:
                pass


def read_shadow(registry: Registry, name: str) -> Shadow | None:
    """What live traffic said of a version; None where it was not scored on any.

    Raises:
        UnknownVersion: there is none of this name.
        ConfigError: its shadow.json is damaged.
    """
    path = registry.path(name) / FILE
    if not path.exists():
        return None
    found = read_json(path, Shadow)
    if found is None:
        raise ConfigError(f"{path}: is corrupt; delete it, or score {name} again (`instep models shadow`)")
    return found


class Change(NamedTuple):
    """What is no choice: a record of an item, and the text that both encoders have read by then ("" for none)."""

    offset: int
    record: ItemPut | ItemPatch | ItemRemoval | ItemVector
    text: str


class Side:
    """One of the two: the system that serves over one encoder's vectors, and its replay.

    Args:
        stream: the log so far.
        vectors: the catalogue's, by this encoder.
    """

    def __init__(self, stream: Stream, vectors: Sequence[ItemVector]) -> None:
        self.system = Instep(stream, vectors)
        self.run = Replay(stream, self.system)

    def grow(self, stream: Stream) -> None:
        """Go on with a longer stream."""
        self.system.grow(stream)
        self.run.grow(stream)

    def change(self, records: Sequence[Record], before: int) -> None:
        """Items and vectors as they are when the event of this index happens."""
        self.run.learn_until(before, timed=False)
        self.system.change(records)


class Scoring:
    """Two encoders side by side on a log that grows. It is fed with entries, and reads nothing itself.

    Args:
        acts: the log so far, noted.
        live: the catalogue's vectors by the encoder that serves; empty without one.
        candidate: the same by the version.
        encode: texts to the version's vectors, float32 (n, d): those of items that change.

    Attributes:
        live: name of the live encoder; "" without one.
        candidate: name of the version's.
        old: how many events the log so far has; they are learned and not scored.
        end: the log offset after the last event that was scored; 0 before any.

    Raises:
        ConfigError: the log has no positive act yet, or the version gave no vectors.
    """

    def __init__(
        self, acts: Acts, live: Sequence[ItemVector], candidate: Sequence[ItemVector], encode: Encode
    ) -> None:
        if not candidate:
            raise ConfigError("the candidate gave no vectors: there is nothing to score")
        self._acts = acts
        self._encode = encode
        self._stream, _ = acts.stream()
        self.live, self.candidate = live[0].encoder if live else "", candidate[0].encoder
        self.old, self.end = len(self._stream), 0
        self._sides = [Side(self._stream, vectors) for vectors in (live, candidate)]
        self._read = {each.item_id: each.content_hash for each in live or candidate}
        self._done = 0
        self._offsets: deque[int] = deque()  # of the acts that wait
        self._changes: dict[int, list[Change]] = {}  # what came before the act of this index
        self._named: list[str] = []  # items of these that the stream may not know yet

    @property
    def scored(self) -> int:
        """How many choices were scored; an act on what its user took before is none."""
        return len(self._sides[0].run.event)

    @property
    def outcomes(self) -> list[Outcome]:
        """The ranks so far: of the live one and of the version."""
        return [side.run.outcome() for side in self._sides]

    def learn_next(self) -> bool:
        """Have both learn one event of the log so far; False when none of it is left."""
        if self._done >= self.old:
            return False
        self._step(cut=self.old)
        return True

    def add(self, entries: Sequence[Entry]) -> None:
        """New entries of the log, in their order; `score_next` takes them up one by one."""
        acts: list[Feedback] = []
        for entry in entries:
            act = self._acts.note(entry)
            if act is not None:
                acts.append(act)
                self._offsets.append(entry.offset)
            else:
                self._note_change(len(self._stream) + len(acts), entry)
        if acts:
            self._stream = self._stream.extended(rows_of(acts), self._named)
            self._named.clear()
            for side in self._sides:
                side.grow(self._stream)

    def score_next(self) -> bool:
        """Ask both about one new choice, then have both learn it; False when none waits."""
        if not self._offsets:
            return False
        changes = self._changes.pop(self._done, None)
        if changes:
            self._apply(changes)
        self._step(cut=0)
        self.end = self._offsets.popleft() + 1
        return True

    def parts(self, margins: Margins = MARGINS) -> list[Slice]:
        """The two compared on all choices that were scored, as the gate compares them."""
        scored = np.arange(self._done) >= self.old
        given = Unseen(self._stream.first(self._done), scored, self._acts.users)
        return compare(given, self.outcomes, margins)

    def overlap(self) -> float | None:
        """The share of the ten best items that both would have shown, over the choices; None without any."""
        one, other = (outcome.slates for outcome in self.outcomes)
        if not len(one):
            return None
        shared = ((one[:, :, None] == other[:, None, :]) & (one[:, :, None] >= 0)).sum((1, 2))
        return float((shared / np.maximum(1, (one >= 0).sum(1))).mean())

    def _step(self, cut: int) -> None:
        for side in self._sides:
            side.run.step(self._done, self._done + 1, cut)
        self._done += 1

    def _note_change(self, before: int, entry: Entry) -> None:
        """Keep what changes an item, or its vector, until the act that comes next."""
        record = entry.record
        if not isinstance(record, ItemPut | ItemPatch | ItemRemoval | ItemVector):
            return
        text = self._newly_read(record)
        if text or not isinstance(record, ItemVector):
            self._changes.setdefault(before, []).append(Change(entry.offset, record, text))
            self._named.append(record.item_id)

    def _newly_read(self, record: ItemPut | ItemPatch | ItemRemoval | ItemVector) -> str:
        """The text that is read here: when the live encoder's vector comes, or at once where there is none."""
        if isinstance(record, ItemRemoval):
            self._read.pop(record.item_id, None)
            return ""
        if isinstance(record, ItemVector) != bool(self.live):
            return ""
        text = item_text(self._acts.catalogue.item(record.item_id))
        key = content_hash(text, self.candidate)
        if isinstance(record, ItemVector):
            text, key = text if record.encoder == self.live else "", record.content_hash
        if not text or self._read.get(record.item_id) == key:
            return ""
        self._read[record.item_id] = key
        return text

    def _apply(self, changes: Sequence[Change]) -> None:
        """Both systems' items and vectors become what they are at the next act."""
        texts = [each.text for each in changes if each.text]
        vectors = iter(self._encode(texts) if texts else ())
        live: list[Record] = []
        candidate: list[Record] = []
        for offset, record, text in changes:
            mine = msgspec.structs.replace(record, event_id=f"log:{offset}")  # a system's ids are its own
            live.append(mine)
            if not isinstance(record, ItemVector):
                candidate.append(mine)
            if text:
                key, vector = content_hash(text, self.candidate), to_bytes(next(vectors))
                candidate.append(
                    ItemVector(
                        f"read:{offset}", record.item_id, record.timestamp, self.candidate, key, vector
                    )
                )
        for side, records in zip(self._sides, (live, candidate), strict=True):
            side.change(records, self._done)
