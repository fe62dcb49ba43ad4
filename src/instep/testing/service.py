"""A real service in a process of its own, for tests that talk to it and kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

COMMAND = (sys.executable, "-c", "from instep.serve.cli import main; main()")
"""`instep`, whatever is on the path."""


def environment(**settings: object) -> dict[str, str]:
    """This process's environment with settings of Instep over it: ``snapshot__every_events=10``.

    >>> environment(snapshot__every_events=10)["INSTEP_SNAPSHOT__EVERY_EVENTS"]
    '10'
    """
    return {**os.environ, **{f"INSTEP_{name.upper()}": str(value) for name, value in settings.items()}}


class ServiceProcess:
    """`instep serve` on a free port of this machine; ready when it is made.

    Args:
        folder: what to serve; made if it is missing.
        **settings: over the folder's own, as `environment` takes them.

    Attributes:
        address: where it answers, without a slash at the end.
        process: the process, leader of a group of its own.

    Raises:
        RuntimeError: it did not start; says what it wrote.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "serve", str(folder), "--port", "0", "--json", "--log-level", "error"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(**settings),
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(f"the service ended with status {self.process.returncode} before it was ready")
        self.address: str = json.loads(line)["address"]

    def kill(self, children: bool = True) -> None:
        """SIGKILL, at once.

        Args:
            children: whether a process that writes a snapshot dies at the same moment, as in a power cut.
        """
        if children:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self._reap()

    def stop(self) -> int:
        """SIGTERM, and wait; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._reap()

    def _reap(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(60)

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
