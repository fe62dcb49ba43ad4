"""The world as a Gymnasium environment, so that anybody's agent can be compared: ``instep/Shop-v0``.

>>> import gymnasium
>>> from instep.evaluate.simulate import Plan
>>> shop = gymnasium.make("instep.evaluate.simulate.environment:instep/Shop-v0", plan=Plan(items=20, steps=3))
>>> observation, info = shop.reset(seed=1)
>>> len(info["arrivals"]), int(observation["available"].sum())
(20, 20)
>>> import numpy as np
>>> observation, reward, terminated, truncated, info = shop.step(np.flatnonzero(observation["available"])[:10])
>>> terminated, truncated, info["expected"] <= info["best"]
(False, False, True)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from instep.domain import ConfigError
from instep.evaluate.simulate.world import I64, START, Plan, Visit, World

try:
    import gymnasium
except ImportError as error:  # the base installation does without
    raise ConfigError("gymnasium is not installed; pip install 'instep[simulate]'") from error

NAME = "instep/Shop-v0"
Observation = dict[str, Any]


class Shop(gymnasium.Env[Observation, I64]):
    """A visit a step.

    Observation: ``user`` (who came), ``now`` (seconds since the start), ``available`` (1 for each item that can be
    shown). Action: as many different items as the slate has places, best first. Reward: clicks of this slate and twice
    the purchases that earlier ones led to since the last step. Info: ``arrivals`` (items with title and topic) and
    ``departures`` since the last visit, ``acts`` (clicks of the slate just shown, late purchases); after a step also
    ``expected`` and ``best``, the slate's true worth and the best slate's.

    Args:
        plan: what kind of world.
        render_mode: there is nothing to render.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, plan: Plan | None = None, render_mode: str | None = None) -> None:
        self.plan = plan or Plan()
        self.render_mode = render_mode
        self.world = World(self.plan, 0)
        size = self.world.size
        self.observation_space = gymnasium.spaces.Dict(
            {
                "user": gymnasium.spaces.Discrete(self.plan.users),
                "now": gymnasium.spaces.Box(0.0, np.inf, (), np.float64),
                "available": gymnasium.spaces.MultiBinary(size),
            }
        )
        self.action_space = gymnasium.spaces.MultiDiscrete(np.full(self.plan.slate, size))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A new world; the same seed gives the same one."""
        super().reset(seed=seed)
        chosen = int(self.np_random.integers(2**31)) if seed is None else seed
        self.world = World(self.plan, chosen)
        visit = self.world.visit()
        return _seen(visit), _told(visit)

    def step(self, action: I64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show a slate. Raises `InvalidRequest` when it holds an item twice or one that is not available."""
        outcome = self.world.show(action)
        visit = self.world.visit()
        reward = len(outcome.acts) + 2.0 * len(visit.late)
        info = _told(visit) | {"expected": outcome.expected, "best": outcome.best}
        info["acts"] = (*outcome.acts, *visit.late)
        return _seen(visit), reward, False, visit.number >= self.plan.steps, info


def _seen(visit: Visit) -> Observation:
    now = np.array(visit.now - START)
    return {"user": visit.user, "now": now, "available": visit.available.astype(np.int8)}


def _told(visit: Visit) -> dict[str, Any]:
    return {"arrivals": visit.arrivals, "departures": visit.departures, "acts": visit.late}


if NAME not in gymnasium.registry:
    gymnasium.register(NAME, entry_point=f"{__name__}:Shop")
