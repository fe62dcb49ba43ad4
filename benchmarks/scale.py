"""How cost and memory grow: with the items, with the users, and after a restart with a long history.

    python benchmarks/scale.py [--quick] [--json] [--only items,users,restart]

The shop is made up (made_up/shop.py). `items`: cost of an event and of a request from 1,000 to 1,000,000 items, with
4,000 users. `users`: the same from 1,000 to 1,000,000 users of ten acts each, with 100,000 items; the largest is then
served from its snapshot, as after a restart, and its memory is taken apart. `restart`: from the snapshot to the first
answer with 1,000,000 items, 1,000,000 users and a log of 10,000,000 acts. Costs are medians in process, without
fsync; the slope beside them is that of the line between a size and the one before it on log-log paper: 0 does not
grow, 1 grows as much as the size. Histories are filled as the learner does it, but only the last acts are learned in
full, since learning all would take an hour: neighbour lists (16 bytes a cell, 512 cells an item at most) are shorter
than they would be. `--quick` stops at 10,000 items and users, and restarts with 100,000 acts.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from instep.domain import Context, Entry, Feedback
from instep.flow import Flow
from instep.learn.histories import remember
from instep.log import MemoryLog, SqliteLog
from instep.serve.http import configure_logs
from instep.state import State
from made_up.bulk import write_log
from made_up.claims import tell
from made_up.load import Figures
from made_up.shop import Clicks, Shop
from speed import compile_all, memory, timed

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
FEW_USERS: Final = 4_000
SOME_ITEMS: Final = 100_000
LEARNED: Final = 10_000
QUICK_LEARNED: Final = 2_000
ACTS_EACH: Final = 10
TURNS: Final = 2_000
RESTART: Final = (1_000_000, 1_000_000, 10_000_000)
QUICK_RESTART: Final = (10_000, 10_000, 100_000)
SPAWN: Final = multiprocessing.get_context("spawn")
PARTS: Final = ("items", "users", "restart")
Result = TypeVar("Result")


def fill(flow: Flow, shop: Shop, learned: int) -> None:
    """Bring a flow's model to a shop's catalogue and acts; the last ones are learned in full, the others remembered.

    The log stays as it is: it would keep in memory what the service keeps on disk.
    """
    model = flow.model
    for batch in shop.catalogue():
        model.learn(Entry(0, record) for record in batch)
    state, numbers = model.state, [model.state.item_number[shop.item_id(row)] for row in range(shop.items)]
    click = state.type_row("click")
    first = max(0, shop.events - learned)
    for user, item, at in zip(
        shop.user[:first].tolist(), shop.item[:first].tolist(), shop.at[:first], strict=True
    ):
        row = state.user_row(f"u{user}")
        state.reserve()
        remember(state.held(), row, numbers[item], at, 1.0, click, math.nan)
        state.users.events[row] += 1
    for batch in shop.acts(first):
        model.learn(Entry(0, record) for record in batch)
    state.offset = 0


def costs(shop_of: tuple[int, int, int], learned: int, turns: int, folder: str) -> Figures:
    """Build one size in memory, and time events and requests in turns.

    Args:
        shop_of: items, acts, users.
        learned: acts learned in full, the last ones.
        turns: how many events and requests.
        folder: where a snapshot goes; "" for none.
    """
    configure_logs("error")
    compile_all()
    shop = Shop(*shop_of)
    flow = Flow(MemoryLog())
    fill(flow, shop, learned)
    clicks = Clicks(shop, "scale")
    calls: dict[str, Callable[[Feedback, Context], object]] = {
        "request": lambda event, context: flow.rank(context),
        "event": lambda event, context: flow.observe([event]),
    }
    figures = timed(calls, clicks, turns)
    if folder:
        flow.model.state.offset = 0
        flow.snapshot(Path(folder))
    flow.close()
    return figures


def turns_of(items: int, users: int) -> list[tuple[Feedback, Context]]:
    """Events and requests for `served`; the shop that makes them must not count as the service's memory."""
    clicks = Clicks(Shop(items, 2 * TURNS, users), "served")
    return [clicks.next() for _ in range(TURNS)]


def served(asked: Sequence[tuple[Feedback, Context]], folder: str) -> Figures:
    """Memory of a service that starts from a snapshot and then learns and answers, and what its parts take, MiB."""
    configure_logs("error")
    compile_all()
    before = memory("VmRSS")
    with TemporaryDirectory() as place:
        flow = Flow(SqliteLog(Path(place) / "log.sqlite"))
        flow.restore(Path(folder))
        after = memory("VmRSS")
        for event, context in asked:
            flow.observe([event])
            flow.recommend(context)
        found = {"GiB before": before, "GiB after start-up": after, "GiB after serving": memory("VmRSS")}
        found |= {f"of it, MiB: {name}": size for name, size in parts(flow.model.state).items()}
        flow.close()
    return found


def parts(state: State) -> dict[str, float]:
    """What each table of a state holds, with its room for growth, MiB; the largest first."""
    tables: dict[str, Any] = {
        "items": state.items,
        "users": state.users,
        "histories": state.history,
        "neighbours": state.neighbours,
        "head": state.head,
        "text": state.text,
    }
    sizes = {
        name: sum(array.nbytes for array in table if isinstance(array, np.ndarray)) / 2**20
        for name, table in tables.items()
    }
    return dict(sorted(sizes.items(), key=lambda pair: -pair[1]))


