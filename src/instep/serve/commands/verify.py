"""``instep verify``."""

from __future__ import annotations

import click

from instep.serve.cli import folder_argument, with_terminal
from instep.serve.folder import Folder
from instep.serve.terminal import Terminal


@click.command()
@folder_argument
@click.option("--repair", "repairing", is_flag=True, help="Save what can be saved of a damaged log first.")
@with_terminal
def command(folder: str, repairing: bool, terminal: Terminal) -> None:
    """Check the log's checksums, replay it, and compare the state with the one from each snapshot.

    Exit status 0 when all states are identical to the bit, 1 otherwise.

    \b
    Examples:
      instep verify shop.instep
      instep verify shop.instep --repair
    """
    from instep.serve.http import configure_logs
    from instep.serve.verifying import repair_folder, verify_folder

    configure_logs("warning")
    place = Folder(folder, create=False)
    repaired = repair_folder(place) if repairing else None
    if repaired is not None:
        terminal.say(repaired)
    with terminal.progress() as report:
        verdict = verify_folder(place, report)
    terminal.result(
        str(verdict),
        sound=verdict.sound,
        records=verdict.records,
        state_hash=verdict.state_hash,
        snapshots=verdict.snapshots,
        problems=verdict.problems,
        repair=repaired,
    )
    if not verdict.sound:
        raise SystemExit(1)
