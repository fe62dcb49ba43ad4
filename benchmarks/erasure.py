"""After DELETE /v1/users/{id}: is any byte of the user left, and is the model one that never saw the user?

A real service (`instep serve`, the log on disk) holds a crowd's events, and those of a few users who then ask to be
forgotten, with visits merged on login, attributes, and slates shown to them. While each of them is erased, others ask
for recommendations without a pause and go on clicking. Then, with the service still running:

- every file of the folder (log, write-ahead log, snapshots, vectors ...) is searched for the user's and visits' ids;
- the log is compared with the earlier one, the user's records taken out by a filter of this script's own;
- the certificate's state hash is compared with a new model that learns that log from its first record;
- the slates of other users are compared with the new model's.

    python benchmarks/erasure.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from instep.domain import Context, Entry, Record, SessionMerge
from instep.flow import Flow
from instep.log import MemoryLog, open_log
from instep.serve.config import load_config
from instep.serve.folder import Folder
from instep.serve.http import configure_logs
from instep.serve.settings import flow_settings
from instep.testing.service import ServiceProcess

CROWD = 200
ITEMS = 300
PROBES = 40
CLIENTS = 2
SETTINGS = {
    "encoder": "none",
    "recommend__policy": "greedy",
    "snapshot__every_seconds": 0.5,
    "limits__rate_per_second": 0,
}


@dataclass
class Outcome:
    """What was done, and what went wrong."""

    victims: int = 0
    records: int = 0
    before: int = 0
    bytes_left: int = 0
    other_hash: int = 0
    other_log: int = 0
    other_slates: int = 0
    compared: int = 0
    served_during: int = 0
    served_alone: int = 0
    failed: int = 0
    empty: int = 0
    seconds: list[float] = field(default_factory=list)
    waits_during: list[float] = field(default_factory=list)
    waits_alone: list[float] = field(default_factory=list)


class Others(threading.Thread):
    """Somebody else, who asks and clicks without a pause.

    Args:
        address: of the service.
        outcome: where what is seen is counted.
        erasing: set while a user is being erased.
    """

    def __init__(self, address: str, outcome: Outcome, erasing: threading.Event, number: int) -> None:
        super().__init__()
        self._address, self._outcome, self._erasing = address, outcome, erasing
        self._rng = random.Random(number)
        self.stop = threading.Event()

    def run(self) -> None:
        """Until told to stop."""
        seen = self._outcome
        with httpx.Client(base_url=self._address, timeout=60) as client:
            turn = 0
            while not self.stop.is_set():
                user, during = f"crowd-{self._rng.randrange(CROWD)}", self._erasing.is_set()
                began = time.perf_counter()
                answer = client.post("/v1/recommendations", json={"user_id": user, "n": 5})
                seconds = time.perf_counter() - began
                seen.failed += answer.status_code != 200
                seen.empty += answer.status_code == 200 and not answer.json()["items"]
                if during:
                    seen.served_during += 1
                    seen.waits_during.append(seconds)
                else:
                    seen.served_alone += 1
                    seen.waits_alone.append(seconds)
                turn += 1
                if turn % 10 == 0:
                    click = {"user_id": user, "item_id": f"i{self._rng.randrange(ITEMS)}", "type": "click"}
                    seen.failed += client.post("/v1/events", json=click).status_code != 200


def erase_users(place: Path, events: int, victims: int, seed: int = 0) -> Outcome:
    """Fill a folder, serve it, erase users, and look for what is left of them.

    Args:
        place: the folder, ending in ``.instep``.
        events: of the crowd.
        victims: users who are erased, one after another.
        seed: of everything random.
    """
    outcome, rng, erasing = Outcome(), random.Random(seed), threading.Event()
    with ServiceProcess(place, **SETTINGS) as service:
        others = [Others(service.address, outcome, erasing, number) for number in range(CLIENTS)]
        with httpx.Client(base_url=service.address, timeout=120) as client:
            fill(client, events, victims, rng)
            for other in others:
                other.start()
            try:
                for number in range(victims):
                    time.sleep(0.3)
                    erase(client, place, f"forget-me-{number}-271828", outcome, erasing)
            finally:
                for other in others:
                    other.stop.set()
                    other.join()
            compare_slates(client, place, outcome)
    return outcome


def fill(client: httpx.Client, events: int, victims: int, rng: random.Random) -> None:
    """The crowd's events, and among them those of the users who will want to be forgotten."""

    def send(path: str, body: Any, method: str = "POST") -> None:
        client.request(method, path, json=body).raise_for_status()

    def act(**who: str) -> dict[str, Any]:
        kind = rng.choice(("view", "click", "like", "dislike", "purchase"))
        return {**who, "item_id": f"i{int(ITEMS * rng.random() ** 2)}", "type": kind}

    catalogue = [{"item_id": f"i{n}", "title": f"Item {n}", "price": n} for n in range(0, ITEMS, 2)]
    send("/v1/items", catalogue)
    chunk = 500
    for start in range(0, events, chunk):
        send("/v1/events", [act(user_id=f"crowd-{rng.randrange(CROWD)}") for _ in range(chunk)])
        for number in range(victims):
            user = f"forget-me-{number}-271828"
            visit = f"visit-{number}-314159-{start}"
            send(f"/v1/users/{user}", {"town": "Bath"}, "PATCH")
            send("/v1/events", [act(user_id=user) for _ in range(3)])
            send("/v1/events", {"user_id": user, "item_id": f"only-{number}-knows-{start}", "type": "like"})
            send("/v1/events", [act(session=visit) for _ in range(2)])
            send("/v1/recommendations", {"user_id": user})
            send("/v1/recommendations", {"session": visit})
            send(f"/v1/sessions/{visit}/merge", {"user_id": user})
            send("/v1/events", act(session=visit))


