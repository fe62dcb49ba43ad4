"""Examples: impressions joined to the feedback they led to.

An act is joined by its slate id, else to the newest slate its user saw with the item, within the window of its type. A
slate earns each type of act once at each place. When a slate's window is over by the time that the records tell, it is
judged: what earned nothing was a refusal, as far as it was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from instep.domain import Feedback, Impression
from instep.learn.credit import (
    CHAIN,
    find_credit,
    find_slate,
    judge_due,
    newest_acts,
    share_reward,
    turn_place,
)
from instep.learn.histories import REWARD, TIME, TYPE
from instep.reward import Account, Attribution, Credit, replaced_types
from instep.state import PLACES, State
from instep.state.slates import NEXT, OLDEST, OPEN, grown, key_of
from instep.state.tables import F32, I32

EARLY: Final = 300.0
"""So many seconds a client's clock may be behind when it names the slate."""
LEAST_CHANCE: Final = 0.05
"""Propensities below this count as this much: one rare showing must not outweigh all others."""
LAST_BIT: Final = 62


class Choice(NamedTuple):
    """What an act was a choice among, as far as a slate says it.

    Args:
        items: int32 (m,), rows of the credited slate's items that had not been taken before; empty without a slate.
        looks: float32 (m,), how often each one's place is looked at, the first place's being 1.
    """

    items: I32
    looks: F32


UNKNOWN: Final = Choice(np.zeros(0, np.int32), np.zeros(0, np.float32))


