"""``instep version``."""

from __future__ import annotations

import platform

import click

import instep
from instep.serve.cli import with_terminal
from instep.serve.terminal import Terminal


@click.command()
@with_terminal
def command(terminal: Terminal) -> None:
    """Say the version.

    \b
    Example:
      instep version --json
    """
    python = platform.python_version()
    terminal.result(
        f"instep {instep.__version__} (Python {python})", instep=instep.__version__, python=python
    )
