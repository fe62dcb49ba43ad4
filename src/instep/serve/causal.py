"""The scorer `causal` as a folder's configuration says: opened once a process, when something first names it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from instep.domain import ConfigError
from instep.tune.version import is_version

if TYPE_CHECKING:
    from instep.serve.sections import CausalSection
    from instep.tune.causal_scorer import CausalScorer


@lru_cache(maxsize=4)
def open_scorer(section: CausalSection, folder: Path | None, log: Path | None) -> CausalScorer:
    """The scorer, with its model.

    Args:
        section: the table `[causal]`.
        folder: the instep folder, where versions are.
        log: its log's file; None where it has none.

    Returns:
        The scorer, ready to be asked.

    Raises:
        ConfigError: a package or the model is missing, or the version is none that ranks by titles, or one
            from whose data somebody was erased since.
    """
    from instep.tune.causal_scorer import CausalSettings, causal_scorer

    settings = CausalSettings(
        section.top,
        section.weight,
        section.less,
        section.users,
        section.cold_events,
        section.deadline_ms / 1e3,
    )
    model = section.model
    if folder is not None and is_version(model):
        model = str(_version(folder, model, log))
    return causal_scorer(model, settings)


def _version(folder: Path, name: str, log: Path | None) -> Path:
    """Where a tuned version's model is."""
    from instep.log import LogReader
    from instep.tune.registry import FOLDER, Registry, check_whole

    registry = Registry(folder / FOLDER)
    version = registry.get(name)
    if version.task != "ranking":
        raise ConfigError(
            f"causal.model: {name} was tuned for {version.task}, not for ranking by titles; "
            "`instep tune FOLDER --task ranking` makes one that was"
        )
    if log is not None:
        check_whole(version, LogReader(log).count(version.start, version.end))
    registry.verify(name)
    return registry.path(name) / "model"
