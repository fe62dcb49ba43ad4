"""What the durable log keeps when processes die, disks fill and others want the same file."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from instep.domain import ConfigError, Entry, Unavailable
from instep.log import SqliteLog
from instep.testing.log import click

WRITERS = """
import os, sys, threading
from instep.domain import Feedback
from instep.log import SqliteLog

log, life = SqliteLog(sys.argv[1]), sys.argv[2]

def write(thread):
    n = 0
    while True:
        ids = [f"{life}-{thread}-{n}-{k}" for k in range(1 + n % 5)]
        batch = [Feedback(event_id, f"user-{thread}", "x" * 2000, 1.0) for event_id in ids]
        receipts = log.append(batch)
        lines = [f"{r.event_id} {r.offset} {len(batch)}\\n" for r in receipts]
        os.write(1, "".join(lines).encode())
        n += 1

for thread in range(4):
    threading.Thread(target=write, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


def test_an_acknowledged_event_survives_a_kill(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "log.db", dict[str, int]()
    before: list[Entry] = []
    rng = random.Random(7)
    for life in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITERS, str(path), f"life{life}"], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        first = child.stdout.readline()  # it is at work
        time.sleep(rng.uniform(0, 0.2))
        child.kill()
        told = first + child.stdout.read()
        child.wait()
        child.stdout.close()
        for line in told.decode().splitlines():
            event_id, offset, _ = line.split()
            acknowledged[event_id] = int(offset)
        with closing(SqliteLog(path)) as log:
            entries = list(log.read())
        assert entries[: len(before)] == before
        assert [entry.offset for entry in entries] == list(range(len(entries)))
        stored = {entry.record.event_id: entry.offset for entry in entries}
        assert len(stored) == len(entries)
        assert acknowledged.items() <= stored.items()
        for event_id in stored:  # whole batches: n % 5 + 1 records each
            life_name, thread, n, _ = event_id.split("-")
            batch = [f"{life_name}-{thread}-{n}-{k}" for k in range(1 + int(n) % 5)]
            assert all(other in stored for other in batch)
        before = entries
    assert len(acknowledged) > 50


FULL_DISK = """
import resource, sys
from instep.domain import Feedback, Unavailable
from instep.log import SqliteLog

def click(event_id, item_id):
    return Feedback(event_id, "user", item_id, 1.0)

log, applied = SqliteLog(sys.argv[1]), []
log.subscribe(applied.extend)
log.append([click(f"before{n}", item_id="x" * 500) for n in range(100)])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
stored, refused = 100, 0
for n in range(60):
    futures = [log.submit([click(f"full{n}-{k}-{j}", item_id="x" * 700) for j in range(10)]) for k in (0, 1)]
    for future in futures:
        error = future.exception()
        assert error is None or isinstance(error, Unavailable), repr(error)
        stored += 0 if error else 10
        refused += 1 if error else 0
assert refused > 20, refused
assert len(applied) == stored == log.end == len(list(log.read())), (len(applied), stored, log.end)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
receipts = log.append([click(f"full59-1-{j}", item_id="x" * 700) for j in range(10)])
assert [(r.offset, r.duplicate) for r in receipts] == [(stored + j, False) for j in range(10)]
assert list(log.read()) == applied
log.close()
print(stored + 10)
"""


def test_a_full_disk_refuses_writes_whole_and_the_log_works_again_when_there_is_room(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "log.db")], capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        assert log.end == int(child.stdout) == len(list(log.read()))


def test_a_batch_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        log.append([click("first")])
        pages = log._db.execute("PRAGMA page_count").fetchone()[0]
        log._db.execute(f"PRAGMA max_page_count = {pages + 3}")
        batch = [click(f"e{n}", item_id="x" * 1000) for n in range(50)]
        with pytest.raises(Unavailable, match="database or disk is full"):
            log.append(batch)
        assert log.end == 1
        assert log.append([click("small")])[0].offset == 1
        log._db.execute("PRAGMA max_page_count = 100000")
        assert [(r.offset, r.duplicate) for r in log.append(batch)] == [(n + 2, False) for n in range(50)]
        assert [entry.offset for entry in log.read()] == list(range(52))


def test_a_second_process_is_told_which_file_and_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    child = subprocess.Popen([sys.executable, "-c", WRITERS, str(path), "other"], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(ConfigError, match=rf"{path} is in use by process {child.pid};"):
            SqliteLog(path)
    finally:
        child.kill()
        child.communicate()
    with closing(SqliteLog(path)) as log, pytest.raises(ConfigError, match="in use by process"):
        SqliteLog(log.path)


def test_all_writers_waiting_share_one_transaction(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        batches: list[int] = []
        entered, leave = Event(), Event()

        def apply(entries: Sequence[Entry]) -> None:
            batches.append(len(entries))
            entered.set()
            leave.wait(30)

        log.subscribe(apply)
        first = log.submit([click("first")])
        assert entered.wait(30)
        waiting = [log.submit([click(f"e{n}"), click(f"f{n}")]) for n in range(50)]
        leave.set()
        assert [future.result(30)[0].offset for future in [first, *waiting]] == [0, *range(1, 101, 2)]
        assert batches == [1, 100]


def test_a_full_queue_refuses_instead_of_growing(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db", queue_limit=10)) as log:
        entered, leave = Event(), Event()

        def apply(entries: Sequence[Entry]) -> None:
            entered.set()
            leave.wait(30)

        log.subscribe(apply)
        log.submit([click("first")])
        assert entered.wait(30)
        taken = [log.submit([click(f"e{n}-{k}") for k in range(5)]) for n in range(2)]
        with pytest.raises(Unavailable, match="10 records wait"):
            log.append([click("late")])
        leave.set()
        assert [future.result(30)[0].offset for future in taken] == [1, 6]
        assert log.append([click(f"big{n}") for n in range(11)])[0].offset == 11  # alone, any size is taken


def test_a_cancelled_future_cannot_stop_the_writer(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        future = log.submit([click("a")])
        assert not future.cancel()
        assert future.result(30)[0].offset == 0
        assert log.append([click("b")])[0].offset == 1


def test_counts_follow_appends_and_erasures(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        log.append([click(f"e{n}", f"user-{n % 4}") for n in range(10)])
        assert log.counts() == {"records": 10, "users": 4}
        log.erase(["user-0"])
        assert log.counts() == {"records": 7, "users": 3}
