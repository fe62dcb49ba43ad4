"""``instep replay``: test, then learn."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click

from instep.domain import ConfigError, ItemVector
from instep.evaluate import (
    BASELINES,
    Notes,
    Options,
    Outcome,
    Selection,
    Stream,
    System,
    read_stream,
    replay,
    summarise,
)
from instep.evaluate.freshness import Curves, freshness
from instep.evaluate.instep import Instep
from instep.evaluate.read import positive_filter
from instep.evaluate.replay import check
from instep.evaluate.report import Extras, write_report
from instep.evaluate.systems import ALL, INSTEP, SYSTEMS, make_system, system_names
from instep.evaluate.vectors import item_vectors
from instep.serve.cli import mapping_option, with_terminal
from instep.serve.terminal import Report, Terminal
from instep.serve.warming import compile_loops

F = TypeVar("F", bound=Callable[..., Any])


def _names(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys((INSTEP, *system_names(value))))
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def _positive(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        positive_filter(value)
    except ConfigError as error:
        raise click.UsageError(str(error), ctx) from None
    return value


def _options(function: F) -> F:
    """The options of the protocol, in the order of docs/replay.md."""
    for option in reversed(
        (
            click.option("--items", type=_FILE, help="The catalogue: ids, titles, categories ..."),
            mapping_option,
            click.option(
                "--positive",
                default="",
                metavar="EXPR",
                callback=_positive,
                help="Which events count: 'value >= 4'.",
            ),
            click.option("--repeat", is_flag=True, help="Consumed items are candidates, too."),
            click.option(
                "--k", type=click.IntRange(1, 1000), default=10, show_default=True, help="Slate length."
            ),
            click.option(
                "--warmup",
                type=click.FloatRange(0, 1, max_open=True),
                default=0.1,
                show_default=True,
                help="Share of events that is learned and not scored.",
            ),
            click.option(
                "--ties",
                type=click.Choice(["group", "file"]),
                default="group",
                show_default=True,
                help="Events of one user at one time: scored whole, or one by one in file order.",
            ),
            click.option("--delay", type=_COUNT, default=0, help="All learning is so many events late."),
            click.option("--delay-items", type=_COUNT, default=0, help="Only what others see is late."),
            click.option(
                "--limit",
                type=_COUNT,
                default=0,
                show_default="0, all",
                help="Only the first so many events.",
            ),
            click.option("--seed", type=int, default=0, show_default=True, help="Of ties and of all chance."),
            click.option(
                "--with",
                "names",
                default="",
                metavar="NAME,...",
                callback=_names,
                help=f"More systems: {ALL}, {', '.join(SYSTEMS[1:])}.",
            ),
            click.option(
                "--report", type=click.Path(file_okay=False, path_type=Path), help="Write a page with plots."
            ),
        )
    ):
        function = option(function)
    return function


_FILE = click.Path(exists=True, path_type=Path)
_COUNT = click.IntRange(0)


@click.command()
@click.argument("events", type=_FILE)
@_options
@with_terminal
def command(
    terminal: Terminal, events: Path, names: tuple[str, ...], report: Path | None, **given: Any
) -> None:
    """Test, then learn: how good would the recommendations have been on EVENTS?

    Every event is first a question (is its item among the k best for its user now?), then a lesson. The
    system under test is the one that `instep serve` runs. docs/replay.md tells the protocol.

    \b
    Example:
      instep replay ratings.csv --items films.csv --with transitions,bpr --report out/
    """
    selection = Selection(**{field.name: given.pop(field.name) for field in fields(Selection)})
    options = Options(**given)
    if options.delay and options.delay_items:
        raise click.UsageError("give --delay or --delay-items, not both")
    stream = _stream(events, selection, terminal)
    _check(names, stream, selection.seed, options)
    compile_loops(terminal.say)
    with terminal.progress() as progress:
        vectors = item_vectors(stream, cache=_cache(), progress=partial(_texts, progress))
        outcomes, weights = _replays(stream, vectors, selection.seed, options, names, progress)
        curves = _freshness(stream, vectors, selection.seed, options, progress) if report else {}
    entries = [summarise(stream, outcome) for outcome in outcomes]
    result = {
        "dataset": stream.name,
        "events": len(stream),
        "scored": len(outcomes[0].rank),
        "users": len(set(stream.user.tolist())),
        "items": len(stream.items),
        "systems": entries,
        "seed": selection.seed,
        "version": version("instep"),
    }
    if report is not None:
        page = write_report(report, stream, outcomes, result, Extras(curves, weights))
        terminal.say(f"report: {page}")
    terminal.result(_table(result, options.k), **result)


def _stream(events: Path, selection: Selection, terminal: Terminal) -> Stream:
    """Read the events, and say what was left out."""
    notes = Notes()
    stream = read_stream(events, selection, notes)
    for line in notes.lines:
        terminal.say(line)
    if notes.rejected:
        terminal.say(f"{notes.rejected:,} rows could not be read")
    return stream


def _check(names: Sequence[str], stream: Stream, seed: int, options: Options) -> None:
    """Refuse options that a system cannot be replayed with, before any work."""
    try:
        for name in BASELINES.keys() & set(names):
            check(make_system(name, stream, seed), options)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def _replays(
    stream: Stream,
    vectors: Sequence[ItemVector],
    seed: int,
    options: Options,
    names: tuple[str, ...],
    progress: Report,
) -> tuple[list[Outcome], Curves]:
    """Replay every system over the stream, one after the other; note how the ranker's weights move."""
    outcomes: list[Outcome] = []
    weights: dict[str, list[tuple[int, float]]] = {}
    for name in names:
        system = make_system(name, stream, seed, vectors, options.repeat)

        def told(done: int, name: str = name, system: System = system) -> None:
            progress(name, done, len(stream), "events")
            if name == INSTEP and isinstance(system, Instep):
                for signal, weight in system.weights().items():
                    weights.setdefault(signal, []).append((done, weight))

        outcomes.append(replay(stream, system, options, told))
        told(len(stream))
    return outcomes, weights


