"""The tuner beside the service: started again when it ends, gone when the service is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from instep.serve.following import FollowingTuner

WAITS = "import sys; open(sys.argv[1], 'a').write('x'); sys.stdin.read()"


def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def test_a_command_that_ends_is_started_again_and_its_fault_told(tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x'); print('no torch here'); raise SystemExit(1)"
    tuner = FollowingTuner([sys.executable, "-c", code], first_wait=0.01)
    until(lambda: count.exists() and len(count.read_text()) >= 3)
    tuner.close()
    assert tuner.fault == "tuning ended with status 1: no torch here"
    assert not tuner.running


def test_it_ends_with_the_service(tmp_path: Path) -> None:
    count = tmp_path / "count"
    tuner = FollowingTuner([sys.executable, "-c", WAITS, str(count)])
    until(count.exists)
    assert tuner.running
    tuner.close()
    tuner.close()
    assert not tuner.running
    assert tuner.fault == ""


def test_a_killed_service_leaves_no_tuner_behind(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    child = f"import os, sys; open({str(mark)!r}, 'w').write(str(os.getpid())); sys.stdin.read()"
    service = (
        "import sys, time; from instep.serve.following import FollowingTuner;"
        "FollowingTuner([sys.executable, '-c', sys.argv[1]]); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", service, child])
    until(lambda: mark.exists() and mark.read_text() != "")
    process.send_signal(signal.SIGKILL)
    process.wait()
    pid = int(mark.read_text())

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        return status.exists() and ") Z " in status.read_text()  # ended; nobody has asked for it yet

    until(gone)
