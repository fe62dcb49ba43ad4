"""``instep reinforce``: teach the policy of that name by the log's slates."""

from __future__ import annotations

import click
import msgspec

from instep.domain import ConfigError
from instep.policy.reinforce import TABLE
from instep.serve.app import open_app
from instep.serve.cli import folder_argument, with_terminal
from instep.serve.terminal import Terminal
from instep.tune import collect, teach


@click.command()
@folder_argument
@click.option(
    "--slates", type=click.IntRange(50), default=10_000, show_default=True, help="The newest so many."
)
@click.option("--anyway", is_flag=True, help="Write the table even if nothing shows that it is better.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of lessons.")
@with_terminal
def command(terminal: Terminal, folder: str, slates: int, anyway: bool, seed: int) -> None:
    """Learn from FOLDER's logged slates what the policy `reinforce` adds to the ranker.

    The table is written only if it is better than the ranker on slates that it was not learned from, by the lower
    end of the estimate. Switch it on with `policy = "reinforce"`; docs/policies.md tells how.

    \b
    Example:
      instep reinforce shop.instep
    """
    # The folder may name the policy already, before there is a table.
    with open_app(folder, create=False, recommend={"policy": "greedy", "parameters": {}}, surfaces={}) as app:
        with terminal.progress() as progress:
            end = app.flow.log.end
            lessons = collect(
                app.flow.log, app.flow, slates, lambda at: progress("Replaying the log", at, end, "records")
            )
            taught = teach(lessons, seed)
        path = app.folder.path / TABLE
        if taught.least <= 0.0 and not anyway:
            raise ConfigError(
                f"nothing is written: on the newest slates the gain is {taught.gain:+.4f} a slate, but it could "
                f"be as low as {taught.least:+.4f}; log more slates, or take it with --anyway"
            )
        path.write_bytes(msgspec.json.format(msgspec.json.encode(taught)) + b"\n")
    strongest = sorted(taught.tilt.items(), key=lambda each: -abs(each[1]))[:5]
    rows = [
        f"learned from {taught.slates:,} slates; estimated gain {taught.gain:+.4f} reward a slate, "
        f"at least {taught.least:+.4f}"
    ]
    rows += [f"  {name:<22}{value:+.3f}" for name, value in strongest]
    rows.append(f'written to {path}; `policy = "reinforce"` uses it')
    terminal.result("\n".join(rows), table=str(path), **msgspec.to_builtins(taught))
