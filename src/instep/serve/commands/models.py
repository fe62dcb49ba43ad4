"""``instep models``: list, show, compare, judge, shadow, promote, roll back, prune."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from instep.domain import ConfigError
from instep.serve.cli import service_key, with_target, with_terminal
from instep.serve.terminal import Terminal

if TYPE_CHECKING:
    from instep.serve.models import ModelList, Models, VersionReport
    from instep.serve.remote import RemoteModels

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Versions of the language model: which serves, and what the gate said (docs/models.md).

    TARGET is a folder, or the address of a service. A service that has the folder open follows what is changed there.

    \b
    Example:
      instep models list shop.instep
      instep models promote http://127.0.0.1:8080 v0003 --key-file admin.key
      instep models rollback shop.instep
    """


@command.command("list")
@with_target
@with_terminal
def list_models(target: str, key_file: str | None, terminal: Terminal) -> None:
    """List all versions, the newest first.

    \b
    Example:
      instep models list shop.instep
    """
    _tell(_opened(target, key_file).list(), terminal)


@command.command()
@with_target
@click.argument("name")
@with_terminal
def show(target: str, key_file: str | None, name: str, terminal: Terminal) -> None:
    """Say what version NAME was trained on, how it did, and what the gate found.

    \b
    Example:
      instep models show shop.instep v0003
    """
    found = _opened(target, key_file).show(name)
    terminal.result(as_text(found), **msgspec.to_builtins(found))


@command.command()
@with_target
@click.argument("before")
@click.argument("after")
@with_terminal
def diff(target: str, key_file: str | None, before: str, after: str, terminal: Terminal) -> None:
    """Say where version AFTER differs from BEFORE: data, configuration, metrics.

    \b
    Example:
      instep models diff shop.instep v0002 v0003
    """
    from instep.tune.version import differences

    models = _opened(target, key_file)
    found = differences(models.show(before).version, models.show(after).version)
    lines = [f"{each.what}\t{_value(each.before)}\t{_value(each.after)}" for each in found]
    terminal.result(
        "\n".join(lines) or "They do not differ.", differences=[msgspec.to_builtins(each) for each in found]
    )


@command.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False))
@click.argument("name")
@click.option(
    "--groups",
    default="",
    help="A user's attribute whose values are the groups to be fair to.  [default: tune.gate.attribute]",
)
@with_terminal
def judge(terminal: Terminal, folder: str, name: str, groups: str) -> None:
    """Have the gate judge version NAME by what the log holds that it has not seen. Exit status 1 when it refuses.

    \b
    Example:
      instep models judge shop.instep v0003
    """
    from instep.log import LogReader
    from instep.serve.config import load_config
    from instep.serve.folder import Folder
    from instep.serve.judging import judge_in_folder
    from instep.serve.verifying import log_file

    place = Folder(folder, create=False)
    config = load_config(place.path)
    log = LogReader(log_file(place, config))
    with terminal.progress() as report:
        decision = judge_in_folder(place, config, log, name, report, groups)
    terminal.result("\n".join(decision.lines()), **msgspec.to_builtins(decision))
    if not decision.passed:
        click.get_current_context().exit(1)


@command.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False))
@click.argument("name")
@click.option("--events", type=click.IntRange(0), default=0, help="End when so many choices were scored.")
@click.option("--minutes", type=click.FloatRange(0), default=0.0, help="End after so long.")
@with_terminal
def shadow(terminal: Terminal, folder: str, name: str, events: int, minutes: float) -> None:
    """Score version NAME on live traffic beside what serves, without showing it. Safe beside a service.

    Each new choice in the log of FOLDER is scored before it is learned, by the live vectors and by the version's.
    Without --events and --minutes until Ctrl-C. `show` tells the numbers, also meanwhile, and `judge` counts them.

    \b
    Example:
      instep models shadow shop.instep v0003 --events 1000
    """
    from instep.log import LogReader
    from instep.serve.config import load_config
    from instep.serve.folder import Folder
    from instep.serve.judging import shadow_in_folder
    from instep.serve.verifying import log_file
    from instep.tune.shadowing import Until

    place = Folder(folder, create=False)
    config = load_config(place.path)
    log = LogReader(log_file(place, config))
    with terminal.progress() as report:
        found = shadow_in_folder(place, config, log, name, report, Until(events, minutes))
    terminal.result("\n".join(found.lines()), **msgspec.to_builtins(found))


