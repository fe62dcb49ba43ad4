"""From a request to records in the log, and from their receipts to an answer."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from instep.domain import InvalidRequest, Record, session_user
from instep.guard import check_id
from instep.serve.http.messages import Receipts

if TYPE_CHECKING:
    from instep.serve.http.service import Service

_PLACE: Final = re.compile(r"^records\[(\d+)\]\.?(.*)$", re.DOTALL)


_pool: Final[deque[str]] = deque()
os.register_at_fork(after_in_child=_pool.clear)  # a child must not give out its parent's ids


def new_id() -> str:
    """A fresh id for an event or a slate, from any thread.

    The system is asked for many at once: each question lets another thread take the interpreter.

    >>> len(new_id())
    32
    """
    try:
        return _pool.pop()
    except IndexError:
        drawn = os.urandom(16 * 256).hex()
        _pool.extend(drawn[at : at + 32] for at in range(32, len(drawn), 32))
        return drawn[:32]


def who(user_id: str | None, session: str | None) -> str:
    """The user id, in NFC, under which a caller's events are kept.

    Raises:
        InvalidRequest: both were given, or neither, or it is no id.

    >>> who(None, "a1")
    'session:a1'
    """
    if session is None:
        if user_id is None:
            raise InvalidRequest("must be given, or `session` for a visitor without an account", "user_id")
        named = check_id(user_id, "user_id")
        if named.startswith("session:"):
            raise InvalidRequest("must not begin with 'session:'; name a visitor in `session`", "user_id")
        return named
    if user_id is not None:
        raise InvalidRequest("must not be given beside `user_id`", "session")
    return session_user(check_id(session, "session"))


def seconds(moment: float | datetime | None, now: float) -> float:
    """A moment as seconds since the epoch.

    >>> seconds(None, now=7.0)
    7.0
    """
    if moment is None:
        return now
    return moment if isinstance(moment, float) else moment.timestamp()


async def store(service: Service, records: Sequence[Record], at: str = "") -> Receipts:
    """Append records and wait until they are durable and learned from.

    Args:
        service: to whose flow they go.
        records: all are stored or none.
        at: what the caller calls the list, for the path of a field; "" for a single record.

    Returns:
        The receipts, in the order of the records.

    Raises:
        InvalidRequest: one is wrong; the field's path begins with `at`.
        Unavailable: they could not be written now.
    """
    if not records:
        return Receipts([])
    metrics = service.metrics
    metrics.waiting += len(records)
    try:
        # Shielded: a request that is cancelled must not cancel what the log is about to acknowledge.
        return Receipts(await asyncio.shield(asyncio.wrap_future(service.flow.submit(records))))
    except InvalidRequest as error:
        raise InvalidRequest(error.message, renamed(error.field, at)) from None
    finally:
        metrics.waiting -= len(records)


def renamed(field: str | None, at: str) -> str | None:
    """The path of a field in the caller's words.

    >>> renamed("records[3].value", at="events"), renamed("records[0].value", at="")
    ('events[3].value', 'value')
    """
    found = _PLACE.match(field or "")
    if found is None:
        return field
    place, rest = found.groups()
    if not at:
        return rest or None
    return f"{at}[{place}].{rest}" if rest else f"{at}[{place}]"
