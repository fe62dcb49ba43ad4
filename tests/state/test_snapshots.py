"""Snapshots that are torn, damaged, foreign or half-written are skipped with a warning; the state is right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from instep.domain import Feedback
from instep.flow import Flow, Settings
from instep.log import MemoryLog, SqliteLog
from instep.state.snapshot import SUFFIX, begin_snapshot
from instep.testing.streams import long_stream

RECORDS = 260


@pytest.fixture(scope="module")
def flow() -> Flow:
    flow = Flow(MemoryLog(), Settings())
    flow.observe(long_stream(seed=20, size=RECORDS))
    return flow


@pytest.fixture
def place(flow: Flow, tmp_path: Path) -> Path:
    """A folder with one good old snapshot and a newer one to be damaged."""
    old = Flow(MemoryLog(), Settings())
    old.observe(long_stream(seed=20, size=RECORDS)[:100])
    old.snapshot(tmp_path)
    flow.snapshot(tmp_path)
    return tmp_path


def newest(place: Path) -> Path:
    return sorted(place.glob(f"*{SUFFIX}"))[-1]


def restored(flow: Flow, place: Path) -> tuple[int, list[str]]:
    """The offset a new flow starts from, and why snapshots were skipped; its state must be right."""
    again = Flow(flow.log, Settings())
    with capture_logs() as logs:
        found = again.restore(place)
    assert again.state_hash() == flow.state_hash()
    return found, [entry["why"] for entry in logs if entry["log_level"] == "warning"]


def test_a_whole_snapshot_is_used(flow: Flow, place: Path) -> None:
    assert restored(flow, place) == (RECORDS, [])
    assert restored(flow, place / "no such folder") == (0, [])


@pytest.mark.parametrize("percent", range(0, 100, 10))
def test_a_torn_snapshot_is_skipped(flow: Flow, place: Path, percent: int) -> None:
    path = newest(place)
    os.truncate(path, path.stat().st_size * percent // 100)
    found, why = restored(flow, place)
    assert found == 100
    assert len(why) == 1


def test_a_flipped_bit_is_noticed_wherever_it_is(flow: Flow, place: Path) -> None:
    path = newest(place)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    headers = [
        at for at in range(0, len(whole) - 200) if whole[at : at + 4] in (b"PK\x03\x04", b"PK\x01\x02")
    ]
    near = [at + int(rng.integers(160)) for at in headers]  # where a zip says what it holds
    anywhere = [*rng.integers(len(whole), size=10).tolist(), len(whole) - 1, len(whole) - 20]
    unused = 0
    for at in [*rng.permutation(near)[:30].tolist(), *anywhere]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        found, why = restored(flow, place)
        assert (found, len(why)) in {(100, 1), (RECORDS, 0)}  # a time stamp inside the zip changes nothing
        unused += found == 100
    assert unused > 15


def changed(path: Path, **arrays: Any) -> None:
    """Rewrite a snapshot with other arrays and the right seal."""
    from instep.state.snapshot import _seal

    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if name != "seal"}
    kept = {name: array for name, array in {**kept, **arrays}.items() if array is not None}
    seal = np.frombuffer(_seal(kept), np.uint8)
    with path.open("wb") as out:
        np.savez(out, **kept, seal=seal)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"format": np.array([99, RECORDS])}, "format is 99"),
        ({"format": np.array([1, RECORDS + 1])}, "the log ends at"),
        ({"format": None}, "format"),
        ({"weights.shared": np.zeros(3, np.float32)}, "weights.shared is"),
        ({"items.bias": np.zeros(60, np.float64)}, "items.bias is"),
        ({"users.seed": None}, "users.seed"),
        ({"text.centre": None}, "text.centre"),
        ({"names": np.frombuffer(b"\x81\xa1", np.uint8)}, "truncated"),
        ({"items.first_seen": np.array(["2001"], "M8[Y]")}, "items.first_seen"),
    ],
)
def test_a_foreign_snapshot_is_skipped_and_says_why(
    flow: Flow, place: Path, arrays: dict[str, Any], reason: str
) -> None:
    from instep.state.state import FORMAT

    if "format" in arrays and arrays["format"] is not None and arrays["format"][0] == 1:
        arrays = {"format": np.array([FORMAT, arrays["format"][1]])}
    changed(newest(place), **arrays)
    found, why = restored(flow, place)
    assert found == 100
    assert reason in why[0]


def test_the_hash_sees_what_an_array_is_and_not_only_its_bytes(flow: Flow, place: Path) -> None:
    path = newest(place)
    whole = path.read_bytes()
    header = b"'descr': '<f8', 'fortran_order': False, 'shape': "
    at = whole.index(header, whole.index(b"items.first_seen.npy"))
    path.write_bytes(whole[:at] + header.replace(b"f8", b"u8") + whole[at + len(header) :])
    found, why = restored(flow, place)
    assert found == 100
    assert "hash" in why[0]


def test_pickles_are_never_loaded(flow: Flow, place: Path) -> None:
    path = newest(place)
    np.savez(path.open("wb"), format=np.array([print], object))
    found, why = restored(flow, place)
    assert found == 100
    assert "pickle" in why[0]


def test_other_files_in_the_folder_do_not_matter_and_half_written_ones_are_swept(
    flow: Flow, place: Path
) -> None:
    half = place / f"{RECORDS + 5:020d}.snapshot.part-4711"
    half.write_bytes(newest(place).read_bytes()[:1000])
    (place / "notes.txt").write_text("mine")
    (place / f"{RECORDS:020d}x{SUFFIX}").mkdir()
    found, _ = restored(flow, place)
    assert found == RECORDS
    flow.snapshot(place)
    assert not half.exists()
    assert (place / "notes.txt").exists()


def test_only_the_last_few_are_kept(tmp_path: Path) -> None:
    flow = Flow(MemoryLog(), Settings())
    for number in range(5):
        flow.observe([Feedback(f"e{number}", "u1", f"i{number}", 1e9, "click")])
        path = flow.snapshot(tmp_path, keep=2)
        assert path.name == f"{number + 1:020d}{SUFFIX}"
    assert [int(path.name[:20]) for path in sorted(tmp_path.iterdir())] == [4, 5]


def test_events_and_requests_go_on_while_a_snapshot_is_written_and_it_holds_its_moment(
    tmp_path: Path,
) -> None:
    flow = Flow(MemoryLog(), Settings())
    records = long_stream(seed=21, size=200)
    flow.observe(records[:120])
    finish = begin_snapshot(flow.model.state, tmp_path, 3)
    flow.observe(records[120:])
    finish()
    at_that_moment = Flow(MemoryLog(), Settings())
    at_that_moment.observe(records[:120])
    again = Flow(MemoryLog(), Settings())
    again.log.append(records[:120])
    assert Flow(again.log, Settings()).restore(tmp_path) == 120
    assert restored(flow, tmp_path) == (120, [])


KILLED = """
import sys, time
from pathlib import Path
from instep.domain import Feedback
from instep.flow import Flow
from instep.log import SqliteLog
flow = Flow(SqliteLog(Path(sys.argv[1])))
flow.restore(Path(sys.argv[2]))
print("ready", flush=True)
while True:
    at = flow.log.end
    flow.observe([Feedback(f"e{at + k}", f"u{k % 7}", f"i{(at + k) % 50}", 1e9 + at + k, "click") for k in range(5)])
    flow.snapshot(Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_kill_during_a_snapshot_leaves_the_earlier_ones_and_the_right_state(tmp_path: Path) -> None:
    place, log = tmp_path / "snapshots", tmp_path / "log.sqlite"
    for turn in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(log), str(place)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if list(place.glob("*.part-*")) and (turn == 0 or list(place.glob(f"*{SUFFIX}"))):
                break
            time.sleep(0.001)
        if turn % 2:
            os.kill(process.pid, signal.SIGKILL)  # the writing child lives on for a moment
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    opened = SqliteLog(log)
    again, clean = Flow(opened, Settings()), Flow(MemoryLog(), Settings())
    assert again.restore(place) > 0
    clean.model.learn(opened.read())
    assert again.state_hash() == clean.state_hash()
    again.snapshot(place)
    assert not list(place.glob("*.part-*"))
    opened.close()


def test_a_snapshot_that_cannot_be_written_raises_and_harms_nothing(flow: Flow, place: Path) -> None:
    blocked = place / "file"
    blocked.write_text("in the way")
    with pytest.raises(OSError, match="file"):
        flow.snapshot(blocked)
    assert restored(flow, place)[0] == RECORDS
