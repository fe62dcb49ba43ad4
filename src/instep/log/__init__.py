"""The append-only log of every record: the one source of truth.

`open_log` turns an address into a log: ``memory://``, ``sqlite:///absolute/path``, or the scheme of a
plugin, which registers a callable (address -> `Log`) under it in the entry-point group ``instep.logs``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from urllib.parse import unquote, urlsplit

from instep.domain import ConfigError
from instep.log.base import Apply, Log, Readable
from instep.log.memory import MemoryLog
from instep.log.reader import LogReader
from instep.log.repair import RepairReport, examine, repair
from instep.log.sqlite import SqliteLog

__all__ = [
    "Apply",
    "Log",
    "LogReader",
    "MemoryLog",
    "Readable",
    "RepairReport",
    "SqliteLog",
    "examine",
    "open_log",
    "repair",
]


def open_log(url: str) -> Log:
    """Open the log at an address.

    Args:
        url: ``memory://``, ``sqlite:///absolute/path`` or ``<a plugin's scheme>://...``.

    Returns:
        The log, open; close it when done.

    Raises:
        ConfigError: no such scheme, or the log cannot be opened.

    >>> open_log("memory://").end
    0
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryLog()
    if parts.scheme == "sqlite":
        if parts.netloc or not parts.path.startswith("/"):
            raise ConfigError(
                f"{url}: give an absolute path with three slashes, as in sqlite:///var/lib/log.db"
            )
        return SqliteLog(unquote(parts.path))
    plugins = {plugin.name: plugin for plugin in entry_points(group="instep.logs")}
    if parts.scheme not in plugins:
        known = ", ".join(sorted({"memory", "sqlite", *plugins}))
        raise ConfigError(
            f"{url}: no log for {parts.scheme or 'an address without a scheme'}; known: {known}"
        )
    log: Log = plugins[parts.scheme].load()(url)
    return log
