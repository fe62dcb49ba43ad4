"""The parts that benchmarks share measure what they say."""

from __future__ import annotations

import math
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instep.evaluate import BASELINES, Rows, Stream, arrange, replay
from instep.log import SqliteLog

ROOT = Path(__file__).parents[2]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
ADAPTER = """
from link import run
from instep.evaluate import BASELINES


class Wrapped:
    def __init__(self, users, items, seed):
        self.system = BASELINES["bpr"](users, items, seed)

    def learn(self, user, item, t):
        print("a peer may print what it likes")
        self.system.learn(user, item, t, float("nan"))

    def recommend(self, user, k, exclude):
        return self.system.recommend(user, 0.0, k, exclude)


run(Wrapped)
"""


@pytest.fixture(autouse=True)
def _reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    # Behind everything else: some benchmarks have the name of a library.
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "benchmarks")])


def taste(events: int) -> Stream:
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, 40, events), rng.zipf(1.5, events) % 60
    rows = Rows([f"u{u}" for u in users], [f"i{i}" for i in items], np.arange(events, dtype=np.float64))
    return arrange("taste", rows)


def test_a_peer_behind_a_pipe_is_asked_and_told_exactly_what_a_system_in_process_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import peers

    adapter = tmp_path / "wrapped.py"
    adapter.write_text(ADAPTER)
    monkeypatch.setenv("PYTHONPATH", f"{peers.ADAPTERS}:{ROOT / 'src'}")
    monkeypatch.setitem(peers.PEERS, "wrapped", peers.Peer(str(adapter), ()))
    monkeypatch.setattr(peers, "CACHE", tmp_path)
    (tmp_path / "peers").mkdir()
    stream = taste(600)
    result = peers.measure("wrapped", stream, Path(sys.executable))
    here = replay(stream, BASELINES["bpr"](len(stream.users), len(stream.items), 0))
    np.testing.assert_array_equal(result.outcome.rank, here.rank)
    np.testing.assert_array_equal(result.outcome.slates, here.slates)
    assert len(result.learn_ns) == len(here.observe_ns)
    assert len(result.ask_ns) == len(here.recommend_ns)
    assert result.mib > 0


def test_a_peer_that_stops_is_left_out_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import peers

    (tmp_path / "peers").mkdir()
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no')")
    monkeypatch.setattr(peers, "CACHE", tmp_path)
    monkeypatch.setitem(peers.PEERS, "implicit", peers.Peer(str(broken), ()))
    monkeypatch.setattr(peers, "environment", lambda name: Path(sys.executable))
    rows = peers.run(("implicit",), taste(300), systems=())
    assert rows == {}
    assert "implicit: failed" in capsys.readouterr().out
    assert peers.claims(rows, 1) == [{"claim": "peers that ran", "value": 0.0, "target": 1.0, "holds": False}]


def test_a_refit_counts_in_the_mean_of_an_update_and_not_in_its_median() -> None:
    import peers

    outcome = replay(taste(300), BASELINES["popularity"](40, 60, 0))
    learn, ask = np.array([1e3, 1e3, 1e3, 97e3]), np.array([2e3])
    row = peers.Result(outcome, learn, ask, 1.0).row()
    assert row["update, p50, us"] == 1.0
    assert row["update, mean, us"] == 25.0
    assert row["events/s"] == pytest.approx(4 / 102e-6)


def test_the_best_of_scores_leave_out_what_is_excluded(monkeypatch: pytest.MonkeyPatch) -> None:
    from adapters.link import best

    scores = np.array([0.1, 0.9, 0.5, 0.7])
    assert best(scores.copy(), 2, np.array([1], np.int32)).tolist() == [3, 2]
    assert best(scores.copy(), 9, np.array([0, 1], np.int32)).tolist() == [3, 2]
    assert best(scores.copy(), 9, np.arange(4, dtype=np.int32)).tolist() == []


def answering(stall: float) -> tuple[int, threading.Thread]:
    """A server of one connection that sleeps once, then answers everything at once."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        waiting = stall
        with connection, listening:
            pending = b""
            while data := connection.recv(65_536):
                pending += data
                time.sleep(waiting)
                waiting = 0.0
                while b"\r\n\r\n" in pending:
                    _, _, pending = pending.partition(b"\r\n\r\n")
                    connection.sendall(OK)

    thread = threading.Thread(target=serve)
    thread.start()
    return listening.getsockname()[1], thread


def test_a_stall_counts_for_all_that_fell_due_meanwhile() -> None:
    from made_up.paced import paced
    from made_up.requests import get

    port, thread = answering(stall=0.5)
    # Some fifty requests fall due in the first tenth of a second, behind the one that stalls for half a second.
    found = paced(port, {"live": ([get("/")], 500.0)}, 0.1, 1)
    thread.join()
    assert found["live p50"] >= 300_000.0
    assert found["live a second"] <= 50 / 0.5


def test_a_load_that_is_refused_stops_the_benchmark() -> None:
    from made_up.load import read_answer

    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
        with pytest.raises(RuntimeError, match="503"):
            read_answer(here)


def test_the_slope_on_log_log_paper_is_the_power_of_the_growth() -> None:
    import scale

    sizes: dict[int, dict[str, Any]] = {10: {"p50": 5.0}, 100: {"p50": 5.0}, 10_000: {"p50": 50.0}}
    first, flat, root = scale.slopes(sizes, "p50")
    assert math.isnan(first)
    assert (flat, root) == (pytest.approx(0.0), pytest.approx(0.5))


def test_a_log_in_bulk_is_the_log_that_the_service_would_have_written(tmp_path: Path) -> None:
    from made_up.bulk import write_log
    from made_up.shop import Shop

    shop = Shop(1_000, 700)
    end = write_log(tmp_path / "bulk.sqlite", shop)
    log = SqliteLog(tmp_path / "bulk.sqlite")
    written = [entry.record for entry in log.read()]
    assert log.end == end == 2 * 1_000 + 700
    log.close()
    assert written == [record for batch in (*shop.catalogue(), *shop.acts()) for record in batch]


def test_every_user_of_a_large_made_up_crowd_acts_and_no_act_lies_ahead() -> None:
    from made_up.shop import Shop

    shop = Shop(1_000, 20_000, 5_000)
    assert len(set(shop.user.tolist())) == 5_000
    assert float(Shop(1_000, 400_000).at[-1]) <= time.time()
