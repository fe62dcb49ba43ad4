"""One run in several processes, through accelerate: each takes batches of its own, gradients are averaged.

python -m instep.tune.processes JOB      what each process runs; JOB is a file that `make_version_in` writes
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from instep.domain import ConfigError
from instep.log import LogReader
from instep.tune.causal_models import need
from instep.tune.making import Order, make_version, settled
from instep.tune.registry import Registry, Version
from instep.tune.train import Result

MODULE: Final = "instep.tune.processes"


class Job(msgspec.Struct):
    """What each process is told.

    Args:
        log: the log's file.
        registry: the folder of versions.
        order: what to make.
        configured: the encoder of the configuration.
        rewards: of the configuration.
        answer: where the first process writes version and result.
    """

    log: str
    registry: str
    order: Order
    configured: str
    rewards: dict[str, float]
    answer: str


class Answer(msgspec.Struct):
    """What the first process found."""

    version: Version
    result: Result


def make_version_in(
    processes: int,
    log: LogReader,
    registry: Registry,
    order: Order,
    configured: str = "auto",
    rewards: Mapping[str, float] | None = None,
) -> tuple[Version, Result]:
    """`instep.tune.making.make_version` in several processes of this machine (gloo where there is no GPU).

    Args:
        processes: how many, at least 2.
        log, registry, order, configured, rewards: as for `make_version`.

    Raises:
        ConfigError: one of the processes failed; says what it said.
    """
    need("torch", "accelerate")
    order = settled(order, log, registry, configured)
    threads = max(1, (os.cpu_count() or 1) // processes)
    if not order.plan.threads:
        order = msgspec.structs.replace(order, plan=msgspec.structs.replace(order.plan, threads=threads))
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place) / "answer.json"
        job = Path(place) / "job.json"
        told = Job(str(log.path), str(registry.folder), order, configured, dict(rewards or {}), str(answer))
        job.write_bytes(msgspec.json.encode(told))
        children = [
            subprocess.Popen(
                [sys.executable, "-m", MODULE, str(job)], env=_env(rank, processes, port), stderr=-1
            )
            for port in (_free_port(),)
            for rank in range(processes)
        ]
        said = [child.communicate()[1].decode(errors="replace") for child in children]
        for child, words in zip(children, said, strict=True):
            if child.returncode:
                last = (words.strip().splitlines() or [f"status {child.returncode}"])[-1]
                raise ConfigError(f"one of {processes} processes failed: {last}")
        found = msgspec.json.decode(answer.read_bytes(), type=Answer)
    return found.version, found.result


def _env(rank: int, processes: int, port: int) -> dict[str, str]:
    own = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": processes,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "ACCELERATE_USE_CPU": "false",
    }
    return os.environ | {name: str(value) for name, value in own.items()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _work(path: Path) -> None:
    job: Any = msgspec.json.decode(path.read_bytes(), type=Job)
    made = make_version(
        LogReader(job.log), Registry(Path(job.registry)), job.order, job.configured, job.rewards
    )
    if made[0] is not None:
        Path(job.answer).write_bytes(msgspec.json.encode(Answer(*made)))


if __name__ == "__main__":
    try:
        _work(Path(sys.argv[1]))
    except ConfigError as failure:
        sys.exit(str(failure))
