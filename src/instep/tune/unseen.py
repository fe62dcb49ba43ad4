"""Events that a candidate was not trained on, as a stream to replay, and the slices they are looked at in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError, Entry, Feedback, UserPatch, UserPut
from instep.evaluate import Stream, arrange, rows_of
from instep.evaluate.metrics import COLD, known_before
from instep.tune.reading import Catalogue, Rewards

Mask = NDArray[np.bool_]
MOST: Final = 50_000
GROUPS: Final = 8
"""So many values of a user's attribute get a slice each, the most frequent ones."""
HEAD: Final = 0.2
"""Share of the items taken so far that are the head."""


@dataclass(frozen=True)
class Unseen:
    """What a candidate is replayed on.

    Args:
        stream: positive acts in the order of the log's times; the older ones are learned and not scored.
        unseen: bool (n,), those that are scored.
        users: attributes by user id.
    """

    stream: Stream
    unseen: Mask
    users: Mapping[str, Mapping[str, Any]]

    @property
    def count(self) -> int:
        """How many events are scored."""
        return int(self.unseen.sum())

    @property
    def since(self) -> float:
        """When the first of them happened, epoch seconds."""
        return float(self.stream.t[self.unseen].min()) if self.count else math.inf


class Acts:
    """The positive acts that a log tells of, and its items and users as they are by then.

    Args:
        rewards: the configuration's own table of rewards.

    >>> acts = Acts()
    >>> act = acts.note(Entry(7, Feedback("e1", "ann", "tea", 1e9, "purchase")))
    >>> acts.note(Entry(8, Feedback("e2", "ann", "cup", 1e9, "dislike"))) is None
    True
    >>> stream, places = acts.stream()
    >>> stream.items, places.tolist()
    (('tea',), [7])
    """

    def __init__(self, rewards: Mapping[str, float] | None = None) -> None:
        self.catalogue = Catalogue()
        self.users: dict[str, dict[str, Any]] = {}
        self._reward = Rewards(rewards)
        self._acts: list[Feedback] = []
        self._places: list[int] = []

    def note(self, entry: Entry) -> Feedback | None:
        """Take an entry in; gives its act back if that is a positive one."""
        self.catalogue.note(entry.record)
        match entry.record:
            case Feedback() as act:
                if self._reward(act) > 0.0:
                    self._acts.append(act)
                    self._places.append(entry.offset)
                    return act
            case UserPut(user_id=name, fields=given):
                self.users[name] = dict(given)
            case UserPatch(user_id=name, fields=given):
                self.users[name] = self.users.get(name, {}) | given
            case _:
                pass
        return None

    def stream(self, most: int = MOST) -> tuple[Stream, NDArray[np.int64]]:
        """The newest acts in the order of their times, and the log offset of each, int64 (n,).

        Raises:
            ConfigError: there is none.
        """
        if not self._acts:
            raise ConfigError("the log has no positive act yet: there is nothing to judge a candidate by")
        acts, places = self._acts[-most:], np.array(self._places[-most:], np.int64)
        items = {name: self.catalogue.item(name) for name in self.catalogue}
        stream = arrange("unseen", rows_of(acts), items, ties="file")
        order = np.argsort(np.array([act.timestamp for act in acts]), kind="stable")  # as `arrange` does
        return stream, places[order]


def read_unseen(
    entries: Iterable[Entry],
    since: int,
    rewards: Mapping[str, float] | None = None,
    most: int = MOST,
) -> Unseen:
    """Gather what a candidate is to be replayed on.

    Args:
        entries: the log's, from its first record on.
        since: the first log offset that the candidate was not trained on.
        rewards: the configuration's own table of rewards.
        most: only the newest so many events are replayed.

    Raises:
        ConfigError: there is not one positive act at or after `since`.
    """
    acts, last = Acts(rewards), -1
    for entry in entries:
        if acts.note(entry) is not None:
            last = entry.offset
    if last < 0 or last < since:
        raise ConfigError(
            f"the log has no positive act from offset {since:,} on: there is nothing to judge a candidate by; "
            "hold back a larger share of the log, or wait for more events"
        )
    stream, places = acts.stream(most)
    return Unseen(stream, places >= since, acts.users)


def slices_of(given: Unseen, attribute: str = "") -> Iterator[tuple[str, Mask]]:
    """The slices in which events are judged: name and bool (n,).

    Args:
        given: the events.
        attribute: the users' attribute whose values are the groups to be fair to; "" for the activity of users
            and the popularity of items.
    """
    stream = given.stream
    items, users = known_before(stream.item, stream.group), known_before(stream.user, stream.group)
    yield "cold items", items <= COLD
    yield "cold users", users <= COLD
    if attribute:
        yield from _groups(given, attribute)
        return
    before = users[given.unseen]
    low, high = np.quantile(before, [1 / 3, 2 / 3]) if len(before) else (0.0, 0.0)
    yield "least active users", users <= low
    yield "middle users", (users > low) & (users <= high)
    yield "most active users", users > high
    taken = np.bincount(stream.item[~given.unseen], minlength=len(stream.items))
    head = np.zeros(len(stream.items), np.bool_)
    head[np.argsort(-taken, kind="stable")[: math.ceil(HEAD * int((taken > 0).sum()))]] = True
    yield "head items", head[stream.item]
    yield "tail items", ~head[stream.item]


def _groups(given: Unseen, attribute: str) -> Iterator[tuple[str, Mask]]:
    value = [str(given.users.get(user, {}).get(attribute, "")) for user in given.stream.users]
    mine = np.array([value[user] for user in given.stream.user])
    counts = Counter(each for each in mine[given.unseen].tolist() if each)
    for each, _ in counts.most_common(GROUPS):
        yield f"{attribute} = {each}", mine == each
