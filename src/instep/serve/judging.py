"""The gate asked about a version of a folder, as its configuration says."""

from __future__ import annotations

from instep.log import Readable
from instep.serve.config import Config
from instep.serve.folder import Folder
from instep.serve.settings import flow_settings
from instep.serve.terminal import Report
from instep.tune.gate import MARGINS, Decision, Margins
from instep.tune.judging import judge_version
from instep.tune.registry import FOLDER, Registry


def judge_in_folder(
    folder: Folder, config: Config, log: Readable, name: str, report: Report, margins: Margins = MARGINS
) -> Decision:
    """Judge a version by what the folder's log holds that it has not seen (see `judge_version`).

    Args:
        folder: where versions and vectors are.
        config: its settings.
        log: its log, which a service may have open.
        name: of the version.
        report: is told how far it is.
        margins: what may be lost.

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
        margins=margins,
        cache=folder.vectors,
        progress=lambda work, done, whole: report(work, done, whole, "records"),
    )
