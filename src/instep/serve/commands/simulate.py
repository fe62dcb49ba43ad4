"""``instep simulate``: policies in a shop whose truth is known."""

from __future__ import annotations

from typing import Any

import click
import msgspec
import numpy as np

from instep.encode import Encoder, open_encoder
from instep.evaluate.simulate import Instep, Plan, Played, Random, World, play, regret
from instep.flow import Settings
from instep.policy import BUDGET, POLICIES
from instep.serve.cli import with_terminal
from instep.serve.terminal import Report, Terminal


@click.command()
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(sorted(POLICIES.keys() - {"reinforce"})),  # which needs a log first
    default=("greedy", "thompson"),
    show_default=True,
    help="Whose slates are shown; may be given several times.",
)
@click.option(
    "--budget", type=click.FloatRange(0, 1), default=BUDGET, show_default=True, help="For exploration."
)
@click.option("--drift/--no-drift", default=True, show_default=True, help="Whether tastes and items change.")
@click.option("--text/--no-text", default=False, show_default=True, help="Whether a model reads the titles.")
@click.option("--visits", type=click.IntRange(1), default=1500, show_default=True, help="Visits of users.")
@click.option("--items", type=click.IntRange(10), default=300, show_default=True, help="Items at any time.")
@click.option("--users", type=click.IntRange(1), default=150, show_default=True, help="Users that come back.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Worlds played.")
@with_terminal
def command(
    terminal: Terminal, policies: tuple[str, ...], budget: float, text: bool, seeds: int, **given: Any
) -> None:
    """Let policies play in a simulated shop whose truth is known.

    What is given up is measured against who knows the truth. docs/policies.md tells about the shop.

    \b
    Example:
      instep simulate --policy greedy --policy thompson --budget 0.1 --no-drift
    """
    plan = Plan(steps=given.pop("visits"), **given)
    encoder = open_encoder("english") if text else None
    names = ("random", *dict.fromkeys(policies))
    with terminal.progress() as progress:
        results = [_played(name, plan, seeds, budget, encoder, progress) for name in names]
    rows = [f"{'policy':<16}{'given up':>10}{'worth':>10}{'clicks, purchases':>20}"]
    for result in results:
        worth, reward = result["worth"], result["reward"]
        rows.append(f"{result['policy']:<16}{result['regret']:>10.0f}{worth:>10.0f}{reward:>20.0f}")
    terminal.result(
        "\n".join(rows), plan=msgspec.to_builtins(plan), budget=budget, seeds=seeds, policies=results
    )


def _played(
    name: str, plan: Plan, seeds: int, budget: float, encoder: Encoder | None, progress: Report
) -> dict[str, Any]:
    """Means over the seeds of what a policy gave up and earned."""
    games: list[tuple[float, Played]] = []
    settings = Settings(policy=name if name in POLICIES else "greedy", budget=budget)
    for seed in range(seeds):
        progress(name, seed, seeds, "worlds")
        agent = Random(seed) if name == "random" else Instep(settings, seed, encoder)
        played = play(agent, World(plan, seed))
        games.append((float(regret(played, plan, seed)[-1]), played))
        progress(name, seed + 1, seeds, "worlds")
    return {
        "policy": name,
        "regret": float(np.mean([given_up for given_up, _ in games])),
        "worth": float(np.mean([played.expected.sum() for _, played in games])),
        "reward": float(np.mean([played.reward.sum() for _, played in games])),
    }
