"""POST /v1/events and the merging of sessions."""

from __future__ import annotations

from time import perf_counter, time
from typing import TYPE_CHECKING, Final

import msgspec

from instep.domain import Feedback, InvalidRequest, SessionMerge, session_user
from instep.guard import check_id
from instep.serve.http.messages import MAX_EVENTS, Event, Events, Merge, Receipts
from instep.serve.http.problems import unreadable
from instep.serve.http.records import new_id, seconds, store, who
from instep.serve.http.routes import Request, Route

if TYPE_CHECKING:
    from instep.serve.http.service import Service

_one_or_list: Final = msgspec.json.Decoder(Event | list[Event])
_wrapped: Final = msgspec.json.Decoder(Events)


def read_events(body: bytes) -> Event | list[Event]:
    """One event, a list of them, or ``{"events": [...]}``.

    >>> read_events(b'{"events": [{"user_id": "u", "item_id": "i"}]}')[0].item_id
    'i'
    >>> read_events(b'[{"user_id": "u", "item_id": 3}]')
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: events[0].item_id: expected `str`, got `int`
    """
    try:
        events: Event | list[Event] = _one_or_list.decode(body)
    except msgspec.DecodeError as error:
        if str(error) != "Object contains unknown field `events`":
            raise unreadable(error, body, "events") from None
        events = _wrapped.decode(body).events
    if isinstance(events, list) and len(events) > MAX_EVENTS:
        raise InvalidRequest(f"must have at most {MAX_EVENTS} entries, not {len(events)}", "events")
    return events


async def post_events(service: Service, request: Request) -> Receipts:
    """Store one event or many, and learn from them.

    The answer comes when they are on disk and learned from: the next recommendation reflects them. A batch is
    stored whole or not at all. An `event_id` seen before is acknowledged as `duplicate`, and changes nothing.
    """
    now = time()
    events = request.body
    began = perf_counter()
    if type(events) is Event:
        receipts = await store(service, [_feedback(events, now)])
    else:
        receipts = await store(service, _all_feedback(events, now), at="events")
    service.metrics.count_events(perf_counter() - began, receipts.receipts)
    return receipts


def _all_feedback(events: list[Event], now: float) -> list[Feedback]:
    records = []
    for place, event in enumerate(events):
        try:
            records.append(_feedback(event, now))
        except InvalidRequest as error:
            raise InvalidRequest(error.message, f"events[{place}].{error.field}") from None
    return records


def _feedback(event: Event, now: float) -> Feedback:
    return Feedback(
        event.event_id or new_id(),
        who(event.user_id, event.session),
        event.item_id,
        seconds(event.timestamp, now),
        event.type,
        event.value,
        event.slate_id,
        event.position,
        event.context,
    )


async def merge_session(service: Service, request: Request) -> Receipts:
    """Give a visitor's history to a user, for example on login.

    From then on it is the user's, and is erased with the user.
    """
    session = check_id(request.names[0], "session")
    merge: Merge = request.body
    return await store(service, [SessionMerge(new_id(), merge.user_id, session_user(session), time())])


ROUTES: Final = (
    Route(
        "POST",
        "/v1/events",
        post_events,
        "write",
        Receipts,
        body=(Event, list[Event], Events),
        read=read_events,
    ),
    Route("POST", "/v1/sessions/{session}/merge", merge_session, "write", Receipts, body=(Merge,)),
)
