"""How fast, how large: observe, recommend, replay, start-up and memory at three sizes of the catalogue.

    python benchmarks/speed.py [--quick] [--json] [--only 10k,100k,1m]

The shop is made up: items in clusters with short titles, a few categories and float16 vectors of 384
dimensions (as records, so that no language model runs), users with tastes and histories, popularity by Zipf's
law. Each size is built in one process and served in another, as after a restart; requests over HTTP come from
a third, over connections that are kept. Beside each figure stands a floor of the same run: an empty endpoint
of the same server, the bare server, and an exact top-10 by plain numpy. `--quick` leaves the million out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import uvicorn
from rich.console import Console
from rich.table import Column, Table

from instep.domain import Context, Feedback, Slate
from instep.flow import Flow
from instep.log import MemoryLog, SqliteLog
from instep.serve.http import HttpServer, HttpSettings, Service, configure_logs
from made_up.claims import tell
from made_up.load import Figures, load
from made_up.requests import get, post
from made_up.shop import Clicks, Shop

SIZES: Final = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}
EVENTS: Final = 60_000
QUICK_EVENTS: Final = 12_000
TURNS: Final = 2_000
CLIENTS: Final = 8
ROUNDS: Final = 5
ROUND_SECONDS: Final = 0.5
GIB: Final = 2**30


def build(items: int, events: int, folder: str) -> Figures:
    """Fill a log on disk, learn from it, write snapshots, replay the events; returns the figures."""
    configure_logs("error")
    shop = Shop(items, events)
    place = Path(folder)
    compile_all()
    flow = Flow(SqliteLog(place / "log.sqlite"))
    began = time.perf_counter()
    for batch in shop.catalogue():
        flow.observe(batch)
    filled = time.perf_counter()
    flow.snapshot(place / "catalogue")
    saved = time.perf_counter()
    for batch in shop.acts():
        flow.observe(batch)
    learned = time.perf_counter()
    path = flow.snapshot(place / "snapshots")
    written = time.perf_counter()
    peak, digest = memory("VmHWM"), flow.state_hash()
    flow.close()
    del flow
    again = Flow(SqliteLog(place / "log.sqlite"))
    marks: list[float] = []
    again.restore(place / "catalogue", lambda _: marks.append(time.perf_counter()))  # then all events' replay
    replayed = time.perf_counter() - marks[0]
    same = again.state_hash() == digest
    again.close()
    return {
        "import items/s": shop.items / (filled - began),
        "import events/s": shop.events / (learned - saved),
        "replay events/s": shop.events / replayed,
        "replay is bit-identical": float(same),
        "snapshot write s": written - learned,
        "snapshot MiB": path.stat().st_size / 2**20,
        "log MiB": sum(file.stat().st_size for file in place.glob("log.sqlite*")) / 2**20,
        "peak GiB while filling": peak,
    }


def serve(items: int, events: int, folder: str) -> Figures:
    """Start from the snapshot and serve, in process and over HTTP; returns the figures."""
    configure_logs("error")
    shop = Shop(items, events)
    compile_all()
    before = memory("VmRSS")
    began = time.perf_counter()
    flow = Flow(SqliteLog(Path(folder) / "log.sqlite"))
    flow.restore(Path(folder) / "snapshots")
    flow.rank(Context("u0", now=shop.at[-1], request_id="first"))
    figures = {"start-up s": time.perf_counter() - began, "GiB after start-up": memory("VmRSS")}
    figures |= on_disk(flow, shop) | over_http(flow, shop)
    figures["GiB after serving"] = memory("VmRSS")
    figures["of which before start-up"] = before
    quick = Flow(MemoryLog())
    quick.model = flow.model
    quick.model.state.offset = 0  # the same model behind a log in memory, which begins anew
    figures |= in_process(quick, shop)
    flow.close()
    return figures


def compile_all() -> None:
    """Learn and recommend once, so that no compiling is measured."""
    shop = Shop(2_100, 500)
    flow = Flow(MemoryLog())
    for batch in (*shop.catalogue(), *shop.acts()):
        flow.observe(batch)
    flow.recommend(Context("u1", now=shop.at[-1]))
    flow.close()


def memory(which: str) -> float:
    """Resident memory of this process, GiB: `VmRSS` now, `VmHWM` at most."""
    if not Path("/proc/self/status").exists():
        return float("nan")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) * 1024 / GIB


def in_process(flow: Flow, shop: Shop) -> Figures:
    """Calls without fsync and without HTTP, in turns with the floor."""
    clicks = Clicks(shop, "memory")
    rng = np.random.default_rng(4)
    vectors, query = rng.standard_normal((shop.items, 64), np.float32), rng.standard_normal(64, np.float32)

    def exact() -> None:
        scores = vectors @ query
        top = np.argpartition(scores, -10)[-10:]
        top[np.argsort(-scores[top])].tolist()

    slate = Slate("", ())

    def recommend(context: Context) -> None:
        nonlocal slate
        slate = flow.recommend(context)

    def take(event: Feedback, context: Context) -> None:
        item = slate.items[len(slate.items) // 2].item_id
        name, when = f"of a slate: {event.event_id}", event.timestamp
        flow.observe([Feedback(name, context.user_id, item, when, "click", slate_id=slate.slate_id)])

    calls: dict[str, Callable[[Feedback, Context], object]] = {
        "rank": lambda event, context: flow.rank(context),
        "recommend": lambda event, context: recommend(context),
        "observe": lambda event, context: flow.observe([event]),
        "observe, an act on a slate": take,
        "numpy top-10": lambda event, context: exact(),
    }
    return timed(calls, clicks, TURNS)


def on_disk(flow: Flow, shop: Shop) -> Figures:
    """Calls whose events are on disk, with fsync, before they return."""
    calls: dict[str, Callable[[Feedback, Context], object]] = {
        "observe, fsync": lambda event, context: flow.observe([event])
    }
    return timed(calls, Clicks(shop, "disk"), TURNS // 4)


def timed(calls: dict[str, Callable[[Feedback, Context], object]], clicks: Clicks, turns: int) -> Figures:
    """Median and 99th percentile of each call, microseconds; all calls take turns, so that noise hits all."""
    spent = {name: np.zeros(turns) for name in calls}
    for turn in range(-turns // 10, turns):  # the first ones warm up
        event, context = clicks.next()
        for name, call in calls.items():
            began = time.perf_counter_ns()
            call(event, context)
            if turn >= 0:
                spent[name][turn] = (time.perf_counter_ns() - began) / 1e3
    return {
        f"{name} p{share}": float(np.percentile(times, share))
        for name, times in spent.items()
        for share in (50, 99)
    }


class Bare:
    """The least that the server can answer: what uvicorn alone costs."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer any request with two bytes."""
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def served(server: uvicorn.Server, serve: Callable[[], None], ready: threading.Event) -> Iterator[None]:
    """Have a server run beside, in a thread."""
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        ready.wait(30)
        yield
    finally:
        server.should_exit = True
        thread.join()


