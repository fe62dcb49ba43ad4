"""A stored version before the gate: what the log holds that it has not seen, and the decision beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

from instep.domain import ConfigError
from instep.evaluate.vectors import item_vectors
from instep.flow import Settings
from instep.log import Log, LogReader
from instep.tune.gate import MARGINS, Decision, Margins, Told, judge, judge_logged
from instep.tune.registry import Registry, Version
from instep.tune.unseen import read_unseen

HELD_OUT: Final = "held_out_from"
"""Key of a version's configuration: the first log offset that it was not trained on."""


def judge_version(
    registry: Registry,
    name: str,
    log: Log | LogReader,
    settings: Settings,
    live: str = "auto",
    **given: Any,
) -> Decision:
    """Ask the gate about a version, and write what it says into its gate.json.

    Args:
        registry: where the version is.
        name: which.
        log: the whole log; `LogReader` reads one that a service has open.
        settings: the service's (`instep.serve.app.flow_settings`).
        live: the name that opens the configured encoder; the live version's own model takes its place.
        **given: `margins`, see `Margins`; `cache`, a file of vectors; `progress`.

    Returns:
        The decision.

    Raises:
        UnknownVersion: there is none of this name.
        ConfigError: it was not exported, or the log has nothing that it has not seen.
    """
    margins: Margins = given.get("margins", MARGINS)
    cache: Path | None = given.get("cache")
    progress: Told | None = given.get("progress")
    version, whole = registry.get(name), cast(Log, log)
    folder = registry.path(name) / "model"
    if not (folder / "model.onnx").is_file():
        raise ConfigError(f"{name}: was not exported: there is no model/model.onnx to judge")
    found = read_unseen(whole.read(0, whole.end), unseen_from(version), settings.rewards)
    candidate = item_vectors(found.stream, str(folder), cache)
    now = item_vectors(found.stream, _opens(registry, live), cache) if live != "none" else []
    slates = judge_logged(whole, settings, candidate, found.since, margins, progress)
    decision = judge(found, now, candidate, margins, slates, progress)
    registry.write(name, "gate.json", decision)
    return decision


def unseen_from(version: Version) -> int:
    """The first log offset that a version was not trained on: where its data ends, or what it held back begins."""
    held = version.config.get(HELD_OUT)
    return held if isinstance(held, int) and version.start <= held <= version.end else version.end


def _opens(registry: Registry, configured: str) -> str:
    """The name that opens what serves now."""
    folder = registry.folder / registry.live / "model"
    return str(folder) if registry.live and (folder / "model.onnx").is_file() else configured
