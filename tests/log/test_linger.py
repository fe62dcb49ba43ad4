"""Impressions, for which nobody waits, wait for company; whatever somebody waits for does not."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from instep.domain import Impression
from instep.log import SqliteLog, sqlite
from instep.testing.log import click


@pytest.fixture(autouse=True)
def _for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LINGER", 3_600.0)


def shown(slate_id: str) -> Impression:
    return Impression(slate_id, "u1", 1.0, ("i1",), (1.0,))


def test_impressions_wait_for_company_and_an_event_takes_them_along(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        log.append([click("before")])
        waiting = [log.submit([shown(f"s{n}")]) for n in range(3)]
        assert not any(future.done() for future in waiting)
        assert log.end == 1
        receipts = log.append([click("after")])
        assert [future.result(0)[0].offset for future in waiting] == [1, 2, 3]  # in the order they came
        assert receipts[0].offset == 4


def test_an_erasure_does_not_wait_for_company(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        log.append([click("e1")])
        log.submit([shown("s1")])
        assert log.erase(["user-1", "u1"]) == 2


def test_closing_stores_the_impressions_that_wait(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    waiting = log.submit([shown("s1")])
    log.close()
    assert waiting.result(0)[0].offset == 0
    with closing(SqliteLog(tmp_path / "log.db")) as again:
        assert [entry.record.event_id for entry in again.read()] == ["s1"]
