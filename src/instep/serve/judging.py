"""The gate, and live traffic, asked about a version of a folder, as its configuration says."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from instep.log import LogReader, Readable
from instep.serve.config import Config
from instep.serve.folder import Folder
from instep.serve.settings import flow_settings
from instep.serve.terminal import Report
from instep.tune.follow import LOWEST_PRIORITY
from instep.tune.gate import Decision
from instep.tune.judging import judge_version
from instep.tune.margins import Margins
from instep.tune.registry import FOLDER, Registry
from instep.tune.shadow import Shadow
from instep.tune.shadowing import Until, shadow_version


def margins_of(config: Config, groups: str = "") -> Margins:
    """The margins that ``[tune.gate]`` sets.

    Args:
        config: the folder's.
        groups: an attribute of users in the place of the configured one.

    Returns:
        The margins.

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

    Returns:
        The decision, with the numbers that it rests on.

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


def shadow_in_folder(
    folder: Folder, config: Config, log: LogReader, name: str, report: Report, until: Until
) -> Shadow:
    """Score a version on live traffic without showing it (see `shadow_version`); Ctrl-C ends it with its numbers.

    It runs in a thread of the lowest priority where the system knows such threads, else the whole process is that.

    Args:
        folder: where versions and vectors are.
        config: its settings, the margins among them.
        log: its log, which a service has open.
        name: of the version.
        report: is told how far it is.
        until: when it ends.

    Raises:
        UnknownVersion: there is none of this name.
        ConfigError: it cannot be scored, or not any longer; says why.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1, "instep-shadow", _yield_to_others) as pool:
        scored = pool.submit(
            shadow_version,
            Registry(folder.path / FOLDER),
            name,
            log,
            flow_settings(config),
            config.encoder,
            until=until,
            margins=margins_of(config),
            cache=folder.vectors,
            progress=lambda work, done, whole: report(work, done, whole or None, "events"),
            stop=stop,
        )
        try:
            return scored.result()
        except KeyboardInterrupt:
            stop.set()
            return scored.result()


def _yield_to_others() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, LOWEST_PRIORITY)
