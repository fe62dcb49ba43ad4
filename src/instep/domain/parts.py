"""Pluggable parts by name: built in, or from an entry point that a plugin's package declares."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from instep.domain.errors import ConfigError


def find_part(group: str, name: str, built_in: Mapping[str, Any]) -> Any:
    """A part's class or factory.

    Args:
        group: entry-point group, e.g. ``instep.scorers``.
        name: as the configuration gives it.
        built_in: what needs no entry point.

    Returns:
        What makes the part when it is called.

    Raises:
        ConfigError: there is no such part, or its package does not import.

    >>> find_part("instep.scorers", "ones", {"ones": int})
    <class 'int'>
    """
    if name in built_in:
        return built_in[name]
    found = entry_points(group=group, name=name)
    if not found:
        known = sorted({*built_in, *(entry.name for entry in entry_points(group=group))})
        raise ConfigError(f"no {group} named {name!r}; installed: {', '.join(known) or 'none'}")
    try:
        return next(iter(found)).load()
    except ImportError as error:
        raise ConfigError(f"{group} {name!r} cannot be imported: {error}") from error
