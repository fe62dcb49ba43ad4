"""``instep keys``: who may use the HTTP service."""

from __future__ import annotations

import click

from instep.domain import ConfigError
from instep.serve.cli import folder_argument, with_terminal
from instep.serve.folder import Folder
from instep.serve.http.keys import SCOPES, Scope, make_key
from instep.serve.terminal import Terminal


@click.group()
def command() -> None:
    """Add, list and revoke API keys. A running service reads them when it starts.

    \b
    Example:
      instep keys add shop.instep website --scope read --scope write
      instep keys list shop.instep
      instep keys revoke shop.instep website
    """


@command.command()
@folder_argument
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("read", "write"),
    show_default=True,
    help="What the key may do; admin includes the others. Can be given several times.",
)
@with_terminal
def add(folder: str, name: str, scopes: tuple[Scope, ...], terminal: Terminal) -> None:
    """Make a key and print it, once: only its hash is kept.

    \b
    Example:
      instep keys add shop.instep website --scope read
    """
    place = Folder(folder)
    keys = place.keys()
    if not name or len(name) > 100 or not name.isprintable():
        raise ConfigError("a key's name has 1 to 100 printable characters")
    if any(key.name == name for key in keys):
        raise ConfigError(f"there is a key named {name} already; revoke it first, or choose another name")
    text, key = make_key(name, scopes)
    place.save_keys((*keys, key))
    terminal.say(f"Key {name} may {', '.join(sorted(scopes))}. It is shown this once; only its hash is kept.")
    terminal.result(text, name=name, scopes=sorted(scopes), key=text)


@command.command("list")
@folder_argument
@with_terminal
def list_keys(folder: str, terminal: Terminal) -> None:
    """List the keys' names and scopes.

    \b
    Example:
      instep keys list shop.instep
    """
    keys = Folder(folder, create=False).keys()
    text = "\n".join(f"{key.name}\t{', '.join(sorted(key.scopes))}" for key in keys) or "There are no keys."
    terminal.result(text, keys=[{"name": key.name, "scopes": sorted(key.scopes)} for key in keys])


@command.command()
@folder_argument
@click.argument("name")
@with_terminal
def revoke(folder: str, name: str, terminal: Terminal) -> None:
    """Take a key out; the service refuses it from its next start on.

    \b
    Example:
      instep keys revoke shop.instep website
    """
    place = Folder(folder, create=False)
    keys = place.keys()
    kept = tuple(key for key in keys if key.name != name)
    if len(kept) == len(keys):
        raise ConfigError(
            f"no key is named {name}; there are {', '.join(key.name for key in keys) or 'none'}"
        )
    place.save_keys(kept)
    terminal.result(f"Key {name} is revoked.", name=name, revoked=True)
