"""Law 6: same log, same settings: bit-identical state, however it is reached."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from instep.domain import Context, Record
from instep.flow import Flow, Settings
from instep.log import MemoryLog, SqliteLog
from instep.testing.streams import END, USERS, long_stream, streams

RECORDS = 1000
HASH_OF = """
import sys
from pathlib import Path
from instep.flow import Flow
from instep.log import SqliteLog
flow = Flow(SqliteLog(Path(sys.argv[1])))
flow.restore(Path(sys.argv[2]))
print(flow.state_hash())
flow.close()
"""


@given(records=streams(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_one_batch_event_by_event_or_a_replay_reach_the_same_state(
    records: list[Record], cuts: list[int]
) -> None:
    whole, single, parts = (Flow(MemoryLog(), Settings()) for _ in range(3))
    whole.observe(records)
    for record in records:
        single.observe([record])
        single.rank(Context("ann", now=END))
    edges = [0, *sorted(cuts), len(records)]
    for start, stop in itertools.pairwise(edges):
        parts.observe(records[start:stop])
    replayed = Flow(whole.log, Settings())
    replayed.replay(replayed.model)
    assert {flow.state_hash() for flow in (single, parts, replayed)} == {whole.state_hash()}
    for user in USERS:
        asked = Context(user, n=12, now=END, request_id="r", explain=True)
        assert {flow.rank(asked).items for flow in (single, parts, replayed)} == {whole.rank(asked).items}


def test_every_snapshot_and_none_lead_to_the_same_state(tmp_path: Path) -> None:
    records = long_stream(seed=4, size=RECORDS)
    flow = Flow(MemoryLog(), Settings())
    taken = []
    for start in range(0, RECORDS, 100):
        flow.observe(records[start : start + 100])
        taken.append(flow.snapshot(tmp_path / f"at-{start}").parent)
    state = flow.model.state
    assert state.head.schedule[2] > 0, "the dense regressions must have been in force"
    assert state.text.fitted[1] > 0, "the text directions must have been fitted"
    again = Flow(MemoryLog(), Settings())
    again.observe(records)
    assert again.state_hash() == flow.state_hash()
    for place in taken:
        restored = Flow(flow.log, Settings())
        assert restored.restore(place) > 0
        assert restored.state_hash() == flow.state_hash(), place.name
        news = long_stream(seed=len(place.name), size=30)
        restored.observe([structs.replace(each, event_id=f"{place.name}-{each.event_id}") for each in news])
        more = Flow(restored.log, Settings())
        more.replay(more.model)
        assert more.state_hash() == restored.state_hash(), place.name
        flow = restored


def test_other_processes_with_other_seeds_and_threads_reach_the_same_state(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.sqlite")
    flow = Flow(log, Settings())
    records = long_stream(seed=6, size=RECORDS)
    flow.observe(records[:600])
    flow.snapshot(tmp_path / "snapshots")
    flow.observe(records[600:])
    expected = flow.state_hash()
    flow.close()
    for threads, hash_seed, snapshots in (("1", "1", "none"), ("2", "2", "none"), ("4", "3", "snapshots")):
        done = subprocess.run(
            [sys.executable, "-c", HASH_OF, str(log.path), str(tmp_path / snapshots)],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == expected, done.stderr


def test_both_logs_lead_to_the_same_state(empty: Callable[[], Flow]) -> None:
    records = long_stream(seed=7, size=400)
    flow, memory = empty(), Flow(MemoryLog(), Settings(policy="greedy"))
    flow.observe(records)
    memory.observe(records)
    assert flow.state_hash() == memory.state_hash()


def test_an_event_sent_again_is_learned_once(empty: Callable[[], Flow]) -> None:
    records = long_stream(seed=8, size=100)
    flow, once = empty(), empty()
    once.observe(records)
    for record in records:
        flow.observe([record, record])
        flow.observe([record])
    flow.observe(records)
    assert flow.log.end == len(records)
    assert flow.state_hash() == once.state_hash()
