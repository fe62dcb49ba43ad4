"""One agent, one world: what its slates were worth, and what was given up against who knows the truth."""

from __future__ import annotations

import msgspec
import numpy as np

from instep.evaluate.simulate.agents import Agent, Oracle
from instep.evaluate.simulate.world import F64, I64, Plan, World


class Played(msgspec.Struct, frozen=True):
    """What came of a game.

    Args:
        name: the agent's.
        expected: float64 (steps,), true worth of each slate: expected clicks and twice the expected purchases.
        reward: float64 (steps,), clicks and twice the purchases, as they happened; a purchase counts when it is made.
        slates: int64 (steps, k), -1 where a slate was shorter.
    """

    name: str
    expected: F64
    reward: F64
    slates: I64


def play(agent: Agent, world: World) -> Played:
    """Let an agent show all slates of a world.

    >>> from instep.evaluate.simulate import Plan, Random
    >>> play(Random(seed=1), World(Plan(users=5, items=30, steps=20), seed=1)).slates.shape
    (20, 10)
    """
    steps, k = world.plan.steps, world.plan.slate
    expected, reward = np.zeros(steps), np.zeros(steps)
    slates = np.full((steps, k), -1, np.int64)
    for step in range(steps):
        visit = world.visit()
        slate = agent.show(visit, k)
        outcome = world.show(slate)
        agent.learn(visit, slate, outcome)
        expected[step] = outcome.expected
        reward[step] = len(outcome.acts) + 2.0 * len(visit.late)
        slates[step, : len(slate)] = slate
    return Played(agent.name, expected, reward, slates)


def regret(played: Played, plan: Plan, seed: int) -> F64:
    """What was given up up to each visit, against who knows the truth and shows the best there is to the same visitors.

    Args:
        played: the game.
        plan, seed: of its world.

    Returns:
        float64 (steps,), cumulative.
    """
    world = World(plan, seed)
    return np.cumsum(play(Oracle(world), world).expected - played.expected)
