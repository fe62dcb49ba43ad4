"""A stored version before the gate: what the log holds that it has not seen, and the decision beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from instep.domain import ConfigError
from instep.evaluate.vectors import item_vectors
from instep.flow import Settings
from instep.log import Readable
from instep.tune.gate import Decision, Told, judge, judge_logged
from instep.tune.margins import MARGINS, Margins
from instep.tune.registry import Registry, Version
from instep.tune.shadow import read_shadow
from instep.tune.unseen import read_unseen

HELD_OUT: Final = "held_out_from"
"""Key of a version's configuration: the first log offset that it was not trained on."""


def judge_version(
    registry: Registry,
    name: str,
    log: Readable,
    settings: Settings,
    live: str = "auto",
    *,
    margins: Margins = MARGINS,
    cache: Path | None = None,
    progress: Told | None = None,
) -> Decision:
    """Ask the gate about a version, and write what it says into its gate.json.

    What live traffic said of it beside the encoder that is live now (shadow.json) counts, too.

    Args:
        registry: where the version is.
        name: which.
        log: the whole log; `LogReader` reads one that a service has open.
        settings: the service's (`instep.serve.app.flow_settings`).
        live: the name that opens the configured encoder; the live version's own model takes its place.
        margins: what may be lost.
        cache: a file of vectors known already; None encodes anew.
        progress: is told how far it is.

    Returns:
        The decision.

    Raises:
        UnknownVersion: there is none of this name.
        ConfigError: it was not exported, its shadow.json is damaged, or the log has nothing that it has not seen.
    """
    version, folder = registry.get(name), model_of(registry, name)
    seen = read_shadow(registry, name)
    found = read_unseen(log.read(0, log.end), unseen_from(version), settings.rewards)
    candidate = item_vectors(found.stream, folder, cache)
    now = item_vectors(found.stream, opens(registry, live), cache) if live != "none" else []
    slates = judge_logged(log, settings, candidate, found.since, margins, progress)
    beside = now[0].encoder if now else ""
    parts = seen.parts if seen is not None and seen.live == beside else ()  # else beside another one than now
    decision = judge(found, now, candidate, margins, slates, progress, parts)
    registry.write(name, "gate.json", decision)
    return decision


def unseen_from(version: Version) -> int:
    """The first log offset that a version was not trained on: where its data ends, or what it held back begins."""
    held = version.config.get(HELD_OUT)
    return held if isinstance(held, int) and version.start <= held <= version.end else version.end


def model_of(registry: Registry, name: str) -> str:
    """The name that opens a version's own encoder.

    Raises:
        UnknownVersion: there is no such version.
        ConfigError: it was not exported.
    """
    folder = registry.path(name) / "model"
    if not (folder / "model.onnx").is_file():
        raise ConfigError(f"{name}: was not exported: there is no model/model.onnx to judge")
    return str(folder)


def opens(registry: Registry, configured: str) -> str:
    """The name that opens what serves now: the live version's folder, or what is configured."""
    folder = registry.folder / registry.live / "model"
    return str(folder) if registry.live and (folder / "model.onnx").is_file() else configured
