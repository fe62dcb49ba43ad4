"""``instep export``."""

from __future__ import annotations

from pathlib import Path

import click

from instep.serve.cli import folder_argument, with_terminal
from instep.serve.terminal import Terminal

PARTS = ("items", "users", "events", "log")


@click.command()
@folder_argument
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--what",
    "parts",
    multiple=True,
    type=click.Choice(PARTS),
    default=("items", "users", "events"),
    show_default=True,
    help="What to write; log is every record of every kind. Can be given several times.",
)
@click.option(
    "--format", "layout", type=click.Choice(("jsonl", "csv", "parquet")), default="jsonl", show_default=True
)
@with_terminal
def command(folder: str, target: Path, parts: tuple[str, ...], layout: str, terminal: Terminal) -> None:
    """Write FOLDER's data into the folder TARGET: items.jsonl, users.jsonl, events.jsonl.

    `--what log` writes log.jsonl; imported into an empty folder it gives an identical log.

    \b
    Example:
      instep export shop.instep backup/ --what log --format parquet
    """
    from instep.serve.app import open_app
    from instep.serve.http import configure_logs

    configure_logs("warning")
    with terminal.progress() as report, open_app(folder, report, create=False) as app:
        written = {
            str(file): app.export(file, part, report)
            for part in parts
            for file in [target / f"{part}.{layout}"]
        }
    text = "\n".join(f"{rows:,} rows in {file}" for file, rows in written.items())
    terminal.result(text, files=written)