def erase(client: httpx.Client, place: Path, user: str, outcome: Outcome, erasing: threading.Event) -> None:
    """Erase one user and look for what is left."""
    number = user.split("-")[2]
    secrets = [user.encode(), f"visit-{number}-314159".encode()]
    outcome.before += occurrences(place, secrets)
    earlier = records_of(place)[0]
    began = time.perf_counter()
    erasing.set()
    answer = client.delete(f"/v1/users/{user}").raise_for_status().json()
    erasing.clear()
    outcome.seconds.append(time.perf_counter() - began)
    outcome.bytes_left += occurrences(place, secrets)
    later, clean = records_of(place, answer["offset"])
    kept = without(earlier, user)
    outcome.victims += 1
    outcome.records += answer["records"]
    outcome.other_log += [entry.record for entry in later][: len(kept)] != kept
    outcome.other_log += answer["records"] != len(earlier) - len(kept)
    outcome.other_hash += clean.state_hash() != answer["state_hash"]


def without(entries: list[Entry], user: str) -> list[Record]:
    """The records that would be there had the user never been."""
    gone = {user}
    for entry in entries:
        if isinstance(entry.record, SessionMerge) and entry.record.user_id == user:
            gone.add(entry.record.session_user_id)
    return [entry.record for entry in entries if entry.record.user_id not in gone]


def occurrences(place: Path, secrets: list[bytes]) -> int:
    """In how many files of the folder one of these byte strings is."""
    found = 0
    for path in place.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:  # a snapshot that was replaced meanwhile
            continue
        found += any(secret in content for secret in secrets)
    return found


def records_of(place: Path, stop: int | None = None) -> tuple[list[Entry], Flow]:
    """The log's entries before an offset, and a flow that learned them from the first one on, from a copy."""
    config = load_config(place, {"recommend": {"policy": "greedy"}})
    with TemporaryDirectory() as other:
        for path in place.glob("log.sqlite*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, other)
        log = open_log(Folder(shutil.move(other, f"{other}.instep")).log_url(config))
        entries = list(log.read(0, stop))
        log.close()
        shutil.rmtree(f"{other}.instep")
        Path(other).mkdir()
    clean = Flow(MemoryLog(), flow_settings(config))
    clean.model.learn(entries)
    return entries, clean


def compare_slates(client: httpx.Client, place: Path, outcome: Outcome) -> None:
    """Ask the service and the clean model for the same users' slates."""
    clean = records_of(place)[1]
    for number in range(PROBES):
        user = f"crowd-{number}"
        began = time.time()
        answer = client.post("/v1/recommendations", json={"user_id": user, "n": 10}).raise_for_status().json()
        slates = [clean.rank(Context(user, n=10, now=now)).items for now in (began, time.time())]
        # What is popular fades meanwhile, and two that are as good as equal may change places.
        outcome.compared += 1
        outcome.other_slates += [item["item_id"] for item in answer["items"]] not in [
            [item.item_id for item in slate] for slate in slates
        ]


def quantile(values: list[float], share: float) -> str:
    """In milliseconds."""
    return f"{sorted(values)[int(share * (len(values) - 1))] * 1e3:.1f}" if values else "-"


def main() -> None:
    """Run, print the table, and with --json the claims."""
    parser = argparse.ArgumentParser(description="What is left of a user who was erased?")
    parser.add_argument("--quick", action="store_true", help="5,000 events in place of 40,000")
    parser.add_argument("--json", action="store_true", help="the claims as JSON on the last line")
    given = parser.parse_args()
    configure_logs("error")
    events, victims = (5_000, 3) if given.quick else (40_000, 3)
    with TemporaryDirectory() as place:
        seen = erase_users(Path(place, "shop.instep"), events, victims)
    table = Table(
        "users erased",
        "their records",
        "seconds each",
        "asked meanwhile",
        "p50",
        "p99 (ms)",
        "asked else",
        "p50",
        "p99 (ms)",
    )
    table.add_row(
        str(seen.victims),
        f"{seen.records:,}",
        f"{sum(seen.seconds) / len(seen.seconds):.2f}",
        f"{seen.served_during:,}",
        *(quantile(seen.waits_during, q) for q in (0.5, 0.99)),
        f"{seen.served_alone:,}",
        *(quantile(seen.waits_alone, q) for q in (0.5, 0.99)),
    )
    Console(width=120).print(table)
    wanted = (
        ("files in which an erased id is found", seen.bytes_left, 0),
        ("logs that differ from the earlier one without the user", seen.other_log, 0),
        ("state hashes that differ from a model that never saw the user", seen.other_hash, 0),
        ("slates of others that differ from that model's", seen.other_slates, 0),
        ("requests of others that failed or came back empty", seen.failed + seen.empty, 0),
    )
    claims = [
        {"claim": claim, "value": value, "target": target, "holds": value == target}
        for claim, value, target in wanted
    ]
    served = {"claim": "requests of others served during erasures", "value": seen.served_during}
    claims.append({**served, "target": 1, "holds": seen.served_during >= 1})
    if given.json:
        print(json.dumps({"claims": claims}))


if __name__ == "__main__":
    main()