def build_restart(items: int, users: int, acts: int, folder: str, learned: int) -> Figures:
    """A folder with a log of all acts and a snapshot at its end."""
    configure_logs("error")
    shop = Shop(items, acts, users)
    place = Path(folder)
    began = time.perf_counter()
    offset = write_log(place / "log.sqlite", shop)
    logged = time.perf_counter()
    flow = Flow(MemoryLog())
    fill(flow, shop, learned)
    flow.model.state.offset = offset
    path = flow.snapshot(place / "snapshots")
    flow.close()
    return {
        "log MiB": sum(file.stat().st_size for file in place.glob("log.sqlite*")) / 2**20,
        "log written s": logged - began,
        "snapshot MiB": path.stat().st_size / 2**20,
    }


def restart(items: int, users: int, acts: int, folder: str) -> Figures:
    """From nothing to the first answer; compiled code is read before, as `instep serve` finds it on disk."""
    configure_logs("error")
    compile_all()
    place = Path(folder)
    began = time.perf_counter()
    flow = Flow(SqliteLog(place / "log.sqlite"))
    opened = time.perf_counter()
    flow.restore(place / "snapshots")
    restored = time.perf_counter()
    flow.rank(Context("u0", now=time.time(), request_id="first"))
    answered = time.perf_counter()
    if flow.model.state.offset != flow.log.end or flow.model.state.n_items != items:
        raise RuntimeError("the snapshot was not used")
    found = {
        "ready s": answered - began,
        "of it, log opened s": opened - began,
        "of it, snapshot read s": restored - opened,
        "of it, first answer s": answered - restored,
        "GiB when ready": memory("VmRSS"),
    }
    flow.close()
    return found


def apart(work: Callable[..., Result], *arguments: object) -> Result:
    """The result of some work in a process of its own."""
    with ProcessPoolExecutor(1, SPAWN) as process:
        return process.submit(work, *arguments).result()


def growth(sizes: tuple[int, ...], users: bool, learned: int, turns: int) -> dict[int, Figures]:
    """Costs at each size of the catalogue or of the crowd; the largest crowd also as a service."""
    found: dict[int, Figures] = {}
    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, SPAWN) as process:
        for size in sizes:
            items = min(SOME_ITEMS, sizes[-1]) if users else size
            acts = max(2 * learned, ACTS_EACH * size) if users else 2 * learned
            crowd = size if users else FEW_USERS
            last = users and size == sizes[-1]
            work = process.submit(costs, (items, acts, crowd), learned, turns, folder if last else "")
            found[size] = work.result()
            if last:
                asked = apart(turns_of, items, crowd)
                found[size] |= apart(served, asked, folder)
    return found


def slopes(found: Mapping[int, Figures], figure: str) -> list[float]:
    """Slope of the line to each size from the one before it, both logarithmic; NaN for the first.

    >>> [round(slope, 2) for slope in slopes({10: {"p50": 2.0}, 100: {"p50": 2.0}, 1000: {"p50": 20.0}}, "p50")[1:]]
    [0.0, 1.0]
    """
    sizes = list(found)
    rise = [math.log(found[b][figure] / found[a][figure]) / math.log(b / a) for a, b in pairwise(sizes)]
    return [math.nan, *rise]


def table(axis: str, found: Mapping[int, Figures]) -> Table:
    """Costs and slopes, one row a size."""
    shown = Table(axis, "request p50, us", "p99", "slope of p50", "event p50, us", "p99", "slope of p50")
    request, event = slopes(found, "request p50"), slopes(found, "event p50")
    for place, (size, one) in enumerate(found.items()):
        cells = [
            one["request p50"],
            one["request p99"],
            request[place],
            one["event p50"],
            one["event p99"],
            event[place],
        ]
        shown.add_row(f"{size:,}", *("" if math.isnan(cell) else _short(cell) for cell in cells))
    return shown


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def claims(found: Mapping[str, Mapping[int, Figures]], restarted: Figures | None) -> list[dict[str, object]]:
    """What is claimed, and whether it holds here."""
    told: list[tuple[str, float, float]] = []
    for axis, sizes in found.items():
        for call in ("request", "event"):
            steepest = max(slopes(sizes, f"{call} p50")[1:])
            told.append((f"steepest slope of one {call}'s cost with the {axis} (below)", steepest, 1.0))
    if "users" in found:
        size, last = list(found["users"].items())[-1]
        told.append((f"memory with {size:,} users, GiB (at most)", last["GiB after serving"], 1.0))
    if restarted:
        told.append(("from the snapshot to the first answer, seconds (at most)", restarted["ready s"], 10.0))
    return [
        {"claim": claim, "value": round(value, 3), "target": target, "holds": value <= target}
        for claim, value, target in told
    ]


def main() -> None:
    """Measure, print the tables, and the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--only", default="", metavar="PART,...", help=f"of {', '.join(PARTS)}")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    sizes, turns = (SIZES[:2], TURNS // 10) if given.quick else (SIZES, TURNS)
    learned = QUICK_LEARNED if given.quick else LEARNED
    console = Console(width=110)
    found: dict[str, dict[int, Figures]] = {}
    for axis in ("items", "users"):
        if axis in chosen:
            found[axis] = growth(sizes, axis == "users", learned, turns)
            console.print(table(axis, found[axis]))
    if "users" in found:
        for name, value in list(found["users"].values())[-1].items():
            if "iB" in name:
                print(f"  {name}: {_short(value)}")
    restarted: Figures | None = None
    if "restart" in chosen:
        of = QUICK_RESTART if given.quick else RESTART
        with TemporaryDirectory() as folder:
            restarted = apart(build_restart, *of, folder, learned) | apart(restart, *of, folder)
        print("restart with {:,} items, {:,} users, {:,} acts".format(*of))
        for name, value in restarted.items():
            print(f"  {name}: {_short(value)}")
    tell(claims(found, restarted), given.json)


if __name__ == "__main__":
    main()
