"""The slow clock beside the service: `instep tune --follow` as a process that lives and dies with it."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Sequence
from typing import Final

LONGEST_WAIT: Final = 600.0
SECONDS_TO_END: Final = 10.0
_log = logging.getLogger("instep.tune")


class FollowingTuner:
    """Keeps a command running: started again, ever later, when it ends; ended with the service.

    The command notices that the service is gone, however it went, when its standard input ends.

    Args:
        command: program and arguments.
        first_wait: seconds until it is started again the first time; doubled each time, up to ten minutes.

    Attributes:
        fault: how it ended the last time; "" while all is well.

    >>> import sys, time
    >>> tuner = FollowingTuner([sys.executable, "-c", "import sys; sys.stdin.read()"])
    >>> tuner.close()
    """

    def __init__(self, command: Sequence[str], first_wait: float = 5.0) -> None:
        self.fault = ""
        self._command = list(command)
        self._wait = first_wait
        self._closed = threading.Event()
        self._changed = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="instep-following", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the command runs now."""
        process = self._process
        return process is not None and process.poll() is None

    def close(self) -> None:
        """End it. Idempotent."""
        self._closed.set()
        with self._changed:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()

    def _run(self) -> None:
        wait = self._wait
        while not self._closed.is_set():
            with self._changed:
                if self._closed.is_set():
                    return
                self._process = process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for the service, which ends this one
                )
            said = self._listen(process)
            if self._closed.is_set():
                return
            self.fault = f"tuning ended with status {process.returncode}: {said}"
            _log.error("%s; it is started again in %.0f seconds", self.fault, wait)
            self._closed.wait(wait)
            wait = min(LONGEST_WAIT, 2 * wait)

    def _listen(self, process: subprocess.Popen[str]) -> str:
        """Log what it says until it ends; returns the last line."""
        said = ""
        assert process.stdout is not None  # it is a pipe
        for line in process.stdout:
            if line := line.strip():
                said = line
                _log.info("%s", line)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return said
