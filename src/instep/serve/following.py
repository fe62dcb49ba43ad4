"""The slow clock beside the service: `instep tune --follow`, a process that lives and dies with the service."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

from instep.domain import ConfigError
from instep.log import LogReader
from instep.serve.config import Config
from instep.serve.folder import Folder
from instep.tune.follow import Trigger, follow, run_round
from instep.tune.registry import FOLDER, Registry

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


def follow_folder(
    folder: Folder,
    config: Config,
    tell: Callable[[str], None],
    options: Sequence[str] = (),
    until_input_ends: bool = False,
) -> int:
    """Tune a folder's language model whenever there is reason to, beside the process that has the folder open.

    Args:
        folder: whose log is followed and whose versions are added to.
        config: its ``[tune]`` says when and how.
        tell: is told what happens.
        options: of `instep tune` for each round, after those of the configuration.
        until_input_ends: whether the end of standard input ends it: how it notices that the service is gone.

    Returns:
        How many rounds there were.

    Raises:
        ConfigError: the log is none that another process can read.
    """
    file = folder.log_file(config)
    if file is None:
        raise ConfigError(
            f"log.url {config.log.url!r}: only a log in a file can be followed from another process"
        )
    given = config.tune
    command = tune_command(str(folder.path), (*given.options, *options), given.shadow)
    if until_input_ends:
        threading.Thread(target=_end_with_input, name="instep-input", daemon=True).start()
    tell(f"Following {folder.path}: tuning begins when there is reason to.")
    return follow(
        LogReader(file),
        Registry(folder.path / FOLDER),
        Trigger(given.events, given.minutes, given.unseen),
        lambda: run_round(command),
        tell,
        threading.Event(),
        given.share,
    )


def tune_command(folder: str, options: Sequence[str], shadow: int = 0) -> list[str]:
    """The command line of one round: from the version that is live, promoted if the gate finds it not worse.

    >>> tune_command("shop.instep", ("--steps", "9"), shadow=500)[5:]
    ['--model', 'live', '--promote', '--shadow', '500', '--steps', '9']
    """
    live = ("--shadow", str(shadow)) if shadow else ()
    return [sys.executable, "-m", "instep", "tune", folder, "--model", "live", "--promote", *live, *options]


def follow_command(folder: str) -> list[str]:
    """The command line of what a service keeps running."""
    return [sys.executable, "-m", "instep", "tune", folder, "--follow", "--until-input-ends"]


def _end_with_input() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGTERM)  # and the round at hand with it
