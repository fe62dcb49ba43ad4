"""Flows over both logs, and what a short property test needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from instep.domain import Record
from instep.flow import Flow, Settings
from instep.log import MemoryLog, SqliteLog

settings.register_profile(
    "laws", deadline=None, max_examples=15, suppress_health_check=list(HealthCheck), print_blob=True
)
settings.load_profile("laws")

MakeFlow = Callable[..., Flow]


@pytest.fixture
def learned() -> MakeFlow:
    """A flow over a log in memory that has learned some records, one by one."""

    def make(records: Sequence[Record] = (), policy: str = "greedy") -> Flow:
        flow = Flow(MemoryLog(), Settings(policy=policy))
        for record in records:
            flow.observe([record])
        return flow

    return make


@pytest.fixture(params=["memory", "sqlite"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Flow]:
    """New flows over new logs, of either sort."""
    number = iter(range(1000))

    def make(policy: str = "greedy") -> Flow:
        memory = request.param == "memory"
        log = MemoryLog() if memory else SqliteLog(tmp_path / f"log-{next(number)}.sqlite")
        flow = Flow(log, Settings(policy=policy))
        request.addfinalizer(flow.close)
        return flow

    return make
