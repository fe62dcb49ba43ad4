"""``instep rewards``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from instep.serve.cli import folder_argument, with_terminal
from instep.serve.folder import Folder
from instep.serve.terminal import Terminal

if TYPE_CHECKING:
    from instep.serve.accounts import SurfaceCurve


@click.group()
def command() -> None:
    """How an act became its number, how far down users look, what items earn a look (docs/rewards.md).

    They read the log of a folder that no service has open; `GET /v1/events/ID/reward` asks a running one.

    \b
    Example:
      instep rewards explain shop.instep order-1234
      instep rewards examination shop.instep
      instep rewards items shop.instep --n 10
    """


@command.command()
@folder_argument
@click.argument("event_id")
@with_terminal
def explain(folder: str, event_id: str, terminal: Terminal) -> None:
    """Step by step, how one event became its number, and which slate was credited with it.

    \b
    Example:
      instep rewards explain shop.instep order-1234
    """
    from instep.serve.accounts import explain_event

    place = _quiet(folder)
    with terminal.progress() as report:
        account = explain_event(place, event_id, report)
    steps = account.steps()
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    terminal.result(text, account=msgspec.to_builtins(account), steps=steps)


@command.command()
@folder_argument
@with_terminal
def examination(folder: str, terminal: Terminal) -> None:
    """How far down users look at the slates of each surface, as estimated from slates drawn at random.

    \b
    Example:
      instep rewards examination shop.instep
    """
    from instep.serve.accounts import curves, learned_rewards

    place = _quiet(folder)
    with terminal.progress() as report:
        found = curves(learned_rewards(place, report))
    text = "\n".join(_curve(each) for each in found) or "No slate has been shown yet."
    terminal.result(text, surfaces=msgspec.to_builtins(found))


@command.command()
@folder_argument
@click.option("--n", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option(
    "--least",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="LOOKS",
    help="Only items that were looked at so often.",
)
@with_terminal
def items(folder: str, n: int, least: float, terminal: Terminal) -> None:
    """What items earn a look, freed from the places they were shown at; best first.

    \b
    Example:
      instep rewards items shop.instep --n 10 --least 50
    """
    from instep.serve.accounts import best_items, learned_rewards

    place = _quiet(folder)
    with terminal.progress() as report:
        found = best_items(learned_rewards(place, report), n, least)
    lines = [f"{each.rate:8.3f}  {each.looked:10,.1f} looks  {each.item_id}" for each in found]
    terminal.result(
        "\n".join(lines) or "No impression has been judged yet.", items=msgspec.to_builtins(found)
    )


def _quiet(folder: str) -> Folder:
    from instep.serve.http import configure_logs

    configure_logs("error")  # a snapshot newer than an event is no news here
    return Folder(folder, create=False)


def _curve(curve: SurfaceCurve) -> str:
    known = (
        f"from {curve.judged:,} slates"
        if curve.judged
        else "the usual one: no slate drawn at random is judged yet"
    )
    lines = [f"{curve.surface} ({known})", "  place  examination  trust"]
    pairs = zip(curve.examination, curve.trust, strict=True)
    return "\n".join(
        [*lines, *(f"  {place:5}  {seen:11.3f}  {own:+.3f}" for place, (seen, own) in enumerate(pairs, 1))]
    )
