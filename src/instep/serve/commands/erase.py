"""``instep erase``."""

from __future__ import annotations

import click
import msgspec

from instep.serve.cli import folder_argument, with_terminal
from instep.serve.terminal import Terminal


@click.command()
@folder_argument
@click.argument("user")
@click.option("--session", is_flag=True, help="USER is the id of an anonymous session.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_terminal
def command(folder: str, user: str, session: bool, yes: bool, terminal: Terminal) -> None:
    """Erase USER from FOLDER: every record, and everything that was learned from them.

    Prints the certificate: the hash of the state that a log gives in which the user never was. While a
    service has the folder open, use DELETE /v1/users/USER instead.

    \b
    Example:
      instep erase shop.instep u1 --yes
    """
    from instep.serve.app import open_app
    from instep.serve.http import configure_logs

    configure_logs("warning")
    if not yes and not terminal.json:
        click.confirm(f"Erase {user} from {folder}? This cannot be undone", abort=True, err=True)
    user_id = f"session:{user}" if session else user
    with terminal.progress() as report, open_app(folder, report, create=False) as app:
        certificate = msgspec.to_builtins(app.erase(user_id))
    text = "\n".join(f"{name}: {value}" for name, value in certificate.items())
    terminal.result(f"Erased.\n{text}", **certificate)
