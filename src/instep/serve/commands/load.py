"""``instep import``."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
import msgspec

from instep.files import FORMATS, Kind, open_mapped
from instep.serve.cli import folder_argument, mapping_option, with_terminal
from instep.serve.terminal import Terminal


@click.command()
@folder_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "layout", type=click.Choice(FORMATS), default="auto", show_default=True)
@click.option(
    "--kind", type=click.Choice(get_args(Kind)), help="What a single file holds.  [default: by its columns]"
)
@mapping_option
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where refused rows go.  [default: beside]",
)
@with_terminal
def command(
    folder: str,
    files: tuple[Path, ...],
    layout: str,
    kind: Kind | None,
    mapping: dict[str, str],
    rejects: Path | None,
    terminal: Terminal,
) -> None:
    """Read items, users and events from FILES into FOLDER, which is made if it is missing.

    CSV, JSON lines and Parquet with the columns of docs/files.md, MovieLens folders, UCI Online Retail.
    Importing a file again adds nothing twice, so an import that was interrupted is simply run again. Bad
    rows are kept in a rejects file; the exit status is 1 when there were any.

    \b
    Examples:
      instep import shop.instep purchases.csv --map item_id=StockCode --map user_id=CustomerID
      instep import films.instep ml-latest-small/
    """
    from instep.serve.app import open_app
    from instep.serve.http import configure_logs

    configure_logs("warning")
    if rejects is not None and len(files) > 1:
        raise click.UsageError("--rejects goes with one file; import the files one by one")
    for file in files:  # a name mistyped, or one file of many, stops the import before anything is made
        open_mapped(file, layout, kind, mapping)
    with terminal.progress() as report, open_app(folder, report) as app:
        reports = {
            str(file): app.import_file(
                file, layout, kind=kind, rejects=rejects, report=report, mapping=mapping
            )
            for file in files
        }
        app.finish_encoding(report)
        if app.encoding_choice:
            terminal.say(app.encoding_choice)
        app.snapshot()
    text = "\n".join(f"{file} ({done.format})\n{done}" for file, done in reports.items())
    rejected = sum(done.rejected for done in reports.values())
    terminal.result(
        text, rejected=rejected, files={name: msgspec.to_builtins(each) for name, each in reports.items()}
    )
    if rejected:
        raise SystemExit(1)