class Examples:
    """Slates that are remembered, and who earned what.

    Args:
        state: its `slates`, `examination`, `items.earned` and `items.reward` are moved.
        attribution: the settings.
    """

    def __init__(self, state: State, attribution: Attribution) -> None:
        self.state = state
        self.attribution = attribution

    def show(self, record: Impression) -> None:
        """Remember a slate as shown."""
        state = self.state
        self.pass_time(record.timestamp)
        rows = [state.item_number.get(item_id, -1) for item_id in record.item_ids[:PLACES]]
        if not rows:
            return
        number = self._next_number()
        slates, row = state.slates, number % len(state.slates.key)
        key, user = key_of(record.event_id), self._key(record.user_id)
        slates.key[row], slates.user[row], slates.at[row] = key, user, record.timestamp
        slates.before[row] = state.newest_slate.get(user, -1)
        slates.surface[row] = state.surface_row(record.surface)
        slates.worth[row] = 0.0
        slates.items[row] = -1
        slates.items[row, : len(rows)] = rows
        slates.reward[row] = 0.0
        slates.acts[row] = 0
        slates.weight[row] = 0.0
        chances = record.propensities[: len(rows)]
        if chances and min(record.propensities) < 1.0:
            slates.weight[row, : len(chances)] = [1.0 / max(chance, LEAST_CHANCE) for chance in chances]
        slates.number[NEXT] = number + 1
        state.slate_number[key] = state.newest_slate[user] = number

    def pass_time(self, now: float) -> None:
        """A record has told the time: judge what is due."""
        slates = self.state.slates
        if now > slates.now[0]:
            slates.now[0] = now
        first = int(slates.number[OPEN])
        if first < slates.number[NEXT]:
            window = self.attribution.window
            if slates.at[first % len(slates.key)] + window <= slates.now[0]:
                judge_due(slates, self.state.items, self.state.examination, window, -1)

    def join(self, event: Feedback, user: int, item: int, kind: int, account: Account) -> Choice:
        """Count an act towards its item, and credit the slate that led to it.

        Args:
            event: the act; not yet in its user's history.
            user, item, kind: rows of its user, item and type.
            account: has the act's reward; what is made of it is written into it.

        Returns:
            What the user chose among.
        """
        state, reward = self.state, account.reward
        newest = state.newest_slate.get(self._key(event.user_id), -1)
        kinds = self._bits(replaced_types(event.type))
        same, replaced = newest_acts(state.history, user, item, kind, kinds)
        taken_back = replaced >= 0 and self._take_back(newest, item, replaced, account)
        if same >= 0 and not taken_back:
            before = float(state.history.times[same, TIME])
            if abs(event.timestamp - before) <= self.attribution.session:
                account.repeats, account.uncredited = before, "it is a repeat"
                return UNKNOWN
        state.items.reward[item] += (reward, 1.0)
        account.counted = reward
        number = self._credit(event, newest, item, 1 << min(kind, LAST_BIT), account)
        return self._choice(number, item) if number >= 0 else UNKNOWN

    def _choice(self, number: int, item: int) -> Choice:
        """What a slate offered when an item of it was taken: not what had been taken from it before."""
        slates = self.state.slates
        row = number % len(slates.key)
        items = slates.items[row]
        offered = (items >= 0) & ((slates.reward[row] <= 0.0) | (items == item))
        return Choice(items[offered], self.state.examination.slope[slates.surface[row], offered])

    def _take_back(self, newest: int, item: int, at: int, account: Account) -> bool:
        """An earlier act no longer counts: not for the item, nor for the slate that was credited with it."""
        state = self.state
        reward, kind = float(state.history.values[at, REWARD]), int(state.history.values[at, TYPE])
        name = state.names.types[kind]
        if account.type == "return" and name == "return":
            return False  # the purchase was taken back by the return before
        account.replaces, account.taken_back = name, reward
        state.items.reward[item] -= (reward, 1.0)
        bit = 1 << min(kind, LAST_BIT)
        number = find_credit(state.slates, newest, item, bit)
        if number >= 0:
            self._move_credit(number, self._place(number, item), item, -reward, bit)
        return True

    def _credit(self, event: Feedback, newest: int, item: int, bit: int, account: Account) -> int:
        """Number of the slate that gets the credit, or -1."""
        state, slates = self.state, self.state.slates
        window = self.attribution.window_of(event.type)
        if event.slate_id is None:
            number = find_slate(slates, newest, item, event.timestamp, window)
            if number < 0:
                account.uncredited = "the user saw no slate with the item within the window"
                return -1
        else:
            number = state.slate_number.get(key_of(event.slate_id), -1)
            account.uncredited = self._why_not(event, number, item, window)
            if account.uncredited:
                return -1
        place, row = self._place(number, item), number % len(slates.key)
        if slates.acts[row, place] & bit:
            account.uncredited = "the slate was credited with such an act before"
            return -1
        earlier = self._move_credit(number, place, item, account.reward, bit)
        surface = int(slates.surface[row])
        if account.reward > 0:
            state.examination.positive[surface] += (account.reward, 1.0)
        account.credit = Credit(
            "user and item" if event.slate_id is None else "slate id",
            float(slates.at[row]),
            place,
            event.timestamp - float(slates.at[row]),
            window,
            float(state.examination.slope[surface, place]),
            float(state.examination.trust[surface, place]),
            float(slates.worth[row]),
            earlier,
        )
        return int(number)

    def _move_credit(self, number: int, place: int, item: int, reward: float, bit: int) -> tuple[float, ...]:
        """Add a reward to a place of a slate, or take one back; once the slate is judged, to its item's rate too.

        Returns:
            What the slates before it in the session got, newest first.
        """
        state, slates = self.state, self.state.slates
        row = number % len(slates.key)
        before = float(slates.reward[row, place])
        slates.reward[row, place] += reward
        slates.acts[row, place] ^= bit
        if number < slates.number[OPEN]:
            state.items.earned[item, 0] += reward
            turned = int(slates.reward[row, place] > 0) - int(before > 0)
            if turned:
                turn_place(slates, state.examination, row, place, turned)
        shares = share_reward(slates, number, reward, self.attribution.discount, self.attribution.session)
        return tuple(shares.tolist())

    def _place(self, number: int, item: int) -> int:
        """Place of an item in a slate, or -1."""
        slates = self.state.slates
        places: list[int] = slates.items[number % len(slates.key)].tolist()
        return places.index(item) if item in places else -1

    def _why_not(self, event: Feedback, number: int, item: int, window: float) -> str:
        """Why a slate that an act names did not lead to it; "" when it did."""
        slates = self.state.slates
        if number < 0:
            return "there never was a slate with this id, or it is too old to be remembered"
        row = number % len(slates.key)
        if slates.user[row] != self._key(event.user_id):
            return "the slate was shown to another user"
        if self._place(number, item) < 0:
            return f"the item was not among the slate's first {PLACES}"
        age = event.timestamp - float(slates.at[row])
        if age > window:
            return f"it came {age:,.0f} s after the slate, later than the window of {window:,.0f} s"
        if age < -EARLY:
            return "it came before the slate was shown"
        return ""

    def merge(self, session_user_id: str, user_id: str) -> None:
        """A session's slates become the user's."""
        state, slates = self.state, self.state.slates
        session, user = key_of(session_user_id), self._key(user_id)
        numbers = sorted({*self._chain(session), *self._chain(user)})[-CHAIN:]
        state.newest_slate.pop(session, None)
        before = -1
        for number in numbers:
            row = number % len(slates.key)
            slates.user[row], slates.before[row], before = user, before, number
        if numbers:
            state.newest_slate[user] = before

    def forget(self, user_ids: Iterable[str]) -> None:
        """Forget what users saw. What items earned by it stays until the model is rebuilt."""
        state, slates = self.state, self.state.slates
        gone = np.array([key_of(user_id) for user_id in user_ids], np.int64)
        for row in np.flatnonzero(np.isin(slates.user, gone)).tolist():
            state.slate_number.pop(int(slates.key[row]), None)
            state.newest_slate.pop(int(slates.user[row]), None)
            slates.key[row] = slates.user[row] = 0
            slates.before[row] = -1
            slates.items[row] = -1

    def _chain(self, user: int) -> list[int]:
        """Numbers of a user's slates, newest first."""
        slates, numbers = self.state.slates, list[int]()
        number = self.state.newest_slate.get(user, -1)
        while number >= slates.number[OLDEST] and len(numbers) < CHAIN:
            numbers.append(number)
            number = int(slates.before[number % len(slates.key)])
        return numbers

    def _next_number(self) -> int:
        """The number of a new slate; the ring grows, or the oldest makes room."""
        state = self.state
        oldest, number, _ = state.slates.number.tolist()
        if number - oldest >= self.attribution.slates:
            slates = state.slates
            judge_due(slates, state.items, state.examination, self.attribution.window, oldest)
            row = oldest % len(slates.key)
            for numbers, key in ((state.slate_number, slates.key), (state.newest_slate, slates.user)):
                if numbers.get(int(key[row])) == oldest:
                    del numbers[int(key[row])]
            slates.number[OLDEST] = oldest + 1
        elif number - oldest == len(state.slates.key):
            state.slates = grown(state.slates)
        return int(number)

    def _key(self, user_id: str) -> int:
        return key_of(self.state.names.merged.get(user_id, user_id))

    def _bits(self, kinds: tuple[str, ...]) -> int:
        number = self.state.type_number
        return sum(1 << number[name] for name in kinds if number.get(name, LAST_BIT) < LAST_BIT)
