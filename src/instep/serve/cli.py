"""The command line: ``instep COMMAND``. Each command is a module of `serve/commands/`, loaded when called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from instep.domain import InstepError
from instep.serve.terminal import Terminal

COMMANDS = {
    "demo": "instep.serve.commands.demo",
    "serve": "instep.serve.commands.serve",
    "import": "instep.serve.commands.load",
    "export": "instep.serve.commands.export",
    "erase": "instep.serve.commands.erase",
    "verify": "instep.serve.commands.verify",
    "replay": "instep.serve.commands.replay",
    "probe": "instep.serve.commands.probe",
    "keys": "instep.serve.commands.keys",
    "version": "instep.serve.commands.version",
}
"""Name -> module; the module has a click command named `command`."""

SUMMARIES = {
    "demo": "Load MovieLens, learn from every rating, open the live page.",
    "serve": "Serve a folder over HTTP.",
    "import": "Read items, users and events from files.",
    "export": "Write items, users, events or the whole log to files.",
    "erase": "Erase a user and print the certificate.",
    "verify": "Replay the log and compare the model's state.",
    "replay": "Test, then learn: how good would the recommendations have been?",
    "probe": "Say what this machine has: packages, models, disk, ports.",
    "keys": "Add, list and revoke API keys.",
    "version": "Say the version.",
}

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
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES.get(name, "")) for name in COMMANDS])

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


folder_argument = click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False))
