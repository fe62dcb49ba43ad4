"""A policy that was taught by logged slates: Plackett-Luce on the ranker's weights plus a learned table.

`instep reinforce FOLDER` learns the table (tune/reinforce.py); this reads it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from instep.domain import ConfigError
from instep.policy.budget import BUDGET
from instep.policy.sampled import PlackettLuce

TABLE = "reinforce.json"


class Taught(msgspec.Struct, frozen=True):
    """What was learned, and from what.

    Args:
        tilt: signal name to what is added to the ranker's weight.
        slates: how many logged slates it was learned from.
        gain: estimated reward a slate above the ranker's own Plackett-Luce, on slates it was not learned from.
        least: lower end of that estimate's interval (95 %, one-sided).
    """

    tilt: dict[str, float]
    slates: int
    gain: float
    least: float


class Reinforce(PlackettLuce):
    """At each place one of those that remain, by the softmax of the scores as the table corrects them.

    Args:
        table: the file that `instep reinforce` wrote; a relative name is looked up in the instep folder.
        temperature: divides the scores.
        budget: share of the best slate's expected reward that a slate may give up, by the corrected scores.

    Raises:
        ConfigError: there is no such table, or a number is out of range.

    Source: Chen et al. 2019, "Top-K Off-Policy Correction for a REINFORCE Recommender System".
    """

    name = "reinforce"

    def __init__(self, table: str = TABLE, temperature: float = 1.0, budget: float = BUDGET) -> None:
        super().__init__(temperature, budget)
        self.tilt = read_table(Path(table)).tilt


def read_table(path: Path) -> Taught:
    """Read what `instep reinforce` wrote.

    Raises:
        ConfigError: it is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Taught)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such table; `instep reinforce FOLDER` learns one") from None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); `instep reinforce FOLDER` learns it anew"
        ) from None
