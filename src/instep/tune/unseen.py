"""Events that a candidate was not trained on, as a stream to replay, and the slices they are looked at in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import (
    ConfigError,
    Entry,
    Feedback,
    Item,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    UserPatch,
    UserPut,
    item_from_fields,
)
from instep.evaluate import Rows, Stream, arrange
from instep.evaluate.metrics import COLD, known_before
from instep.reward import RewardTable, Usual

Mask = NDArray[np.bool_]
MOST: Final = 50_000
GROUPS: Final = 8
"""So many values of a user's attribute get a slice each, the most frequent ones."""
HEAD: Final = 0.2
"""Share of the items taken so far that are the head."""
_FIRST: Final = Usual(3.5, math.log1p(30.0))
_PRIOR: Final = 5.0


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


class Positive:
    """Whether an act says that an item was liked: a reward above zero, ratings against the user's own mean.

    Args:
        rewards: type to weight, over the default table.
    """

    def __init__(self, rewards: Mapping[str, float] | None = None) -> None:
        self._table = RewardTable(rewards)
        self._ratings: dict[str, tuple[float, int]] = {}

    def __call__(self, act: Feedback) -> bool:
        """Judge an act by what its user did before, and remember it."""
        total, count = self._ratings.get(act.user_id, (0.0, 0))
        mean = (total + _PRIOR * _FIRST.rating) / (count + _PRIOR)
        if act.type == "rating" and act.value is not None:
            self._ratings[act.user_id] = (total + act.value, count + 1)
        return self._table.reward(act, Usual(mean, _FIRST.dwell)) > 0.0


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
    positive, acts, places = Positive(rewards), list[Feedback](), list[int]()
    fields: dict[str, dict[str, Any]] = {}
    users: dict[str, dict[str, Any]] = {}
    for entry in entries:
        match entry.record:
            case Feedback() as act:
                if positive(act):
                    acts.append(act)
                    places.append(entry.offset)
            case ItemPut(item_id=name, fields=given):
                fields[name] = dict(given)
            case ItemPatch(item_id=name, fields=given):
                fields[name] = fields.get(name, {}) | given
            case ItemRemoval(item_id=name):
                fields.pop(name, None)
            case UserPut(user_id=name, fields=given):
                users[name] = dict(given)
            case UserPatch(user_id=name, fields=given):
                users[name] = users.get(name, {}) | given
            case _:
                pass
    acts, places = acts[-most:], places[-most:]
    if not places or places[-1] < since:
        raise ConfigError(
            f"the log has no positive act from offset {since:,} on: there is nothing to judge a candidate by; "
            "hold back a larger share of the log, or wait for more events"
        )
    catalogue = {name: _item(name, given) for name, given in fields.items()}
    stream = arrange("unseen", _rows(acts), catalogue, ties="file")
    order = np.argsort(np.array([act.timestamp for act in acts]), kind="stable")  # as `arrange` does
    return Unseen(stream, np.array(places)[order] >= since, users)


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


def _item(name: str, given: Mapping[str, Any]) -> Item:
    return item_from_fields(name, {key: value for key, value in given.items() if value is not None})


def _rows(acts: list[Feedback]) -> Rows:
    return Rows(
        [act.user_id for act in acts],
        [act.item_id for act in acts],
        np.array([act.timestamp for act in acts], np.float64),
        np.array([math.nan if act.value is None else act.value for act in acts], np.float64),
        [act.type for act in acts],
    )
