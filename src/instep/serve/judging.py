"""The gate asked about a version of a folder, as its configuration says."""

from __future__ import annotations

from instep.log import Readable
from instep.serve.config import Config
from instep.serve.folder import Folder
from instep.serve.settings import flow_settings
from instep.serve.terminal import Report
from instep.tune.gate import Decision
from instep.tune.judging import judge_version
from instep.tune.margins import Margins
from instep.tune.registry import FOLDER, Registry


def margins_of(config: Config, groups: str = "") -> Margins:
    """The margins that ``[tune.gate]`` sets.

    Args:
        config: the folder's.
        groups: an attribute of users in the place of the configured one.

    >>> margins_of(Config(tune={"gate": {"part": 0.1}}), "region") == Margins(part=0.1, attribute="region")
    True
    """
    given = config.tune.gate.model_dump()
    return Margins(**given | ({"attribute": groups} if groups else {}))


def judge_in_folder(
    folder: Folder, config: Config, log: Readable, name: str, report: Report, groups: str = ""
) -> Decision:
    """Judge a version by what the folder's log holds that it has not seen (see `judge_version`).

    Args:
        folder: where versions and vectors are.
        config: its settings, the margins among them.
        log: its log, which a service may have open.
        name: of the version.
        report: is told how far it is.
        groups: an attribute of users in the place of the configured one.

    Raises:
        UnknownVersion: there is none of this name.
        ConfigError: it was not exported, or the log has nothing that it has not seen.
    """
    return judge_version(
        Registry(folder.path / FOLDER),
        name,
        log,
        flow_settings(config),
        config.encoder,
        margins=margins_of(config, groups),
        cache=folder.vectors,
        progress=lambda work, done, whole: report(work, done, whole, "records"),
    )
