"""Does the next slate reflect a click, every time?

A real service on loopback (uvicorn, the log on disk with an fsync before each acknowledgement, a language
model that has read the titles) and a real HTTP client. A visitor asks for a slate, clicks on one of its
items, and asks again at once: the clicked item must be gone, and it must be the cause of a signal in
`reasons`. First one visitor after another, then several at the same time.

    python benchmarks/read_your_writes.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console
from rich.table import Table

from instep.serve.app import open_app
from instep.serve.http import HttpSettings, Service, configure_logs, serving

TURNS = 1000
CLIENTS = 8
LOOKS = ["Red", "Blue", "Green", "Small", "Large", "Antique", "Modern", "Wooden", "Steel", "Paper"]
KINDS = ["teapot", "lantern", "guitar", "raincoat", "bicycle bell", "chess set", "garden spade", "cookbook"]
KINDS += ["telescope", "birdhouse", "cushion", "backpack", "alarm clock", "fishing rod", "candle", "puzzle"]


@dataclass
class Tally:
    """What was seen, and how long it took (seconds)."""

    turns: int = 0
    gone: int = 0
    cause: int = 0
    fresh: int = 0
    posting: list[float] = field(default_factory=list)
    asking: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another tally's counts in."""
        for name in ("turns", "gone", "cause", "fresh", "posting", "asking"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@contextmanager
def service(items: int, crowd: int) -> Iterator[str]:
    """The address of a service with a catalogue, read by the language model, and a crowd that has used it."""
    with TemporaryDirectory() as place, open_app(f"{place}/bench.instep", encoder="english") as app:
        settings = HttpSettings(port=0)
        with serving(Service(app.flow, settings, app.metrics), settings) as address:
            fill(address, items, crowd)
            app.finish_encoding()
            yield address


def fill(address: str, items: int, crowd: int) -> None:
    """Put items in, and let each of a crowd click on five things of one kind."""
    rng = random.Random(1)
    catalogue = [
        {"item_id": f"i{n}", "title": f"{LOOKS[n // len(KINDS) % len(LOOKS)]} {KINDS[n % len(KINDS)]} {n}"}
        for n in range(items)
    ]
    clicks = [
        {"user_id": f"crowd-{person}", "item_id": f"i{item}", "type": "click"}
        for person in range(crowd)
        for item in rng.sample(range(person % len(KINDS), items, len(KINDS)), 5)
    ]
    with httpx.Client(base_url=address, timeout=60) as client:
        client.post("/v1/items", json=catalogue).raise_for_status()
        for start in range(0, len(clicks), 5000):
            client.post("/v1/events", json=clicks[start : start + 5000]).raise_for_status()


def turns(address: str, names: range) -> Tally:
    """Slate, click, slate: one visitor for each name."""
    tally = Tally()
    rng = random.Random(names.start)
    with httpx.Client(base_url=address, timeout=60) as client:
        for name in names:
            visitor = {"session": f"v{name}"}
            ask = {**visitor, "n": 10, "explain": True}
            before = client.post("/v1/recommendations", json=ask).raise_for_status().json()
            position = rng.randrange(len(before["items"]))
            clicked = before["items"][position]["item_id"]
            click = {
                **visitor,
                "item_id": clicked,
                "type": "click",
                "slate_id": before["slate_id"],
                "position": position,
            }
            began = time.perf_counter()
            receipt = client.post("/v1/events", json=click).raise_for_status().json()["receipts"][0]
            posted = time.perf_counter()
            after = client.post("/v1/recommendations", json=ask).raise_for_status().json()
            answered = time.perf_counter()
            tally.turns += 1
            tally.gone += clicked not in [item["item_id"] for item in after["items"]]
            causes = {reason["because"] for item in after["items"] for reason in item["reasons"]}
            tally.cause += clicked in causes
            tally.fresh += after["as_of"] > receipt["offset"]
            tally.posting.append(posted - began)
            tally.asking.append(answered - posted)
    return tally


def together(address: str, total: int, clients: int) -> Tally:
    """The same by several clients at once."""
    share = total // clients
    tally = Tally()
    with ThreadPoolExecutor(clients) as pool:
        for part in pool.map(
            lambda number: turns(address, range(total + number * share, total + (number + 1) * share)),
            range(clients),
        ):
            tally.add(part)
    return tally


def share_of(values: list[float], share: float) -> str:
    """A quantile, in milliseconds."""
    return f"{sorted(values)[int(share * (len(values) - 1))] * 1e3:.2f}"


def main() -> None:
    """Run, print the table, and with --json the claims."""
    parser = argparse.ArgumentParser(description="Does the next slate reflect a click, every time?")
    parser.add_argument("--quick", action="store_true", help="a catalogue of 500 items in place of 5,000")
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    given = parser.parse_args()
    configure_logs("error")
    items, crowd = (500, 1_000) if given.quick else (5_000, 10_000)
    table = Table(
        "", "turns", "item gone", "cause of a reason", "learned", "post p50", "p99", "ask p50", "p99 (ms)"
    )
    claims = []
    with service(items, crowd) as address:
        for name, tally in (
            ("one client", turns(address, range(TURNS))),
            (f"{CLIENTS} clients", together(address, TURNS, CLIENTS)),
        ):
            times = [share_of(values, q) for values in (tally.posting, tally.asking) for q in (0.5, 0.99)]
            counts = (tally.turns, tally.gone, tally.cause, tally.fresh)
            table.add_row(name, *map(str, counts), *times)
            for claim, value in (
                ("the clicked item is gone from the next slate", tally.gone),
                ("the click is the cause of a signal in its reasons", tally.cause),
                ("the model had learned from it", tally.fresh),
            ):
                holds = value == tally.turns == TURNS
                claims.append({"claim": f"{claim} ({name})", "value": value, "target": TURNS, "holds": holds})
    Console(width=120).print(table)
    if given.json:
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
