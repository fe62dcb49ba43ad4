"""Team draft: the propensities are those of the coins, and neither team has an advantage."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest

from instep.experiment import team_draft

RANKINGS = [
    (["a", "b", "c", "d"], ["b", "a", "d", "c"]),
    (["a", "b", "c", "d"], ["a", "b", "c", "d"]),
    (["a", "b"], ["c", "d", "e", "f"]),
    (["a"], ["a"]),
    ([], ["a", "b"]),
    (["a", "c", "b", "e"], ["a", "b", "c", "d"]),
]
SEEDS = 4_000


def by_hand(rankings: tuple[list[str], list[str]], n: int) -> dict[tuple[str, ...], float]:
    """The probability of every slate, from all sequences of coins."""
    slates: Counter[tuple[str, ...]] = Counter()
    rounds = (n + 1) // 2
    for coins in product((0, 1), repeat=rounds):
        items: list[str] = []
        for coin in coins:
            for team in (coin, 1 - coin):
                left = [item for item in rankings[team] if item not in items]
                left = left or [item for item in rankings[1 - team] if item not in items]
                if left and len(items) < n:
                    items.append(left[0])
        slates[tuple(items)] += 1
    return {slate: count / 2**rounds for slate, count in slates.items()}


@pytest.mark.parametrize("rankings", RANKINGS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_product_of_the_propensities_is_the_probability_of_the_slate(
    rankings: tuple[list[str], list[str]], n: int
) -> None:
    truth = by_hand(rankings, n)
    seen: set[tuple[str, ...]] = set()
    for seed in range(200):
        draft = team_draft(rankings, n, seed)
        assert np.prod(draft.propensities) == pytest.approx(truth[draft.items])
        assert all(0 < propensity <= 1 for propensity in draft.propensities)
        seen.add(draft.items)
    assert seen == set(truth)


def test_slates_come_as_often_as_their_propensities_say() -> None:
    rankings = (["a", "b", "c", "d"], ["c", "a", "d", "b"])
    counted = Counter(team_draft(rankings, 4, seed).items for seed in range(SEEDS))
    for slate, probability in by_hand(rankings, 4).items():
        error = (probability * (1 - probability) / SEEDS) ** 0.5
        assert abs(counted[slate] / SEEDS - probability) < 5 * error


@pytest.mark.parametrize("place", range(4))
def test_each_team_has_every_place_equally_often(place: int) -> None:
    rankings = (list("abcdef"), list("badcfe"))
    taken = sum(team_draft(rankings, 4, seed).teams[place] for seed in range(SEEDS))
    assert abs(taken / SEEDS - 0.5) < 5 * 0.5 / SEEDS**0.5


def test_teams_differ_by_one_item_at_most_and_take_their_best() -> None:
    for first, second in permutations([list("abcdef"), list("fedcba"), list("acebdf")], 2):
        for seed in range(50):
            draft = team_draft((first, second), 5, seed)
            assert abs(draft.teams.count(0) - draft.teams.count(1)) <= 1
            assert len(set(draft.items)) == 5
            for place, (item, team) in enumerate(zip(draft.items, draft.teams, strict=True)):
                left = [one for one in (first, second)[team] if one not in draft.items[:place]]
                assert item == left[0]


def test_a_slate_is_as_long_as_both_rankings_allow() -> None:
    assert len(team_draft((["a", "b"], ["b"]), 10, 1).items) == 2
    assert team_draft(([], []), 10, 1).items == ()
