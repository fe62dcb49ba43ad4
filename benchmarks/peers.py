"""Instep beside its peers: quality, time of an update and of a slate, events a second, memory; in one run.

    python benchmarks/peers.py [--quick] [--json] [--only NAME,...] [--limit N]

The stream is MovieLens-100K (from the wheel recbole 1.2.1, fetched once), replayed by the protocol of
docs/replay.md: the same code asks every system. A peer runs in a process and an environment of its own, which is
made under .bench/peers when it is missing, and answers over a pipe (benchmarks/adapters/). Times are of the
processor, since the machine may be shared, taken on the peer's side of the pipe, refits included. `--limit N` takes the
first N events; `--quick` the first 3,000 and the light peers, in half a minute once their environments exist. What
cannot be installed is skipped, and said so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from adapters.link import ASK, COUNT, LEARN, SIZES
from instep.domain import StageError
from instep.evaluate import Outcome, Stream, gains, replay
from instep.evaluate.base import Float64, Int32, System
from instep.evaluate.systems import INSTEP, NO_TEXT, make_system
from instep.evaluate.vectors import item_vectors
from made_up.claims import tell
from quality import CACHE, movielens_100k

ADAPTERS: Final = Path(__file__).resolve().parent / "adapters"
QUICK: Final = ("implicit", "river")
QUICK_EVENTS: Final = 3_000


@dataclass(frozen=True)
class Peer:
    """A peer: the adapter's file, and what pip installs for it, in this order."""

    adapter: str
    packages: tuple[str, ...]


PEERS: Final = {
    "implicit": Peer("implicit_als.py", ("implicit==0.7.3",)),
    "lightfm": Peer("lightfm_warp.py", ("lightfm-next==1.19",)),
    "river": Peer("river_mf.py", ("river==0.26.1",)),
    "sasrec": Peer("rectools_sasrec.py", ("torch==2.13.0", "rectools[torch]==0.19.0")),
    "vw": Peer("vowpal_wabbit.py", ("vowpalwabbit==9.11.9", "numpy>=2,<3")),
}


@dataclass(frozen=True)
class Result:
    """What one system did.

    Args:
        outcome: its slates.
        learn_ns: float64 (events after the warm-up,), nanoseconds of the processor for each update.
        ask_ns: float64 (slates,), nanoseconds of the processor for each slate.
        mib: most memory of its process; NaN where the process is shared.
    """

    outcome: Outcome
    learn_ns: Float64
    ask_ns: Float64
    mib: float

    def row(self) -> dict[str, float]:
        """The numbers of the table."""
        hr, ndcg, _ = gains(self.outcome.rank)
        return {
            "HR@10": float(hr.mean()),
            "NDCG@10": float(ndcg.mean()),
            "update, mean, us": float(self.learn_ns.mean()) / 1e3,
            "update, p50, us": float(np.median(self.learn_ns)) / 1e3,
            "slate, mean, us": float(self.ask_ns.mean()) / 1e3,
            "slate, p50, us": float(np.median(self.ask_ns)) / 1e3,
            "events/s": len(self.learn_ns) / (float(self.learn_ns.sum() + self.ask_ns.sum()) / 1e9),
            "peak MiB": self.mib,
        }


class Piped:
    """A peer as a system of a replay, at the other end of a pipe."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], sizes: tuple[int, int, int]) -> None:
        self.name = name
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        self._ask, self._answer = process.stdin, process.stdout
        self._ask.write(SIZES.pack(*sizes))

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Send one event; it is learned in order, at the latest before the next slate."""
        self._ask.write(b"L" + LEARN.pack(user, item, t))

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Ask for a slate, and wait for it."""
        self._ask.write(b"R" + ASK.pack(user, k, len(exclude)) + exclude.astype("<i4").tobytes())
        self._ask.flush()
        (count,) = COUNT.unpack(self._read(COUNT.size))
        return np.frombuffer(self._read(4 * count), "<i4").astype(np.int32)

    def end(self) -> dict[str, Any]:
        """The times and the memory that the peer took."""
        self._ask.write(b"E")
        self._ask.flush()
        told: dict[str, Any] = json.loads(self._answer.readline())
        return told

    def _read(self, size: int) -> bytes:
        found = self._answer.read(size)
        if len(found) < size:
            raise StageError(f"{self.name} stopped in the middle of the replay; its log says why")
        return found


class Timed:
    """A system of this process, timed as the peers are: by the processor's time."""

    def __init__(self, system: System) -> None:
        self.name = system.name
        self._system = system
        self.learn_ns: list[int] = []
        self.ask_ns: list[int] = []

    def learn(self, user: int, item: int, t: float, value: float) -> None:
        """Pass one event on."""
        began = time.process_time_ns()
        self._system.learn(user, item, t, value)
        self.learn_ns.append(time.process_time_ns() - began)

    def recommend(self, user: int, t: float, k: int, exclude: Int32) -> Int32:
        """Pass a question on."""
        began = time.process_time_ns()
        slate = self._system.recommend(user, t, k, exclude)
        self.ask_ns.append(time.process_time_ns() - began)
        return slate


