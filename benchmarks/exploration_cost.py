"""What exploring costs in time: `recommend` of every policy against greedy's, on the same model at the same moment.

    python benchmarks/exploration_cost.py [--quick] [--json]

A made-up shop (as in `speed.py`) behind a log in memory. Each policy has a surface of its own, and they are asked in
turn, so that noise of the machine hits all of them. `--quick` has 10,000 items only, in place of 10,000 and 100,000.
"""

from __future__ import annotations

import argparse
import json
import time

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.policy import POLICIES, Surface
from made_up.shop import Clicks, Shop

TARGET = 1.3
DEFAULT = "thompson"
NAMES = [name for name in POLICIES if name != "reinforce"]  # which is Plackett-Luce with a table


def filled(shop: Shop) -> Flow:
    """The shop's catalogue and acts, learned; a surface for each policy."""
    surfaces = {name: Surface(name) for name in NAMES}
    flow = Flow(MemoryLog(), Settings(surfaces=surfaces))
    for batch in (*shop.catalogue(), *shop.acts()):
        flow.observe(batch)
    return flow


def medians(flow: Flow, shop: Shop, turns: int) -> dict[str, float]:
    """Median seconds of `recommend` by policy."""
    clicks = Clicks(shop, "cost")
    taken: dict[str, list[float]] = {name: [] for name in NAMES}
    order = np.random.default_rng(2)
    for turn in range(turns):
        context = clicks.next()[1]
        for name in order.permutation(NAMES).tolist():
            asked = msgspec.structs.replace(context, surface=name, request_id=f"{name}-{turn}")
            began = time.perf_counter()
            flow.recommend(asked)
            taken[name].append(time.perf_counter() - began)
    return {name: float(np.median(values[turns // 10 :])) for name, values in taken.items()}


def main() -> None:
    """Measure, print the table, and with --json the claims."""
    parser = argparse.ArgumentParser(description="What exploring costs in time.")
    parser.add_argument("--quick", action="store_true", help="10,000 items only, not 100,000")
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    given = parser.parse_args()
    sizes = ((10_000, 4_000),) if given.quick else ((10_000, 20_000), (100_000, 20_000))
    turns = 300 if given.quick else 1_500
    table = Table(
        "policy", *(f"{items:,} items, p50 (µs)" for items, _ in sizes), *("of greedy's" for _ in sizes)
    )
    found, claims = {}, []
    for items, events in sizes:
        shop = Shop(items, events)
        found[items] = medians(filled(shop), shop, turns)
        ratio = found[items][DEFAULT] / found[items]["greedy"]
        claim = f"recommend p50 of the default policy against greedy's, {items:,} items"
        claims.append({"claim": claim, "value": round(ratio, 3), "target": TARGET, "holds": ratio <= TARGET})
    for name in NAMES:
        times = [f"{found[items][name] * 1e6:,.0f}" for items, _ in sizes]
        ratios = [f"{found[items][name] / found[items]['greedy']:.2f}" for items, _ in sizes]
        table.add_row(name, *times, *ratios)
    Console(width=120).print(table)
    if given.json:
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
