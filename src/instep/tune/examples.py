"""What the slow clock learns from: acts in the order of their times, with rewards, propensities and the items' texts.

The newest acts are the validation slice, by time and never at random: a model that is tuned to serve tomorrow must be
judged by what came after its lessons. The log is read without taking its lock, so a service may be writing it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError, Entry, Feedback, Impression
from instep.encode import item_text
from instep.log import Readable
from instep.tune.reading import Catalogue, Rewards

I32 = NDArray[np.int32]
F32 = NDArray[np.float32]
VALIDATION: Final = 0.1
LEAST: Final = 20
"""Acts without which nothing is tuned."""


@dataclass(frozen=True)
class Acts:
    """Feedback as columns, ordered by time (ties by offset).

    Args:
        user: int32 (n,), who.
        item: int32 (n,), on what.
        at: float64 (n,), epoch seconds.
        kind: int32 (n,), number of the type in `Examples.kinds`.
        value: float32 (n,), stars, seconds ...; NaN where there is none.
        reward: float32 (n,), by the table of rewards; ratings against the user's own mean until then.
        propensity: float32 (n,), of the item on the logged slate that led to the act; 1 where none is known.
        offset: int64 (n,), in the log.
    """

    user: I32
    item: I32
    at: NDArray[np.float64]
    kind: I32
    value: F32
    reward: F32
    propensity: F32
    offset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    def some(self, rows: NDArray[Any]) -> Acts:
        """Some rows of every column."""
        return Acts(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Examples:
    """All that a task is prepared from.

    Args:
        acts: every act of the range.
        shown: items that were shown and led to no act: `user`, `item`, `at`, `propensity` count.
        split: acts from this row on are validation.
        since: when validation begins, epoch seconds.
        users: how many users.
        items: item ids.
        texts: what the encoder reads of each item; "" for an item without a text.
        titles: the same, titles only.
        kinds: types of feedback.
        start: first offset of the range.
        end: the offset after its last.
        records: how many records the log has in it.
        held_out_from: acts from this offset on are left out; `end` when none are.
        weight: float32 (n,), how often an act is drawn relative to others: the mix of new and old.
    """

    acts: Acts
    shown: Acts
    split: int
    since: float
    users: int
    items: tuple[str, ...]
    texts: tuple[str, ...]
    titles: tuple[str, ...]
    kinds: tuple[str, ...]
    start: int
    end: int
    records: int
    held_out_from: int
    weight: F32

    def positive(self) -> NDArray[np.bool_]:
        """bool (n,), acts with a reward above zero on items that have a text."""
        known = np.array([bool(text) for text in self.texts])
        return np.asarray((self.acts.reward > 0) & known[self.acts.item], np.bool_)


def read_examples(
    log: Readable,
    start: int = 0,
    stop: int | None = None,
    rewards: Mapping[str, float] | None = None,
    validation: float = VALIDATION,
    hold_back: float = 0.0,
) -> Examples:
    """Read a range of a log. Items' texts are those at its end; items put before it are known.

    Args:
        log: a log, or a `LogReader` beside a service.
        start: first offset whose acts count.
        stop: the offset after the last; None for the log's end.
        rewards: type to weight, over the default table.
        validation: share of the acts, the newest, that is kept for validation.
        hold_back: share of the acts, the last in the log, that is left out altogether: for the gate to judge by.

    Raises:
        ConfigError: too few acts, or no item has a text.

    >>> from instep.domain import ItemPut
    >>> from instep.log import MemoryLog
    >>> log = MemoryLog()
    >>> _ = log.append([ItemPut(f"p{n}", f"i{n}", 1e9, {"title": f"tea {n}"}) for n in range(5)])
    >>> _ = log.append([Feedback(f"e{n}", f"u{n % 3}", f"i{n % 5}", 1e9 + n) for n in range(40)])
    >>> examples = read_examples(log)
    >>> len(examples.acts), examples.split, examples.texts[0], examples.records
    (40, 36, 'tea 0', 45)
    """
    end = log.end if stop is None else min(stop, log.end)
    gathered = _Gathered(Rewards(rewards))
    for entry in log.read(0, end):
        gathered.take(entry, entry.offset >= start)
    acts, shown = gathered.acts(), gathered.shown()
    held_out_from = end
    if hold_back and len(acts):
        held_out_from = int(np.quantile(acts.offset, 1.0 - hold_back, method="higher"))
        acts = acts.some(acts.offset < held_out_from)
    if len(acts) < LEAST:
        raise ConfigError(
            f"the log has {len(acts)} acts between the offsets {start:,} and {end:,}; at least {LEAST} are needed to "
            "tune: import or wait for more events"
        )
    texts, titles = gathered.texts()
    if not any(texts):
        raise ConfigError(
            "no item has a text, so there is nothing for a language model to read: give items a title"
        )
    split = min(len(acts) - 1, round(len(acts) * (1.0 - validation)))
    since = float(acts.at[split])
    split = int(np.searchsorted(acts.at, since, "left")) or split  # one moment is not divided
    return Examples(
        acts,
        shown,
        split,
        since,
        len(gathered.users),
        tuple(gathered.items),
        texts,
        titles,
        tuple(gathered.kinds),
        start,
        end,
        gathered.records,
        held_out_from,
        np.ones(len(acts), np.float32),
    )


def mixed(examples: Examples, fresh_from: int, share: float) -> Examples:
    """Have new acts make a share of what is drawn: against forgetting what is older, and against never hearing the new.

    Args:
        examples: as read.
        fresh_from: acts at or after this offset are new.
        share: of the new among what is drawn, in (0, 1).

    Raises:
        ConfigError: the share is not between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise ConfigError(f"the share of new feedback must be between 0 and 1, not {share}")
    fresh = examples.acts.offset[: examples.split] >= fresh_from
    weight = np.ones(len(examples.acts), np.float32)
    if fresh.any() and not fresh.all():
        weight[: examples.split] = np.where(fresh, share / fresh.mean(), (1 - share) / (1 - fresh.mean()))
    return Examples(**{**examples.__dict__, "weight": weight})


