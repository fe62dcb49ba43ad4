"""The command line: ``instep COMMAND``. Each command is a module of `serve/commands/`, loaded when called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from instep.domain import ConfigError, InstepError
from instep.serve.terminal import Terminal

COMMANDS = {
    "demo": ("demo", "Load MovieLens, learn from every rating, open the live page."),
    "serve": ("serve", "Serve a folder over HTTP."),
    "import": ("load", "Read items, users and events from files."),
    "export": ("export", "Write items, users, events or the whole log to files."),
    "erase": ("erase", "Erase a user and print the certificate."),
    "verify": ("verify", "Replay the log and compare the model's state."),
    "replay": ("replay", "Test, then learn: how good would the recommendations have been?"),
    "evaluate": ("evaluate", "What would another policy have earned? Estimated from the log alone."),
    "rewards": ("rewards", "How an act became its number, and how far down users look."),
    "experiment": ("experiment", "Compare policies and plugins on live traffic."),
    "reinforce": ("reinforce", "Teach a policy by the slates of the log."),
    "tune": ("tune", "Tune the language model on the log: a new version, judged before it serves."),
    "models": ("models", "Versions of the language model: which serves, and what the gate said."),
    "label": ("label", "Which items a person should label; categories that the text is sure of."),
    "simulate": ("simulate", "Let policies play in a shop whose truth is known."),
    "probe": ("probe", "Say what this machine has: packages, models, disk, ports."),
    "keys": ("keys", "Add, list and revoke API keys."),
    "version": ("version", "Say the version."),
}
"""Name -> module of `serve/commands/` with a click command `command`, and the line of `instep --help`."""

F = TypeVar("F", bound=Callable[..., Any])


class Commands(click.Group):
    """A group whose commands are imported when they are needed: `instep version` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the story."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"instep.serve.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error made on purpose becomes one line and exit status 1."""
        try:
            return super().invoke(ctx)
        except InstepError as error:
            terminal = ctx.obj if isinstance(ctx.obj, Terminal) else Terminal()
            terminal.fail(str(error))
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Instep: a recommender in step with its users.

    \b
    instep demo                                  see it work, on MovieLens
    instep import shop.instep purchases.csv      read your own events
    instep serve shop.instep                     serve them, with a live page
    """


def with_terminal(function: F) -> F:
    """Give a command the option --json and, as first argument, the terminal to speak through."""

    def receive(ctx: click.Context, param: click.Parameter, value: bool) -> Terminal:
        ctx.find_root().obj = terminal = Terminal(json=value)
        return terminal

    option = click.option(
        "--json", "terminal", is_flag=True, callback=receive, help="Print one JSON object, for machines."
    )
    return option(function)


def _mapping(ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise click.BadParameter(f"{pair}: the form is our_column=TheirColumn, as in item_id=StockCode")
        mapping[ours] = theirs
    return mapping


folder_argument = click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False))
mapping_option = click.option(
    "--map",
    "mapping",
    multiple=True,
    callback=_mapping,
    metavar="OURS=THEIRS",
    help="A column's name in the file.",
)


def with_target(function: F) -> F:
    """Give a command the argument TARGET, a folder or a service's address, and the option --key-file."""
    key = click.option(
        "--key-file",
        type=click.Path(dir_okay=False, exists=True),
        help="A file with an API key of scope admin, where the service wants one.",
    )
    return click.argument("target")(key(function))


def service_key(target: str, key_file: str | None) -> str | None:
    """The key for a TARGET that is a service's address, "" for none; None when TARGET is a folder.

    Raises:
        ConfigError: a key is given for a folder.
    """
    if target.startswith(("http://", "https://")):
        return Path(key_file).read_text(encoding="utf-8").strip() if key_file else ""
    if key_file is not None:
        raise ConfigError("--key-file: a folder needs no key; leave it out, or give the address of a service")
    return None
