"""Team-draft interleaving: two rankings mixed into one slate, which the user's acts then judge.

The teams take turns in rounds of two; a coin says who begins each round; each takes its best item that is not taken
yet. Every user compares both, so that it needs a fraction of the users of a split test. Neither ranking has an
advantage of place, whatever the user's habit of looking.

Source: Radlinski, Kurup and Joachims 2008, "How Does Clickthrough Data Reflect Retrieval Quality?", algorithm 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple


class Draft(NamedTuple):
    """A mixed slate: items, the team (0 or 1) that took each, and the propensity of each."""

    items: tuple[str, ...]
    teams: tuple[int, ...]
    propensities: tuple[float, ...]


def team_draft(rankings: tuple[Sequence[str], Sequence[str]], n: int, seed: int) -> Draft:
    """Mix two rankings.

    The propensities are exact: over the coins, given the two rankings and the items (not the teams) before. After each
    round both teams have as many items; in between, all that is not known is who began the round.

    Args:
        rankings: of team 0 and team 1, best first, no item twice.
        n: places.
        seed: of the coins.

    >>> draft = team_draft((["a", "b"], ["b", "c"]), 2, seed=1)
    >>> draft.items in (("a", "b"), ("b", "a")), draft.propensities
    (True, (0.5, 1.0))
    >>> team_draft((["a", "b"], ["a", "b"]), 2, seed=1).propensities
    (1.0, 1.0)
    """
    coins = Random(seed)
    items: list[str] = []
    teams: list[int] = []
    propensities: list[float] = []
    left = _Left(rankings)
    began = (0.5, 0.5)  # for each team, the chance that it began this round, given the items so far
    while len(items) < n:
        offers = left.offers()
        if offers is None:
            break
        if len(items) % 2 == 0:
            team, turn = int(coins.random() < 0.5), (0.5, 0.5)
        else:
            team, turn = 1 - teams[-1], (began[1], began[0])
        item = offers[team]
        chances = [turn[each] * (offers[each] == item) for each in (0, 1)]
        propensity = sum(chances)
        if len(items) % 2 == 0:
            began = (chances[0] / propensity, chances[1] / propensity)
        left.taken.add(item)
        items.append(item)
        teams.append(team)
        propensities.append(propensity)
    return Draft(tuple(items), tuple(teams), tuple(propensities))


class _Left:
    """What is left of two rankings."""

    def __init__(self, rankings: tuple[Sequence[str], Sequence[str]]) -> None:
        self.taken: set[str] = set()
        self._rankings = rankings
        self._at = [0, 0]

    def offers(self) -> tuple[str, str] | None:
        """Each team's best item that is left; the other's when it has none; None when neither has one."""
        first, second = self._best(0), self._best(1)
        if first is None and second is None:
            return None
        return (first or second or "", second or first or "")

    def _best(self, team: int) -> str | None:
        ranking = self._rankings[team]
        while self._at[team] < len(ranking) and ranking[self._at[team]] in self.taken:
            self._at[team] += 1
        return ranking[self._at[team]] if self._at[team] < len(ranking) else None
