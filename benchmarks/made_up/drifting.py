"""A stream whose vocabulary drifts: season after season, items come with titles in words that nobody has seen before.

Every season has groups of its own, each with a dozen invented words. A title is two of its group's words and a common
one, so that two items of a group often share no word: what belongs together has to be learned from who takes what.
Users love two groups of a season. Items come all the time, so that many are taken before much is known of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

COMMON: Final = ("small", "large", "blue", "classic", "light", "deluxe", "plain", "double")
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
WORDS, GROUPS = 12, 6
OLD: Final = 0.2
"""Share of acts on items of earlier seasons."""


class Arrival(NamedTuple):
    """An item that is there from now on."""

    item: str
    title: str


class Act(NamedTuple):
    """A user takes an item; `earlier` acts were on it before."""

    user: str
    item: str
    earlier: int


class Drifting:
    """The stream. The same seed gives the same stream.

    Args:
        seasons: how many.
        acts: of each season.
        items: that come in each season, evenly over its first three quarters.
        users: how many.
        seed: of everything.
    """

    def __init__(self, seasons: int, acts: int, items: int, users: int = 150, seed: int = 0) -> None:
        self.seasons, self.acts, self.items, self.users = seasons, acts, items, users
        self._rng = np.random.default_rng(seed)

    def _word(self) -> str:
        rng = self._rng
        letters = [rng.choice(list(CONSONANTS)) + rng.choice(list(VOWELS)) for _ in range(3)]
        return "".join(letters)

    def events(self) -> Iterator[tuple[int, Arrival | Act]]:
        """Arrivals and acts in their order, each with its season."""
        rng = self._rng
        groups: list[list[str]] = []  # items of every group so far
        count: dict[str, int] = {}
        taken: list[set[str]] = [set() for _ in range(self.users)]
        for season in range(self.seasons):
            words = [[self._word() for _ in range(WORDS)] for _ in range(GROUPS)]
            groups += [[] for _ in range(GROUPS)]
            loves = np.stack([rng.choice(GROUPS, 2, replace=False) for _ in range(self.users)])
            coming = np.linspace(0, 0.75 * self.acts, self.items).astype(int).tolist()
            for at in range(self.acts):
                while coming and coming[0] <= at:
                    coming.pop(0)
                    group = int(rng.integers(GROUPS))
                    two = rng.choice(words[group], 2, replace=False)
                    item = f"i{len(count)}"
                    count[item] = 0
                    groups[season * GROUPS + group].append(item)
                    yield season, Arrival(item, f"{rng.choice(COMMON)} {two[0]} {two[1]}")
                user = int(rng.integers(self.users))
                group = int(rng.choice(loves[user]))
                where = season * GROUPS + group
                if season and rng.random() < OLD:
                    where = int(rng.integers(season * GROUPS))
                left = [item for item in groups[where] if item not in taken[user]]
                if not left:
                    continue
                item = left[int(len(left) * rng.random() ** 0.7)]  # the newer, the likelier
                taken[user].add(item)
                yield season, Act(f"u{user}", item, count[item])
                count[item] += 1
