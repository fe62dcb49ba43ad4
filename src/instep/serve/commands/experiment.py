"""``instep experiment``: launch, watch, stop, promote, roll back."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from instep.domain import ConfigError, Experiment
from instep.serve.cli import service_key, with_target, with_terminal
from instep.serve.terminal import Terminal

if TYPE_CHECKING:
    from instep.experiment import Report
    from instep.experiment.report import MetricReport
    from instep.serve.experiments import Experiments
    from instep.serve.remote import RemoteExperiments

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Compare policies and plugins on live traffic (docs/experiments.md).

    TARGET is a folder, or the address of a service that has it open.

    \b
    Example:
      instep experiment launch shop.instep new-policy.toml
      instep experiment report http://127.0.0.1:8080 new-policy
      instep experiment promote http://127.0.0.1:8080 new-policy bolder --key-file admin.key
    """


@command.command()
@with_target
@click.argument("file", type=click.Path(dir_okay=False, exists=True))
@with_terminal
def launch(target: str, key_file: str | None, file: str, terminal: Terminal) -> None:
    """Begin the experiment that FILE (.toml or .json) describes.

    \b
    Example:
      instep experiment launch shop.instep new-policy.toml
    """
    definition = _read_file(Path(file))
    with _opened(target, key_file, terminal) as experiments:
        _tell(experiments.launch(definition), terminal)


@command.command("list")
@with_target
@with_terminal
def list_experiments(target: str, key_file: str | None, terminal: Terminal) -> None:
    """List all experiments, the newest first.

    \b
    Example:
      instep experiment list shop.instep
    """
    with _opened(target, key_file, terminal) as experiments:
        found = experiments.reports()
    lines = [f"{each.name}\t{each.status.replace('_', ' ')}\t{each.reason}".rstrip() for each in found]
    terminal.result(
        "\n".join(lines) or "There are no experiments.",
        experiments=[msgspec.to_builtins(each) for each in found],
    )


@command.command()
@with_target
@click.argument("name")
@with_terminal
def report(target: str, key_file: str | None, name: str, terminal: Terminal) -> None:
    """Say what experiment NAME has shown so far. The bounds hold however often you look.

    \b
    Example:
      instep experiment report shop.instep new-policy
    """
    with _opened(target, key_file, terminal) as experiments:
        _tell(experiments.report(name), terminal)


@command.command()
@with_target
@click.argument("name")
@click.option("--reason", default="", help="Why, for the report.")
@with_terminal
def stop(target: str, key_file: str | None, name: str, reason: str, terminal: Terminal) -> None:
    """End experiment NAME: everybody is served as usual again.

    \b
    Example:
      instep experiment stop shop.instep new-policy --reason "not worth it"
    """
    with _opened(target, key_file, terminal) as experiments:
        _tell(experiments.stop(name, reason), terminal)


@command.command()
@with_target
@click.argument("name")
@click.argument("arm")
@with_terminal
def promote(target: str, key_file: str | None, name: str, arm: str, terminal: Terminal) -> None:
    """Give ARM's settings to everybody, from the next request on; NAME ends if it runs.

    \b
    Example:
      instep experiment promote shop.instep new-policy bolder
    """
    with _opened(target, key_file, terminal) as experiments:
        _tell(experiments.promote(name, arm), terminal)


@command.command()
@with_target
@click.argument("name")
@with_terminal
def rollback(target: str, key_file: str | None, name: str, terminal: Terminal) -> None:
    """Take back what NAME's promotion changed.

    \b
    Example:
      instep experiment rollback shop.instep new-policy
    """
    with _opened(target, key_file, terminal) as experiments:
        _tell(experiments.roll_back(name), terminal)


@contextmanager
def _opened(
    target: str, key_file: str | None, terminal: Terminal
) -> Iterator[Experiments | RemoteExperiments]:
    """The experiments of a folder, or of the service at an address."""
    from instep.serve.http import configure_logs
    from instep.serve.remote import RemoteExperiments

    configure_logs("warning")
    key = service_key(target, key_file)
    if key is not None:
        yield RemoteExperiments(target, key)
        return
    from instep.serve.app import open_app

    with terminal.progress() as progress, open_app(target, progress, create=False) as app:
        yield app.experiments


def _read_file(path: Path) -> Experiment:
    from instep.serve.http.experiments import read_definition

    try:
        text = path.read_text(encoding="utf-8")
        fields = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is neither TOML nor JSON (.json): {error}") from None
    return read_definition(fields)


def _tell(found: Report, terminal: Terminal) -> None:
    terminal.result(as_text(found), **msgspec.to_builtins(found))


def as_text(found: Report) -> str:
    """A report in a few lines, for people."""
    since = datetime.fromtimestamp(found.launched, UTC).strftime("%Y-%m-%d %H:%M")
    lines = [f"{found.name}: {found.kind}, {found.status.replace('_', ' ')}, launched {since} UTC"]
    if found.promoted:
        lines.append(f"{found.status.replace('_', ' ')}: {found.promoted}")
    if found.reason:
        lines.append(f"stopped: {found.reason}")
    if found.shares_doubted:
        lines.append(
            "Users do not come to the arms in the shares that were set: something is broken, trust nothing."
        )
    for arm in found.arms:
        lines.append(f"  {arm.name}: {arm.share:.2%} of users, {arm.users:,} users, {arm.slates:,} slates")
        lines += [f"    {_metric(metric, found.kind)}" for metric in arm.metrics]
        if found.kind == "interleave":
            lines.append(f"    won {arm.wins:,} slates")
    return "\n".join(lines)


def _metric(metric: MetricReport, kind: str) -> str:
    if metric.difference is None:
        return f"{metric.type}: {metric.rate:.4f}" if kind == "split" else f"{metric.type}: control"
    bounds = "no bounds yet"
    if metric.low is not None and metric.high is not None:
        bounds = f"{metric.low:+.4f} to {metric.high:+.4f}"
    rate = f"{metric.rate:.4f}, " if kind == "split" else ""
    return f"{metric.type}: {rate}{metric.difference:+.4f} ({bounds}): {metric.verdict}"
