"""``instep evaluate``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from instep.domain import ConfigError
from instep.serve.cli import with_terminal
from instep.serve.config import Config, load_config
from instep.serve.folder import SUFFIX, Folder
from instep.serve.terminal import Report, Terminal


def _seconds(ctx: click.Context, param: click.Parameter, given: str | None) -> float | None:
    from instep.files.values import BadValue, timestamp

    try:
        return None if given is None else timestamp(given, "")
    except BadValue:
        raise click.BadParameter(
            f"{given}: give 2024-05-01, 2024-05-01T10:00:00Z or seconds since 1970"
        ) from None


@click.command()
@click.argument("log", metavar="LOG", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--policy",
    required=True,
    metavar="CANDIDATE",
    help="What is judged: a TOML file of settings that differ, or a policy's name.",
)
@click.option("--since", callback=_seconds, metavar="TIME", help="Only impressions from then on.")
@click.option("--until", callback=_seconds, metavar="TIME", help="Only impressions before then.")
@click.option(
    "--window",
    type=click.FloatRange(0, min_open=True),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="How long after a slate feedback counts for it.",
)
@click.option("--surface", help="Only impressions of this surface.")
@click.option("--type", "types", multiple=True, help="Only feedback of this type.  [default: all that earns]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the resampling.")
@with_terminal
def command(terminal: Terminal, log: Path, policy: str, seed: int, **given: Any) -> None:
    """What would another policy or configuration have earned? Estimated from LOG alone.

    LOG is a folder, whose log is replayed through the candidate's settings, or a campaign in the layout of the
    Open Bandit Dataset, where CANDIDATE is another campaign's log, a CSV of probabilities, or `uniform`.
    docs/evaluate.md explains the numbers, and when not to trust them. Exit status 1 when nothing can be estimated.

    \b
    Examples:
      instep evaluate shop.instep --policy candidate.toml --since 2024-05-01
      instep evaluate shop.instep --policy greedy --type purchase --window 168
      instep evaluate random/men --policy bts/men
    """
    from instep.evaluate.offpolicy import as_fields, as_text, judge

    with terminal.progress() as report:
        logged = (
            _folder(log, policy, given, report)
            if log.suffix == SUFFIX
            else _choices(log, policy, given, report)
        )
        verdict = judge(logged, seed)
    terminal.result(as_text(verdict), log=str(log), policy=policy, **as_fields(verdict))


def _folder(path: Path, policy: str, given: dict[str, Any], report: Report) -> Any:
    """What both configurations think of a folder's impressions."""
    from instep.evaluate.offpolicy import Selection, replay_slates
    from instep.log import open_log
    from instep.serve.http import configure_logs
    from instep.serve.settings import flow_settings
    from instep.serve.verifying import log_file

    configure_logs("warning")
    place = Folder(path, create=False)
    config = load_config(place.path)
    candidate = candidate_config(place.path, policy)
    log_file(place, config)  # else it would be made
    selection = Selection(
        -float("inf") if given["since"] is None else given["since"],
        float("inf") if given["until"] is None else given["until"],
        given["window"] * 3600.0,
        given["surface"],
        frozenset(given["types"]) or None,
    )
    log = open_log(place.log_url(config))
    try:
        told = lambda work, done, whole: report(work, done, whole, "records")  # noqa: E731
        return replay_slates(log, flow_settings(config), flow_settings(candidate), selection, told)
    finally:
        log.close()


def candidate_config(folder: Path, policy: str) -> Config:
    """The folder's settings with the candidate's in their place.

    Args:
        folder: whose settings hold where the candidate's file says nothing.
        policy: a TOML file in the form of instep.toml, or the name of a policy.

    Returns:
        The settings that the candidate would serve with.

    Raises:
        ConfigError: there is no such file, or a setting in it is wrong; names it.
    """
    path = Path(policy)
    if not path.suffix and not path.exists():
        return load_config(folder, {"recommend": {"policy": policy}})
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"is not valid TOML: {error}"
        raise ConfigError(f"{path}: {why}") from None
    if "log" in table:
        raise ConfigError(
            f"{path}: log: a candidate is judged by the folder's own log; leave this section out"
        )
    try:
        return load_config(folder, table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {str(error).removeprefix('argument: ')}") from None


def _choices(path: Path, policy: str, given: dict[str, Any], report: Report) -> Any:
    """What a candidate thinks of a campaign's impressions."""
    from instep.evaluate.offpolicy.open_bandit import candidate_table, judged_choices, read_choices

    unused = [name for name in ("since", "until", "surface") if given[name] is not None]
    if unused or given["types"]:
        name = (unused or ["type"])[0]
        raise click.UsageError(f"--{name}: is for a folder; {path} is read whole")
    choices = read_choices(path, lambda rows: report("Reading", rows, None, "rows"))
    return judged_choices(choices, candidate_table(choices, policy))