def _freshness(
    stream: Stream, vectors: Sequence[ItemVector], seed: int, options: Options, progress: Report
) -> Curves:
    return freshness(
        stream,
        lambda: make_system(INSTEP, stream, seed, vectors, options.repeat),
        options,
        progress=lambda done, whole: progress("freshness", done, whole, "events"),
    )


def _texts(progress: Report, done: int, whole: int) -> None:
    progress("texts", done, whole, "texts")


def _cache() -> Path:
    """Where vectors are kept between replays."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "instep" / "vectors.sqlite"


def _table(result: dict[str, Any], k: int) -> str:
    """The systems side by side, for people."""
    head = (
        f"{result['dataset']}: {result['events']:,} events, {result['scored']:,} scored, "
        f"{result['users']:,} users, {result['items']:,} items"
    )
    columns = ["", f"HR@{k}", f"NDCG@{k}", f"MRR@{k}", "coverage", "gini", "ild", "cold items", "cold users"]
    columns += ["ask p50 µs", "learn p50 µs", "events/s"]
    rows = [columns] + [_row(entry) for entry in result["systems"]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([head, *lines])


def _row(entry: dict[str, Any]) -> list[str]:
    def shown(value: float | None, form: str = ".4f") -> str:
        return "-" if value is None else format(value, form)

    return [
        entry["name"],
        *(shown(entry[name]) for name in ("hr", "ndcg", "mrr")),
        *(shown(entry[name], ".3f") for name in ("coverage", "gini", "ild")),
        *(shown(entry[name]["hr"]) for name in ("cold_items", "cold_users")),
        *(shown(entry[name]["p50"], ",.0f") for name in ("recommend_us", "observe_us")),
        shown(entry["events_per_s"], ",.0f"),
    ]
