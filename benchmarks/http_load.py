"""The service over HTTP on two cores: rates, latencies at half the saturating load, and a mix that is durable.

    python benchmarks/http_load.py [--quick] [--json] [--items N]

The shop is made up (made_up/shop.py). The server is what `instep serve` runs, in a process of its own, with the log
on disk and fsync on; requests come from another, over connections that are kept. First the rate that eight
connections get, with one request under way on each: of an endpoint that does nothing, of recommendations, of events.
Then, at half of those rates, the latency of requests that fall due whether or not earlier ones were answered. Then a
thousand recommendations and two hundred events a second at once. `--quick`: fewer items, shorter rounds. (A file
called http.py would hide the standard library's module of that name from everything in this folder.)
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from instep.flow import Flow
from instep.log import SqliteLog
from instep.serve.http import HttpServer, HttpSettings, Service, configure_logs
from made_up.claims import tell
from made_up.load import Figures, load
from made_up.paced import paced
from made_up.requests import get, post
from made_up.shop import Clicks, Shop

ITEMS: Final = 100_000
QUICK_ITEMS: Final = 5_000
EVENTS: Final = 12_000
CLIENTS: Final = 8
MOST: Final = 64
ROUNDS: Final = 5
QUICK_ROUNDS: Final = 3
RECOMMENDATIONS: Final = 1_000.0
ACTS: Final = 200.0
KINDS: Final = ("empty", "recommend", "observe")


def serve(items: int, folder: str, told: Connection) -> None:
    """Fill a log, learn from it, and serve until the other end of the pipe closes; tells the port."""
    configure_logs("error")
    shop = Shop(items, EVENTS)
    flow = Flow(SqliteLog(Path(folder) / "log.sqlite"))
    for batch in (*shop.catalogue(), *shop.acts()):
        flow.observe(batch)
    settings = HttpSettings(port=0)
    server = HttpServer(
        Service(flow, settings), settings, lambda address: told.send(int(address.rpartition(":")[2]))
    )
    threading.Thread(target=partial(_stop_when_told, server, told), daemon=True).start()
    server.serve_until_stopped()
    flow.close()


def _stop_when_told(server: HttpServer, told: Connection) -> None:
    told.recv()
    server.stop()


@contextmanager
def serving(items: int) -> Iterator[int]:
    """A service in a process of its own; gives its port."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    with TemporaryDirectory() as folder:
        process = spawn.Process(target=serve, args=(items, folder, there))
        process.start()
        try:
            yield here.recv()
        finally:
            here.send("stop")
            process.join(30)


def requests_of(shop: Shop) -> dict[str, list[bytes]]:
    """Requests of each kind, for load to take in turns."""
    clicks = Clicks(shop, "http")
    drawn = [clicks.next() for _ in range(2_000)]
    return {
        "empty": [get("/health/live")],
        "recommend": [post("/v1/recommendations", user_id=context.user_id, n=10) for _, context in drawn],
        "observe": [
            post("/v1/events", user_id=event.user_id, item_id=event.item_id, type="click")
            for event, _ in drawn
        ],
    }


def saturated(outside: Executor, port: int, requests: dict[str, list[bytes]], seconds: float) -> Figures:
    """Requests of each kind a second, median of rounds in turns, so that noise hits all."""
    found: dict[str, list[Figures]] = {name: [] for name in KINDS}
    for _ in range(ROUNDS):
        for name in KINDS:
            found[name].append(outside.submit(load, port, requests[name], CLIENTS, seconds).result())
    return {
        f"{name} {figure}": float(np.median([one[figure] for one in rounds]))
        for name, rounds in found.items()
        for figure in rounds[0]
    }


def at_half(
    outside: Executor, port: int, requests: dict[str, list[bytes]], rates: Figures, seconds: float
) -> Figures:
    """Latencies of each kind alone, at half of the rate that saturates it; medians of rounds in turns."""
    found: dict[str, list[Figures]] = {name: [] for name in KINDS}
    for _ in range(ROUNDS):
        for name in KINDS:
            kinds = {name: (requests[name], rates[f"{name} a second"] / 2)}
            found[name].append(outside.submit(paced, port, kinds, seconds, MOST).result())
    return {
        figure: float(np.median([one[figure] for one in rounds]))
        for rounds in found.values()
        for figure in rounds[0]
    }


def measure(items: int, seconds: float) -> dict[str, Figures]:
    """All three loads, on one service."""
    requests = requests_of(Shop(items, EVENTS))
    spawn = multiprocessing.get_context("spawn")
    with serving(items) as port, ProcessPoolExecutor(1, spawn) as outside:
        outside.submit(load, port, requests["recommend"], CLIENTS, 1.0).result()  # all is compiled now
        full = saturated(outside, port, requests, seconds)
        half = at_half(outside, port, requests, full, seconds)
        mix = {
            "recommend": (requests["recommend"], RECOMMENDATIONS),
            "observe": (requests["observe"], ACTS),
        }
        mixed = outside.submit(paced, port, mix, 10 * seconds, MOST).result()
    return {"saturated": full, "half": half, "mixed": mixed}


def table(found: dict[str, Figures]) -> Table:
    """One row a load and kind."""
    shown = Table("load", "requests", "a second", "p50, us", "p99, us", "p99.9, us")
    for title, which in (
        ("as fast as it can", "saturated"),
        ("half of that", "half"),
        ("both at once", "mixed"),
    ):
        for name in KINDS:
            row = [found[which].get(f"{name} {figure}") for figure in ("a second", "p50", "p99", "p99.9")]
            if row[0] is not None:
                shown.add_row(title, name, *("" if value is None else f"{value:,.0f}" for value in row))
    return shown


def claims(found: dict[str, Figures]) -> list[dict[str, object]]:
    """What is claimed, and whether it holds here."""
    full, half, mixed = found["saturated"], found["half"], found["mixed"]
    told: list[tuple[str, float, float, bool]] = [
        (
            "recommendations, share of the empty endpoint's rate",
            full["recommend a second"] / full["empty a second"],
            0.6,
            False,
        ),
        (
            "p99 of recommendations over the empty endpoint's, at half the saturating load (at most)",
            half["recommend p99"] / half["empty p99"],
            3.0,
            True,
        ),
        (
            f"recommendations a second, of {RECOMMENDATIONS:,.0f} due, beside durable events",
            mixed["recommend a second"],
            0.99 * RECOMMENDATIONS,
            False,
        ),
        (
            f"durable events a second, of {ACTS:,.0f} due, beside recommendations",
            mixed["observe a second"],
            0.99 * ACTS,
            False,
        ),
    ]
    return [
        {
            "claim": claim,
            "value": round(value, 3),
            "target": target,
            "holds": value <= target if most else value >= target,
        }
        for claim, value, target, most in told
    ]


def main() -> None:
    """Measure, print the table, and the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ITEMS:,} items, shorter rounds")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--items", type=int, default=0, metavar="N", help=f"size of the shop ({ITEMS:,})")
    given = parser.parse_args()
    if given.items and given.items < 1_000:
        parser.error("the shop needs 1,000 items or more")
    items = given.items or (QUICK_ITEMS if given.quick else ITEMS)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    found = measure(items, 0.3 if given.quick else 2.0)
    busy = found["saturated"]["empty client's share of a core"]
    print(f"{items:,} items; the client took {busy:.2f} of a core at most")
    Console(width=110).print(table(found))
    tell(claims(found), given.json)


if __name__ == "__main__":
    main()
