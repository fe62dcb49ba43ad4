"""Users: their attributes, their history, their data, their erasure."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from operator import attrgetter
from time import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from instep.domain import Entry, SessionMerge, UserPatch, UserPut
from instep.serve.http.messages import (
    CountQuery,
    Erasure,
    HistoryAnswer,
    HistoryEntry,
    Receipts,
    UserAnswer,
    UserIds,
    UsersQuery,
)
from instep.serve.http.records import new_id, store
from instep.serve.http.routes import Answer, Request, Route

if TYPE_CHECKING:
    from instep.log import Log
    from instep.serve.http.service import Service

JSON_LINES: Final = "application/jsonl"
_CHUNK: Final = 64 * 1024


async def put_user(service: Service, request: Request) -> Receipts:
    """Set a user's attributes, replacing all that were there."""
    return await store(service, [UserPut(new_id(), request.names[0], time(), request.body)])


async def patch_user(service: Service, request: Request) -> Receipts:
    """Change some of a user's attributes; null removes one (RFC 7396)."""
    return await store(service, [UserPatch(new_id(), request.names[0], time(), request.body)])


async def get_user(service: Service, request: Request) -> UserAnswer:
    """What is known of a user. A visitor's id is `session:` and the session."""
    return UserAnswer(**service.flow.known_user(request.names[0]))


async def get_history(service: Service, request: Request) -> HistoryAnswer:
    """What a user did lately, newest first: what recommendations are made from."""
    query: CountQuery = request.query
    user_id = service.flow.known_user(request.names[0])["user_id"]
    return HistoryAnswer(
        [
            HistoryEntry(entry.item_id, entry.type, entry.value, entry.timestamp, entry.reward)
            for entry in service.flow.history(user_id, query.n)
        ]
    )


async def export_user(service: Service, request: Request) -> Answer:
    """All records of a user and of the sessions merged into it, one JSON object a line, oldest first."""
    user_id = service.flow.known_user(request.names[0])["user_id"]
    return Answer(_lines(_all_records(service.flow.log, user_id)), JSON_LINES.encode())


async def delete_user(service: Service, request: Request) -> Erasure:
    """Erase a user: no byte of the id stays, and the model is as if the user had never been.

    The answer is the certificate. Recommendations for others go on meanwhile.
    """
    user_id = service.flow.known_user(request.names[0])["user_id"]
    certificate = await asyncio.to_thread(service.flow.erase, user_id)
    return msgspec.convert(certificate, Erasure, from_attributes=True)


async def list_users(service: Service, request: Request) -> UserIds:
    """Ids of users, in order."""
    query: UsersQuery = request.query
    return UserIds(await asyncio.to_thread(service.flow.users, query.limit, query.prefix))


def _all_records(log: Log, user_id: str) -> Iterator[Entry]:
    merges = (entry.record for entry in log.read_user(user_id) if isinstance(entry.record, SessionMerge))
    users = {user_id, *(merge.session_user_id for merge in merges)}
    return heapq.merge(*(log.read_user(user) for user in users), key=attrgetter("offset"))


def _lines(entries: Iterator[Entry]) -> Iterator[bytes]:
    """Records as JSON lines, in chunks worth sending."""
    chunk = bytearray()
    encoder = msgspec.json.Encoder()
    for entry in entries:
        chunk += encoder.encode(entry.record) + b"\n"
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


_USER: Final = "/v1/users/{user_id}"

ROUTES: Final = (
    Route("PUT", _USER, put_user, "write", Receipts, body=(dict[str, Any],)),
    Route("PATCH", _USER, patch_user, "write", Receipts, body=(dict[str, Any],)),
    Route("GET", _USER, get_user, "read", UserAnswer, problems=(404,)),
    Route("DELETE", _USER, delete_user, "admin", Erasure, problems=(404,)),
    Route("GET", _USER + "/history", get_history, "read", HistoryAnswer, query=CountQuery, problems=(404,)),
    Route("GET", _USER + "/export", export_user, "admin", problems=(404,), media_type=JSON_LINES),
    Route("GET", "/v1/users", list_users, "admin", UserIds, query=UsersQuery),
)
