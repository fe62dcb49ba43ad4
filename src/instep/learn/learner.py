"""The fast clock: one record moves the whole state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection
from typing import Any

import msgspec
import numpy as np

from instep.domain import (
    EncoderSwitch,
    Feedback,
    Impression,
    Item,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Record,
    SessionMerge,
    UserPatch,
    UserPut,
    item_from_fields,
)
from instep.learn.dense import keep_solved
from instep.learn.examples import Choice, Examples
from instep.learn.histories import REWARD, TIME, TYPE, remember
from instep.learn.passed import LIMIT, note_shown
from instep.learn.positive import advance_time, learn_taken
from instep.learn.terms import note_terms
from instep.learn.text import add_beside, add_live
from instep.reward import USUAL_DWELL, Account, Attribution, Reward, Usual, usual_rating
from instep.state import State, new_space, with_cells
from instep.state.tables import F32, F64, I32

CONTINUED_SECONDS = 1800.0
DOUBLE_SECONDS = 10.0
DWELL_MEMORY = 0.98
REWARD_MEMORY = 0.001
LEAST_WEIGHT, MOST_WEIGHT = 0.25, 4.0
ACCOUNTS = 4096

Choose = Callable[[int, int, float, float, Choice], None]


class FastLearner:
    """Learns every record before it is acknowledged.

    Args:
        state: what is moved.
        reward: feedback to number.
        choose: called as (user row, item row, time, weight, what it was chosen among) before a taken item
            is learned, so that the ranker can compare it with the others under the state that stood when it was taken.
        attribution: how acts are joined to slates.

    Attributes:
        accounts: how the newest acts became their numbers, by event id. No part of the state.
    """

    def __init__(
        self, state: State, reward: Reward, choose: Choose, attribution: Attribution | None = None
    ) -> None:
        self.state = state
        self.examples = Examples(state, attribution or Attribution())
        self.accounts: dict[str, Account] = {}
        self._reward = reward
        self._choose = choose

    def learn_one(self, record: Record) -> None:
        """Learn one record, in the log's order."""
        match record:
            case Feedback():
                self._feedback(record)
            case Impression():
                self._impression(record)
            case ItemPut():
                item = item_from_fields(record.item_id, copy.deepcopy(record.fields))
                self._set_item(record.item_id, record.timestamp, item)
            case ItemPatch():
                self._item_patch(record)
            case ItemRemoval():
                self._set_item(record.item_id, record.timestamp, None)
            case ItemVector():
                self._vector(record)
            case EncoderSwitch():
                self._switch(record)
            case UserPut():
                self.state.user_row(record.user_id)
                self.state.names.attributes[record.user_id] = copy.deepcopy(record.fields)
            case UserPatch():
                self.state.user_row(record.user_id)
                before = self.state.names.attributes.get(record.user_id, {})
                kept = {**before, **copy.deepcopy(record.fields)}
                self.state.names.attributes[record.user_id] = {k: v for k, v in kept.items() if v is not None}
            case SessionMerge():
                self._merge(record)

    def judge(self, event: Feedback) -> float:
        """The reward that an act would get now. Reads only."""
        return self._reward.reward(event, self._usual(event))

    def _usual(self, event: Feedback) -> Usual:
        state = self.state
        user = state.user_number.get(state.names.merged.get(event.user_id, event.user_id))
        item = state.item_number.get(event.item_id)
        total, number = state.users.rating[user] if user is not None else (0.0, 0.0)
        rating, dwell = usual_rating(float(total), float(number)), USUAL_DWELL
        if item is not None:
            total, weight = state.items.dwell[item]
            dwell = (float(total) + USUAL_DWELL) / (float(weight) + 1.0)
        if user is not None:
            total, weight = state.users.dwell[user]
            dwell += float(total) / (float(weight) + 3.0)
        return Usual(rating, dwell)

    def forget(self, user_ids: Collection[str]) -> None:
        """Forget users' slates and accounts at once."""
        self.examples.forget(user_ids)
        self.accounts = {name: each for name, each in self.accounts.items() if each.user_id not in user_ids}

    def _feedback(self, event: Feedback) -> None:
        state = self.state
        account = self._account(event)
        user = state.user_row(state.names.merged.get(event.user_id, event.user_id))
        item = state.item_row(event.item_id, event.timestamp)
        kind = state.type_row(event.type)
        reward = account.reward
        advance_time(state.held(), event.timestamp, state.n_items)
        state.publish()
        self.examples.pass_time(event.timestamp)
        among = self.examples.join(event, user, item, kind, account)
        account.chosen = reward > 0 and not self._continues(user, item, kind, event.timestamp)
        if account.chosen:
            positive = float(state.clock.positive[0])
            state.clock.positive[0] = positive + REWARD_MEMORY * (reward - positive)
            weight = min(MOST_WEIGHT, max(LEAST_WEIGHT, reward / positive))
            state.reserve()
            self._choose(user, item, event.timestamp, weight, among)
            self._taken(user, item, event.timestamp, weight)
        state.reserve()
        remember(state.held(), user, item, event.timestamp, reward, kind, _number(event.value))
        state.users.events[user] += 1
        state.items.last_seen[item] = max(event.timestamp, state.items.last_seen[item])
        self._keep_usual(event, user, item)

    def _account(self, event: Feedback) -> Account:
        """What is made of an act, as far as it can be said before it is joined; the newest are kept."""
        usual, valued = self._usual(event), event.type in ("rating", "dwell")
        account = Account(
            event.event_id,
            event.user_id,
            event.item_id,
            event.type,
            event.value,
            event.timestamp,
            self._reward.weight_of(event.type),
            (usual.rating if event.type == "rating" else usual.dwell) if valued else None,
            self._reward.reward(event, usual),
        )
        self.accounts[event.event_id] = account
        if len(self.accounts) > ACCOUNTS:
            del self.accounts[next(iter(self.accounts))]
        return account

    def _continues(self, user: int, item: int, kind: int, now: float) -> bool:
        """Whether the act belongs to the one before it (a dwell after its click, a double click): no new choice.

        The same song played again is a choice: it is what the user wants next.
        """
        history = self.state.history
        length = int(history.length[user])
        if length == 0:
            return False
        at = int(history.start[user]) + length - 1
        newest = history.values[at]
        same = history.ids[at] == item and newest[REWARD] >= 0
        longest = DOUBLE_SECONDS if newest[TYPE] == kind else CONTINUED_SECONDS
        return bool(same and abs(now - history.times[at, TIME]) <= longest)

    def _taken(self, user: int, item: int, now: float, weight: float) -> None:
        state = self.state
        learn_taken(state.held(), user, item, now, weight, int(state.users.seed[user]), state.n_items)
        keep_solved(state)

    def _keep_usual(self, event: Feedback, user: int, item: int) -> None:
        if event.value is None:
            return
        if event.type == "rating":
            self.state.users.rating[user] += (event.value, 1.0)
        elif event.type == "dwell":
            seconds = math.log1p(event.value)
            total, weight = self.state.items.dwell[item]
            usual = (float(total) + USUAL_DWELL) / (float(weight) + 1.0)
            self.state.items.dwell[item] = (total * DWELL_MEMORY + seconds, weight * DWELL_MEMORY + 1.0)
            total, weight = self.state.users.dwell[user]
            self.state.users.dwell[user] = (
                total * DWELL_MEMORY + (seconds - usual),
                weight * DWELL_MEMORY + 1.0,
            )

    def _impression(self, record: Impression) -> None:
        self.examples.show(record)
        self._note_shown(record)
        for item_id in record.item_ids:
            row = self.state.item_number.get(item_id)
            if row is not None:
                self.state.items.shown[row] += 1.0

    def _note_shown(self, record: Impression) -> None:
        """What a known user was shown is passed over until it is taken; for a stranger no row is made."""
        state = self.state
        user = state.user_number.get(state.names.merged.get(record.user_id, record.user_id))
        if user is not None:
            rows = [state.item_number[name] for name in record.item_ids[:LIMIT] if name in state.item_number]
            state.reserve()
            note_shown(state.passed, user, np.array(rows, np.int32))

    def _item_patch(self, record: ItemPatch) -> None:
        row = self.state.item_row(record.item_id, record.timestamp)
        before = self.state.names.catalogue[row] or Item(record.item_id)
        fields = {**fields_of(before), **copy.deepcopy(record.fields)}
        known = {name: value for name, value in fields.items() if value is not None}
        self._set_item(record.item_id, record.timestamp, item_from_fields(record.item_id, known))

    def _set_item(self, item_id: str, now: float, item: Item | None) -> None:
        row = self.state.item_row(item_id, now)
        self.state.set_item(row, item)
        note_terms(self.state, row, item)

    def _vector(self, record: ItemVector) -> None:
        """Into the space that requests read, or of another encoder into the one beside; a third starts that anew."""
        state, names = self.state, self.state.names
        row = state.item_row(record.item_id, record.timestamp)
        vector = np.frombuffer(record.vector, "<f2")
        if record.encoder == (names.encoder or record.encoder):
            names.encoder = record.encoder
            add_live(state, row, vector)
            names.content[row] = record.content_hash
            return
        if names.beside != record.encoder:
            names.beside, names.beside_content, state.beside = record.encoder, [], new_space()
        add_beside(state, row, vector)
        names.beside_content[row] = record.content_hash

    def _switch(self, record: EncoderSwitch) -> None:
        """Requests read the encoder's space from here on. Of an encoder that has no space beside: no effect."""
        if self.state.names.beside == record.encoder:
            self.state.exchange_spaces()

    def _merge(self, record: SessionMerge) -> None:
        """The session's history becomes part of the user's, by time; later events of the session are the user's."""
        state = self.state
        self.examples.merge(record.session_user_id, record.user_id)
        state.names.merged[record.session_user_id] = record.user_id
        user = state.user_row(record.user_id)
        session = state.user_number.get(record.session_user_id)
        if session is None or session == user:
            return
        cells = [cell for row in (user, session) for cell in zip(*history_cells(state, row), strict=True)]
        cells.sort(key=lambda cell: float(cell[0]))
        state.history.length[[user, session]] = 0
        state.passed.length[session] = 0
        state.history = with_cells(state.history, 5 * len(cells) + 64)  # see `room_for`
        for when, item, values in cells:
            reward, kind, value = values.tolist()
            remember(state.held(), user, int(item), float(when), reward, int(kind), value)
        for column in (state.users.events, state.users.rating, state.users.dwell):
            column[user] += column[session]
            column[session] = 0


def history_cells(state: State, row: int) -> tuple[F64, I32, F32]:
    """A user's history, oldest first: times float64 (m,), items int32 (m,), values float32 (m, 3); copies."""
    history = state.history
    start = int(history.start[row])
    cells = slice(start, start + int(history.length[row]))
    return history.times[cells, TIME].copy(), history.ids[cells].copy(), history.values[cells].copy()


def fields_of(item: Item) -> dict[str, Any]:
    """An item as the flat fields it was made of.

    >>> fields_of(Item("i1", title="Tea", attributes={"colour": "green"}))
    {'title': 'Tea', 'colour': 'green'}
    """
    fields: dict[str, Any] = msgspec.to_builtins(item)
    fields.pop("item_id")
    attributes = fields.pop("attributes", {})
    return {**fields, **attributes}


def _number(value: float | None) -> float:
    return math.nan if value is None else value
