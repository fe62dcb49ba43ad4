"""Systems by name: the real one, the same without text, and the baselines in the box."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from instep.domain import ConfigError, ItemVector
from instep.evaluate.base import System
from instep.evaluate.baselines import BASELINES
from instep.evaluate.instep import Instep
from instep.evaluate.stream import Stream

INSTEP: Final = "instep"
NO_TEXT: Final = "instep-no-text"
SYSTEMS: Final = (INSTEP, NO_TEXT, *BASELINES)
ALL: Final = "all"


def system_names(wanted: str) -> tuple[str, ...]:
    """The names in a comma-separated list, each once; ``all`` stands for every baseline.

    Raises:
        ConfigError: a name is unknown.

    >>> system_names("bpr, popularity,bpr")
    ('bpr', 'popularity')
    """
    names: dict[str, None] = {}
    for name in filter(None, (part.strip() for part in wanted.split(","))):
        if name == ALL:
            names.update(dict.fromkeys(BASELINES))
        elif name in SYSTEMS:
            names[name] = None
        else:
            near = difflib.get_close_matches(name, SYSTEMS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"there is no system {name!r}{hint}; there are {ALL}, {', '.join(SYSTEMS)}")
    return tuple(names)


def make_system(
    name: str, stream: Stream, seed: int = 0, vectors: Sequence[ItemVector] = (), repeat: bool = False
) -> System:
    """A fresh system.

    Args:
        name: one of `SYSTEMS`.
        stream: what it will be replayed on: its sizes, ids and catalogue.
        seed: of what is random in it.
        vectors: the language model's vectors, for ``instep``.
        repeat: whether consumed items may come back.
    """
    if name == INSTEP:
        return Instep(stream, vectors, repeat)
    if name == NO_TEXT:
        return Instep(_without_text(stream), (), repeat, NO_TEXT)
    return BASELINES[name](len(stream.users), len(stream.items), seed)


def _without_text(stream: Stream) -> Stream:
    """The same with nothing to read about an item but its categories and attributes."""
    bare: dict[str, Any] = {"title": "", "description": "", "brand": "", "author": ""}
    catalogue = {name: msgspec.structs.replace(item, **bare) for name, item in stream.catalogue.items()}
    return replace(stream, catalogue=catalogue)
