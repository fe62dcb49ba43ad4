"""``instep serve``."""

from __future__ import annotations

import logging
from typing import Any

import click

from instep.serve.cli import folder_argument, with_terminal
from instep.serve.terminal import Terminal


@click.command()
@folder_argument
@click.option("--host", help="Address to bind.  [default: serve.host of the settings, 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to bind; 0 lets the system choose.")
@click.option("--log-level", type=click.Choice(("debug", "info", "warning", "error")), default="info")
@click.option("--exit-when-ready", is_flag=True, help="Stop once it answers, for scripts.")
@with_terminal
def command(
    folder: str,
    host: str | None,
    port: int | None,
    log_level: Any,
    exit_when_ready: bool,
    terminal: Terminal,
) -> None:
    """Serve FOLDER over HTTP, with the live page at /, until Ctrl-C. The folder is made if it is missing.

    \b
    Example:
      instep serve shop.instep --port 9000
    """
    from instep.serve.app import open_app
    from instep.serve.http import configure_logs
    from instep.serve.running import serve_app

    configure_logs(log_level, json=True if terminal.json else None)
    logging.getLogger("instep").setLevel(log_level.upper())
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    with terminal.progress() as report:
        app = open_app(folder, report, serve=given)
    with app:
        serve_app(app, terminal, exit_when_ready=exit_when_ready)
