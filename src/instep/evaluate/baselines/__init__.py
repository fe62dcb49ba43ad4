"""The baselines in the box, by name, each with its best known settings: one configuration for all streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from instep.evaluate.base import System
from instep.evaluate.baselines.bpr import BPR, BPRSettings
from instep.evaluate.baselines.ease import EASE, EASESettings
from instep.evaluate.baselines.isgd import ISGD, ISGDSettings
from instep.evaluate.baselines.itemknn import ItemKNN
from instep.evaluate.baselines.popularity import Popularity
from instep.evaluate.baselines.transitions import Transitions, TransitionSettings
from instep.evaluate.baselines.transitions_ease import TransitionsEASE

__all__ = [
    "BASELINES",
    "BPR",
    "EASE",
    "ISGD",
    "BPRSettings",
    "EASESettings",
    "ISGDSettings",
    "ItemKNN",
    "Popularity",
    "TransitionSettings",
    "Transitions",
    "TransitionsEASE",
]

Make = Callable[[int, int, int], System]
"""(users, items, seed) to a fresh system."""

HALF_LIVES: Final[Mapping[str, float]] = {
    "decayed-1h": 3600.0,
    "decayed-6h": 6 * 3600.0,
    "decayed-1d": 86400.0,
    "decayed-7d": 7 * 86400.0,
    "decayed-30d": 30 * 86400.0,
}
RAISGD: Final = ISGDSettings(rate=0.2, decay=0.003, negatives=20)


def _decayed(name: str, users: int, items: int, seed: int) -> System:
    return Popularity(items, HALF_LIVES[name], name)


BASELINES: Final[Mapping[str, Make]] = {
    "popularity": lambda users, items, seed: Popularity(items),
    **{name: partial(_decayed, name) for name in HALF_LIVES},
    "isgd": lambda users, items, seed: ISGD(users, items, seed=seed),
    "raisgd": lambda users, items, seed: ISGD(users, items, RAISGD, "raisgd", seed),
    "bpr": lambda users, items, seed: BPR(users, items, seed=seed),
    "itemknn": lambda users, items, seed: ItemKNN(users, items),
    "transitions": lambda users, items, seed: Transitions(users, items),
    "ease": lambda users, items, seed: EASE(users, items),
    "transitions+ease": lambda users, items, seed: TransitionsEASE(
        Transitions(users, items), EASE(users, items)
    ),
}