class _Gathered:
    """What was read so far."""

    def __init__(self, rewards: Rewards) -> None:
        self._rewards = rewards
        self.users: dict[str, int] = {}
        self.items: dict[str, int] = {}
        self.kinds: dict[str, int] = {}
        self.catalogue = Catalogue()
        self.records = 0
        self._rows: list[tuple[Any, ...]] = []
        self._slates: dict[str, tuple[Impression, set[str]]] = {}

    def take(self, entry: Entry, counts: bool) -> None:
        """Note a record; one that does not count is of before the range, and only says what is known by then."""
        self.records += counts
        self.catalogue.note(entry.record)
        match entry.record:
            case Feedback() as act:
                reward = self._rewards(act)
                if counts:
                    self._act(act, reward, entry.offset)
            case Impression() as slate if counts:
                self._slates[slate.event_id] = slate, set()
            case _:
                pass

    def _act(self, act: Feedback, reward: float, offset: int) -> None:
        chance = 1.0
        if act.slate_id in self._slates:
            slate, led = self._slates[act.slate_id]
            if act.item_id in slate.item_ids:
                chance = slate.propensities[slate.item_ids.index(act.item_id)]
                led.add(act.item_id)
        value = math.nan if act.value is None else act.value
        who, what = _number(self.users, act.user_id), _number(self.items, act.item_id)
        kind = _number(self.kinds, act.type)
        self._rows.append((who, what, act.timestamp, kind, value, reward, chance, offset))

    def acts(self) -> Acts:
        """The acts in the log's order."""
        return _columns(self._rows)

    def shown(self) -> Acts:
        """What slates showed, a row a place, of kind -1."""
        rows = [
            (
                _number(self.users, slate.user_id),
                _number(self.items, item),
                slate.timestamp,
                -1,
                math.nan,
                0.0,
                p,
                0,
            )
            for slate, led in self._slates.values()
            for item, p in zip(slate.item_ids, slate.propensities, strict=True)
            if item not in led
        ]
        return _columns(rows)

    def texts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        for name in self.catalogue:
            _number(self.items, name)
        texts, titles = [], []
        for name in self.items:
            item = self.catalogue.item(name)
            texts.append(item_text(item))
            titles.append(" ".join(item.title[:200].split()) or texts[-1])
        return tuple(texts), tuple(titles)


def _number(known: dict[str, int], name: str) -> int:
    return known.setdefault(name, len(known))


def _columns(rows: list[tuple[Any, ...]]) -> Acts:
    kinds = (np.int32, np.int32, np.float64, np.int32, np.float32, np.float32, np.float32, np.int64)
    each = zip(*rows, strict=True) if rows else [()] * len(kinds)
    columns = [np.array(list(column), kind) for column, kind in zip(each, kinds, strict=True)]
    order = np.lexsort((columns[7], columns[2]))
    return Acts(*(column[order] for column in columns))


def by_user(acts: Acts, rows: NDArray[Any], users: int) -> list[I32]:
    """Rows of each user among `rows`, in the acts' order.

    Args:
        acts: all of them.
        rows: int (m,), those that count.
        users: how many users.

    Returns:
        One int32 array a user, oldest first.
    """
    order = np.argsort(acts.user[rows], kind="stable")
    bounds = np.searchsorted(acts.user[rows][order], np.arange(users + 1))
    sorted_rows = rows[order].astype(np.int32)
    return [sorted_rows[bounds[u] : bounds[u + 1]] for u in range(users)]


def histories(acts: Acts, rows: NDArray[Any], users: int, most: int) -> Iterator[tuple[int, I32]]:
    """For each of `rows` with something before it: the row, and the user's `most` rows before, oldest first."""
    for mine in by_user(acts, rows, users):
        for place in range(1, len(mine)):
            yield int(mine[place]), mine[max(0, place - most) : place]