def environment(name: str) -> Path:
    """The Python of a peer's environment, made when it is missing or other packages are asked for.

    Raises:
        subprocess.CalledProcessError: pip could not install them.
    """
    packages = PEERS[name].packages
    folder = CACHE / "peers" / name
    python, made = folder / "bin" / "python", folder / "made-with"
    if python.exists() and made.exists() and made.read_text() == "\n".join(packages):
        return python
    print(f"{name}: installing {', '.join(packages)} into {folder.relative_to(CACHE.parent)}", flush=True)
    venv.create(folder, with_pip=True)
    for package in packages:
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        subprocess.run(command, check=True, stderr=subprocess.PIPE)
    made.write_text("\n".join(packages))
    return python


@contextlib.contextmanager
def started(name: str, python: Path, stream: Stream) -> Iterator[Piped]:
    """A peer's process, with one thread, and its log beside its environment."""
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    log = CACHE / "peers" / f"{name}.log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            [str(python), str(ADAPTERS / PEERS[name].adapter)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            env=os.environ | single,
            bufsize=1 << 16,
        )
        try:
            yield Piped(name, process, (len(stream.users), len(stream.items), 0))
        finally:
            process.kill()
            process.wait()


def measure(name: str, stream: Stream, python: Path) -> Result:
    """Replay a stream on one peer."""
    with started(name, python, stream) as peer:
        outcome = replay(stream, peer)
        told = peer.end()
    learned = np.array(told["observe_ns"], np.float64)[-len(outcome.observe_ns) :]
    return Result(outcome, learned, np.array(told["recommend_ns"], np.float64), told["peak_rss_mib"])


def measure_instep(name: str, stream: Stream) -> Result:
    """Replay a stream on Instep, in this process: the flow that `instep serve` runs, over a log in memory."""
    vectors = item_vectors(stream, cache=CACHE / "vectors.sqlite") if name == INSTEP else ()
    replay(stream.first(500), make_system(name, stream, 0, vectors))  # so that no compiling is measured
    timed = Timed(make_system(name, stream, 0, vectors))
    outcome = replay(stream, timed)
    learned = np.array(timed.learn_ns, np.float64)[-len(outcome.observe_ns) :]
    return Result(outcome, learned, np.array(timed.ask_ns, np.float64), outcome.peak_rss_mib)


def run(
    names: Sequence[str], stream: Stream, systems: Sequence[str] = (INSTEP, NO_TEXT)
) -> dict[str, dict[str, float]]:
    """The rows of all systems that could be had: Instep's, and those of the named peers."""
    rows: dict[str, dict[str, float]] = {}
    for name in systems:
        rows[name] = measure_instep(name, stream).row()
        print(f"{name}: {_line(rows[name])}", flush=True)
    for name in names:
        try:
            python = environment(name)
        except subprocess.CalledProcessError as error:
            why = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-1:]
            print(f"{name}: skipped, it cannot be installed here: {' '.join(why)}", flush=True)
            continue
        try:
            rows[name] = measure(name, stream, python).row()
        except (OSError, StageError) as error:  # it stopped: the others go on
            print(f"{name}: failed ({error}); {CACHE / 'peers' / name}.log says why", flush=True)
            continue
        print(f"{name}: {_line(rows[name])}", flush=True)
    return rows


def claims(rows: dict[str, dict[str, float]], wanted: int) -> list[dict[str, object]]:
    """What is claimed, and whether it holds here."""
    own = rows.get(INSTEP, {})
    peers = {name: row for name, row in rows.items() if name in PEERS}
    found = [("peers that ran", float(len(peers)), float(wanted))]
    for name, target in (("implicit", 10.0), ("river", 50.0)):
        if name in peers:
            for which in ("p50", "mean"):
                key = f"update, {which}, us"
                found.append(
                    (f"time of {name}'s update over Instep's, {which}", peers[name][key] / own[key], target)
                )
    for metric in ("HR@10", "NDCG@10") if peers else ():
        best = max(peers, key=lambda name: peers[name][metric])
        found.append(
            (f"{metric} over the best peer's ({best})", own[metric] / max(peers[best][metric], 1e-9), 1.15)
        )
    return [
        {"claim": claim, "value": round(value, 3), "target": target, "holds": value >= target}
        for claim, value, target in found
    ]


def _line(row: dict[str, float]) -> str:
    return "  ".join(f"{name} {_short(value)}" for name, value in row.items())


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4f}" if value < 1 else f"{value:.1f}"


def main() -> None:
    """Measure, print the table, and the claims as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the first 3,000 events, light peers")
    parser.add_argument("--json", action="store_true", help="the claims as one JSON object on the last line")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="the first N events (0: all)")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name] or list(QUICK if given.quick else PEERS)
    if unknown := [name for name in names if name not in PEERS]:
        parser.error(f"there is no peer {unknown[0]}; there are {', '.join(PEERS)}")
    if given.limit < 0:
        parser.error("--limit counts events: 0 or more")
    limit = given.limit or (QUICK_EVENTS if given.quick else 0)
    rows: dict[str, dict[str, float]] = {}
    try:
        stream = movielens_100k(0)
    except subprocess.CalledProcessError as error:
        print(f"skipped, MovieLens-100K cannot be fetched ({' '.join(map(str, error.cmd[-2:]))})")
    else:
        stream = stream.first(limit) if limit else stream
        print(f"{stream.name}: {len(stream):,} events, {len(stream.items):,} items", flush=True)
        rows = run(names, stream)
        table = Table("", *next(iter(rows.values())))
        for name, row in rows.items():
            table.add_row(name, *map(_short, row.values()))
        Console(width=120).print(table)
    tell(claims(rows, len(names)), given.json)


if __name__ == "__main__":
    main()
