"""Addresses of logs."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

import instep.log
from instep.domain import ConfigError
from instep.log import MemoryLog, SqliteLog, open_log


def test_an_address_opens_the_log_it_names(tmp_path: Path) -> None:
    assert isinstance(open_log("memory://"), MemoryLog)
    log = open_log(f"sqlite://{tmp_path}/with%20space.db")
    assert isinstance(log, SqliteLog)
    assert log.path == tmp_path.resolve() / "with space.db"
    log.close()


def test_an_unknown_scheme_names_the_known_ones() -> None:
    for url in ("carrier-pigeon://x", "/var/lib/log.db"):
        with pytest.raises(ConfigError, match="known: memory, sqlite"):
            open_log(url)


def test_a_relative_sqlite_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="three slashes"):
        open_log("sqlite://log.db")


def test_a_plugin_is_called_with_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = EntryPoints([EntryPoint("toy", f"{__name__}:toy_log", "instep.logs")])
    monkeypatch.setattr(instep.log, "entry_points", lambda group: plugins.select(group=group))
    monkeypatch.setattr(EntryPoint, "load", lambda self: toy_log)
    assert open_log("toy://anywhere").end == 7


class ToyLog(MemoryLog):
    """A log of another kind."""

    @property
    def end(self) -> int:
        return 7


def toy_log(url: str) -> ToyLog:
    """What a plugin registers."""
    assert url == "toy://anywhere"
    return ToyLog()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="create the folder"):
        SqliteLog(tmp_path / "no" / "log.db")
