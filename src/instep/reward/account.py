"""How one act became its number, step by step."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec


class Credit(msgspec.Struct, frozen=True):
    """The slate that an act was credited to.

    Args:
        joined_by: ``slate id``, or ``user and item``.
        shown_at: when the slate was shown, seconds since the epoch.
        place: 0-based place of the item in it, as the log has it.
        age: seconds from the slate to the act.
        window: seconds within which an act of this type is credited.
        examination: share of the item's worth that gets through at this place, the first being 1.
        trust: acts an impression that the place alone earns.
        slate_return: what the slate and the later ones of its session have earned by now, discounted.
        earlier: what the slates before it in the session got of the reward, newest first.
    """

    joined_by: str
    shown_at: float
    place: int
    age: float
    window: float
    examination: float
    trust: float
    slate_return: float
    earlier: tuple[float, ...] = ()


class Account(msgspec.Struct):
    """What was made of one act.

    Args:
        event_id: the act's.
        user_id: who acted.
        item_id: on what.
        type: what kind of act.
        value: its amount, where it has one.
        timestamp: when, seconds since the epoch.
        weight: of the type, from the rewards table.
        usual: what its amount was judged against: stars, or log seconds; None for other types.
        reward: how good the act says the item was.
        repeats: when the same act was done before in the same session; None when it was not.
        replaces: type of the earlier act that this one takes back; "" for none.
        taken_back: that act's reward.
        counted: what the item's mean reward got: the reward, or 0 for a repeated act.
        chosen: whether the ranker learned a choice from it.
        credit: the slate it was credited to; None for none.
        uncredited: why to none.
    """

    event_id: str
    user_id: str
    item_id: str
    type: str
    value: float | None
    timestamp: float
    weight: float
    usual: float | None
    reward: float
    repeats: float | None = None
    replaces: str = ""
    taken_back: float = 0.0
    counted: float = 0.0
    chosen: bool = False
    credit: Credit | None = None
    uncredited: str = ""

    def steps(self) -> list[str]:
        """The account as sentences.

        >>> account = Account("e1", "ann", "tea", "like", None, 1e9, 2.0, None, 2.0, counted=2.0)
        >>> for step in account.steps():
        ...     print(step)
        A like by ann on tea at 2001-09-09 01:46:40 UTC.
        The rewards table says 2 for a like. Reward: 2.
        The item's mean reward gets 2.
        No choice was learned from it.
        It was credited to no slate.
        """
        return [
            f"A {self.type} by {self.user_id} on {self.item_id} at {_moment(self.timestamp)}.",
            f"{self._judged()} Reward: {self.reward:g}.",
            self._counted(),
            "The ranker learned the choice." if self.chosen else "No choice was learned from it.",
            *self._credited(),
        ]

    def _judged(self) -> str:
        if self.usual is None or self.value is None:
            return f"The rewards table says {self.weight:g} for a {self.type}."
        if self.type == "dwell":
            seconds = math.expm1(self.usual)
            return (
                f"{self.value:g} s, where {seconds:.3g} s is usual for this user and item: the log of the ratio, "
                f"at most 2 either way, times {self.weight:g}."
            )
        usual = f"{self.value:g} stars, where {self.usual:.3g} is usual for this user"
        return f"{usual}: the difference times {self.weight:g}."

    def _counted(self) -> str:
        if self.repeats is not None:
            return f"The same act was done at {_moment(self.repeats)}, in the same session: it does not count again."
        taken = ""
        if self.replaces:
            taken = f" The user's earlier {self.replaces} is taken back: {-self.taken_back:+g}."
        return f"The item's mean reward gets {self.counted:g}.{taken}"

    def _credited(self) -> list[str]:
        credit = self.credit
        if credit is None:
            return [f"It was credited to no slate{': ' + self.uncredited if self.uncredited else ''}."]
        lines = [
            f"Credited to the slate shown at {_moment(credit.shown_at)}, place {credit.place + 1}, by "
            f"{credit.joined_by}: {credit.age:,.0f} s later, within the window of {credit.window:,.0f} s.",
            f"At this place {credit.examination:.3f} of what the first place would get is seen"
            + (f", and {credit.trust:+.3f} acts come of the place alone." if credit.trust else "."),
            f"The slate's return is {credit.slate_return:g} by now.",
        ]
        if credit.earlier:
            shares = ", ".join(f"{share:g}" for share in credit.earlier)
            lines.append(f"Earlier slates of the session share in it, discounted: {shares}.")
        return lines


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
