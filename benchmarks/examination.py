"""How well are planted examination curves recovered from the log of clicks alone?

    python benchmarks/examination.py [--quick] [--json] [--seed N]

A policy draws slates of 10 from 200 items without replacement, good items more often (Plackett-Luce), and logs
them with their propensities. Users click by a planted model. Impressions and clicks go through the learner as
records of a log; what it says of each place is compared with what was planted, relative to the first place:

- position: a place is looked at with a chance of its own (1 / k^0.7), and what is looked at is clicked by its worth;
- cascade: from the top; after a click half go on, after no click 93 % do. Planted is how often a place was looked at;
- trust: as position, but what is looked at is also clicked when it is not wanted, more often at the top;
- taste: as position, but users differ in what they like, and the policy knows it.

`--quick` takes 10,000 impressions in place of 100,000; the target stays that of 100,000.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from instep.domain import Entry, Feedback, Impression, ItemPut, Record
from instep.flow import Flow, Settings
from instep.log import MemoryLog

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
ITEMS: Final = 200
USERS: Final = 2000
PLACES: Final = 10
GROUPS: Final = 4
START: Final = 1.7e9
EVERY: Final = 30.0
"""Seconds from one slate to the next; a user's are 16 hours apart."""
MODELS: Final = ("position", "cascade", "trust", "taste")
LOOKS: Final = np.arange(1.0, PLACES + 1) ** -0.7
WANTED: Final = 0.98
"""Chance of a click on what is looked at and wanted."""
UNWANTED: Final = 0.45 / np.arange(1.0, PLACES + 1)
"""The same for what is looked at and not wanted, place by place, where users trust the order."""


@dataclass
class Planted:
    """What is true.

    Args:
        worth: float64 (GROUPS, ITEMS), chance that an item that is looked at is clicked, by the user's group.
        looked: float64 (PLACES,), how often a place was looked at.
        slates: how many were shown.
    """

    worth: F64
    looked: F64
    slates: int = 0


@dataclass(frozen=True)
class Outcome:
    """What was recovered of one model: largest errors at any place, and of the items' rates, in the mean.

    Args:
        examination: relative.
        told: the same of a regression on the same slates that is told what every item is worth: what the data allow.
        trust: in clicks an impression.
        rates: of the learned rates, relative.
        raw: of clicks over impressions, relative.
    """

    examination: float
    told: float
    trust: float
    rates: float
    raw: float


def draw(scores: F64, rng: np.random.Generator) -> tuple[I64, F64]:
    """A slate by Plackett-Luce and its propensities, each given the places before."""
    order = np.argsort(-(scores + rng.gumbel(size=ITEMS)), kind="stable")[:PLACES]
    chances = np.exp(scores)
    left = chances.sum() - np.concatenate([[0.0], np.cumsum(chances[order])[:-1]])
    return order, np.minimum(chances[order] / left, 1.0)


