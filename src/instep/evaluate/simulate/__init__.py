"""A seeded shop with known truth, to measure regret, recovery after drift and the cost of exploring.

`instep.evaluate.simulate.environment` has it as a Gymnasium environment (`pip install 'instep[simulate]'`).
"""

from instep.evaluate.simulate.agents import Agent, Instep, Oracle, Random
from instep.evaluate.simulate.play import Played, play, regret
from instep.evaluate.simulate.world import Act, Arrival, Outcome, Plan, Visit, World

__all__ = [
    "Act",
    "Agent",
    "Arrival",
    "Instep",
    "Oracle",
    "Outcome",
    "Plan",
    "Played",
    "Random",
    "Visit",
    "World",
    "play",
    "regret",
]
