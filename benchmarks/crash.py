"""Does every acknowledged event survive `kill -9`, exactly once, with the model in the right state?

A real service (`instep serve`, the log on disk) is loaded by concurrent HTTP writers and killed with SIGKILL at
random instants, some of them while it writes a snapshot; what was under way is sent again to the next life, with the
same event ids. `instep import` is killed in the same way and run again. After each death a copy of the folder is
examined: which acknowledged events are missing, which are there twice or at another offset, which batches are torn,
and whether the state that a start from the newest snapshot gives is, to the bit, that of a clean replay.

    python benchmarks/crash.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console
from rich.table import Table

from instep.flow import Flow
from instep.log import MemoryLog
from instep.serve.config import load_config
from instep.serve.folder import Folder
from instep.serve.http import configure_logs
from instep.serve.settings import flow_settings
from instep.serve.verifying import verify_folder
from instep.testing.service import COMMAND, ServiceProcess, environment

WRITERS = 6
ITEMS = 40
SETTINGS = {
    "encoder": "none",
    "snapshot__every_events": 150,
    "snapshot__every_seconds": 0.1,
    "limits__rate_per_second": 0,
}


@dataclass
class Outcome:
    """What was done, and what went wrong."""

    kills: int = 0
    in_snapshot: int = 0
    in_import: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    twice: int = 0
    torn: int = 0
    other_state: int = 0
    unsound: list[str] = field(default_factory=list)


class Writer:
    """Sends events, alone and in batches, until the service dies; then again what was not acknowledged.

    Args:
        name: of its users and events.
        rng: decides what it sends.
    """

    def __init__(self, name: str, rng: random.Random) -> None:
        self.name = name
        self.rng = rng
        self.batches: list[list[str]] = []
        self.acknowledged: dict[str, int] = {}
        self._pending: list[dict[str, object]] = []

    def run(self, address: str) -> None:
        """Until the connection breaks."""
        try:
            with httpx.Client(base_url=address, timeout=30) as client:
                while True:
                    self._pending = self._pending or self._next()
                    answer = client.post("/v1/events", json=self._pending).raise_for_status()
                    for receipt in answer.json()["receipts"]:
                        self.acknowledged[receipt["event_id"]] = receipt["offset"]
                    self._pending = []
                    if self.rng.random() < 0.2:
                        user = f"{self.name}-{self.rng.randrange(5)}"
                        client.post("/v1/recommendations", json={"user_id": user, "n": 5}).raise_for_status()
        except httpx.TransportError:
            return  # killed: nothing of what is pending was acknowledged

    def _next(self) -> list[dict[str, object]]:
        size = self.rng.choice((1, 1, 1, 2, 12))
        ids = [f"{self.name}.{len(self.batches)}.{k}" for k in range(size)]
        self.batches.append(ids)
        return [
            {
                "event_id": event_id,
                "user_id": f"{self.name}-{self.rng.randrange(5)}",
                "item_id": f"i{self.rng.randrange(ITEMS)}",
                "type": self.rng.choice(("view", "click", "like", "dislike", "purchase")),
            }
            for event_id in ids
        ]


def crash(place: Path, kills: int, in_snapshot: int, longest: float, seed: int = 0) -> Outcome:
    """Kill a loaded service again and again.

    Args:
        place: the folder, ending in ``.instep``; the same for every life.
        kills: how many.
        in_snapshot: how many of them while a snapshot is being written.
        longest: longest life of a service that answers, seconds.
        seed: of the instants and of what is sent.
    """
    rng, outcome = random.Random(seed), Outcome()
    writers = [Writer(f"w{k}", random.Random(f"{seed}-{k}")) for k in range(WRITERS)]
    for life in range(kills):
        service = ServiceProcess(place, **SETTINGS)
        threads = [threading.Thread(target=writer.run, args=(service.address,)) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.0, longest))
        if life < in_snapshot:
            outcome.in_snapshot += wait_for_part(place)
        service.kill(children=life % 3 > 0)
        for thread in threads:
            thread.join()
        outcome.kills += 1
        examine(place, writers, outcome)
    outcome.acknowledged = sum(len(writer.acknowledged) for writer in writers)
    outcome.unsound += verify_folder(Folder(place)).problems
    return outcome


def wait_for_part(place: Path, seconds: float = 20.0) -> bool:
    """Wait until a snapshot is half-written; False when none was."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if next(place.glob("snapshots/*/*.part-*"), None):
            return True
    return False


def examine(place: Path, writers: list[Writer], outcome: Outcome) -> set[str]:
    """Count what is wrong with a dead process's folder; returns the ids of the records that are there.

    A copy is looked at: the next life must mend the original.
    """
    with TemporaryDirectory() as other:
        # A child that outlives its parent is still taking its half-written snapshot away.
        half = shutil.ignore_patterns("*.part-*")
        copy = Folder(shutil.copytree(place, Path(other, "copy.instep"), ignore=half))
        with copied_flow(copy) as (flow, states):
            offsets: dict[str, int] = {}
            count: Counter[str] = Counter()
            for entry in flow.log.read():
                count[entry.record.event_id] += 1
                offsets[entry.record.event_id] = entry.offset
            outcome.other_state += len(set(states)) - 1
    outcome.stored = len(count)
    outcome.twice += sum(number - 1 for number in count.values())
    for writer in writers:
        for event_id, offset in writer.acknowledged.items():
            outcome.lost += offsets.get(event_id) != offset
        for batch in writer.batches:
            outcome.torn += len({event_id in count for event_id in batch}) == 2
    return set(count)


class copied_flow:
    """A folder's flow as a start restores it, with the hash of its state and of a clean replay's."""

    def __init__(self, folder: Folder) -> None:
        from instep.log import open_log

        config = load_config(folder.path)
        self._flow = Flow(open_log(folder.log_url(config)), flow_settings(config))
        self._flow.restore(folder.snapshots(config))
        clean = Flow(MemoryLog(), flow_settings(config))
        clean.model.learn(self._flow.log.read())
        self._states = [self._flow.state_hash(), clean.state_hash()]

    def __enter__(self) -> tuple[Flow, list[str]]:
        return self._flow, self._states

    def __exit__(self, *_: object) -> None:
        self._flow.close()


def crash_import(place: Path, kills: int, rows: int, seed: int = 0) -> Outcome:
    """Kill `instep import` of one file again and again, then let it end, then import once more.

    Args:
        place: the folder, ending in ``.instep``.
        kills: how many.
        rows: of the file.
        seed: of the file and the instants.
    """
    rng, outcome = random.Random(seed), Outcome()
    file = place.with_suffix(".csv")
    lines = ["event_id,user_id,item_id,timestamp,type"]
    lines += [
        f"row-{n},u{rng.randrange(50)},i{rng.randrange(200)},{1_600_000_000 + n},click" for n in range(rows)
    ]
    file.write_text("\n".join(lines) + "\n")
    size_when_done, seen = 150 * rows, 0
    while outcome.kills < kills:
        process = run_import(place, file)
        target = rng.uniform(seen, size_when_done * 0.8) if outcome.kills else 20_000
        while process.poll() is None and log_bytes(place) < target:
            time.sleep(0.001)
        ended = process.poll() is not None
        process.kill()
        process.wait()
        if ended:  # it was done before the instant came: from the beginning
            shutil.rmtree(place)
            seen = 0
            continue
        seen = log_bytes(place)
        outcome.kills += 1
        outcome.in_import += 1
        examine(place, [], outcome)
    for _ in range(2):
        if run_import(place, file).wait() != 0:
            outcome.unsound.append("an import that was run again failed")
    stored = examine(place, [], outcome)
    outcome.acknowledged = rows
    outcome.lost += sum(f"row-{n}" not in stored for n in range(rows))
    outcome.unsound += verify_folder(Folder(place)).problems
    return outcome


def run_import(place: Path, file: Path) -> subprocess.Popen[bytes]:
    """Start `instep import`."""
    command = [*COMMAND, "import", str(place), str(file), "--json"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment(**SETTINGS))


def log_bytes(place: Path) -> int:
    """Size of the log's files, bytes."""
    total = 0
    for path in place.glob("log.sqlite*"):
        with suppress(FileNotFoundError):  # SQLite's journals come and go
            total += path.stat().st_size
    return total


def main() -> None:
    """Run, print the table, and with --json the claims."""
    parser = argparse.ArgumentParser(description="Does what was acknowledged survive kill -9, exactly once?")
    parser.add_argument("--quick", action="store_true", help="20 kills in place of 40")
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    given = parser.parse_args()
    configure_logs("error")
    kills, imports, rows = (16, 4, 6_000) if given.quick else (32, 8, 20_000)
    with TemporaryDirectory() as place:
        served = crash(Path(place, "served.instep"), kills, kills // 4, 0.8 if given.quick else 1.5)
        imported = crash_import(Path(place, "imported.instep"), imports, rows)
    names = ("kills", "in_snapshot", "acknowledged", "stored", "lost", "twice", "torn", "other_state")
    table = Table("", *(name.replace("_", " ") for name in names))
    for title, outcome in (("instep serve", served), ("instep import", imported)):
        table.add_row(title, *(f"{getattr(outcome, name):,}" for name in names))
    Console(width=120).print(table)
    totals = {name: getattr(served, name) + getattr(imported, name) for name in names}
    wanted = (
        ("kills with SIGKILL", totals["kills"], kills + imports),
        ("of them while a snapshot was being written", totals["in_snapshot"], kills // 4),
        ("acknowledged events lost", totals["lost"], 0),
        ("events stored twice", totals["twice"], 0),
        ("batches stored in part", totals["torn"], 0),
        ("states that differ from a clean replay's", totals["other_state"], 0),
        ("problems that `instep verify` finds at the end", len(served.unsound + imported.unsound), 0),
    )
    claims = [
        {"claim": claim, "value": value, "target": target, "holds": value == target}
        for claim, value, target in wanted
    ]
    if given.json:
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
