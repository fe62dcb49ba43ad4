"""What can be asked of the model besides a slate: items, users, histories, and lists of items."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np

from instep.domain import Item, NotFound, SlateItem, StageError
from instep.domain.events import SESSION_PREFIX
from instep.encode.base import Encoder
from instep.guard import check_id, check_user_id
from instep.lists import HistoryItem, history, search, similar, trending
from instep.log.base import Log
from instep.model import Model
from instep.reward import Account
from instep.state import WEEK
from instep.state.tables import F32


class Lookups:
    """Questions to the model and the log. Reads only.

    Args:
        log: asked for users whom the model does not know.
        model: what is read; `reading` holds it still.
        encoder: for `search`; None leaves text search out.

    >>> from instep.domain import Feedback
    >>> from instep.flow import Flow
    >>> from instep.log import MemoryLog
    >>> flow = Flow(MemoryLog())
    >>> _ = flow.observe([Feedback("e1", "ann", "tea", 1e9)])
    >>> flow.users(), [act.item_id for act in flow.history("ann")]
    (['ann'], ['tea'])
    """

    def __init__(self, log: Log, model: Model, encoder: Encoder | None = None) -> None:
        self.log = log
        self.model = model
        self.encoder = encoder
        self._lock = threading.RLock()

    @contextmanager
    def reading(self) -> Iterator[Model]:
        """The model, held still while it is read: nothing is learned and nobody is answered meanwhile."""
        with self._lock:
            yield self.model

    def similar(self, item_id: str, n: int = 10, now: float | None = None) -> list[SlateItem]:
        """Items most like one (see `instep.lists`). Raises `NotFound` when there is no such item."""
        item_id = self.known_item(item_id).item_id
        with self._lock:
            return similar(self.model.state, item_id, n, time.time() if now is None else now)

    def trending(self, n: int = 10, category: str | None = None, now: float | None = None) -> list[SlateItem]:
        """What is taken most now, overall or in a category. Raises `InvalidRequest` for an unknown category."""
        with self._lock:
            return trending(self.model.state, n, category, time.time() if now is None else now)

    def search(self, text: str, n: int = 10, now: float | None = None) -> list[SlateItem]:
        """Items that mean what the query means or have its words. Raises `StageError` when there is no encoder."""
        if self.encoder is None:
            raise StageError("no encoder: text search is off (set `encoder` in instep.toml)")
        while True:
            live = self.model.state.names.encoder
            vector = self.encode_query(text, live)
            with self._lock:
                if self.model.state.names.encoder == live:  # else the model was switched meanwhile
                    return search(self.model.state, text, vector, n, time.time() if now is None else now)

    def encode_query(self, text: str, live: str) -> F32:
        """A query's vector, float32 (d,), by the encoder of the text space that is live."""
        assert self.encoder is not None
        (vector,) = self.encoder.encode([text], kind="query")
        return np.asarray(vector, np.float32)

    def item(self, item_id: str) -> Item | None:
        """An item of the catalogue; one that only events named has no fields; None when unknown or removed."""
        state = self.model.state
        row = state.item_number.get(item_id)
        if row is None or (state.names.catalogue[row] is None and state.items.blocked[row]):
            return None
        item = state.names.catalogue[row] or Item(item_id)
        return msgspec.structs.replace(item, attributes=copy.deepcopy(item.attributes))

    def known_item(self, item_id: str) -> Item:
        """The item that a caller means, whatever form of Unicode its id came in.

        Raises:
            NotFound: there is none, or it was removed.
            InvalidRequest: this is no id.
        """
        item = self.item(check_id(item_id, "item_id"))
        if item is None:
            raise NotFound("there is no item with this id", "item_id")
        return item

    def items(self) -> Iterator[Item]:
        """Every item of the catalogue, in the order of their creation."""
        for item_id in list(self.model.state.names.items):
            item = self.item(item_id)
            if item is not None:
                yield item

    def categories(self) -> list[str]:
        """Category names, the most popular of the week first."""
        with self._lock:
            state = self.model.state
            week = state.items.popularity[: state.n_items, WEEK]
            weights = np.zeros(len(state.names.categories) + 1)
            for column in state.items.categories[: state.n_items].T:
                np.add.at(weights, column, week + 1e-9)
            order = np.argsort(-weights[:-1], kind="stable")
            return [state.names.categories[c] for c in order]

    def user(self, user_id: str) -> dict[str, Any] | None:
        """A user's attributes and number of events; None when unknown."""
        with self._lock:
            state = self.model.state
            row = state.user_number.get(user_id)
            if row is None:
                return None
            attributes = copy.deepcopy(state.names.attributes.get(user_id, {}))
            return {"user_id": user_id, "attributes": attributes, "events": int(state.users.events[row])}

    def known_user(self, user_id: str) -> dict[str, Any]:
        """What `user` tells of the user that a caller means. Whoever was only shown slates is known, too.

        Raises:
            NotFound: the log has no record of such a user.
            InvalidRequest: this is no id.
        """
        user_id = check_user_id(user_id, "user_id")
        known = self.user(user_id)
        if known is None and next(self.log.read_user(user_id), None) is None:
            raise NotFound("there is no user with this id", "user_id")
        return known or {"user_id": user_id, "attributes": {}, "events": 0}

    def users(self, limit: int = 100, prefix: str = "") -> list[str]:
        """User ids that start with `prefix`, visitors left out, those with most events first."""
        with self._lock:
            state = self.model.state
            named = [
                (-int(state.users.events[row]), user_id)
                for row, user_id in enumerate(state.names.users)
                if user_id.startswith(prefix) and not user_id.startswith(SESSION_PREFIX)
            ]
        return [user_id for _, user_id in sorted(named)[:limit]]

    def history(self, user_id: str, n: int = 20) -> list[HistoryItem]:
        """A user's newest acts, newest first."""
        with self._lock:
            return history(self.model.state, user_id, n)

    def account(self, event_id: str) -> Account | None:
        """How one of the newest acts became its number; None when it is not among them."""
        with self._lock:
            return self.model.learner.accounts.get(event_id)
