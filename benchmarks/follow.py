"""Tuning all along, tuning every night, and not tuning at all, on a stream whose vocabulary drifts.

    python benchmarks/follow.py [--quick] [--json]

Season after season items come with titles in words that no model has read (made_up/drifting.py). The same flow that
serves is tested, then learns, act after act, three times: with the language model as it is; with one that is tuned at
each season's end on everything so far; and with one that is tuned whenever `instep tune --follow` would begin a round
(its own trigger: so many acts, or so many of them on items that are new). A round's model serves the acts that come
after those in which it was made: its vectors are read, then switched to, as the service does. What counts is the area
under the curve of HR@10: the mean over all acts after the first tenth. The gate is left out, so that what is compared
is when to tune. `--quick` takes two short seasons and short rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from instep.domain import Context, EncoderSwitch, Feedback, ItemPut, ItemVector
from instep.encode import Encoder, content_hash, open_encoder, to_bytes
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.tune.follow import News, Trigger
from instep.tune.making import Order, make_version
from instep.tune.methods import Method
from instep.tune.registry import Registry
from instep.tune.train import Plan
from made_up.claims import tell
from made_up.drifting import Act, Arrival, Drifting

START = 1_700_000_000.0
WARM_UP = 0.1
WINDOW = 1000
LATE = 100
"""Acts that go by while a round is under way."""
COLD = 5
Due = Callable[[News, bool], bool]


@dataclass
class Course:
    """How one way of tuning went."""

    hits: list[bool] = field(default_factory=list)
    cold: list[bool] = field(default_factory=list)
    seasons: list[int] = field(default_factory=list)
    rounds: int = 0
    seconds: float = 0.0

    def mean(self, mask: np.ndarray | None = None) -> float:
        """HR@10 over the acts after the warm-up."""
        hits = np.array(self.hits)[int(WARM_UP * len(self.hits)) :]
        return float(hits.mean() if mask is None else hits[mask[int(WARM_UP * len(self.hits)) :]].mean())


class Shop:
    """The flow that serves, over a log in memory, and the encoder whose vectors it reads."""

    def __init__(self, place: Path, steps: int) -> None:
        self.flow = Flow(MemoryLog(), Settings(policy="greedy"))
        self.registry = Registry(place / "models")
        self._steps = steps
        self._titles: dict[str, str] = {}
        self._encoder: Encoder = open_encoder("english")
        self._made = 0

    def arrive(self, item: str, title: str, now: float) -> None:
        """A new item, read at once."""
        self._titles[item] = title
        self.flow.observe([ItemPut(f"put {item}", item, now, {"title": title})])
        self.flow.observe(self._vectors(self._encoder, [item], now))

    def tune(self) -> str:
        """One round on everything so far; returns the version."""
        order = Order(
            model=self.registry.live or "english",
            method=Method("lora"),
            plan=Plan(steps=self._steps, patience=0, threads=2),
            hold_back=0.0,
            fresh=0.5 if self.registry.versions() else 0.0,
            track=("none",),
        )
        version, _ = make_version(self.flow.log, self.registry, order, "english")
        return str(version.name)

    def serve(self, version: str, now: float) -> None:
        """Read the catalogue with a version and switch to it."""
        self.registry.promote(version, records_now=self.flow.log.end)
        self._encoder = open_encoder(str(self.registry.path(version) / "model"))
        self.flow.observe(self._vectors(self._encoder, list(self._titles), now))
        self.flow.observe([EncoderSwitch(f"switch {version}", self._encoder.name, now)])

    def _vectors(self, encoder: Encoder, items: list[str], now: float) -> list[ItemVector]:
        titles = [self._titles[item] for item in items]
        self._made += 1
        return [
            ItemVector(
                f"{self._made} {item}",
                item,
                now,
                encoder.name,
                content_hash(title, encoder.name),
                to_bytes(vector),
            )
            for item, title, vector in zip(items, titles, encoder.encode(titles), strict=True)
        ]


def course(stream: Drifting, place: Path, steps: int, due: Due) -> Course:
    """Test and learn the whole stream, tuning when `due` says so."""
    shop, found = Shop(place, steps), Course()
    news = News(shop.flow.log, 0)
    now, before, waiting, ready = START, 0, "", 0
    for number, (season, what) in enumerate(stream.events()):
        now += 60.0
        if isinstance(what, Arrival):
            shop.arrive(what.item, what.title, now)
            continue
        _act(shop, found, what, season, number, now)
        if waiting and len(found.hits) >= ready:
            shop.serve(waiting, now)
            waiting = ""
        if not waiting and due(news, season != before):
            began = time.process_time()
            news.begin_again()
            waiting, ready = shop.tune(), len(found.hits) + LATE
            found.rounds += 1
            found.seconds += time.process_time() - began
        before = season
    return found


def _act(shop: Shop, found: Course, act: Act, season: int, number: int, now: float) -> None:
    slate = shop.flow.rank(Context(act.user, n=10, now=now, request_id=f"r{number}"))
    found.hits.append(any(item.item_id == act.item for item in slate.items))
    found.cold.append(act.earlier <= COLD)
    found.seasons.append(season)
    shop.flow.observe([Feedback(f"e{number}", act.user, act.item, now, "click")])


def main() -> None:
    """Run the three courses, print the table and the claims."""
    parser = argparse.ArgumentParser(description="Follow, nightly and no tuning on a stream that drifts.")
    parser.add_argument("--quick", action="store_true", help="two short seasons, short rounds")
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    given = parser.parse_args()
    seasons, acts, items, steps = (2, 400, 80, 4) if given.quick else (3, 2500, 300, 60)
    trigger = Trigger(events=acts * 6 // 5 if given.quick else acts // 2, unseen=0.5)
    ways: dict[str, Due] = {
        "never": lambda news, night: False,
        "nightly": lambda news, night: night,
        "follow": lambda news, night: bool(news.due(trigger, 0.0)),
    }
    found: dict[str, Course] = {}
    for name, due in ways.items():
        with TemporaryDirectory() as place:
            found[name] = course(Drifting(seasons, acts, items), Path(place), steps, due)
    table = Table(
        "tuned", "HR@10", "cold items", *(f"season {n + 1}" for n in range(seasons)), "rounds", "CPU s"
    )
    for name, each in found.items():
        when, cold = np.array(each.seasons), np.array(each.cold)
        cells = [f"{each.mean():.4f}", f"{each.mean(cold):.4f}"]
        cells += [f"{each.mean(when == season):.4f}" for season in range(seasons)]
        table.add_row(name, *cells, str(each.rounds), f"{each.seconds:.0f}")
    Console(width=110).print(table)
    mean = {name: each.mean() for name, each in found.items()}
    told = [
        {
            "claim": f"area under the curve of HR@10, follow over {other}",
            "value": round(mean["follow"] / mean[other], 3),
            "target": 1.0,
            "holds": mean["follow"] > mean[other],
        }
        for other in ("never", "nightly")
    ]
    tell(told, given.json)


if __name__ == "__main__":
    main()