@command.command()
@with_target
@click.argument("name")
@click.option("--anyway", is_flag=True, help="Although the gate refused it, or was not asked.")
@with_terminal
def promote(target: str, key_file: str | None, name: str, anyway: bool, terminal: Terminal) -> None:
    """Make version NAME serve; `base` is the configured encoder.

    \b
    Example:
      instep models promote shop.instep v0003
    """
    _tell(_opened(target, key_file).promote(name, anyway), terminal)


@command.command()
@with_target
@with_terminal
def rollback(target: str, key_file: str | None, terminal: Terminal) -> None:
    """Make the version serve that served before.

    \b
    Example:
      instep models rollback shop.instep
    """
    _tell(_opened(target, key_file).roll_back(), terminal)


@command.command()
@with_target
@click.option(
    "--keep", type=click.IntRange(0), default=5, show_default=True, help="How many of the newest stay."
)
@with_terminal
def prune(target: str, key_file: str | None, keep: int, terminal: Terminal) -> None:
    """Delete old versions of a folder; what serves, what served before and their parents stay.

    \b
    Example:
      instep models prune shop.instep --keep 3
    """
    from instep.serve.models import Models

    models = _opened(target, key_file)
    if not isinstance(models, Models):
        raise ConfigError("prune: deletes files, so it wants the folder, not the address of a service")
    gone = models.registry.prune(keep)
    terminal.result(f"Deleted: {', '.join(gone) or 'nothing'}", deleted=gone)


def _opened(target: str, key_file: str | None) -> Models | RemoteModels:
    """The models of a folder, which a service may have open, or of the service at an address."""
    from instep.serve.models import Models, counted_in_file
    from instep.serve.remote import RemoteModels

    key = service_key(target, key_file)
    if key is not None:
        return RemoteModels(target, key)
    from instep.serve.config import load_config
    from instep.serve.folder import Folder
    from instep.serve.verifying import log_file
    from instep.tune.registry import FOLDER, Registry

    folder = Folder(target, create=False)
    config = load_config(folder.path)
    file = log_file(folder, config)
    return Models(Registry(folder.path / FOLDER), counted_in_file(file), config.encoder)


def _tell(found: ModelList, terminal: Terminal) -> None:
    lines = [f"live: {found.live}, before: {found.previous}"]
    lines += [_line(each) for each in found.versions]
    if not found.versions:
        lines.append("There are no versions yet; `instep tune` makes them.")
    terminal.result("\n".join(lines), **msgspec.to_builtins(found))


def _line(found: VersionReport) -> str:
    version = found.version
    marks = [found.verdict] + (["live"] if found.status == "live" else [])
    if found.erased:
        marks.append("somebody was erased from its data: tune again")
    return f"{version.name}\t{version.task}\t{version.method}\t{_when(version.created)}\t{', '.join(marks)}"


def as_text(found: VersionReport) -> str:
    """A version in a few lines, for people."""
    version = found.version
    lines = [
        f"{version.name}: {version.task} by {version.method} on {version.parent or version.base}, "
        f"{_when(version.created)} UTC, {found.status}",
        f"data: offsets {version.start:,} to {version.end:,}, {version.records:,} records then, "
        f"{found.records_now:,} now",
        f"encoder: {version.encoder or 'not exported'}",
    ]
    lines += [f"fault: {found.fault}"] if found.fault else []
    if found.erased:
        lines.append(
            "Somebody was erased from its data since: it cannot be promoted. Tune again without them."
        )
    lines += [f"  {name}: {value:.6g}" for name, value in sorted(version.metrics.items())]
    lines += [f"gate: {found.verdict}", *_gate(found.gate or {})]
    lines += _shadow(found.shadow)
    return "\n".join(lines)


def _gate(gate: dict[str, Any]) -> list[str]:
    from instep.tune.gate import Decision

    try:
        return [f"  {line}" for line in msgspec.convert(gate, Decision).lines()]
    except msgspec.ValidationError:  # another gate's
        return [f"  {reason}" for reason in gate.get("reasons", ())]


def _shadow(shadow: dict[str, Any] | None) -> list[str]:
    from instep.tune.shadow import Shadow

    if shadow is None:
        return []
    try:
        return [f"live traffic: {line}" for line in msgspec.convert(shadow, Shadow).lines()]
    except msgspec.ValidationError:  # of another release
        return []


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _value(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