def over_http(flow: Flow, shop: Shop) -> Figures:
    """The service, its empty endpoint and the bare server under the same load, in turns."""
    settings = HttpSettings(port=0)
    started, bare_started = threading.Event(), threading.Event()
    server = HttpServer(Service(flow, settings), settings, lambda _: started.set())
    floor = HttpServer(Bare(), settings, lambda _: bare_started.set())  # type: ignore[arg-type]
    clicks = Clicks(shop, "http")
    jobs: dict[str, Callable[[], list[bytes]]] = {
        "bare": lambda: [get("/")],
        "empty": lambda: [get("/health/live")],
        "recommend": lambda: [
            post("/v1/recommendations", user_id=clicks.next()[1].user_id, n=10) for _ in range(500)
        ],
        "observe": lambda: [
            post("/v1/events", user_id=event.user_id, item_id=event.item_id, type="click")
            for event, _ in (clicks.next() for _ in range(500))
        ],
    }
    found: dict[str, list[Figures]] = {name: [] for name in jobs}
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as outside,
        served(server, server.serve_until_stopped, started),
        served(floor, floor.serve_until_stopped, bare_started),
    ):
        for _ in range(ROUNDS):  # all take turns, so that noise hits all
            for clients in (1, CLIENTS):
                for name, requests in jobs.items():
                    port = (floor if name == "bare" else server).address.rpartition(":")[2]
                    found[name].append(
                        outside.submit(load, int(port), requests(), clients, ROUND_SECONDS).result()
                    )
    return {
        f"http {name} {figure}": float(np.median([one[figure] for one in rounds if figure in one]))
        for name, rounds in found.items()
        for figure in ("p50", "p99", "a second", "client's share of a core")
    }


def claims(size: str, found: Figures) -> list[dict[str, object]]:
    """What is claimed of one size, and whether it holds here."""
    told: list[dict[str, object]] = []

    def claim(text: str, value: float, target: float, most: bool) -> None:
        holds = value <= target if most else value >= target
        told.append(
            {"claim": f"{size} items: {text}", "value": round(value, 3), "target": target, "holds": holds}
        )

    if size == "100k":
        claim("rank, p50, microseconds (at most)", found["rank p50"], 1000.0, most=True)
        claim("recommend, p50, microseconds (at most)", found["recommend p50"], 500.0, most=True)
        claim("observe without fsync, p50, microseconds (at most)", found["observe p50"], 100.0, most=True)
        slate = found["observe, an act on a slate p50"]
        claim("the same of an act on a slate, p50, microseconds (at most)", slate, 100.0, most=True)
    share = found["http recommend a second"] / found["http empty a second"]
    claim("recommendations over HTTP, share of an empty endpoint's rate", share, 0.5, most=False)
    claim("a replay of all events reaches the same state", found["replay is bit-identical"], 1.0, most=False)
    if size == "1m":
        claim("recommend, p50, microseconds (at most)", found["recommend p50"], 1500.0, most=True)
        claim("memory of the service, GiB (at most)", found["GiB after serving"], 3.0, most=True)
    return told


def measure(size: str, events: int) -> Figures:
    """Build and serve one size, each in a process of its own."""
    found: Figures = {}
    with TemporaryDirectory() as folder:
        for work in (build, serve):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                found |= process.submit(work, SIZES[size], events, folder).result()
    return found


def main() -> None:
    """Measure, print the table, and the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10k and 100k items, fewer events")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--only", default="", metavar="SIZE,...", help=f"of {', '.join(SIZES)}")
    given = parser.parse_args()
    sizes = [name for name in given.only.split(",") if name] or list(SIZES)[: 2 if given.quick else 3]
    if unknown := [name for name in sizes if name not in SIZES]:
        parser.error(f"there is no size {unknown[0]}; there are {', '.join(SIZES)}")
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    found: dict[str, Figures] = {}
    for size in sizes:
        began = time.perf_counter()
        found[size] = measure(size, QUICK_EVENTS if given.quick else EVENTS)
        print(f"{size}: measured in {time.perf_counter() - began:.0f} s", flush=True)
    table = Table("microseconds unless named", *(Column(size, justify="right") for size in sizes))
    for name in found[sizes[0]]:
        table.add_row(name, *(_short(figures[name]) for figures in found.values()))
    Console(width=100).print(table)
    told = [claim for size in sizes for claim in claims(size, found[size])]
    tell(told, given.json)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
