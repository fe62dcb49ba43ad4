"""How much worse a candidate may be: what `[tune.gate]` of a folder's settings says to the gate."""

from __future__ import annotations

from typing import Final

import msgspec

from instep.domain import ConfigError


class Margins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By how much a candidate may be worse, and how much evidence is wanted.

    Args:
        overall: share of the live one's NDCG that may be lost over all events.
        part: the same in one slice, where it must also be beyond chance (95 %).
        earned: share of what the logged slates earned that the candidate may earn less.
        events: a replay or slice with fewer scored events cannot tell.
        slates: with fewer logged slates they cannot tell.
        attribute: of users, whose values are the groups to be fair to; "" for the activity of users and the
            popularity of items.
        window: seconds in which a slate's feedback counts for it.
    """

    overall: float = 0.01
    part: float = 0.05
    earned: float = 0.05
    events: int = 50
    slates: int = 200
    attribute: str = ""
    window: float = 86_400.0

    def __post_init__(self) -> None:
        for name in ("overall", "part", "earned"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"gate: {name}: must be in [0, 1), not {getattr(self, name)}")
        if self.events < 1 or self.slates < 1 or not self.window > 0.0:
            raise ConfigError("gate: events, slates and window must be above 0")


MARGINS: Final = Margins()