def clicks(model: str, worth: F64, planted: Planted, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which places of a slate are clicked; worth is float64 (PLACES,), of the items there."""
    planted.slates += 1
    wanted = rng.random(PLACES) < worth
    if model == "cascade":
        clicked = np.zeros(PLACES, bool)
        for place in range(PLACES):
            planted.looked[place] += 1
            clicked[place] = wanted[place]
            if rng.random() >= (0.5 if wanted[place] else 0.93):
                break
        return clicked
    looked = rng.random(PLACES) < LOOKS
    planted.looked += LOOKS
    if model == "trust":
        return looked & (rng.random(PLACES) < np.where(wanted, WANTED, UNWANTED))
    return looked & wanted


def records(model: str, impressions: int, planted: Planted, rng: np.random.Generator) -> Iterator[Record]:
    """The log: items, slates and the clicks that follow them."""
    for item in range(ITEMS):
        yield ItemPut(f"item-{item}", f"i{item}", START, {"title": f"Item {item}"})
    scores = np.log(planted.worth)
    for number in range(impressions):
        user, now = number % USERS, START + EVERY * number
        group = user % GROUPS
        slate, chances = draw(scores[group], rng)
        names = tuple(f"i{item}" for item in slate.tolist())
        yield Impression(
            f"s{number}", f"u{user}", now, names, tuple(chances.tolist()), policy="plackett-luce"
        )
        for place in np.flatnonzero(clicks(model, planted.worth[group, slate], planted, rng)).tolist():
            event = f"c{number}-{place}"
            yield Feedback(event, f"u{user}", names[place], now + 5.0 + place, "click", slate_id=f"s{number}")


class Told:
    """A regression of each place's clicks on the true worth of what stood there; for trust, with an intercept."""

    def __init__(self, model: str) -> None:
        self._intercept = model == "trust"
        self._sums = np.zeros((4, PLACES))  # worth, clicks, worth squared, worth of what was clicked
        self._slates = 0

    def show(self, worth: F64) -> None:
        """A slate's items are worth float64 (PLACES,)."""
        self._slates += 1
        self._last = worth
        self._sums[0] += worth
        self._sums[2] += worth**2

    def click(self, place: int) -> None:
        """A place of the last slate was clicked."""
        self._sums[1, place] += 1
        self._sums[3, place] += self._last[place]

    def slope(self) -> F64:
        """Examination, relative to the first place: float64 (PLACES,)."""
        worth, clicked, squared, both = self._sums / self._slates
        slope = (both - worth * clicked) / (squared - worth**2) if self._intercept else clicked / worth
        return np.asarray(slope / slope[0])


def recover(model: str, impressions: int, seed: int) -> tuple[Outcome, list[list[float]]]:
    """Plant a model, learn its log, and compare; also the curves: planted and estimated examination, trust."""
    rng = np.random.default_rng(seed)
    worth = np.tile(0.02 + 0.9 * rng.beta(1.2, 3.0, ITEMS), (GROUPS, 1))
    if model == "taste":
        worth = np.minimum(worth * np.exp(rng.normal(0.0, 0.7, (GROUPS, ITEMS))), 0.95)
    planted = Planted(worth, np.zeros(PLACES))
    flow = Flow(MemoryLog(), Settings(policy="greedy"))
    shown, clicked, told = np.zeros(ITEMS), np.zeros(ITEMS), Told(model)
    for offset, record in enumerate(records(model, impressions, planted, rng)):
        flow.model.learn((Entry(offset, record),))
        if isinstance(record, Impression):
            slate = [int(name[1:]) for name in record.item_ids]
            shown[slate] += 1
            told.show(worth[int(record.user_id[1:]) % GROUPS, slate])
        elif isinstance(record, Feedback):
            clicked[int(record.item_id[1:])] += 1
            told.click(int(record.event_id.rpartition("-")[2]))
    state = flow.model.state
    slope, trust = state.examination.slope[0, :PLACES], state.examination.trust[0, :PLACES]
    looked = planted.looked / planted.slates
    through, own = (
        (looked * (WANTED - UNWANTED), looked * UNWANTED) if model == "trust" else (looked, 0.0 * looked)
    )
    true_slope = through / through[0]
    true_trust = own - true_slope * own[0]
    first = worth.mean(0) * through[0] + own[0]  # of each item at the first place
    known = shown > 0
    earned, looks = state.items.earned[:ITEMS][known].T
    rates = earned / np.maximum(looks, 1e-9)
    outcome = Outcome(
        float(np.abs(slope / true_slope - 1.0).max()),
        float(np.abs(told.slope() / true_slope - 1.0).max()),
        float(np.abs(trust - true_trust).max()),
        float(np.abs(rates / first[known] - 1.0).mean()),
        float(np.abs(clicked[known] / shown[known] / first[known] - 1.0).mean()),
    )
    curves = [list(map(float, curve)) for curve in (true_slope, slope, true_trust, trust)]
    return outcome, curves


def main() -> None:
    """Run, print the tables, and with --json the claims."""
    parser = argparse.ArgumentParser(description="Are planted examination curves recovered from a log?")
    parser.add_argument("--quick", action="store_true", help="10,000 impressions in place of 100,000")
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    parser.add_argument("--seed", type=int, default=0, help="of the items, slates and clicks")
    given = parser.parse_args()
    impressions = 10_000 if given.quick else 100_000
    table = Table(
        "model", "examination", "told the worth", "trust", "items' rates", "raw click rates", title="Errors"
    )
    shown = Table("model", "curve", *map(str, range(1, PLACES + 1)), title="Curves by place")
    claims = []
    for model in MODELS:
        outcome, curves = recover(model, impressions, given.seed)
        table.add_row(
            model,
            f"{outcome.examination:.1%}",
            f"{outcome.told:.1%}",
            f"{outcome.trust:.4f}",
            f"{outcome.rates:.1%}",
            f"{outcome.raw:.1%}",
        )
        for name, curve in zip(("planted", "estimated", "trust", "estimated"), curves, strict=True):
            shown.add_row(model, name, *(f"{value:.3f}" for value in curve))
        error = {
            "claim": f"{model}: largest error of the examination at any place",
            "value": outcome.examination,
        }
        claims.append({**error, "target": 0.05, "holds": outcome.examination <= 0.05})
    Console(width=130).print(table, shown)
    if given.json:
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
