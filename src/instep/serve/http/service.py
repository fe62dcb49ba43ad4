"""The service as one ASGI application: every request takes the same short way.

    host and origin -> route -> key, scope, rate -> query and body -> handler -> answer -> count

It is plain ASGI with msgspec, without a framework: what decodes a body is what the OpenAPI document is made
from, errors name their field, ids may hold ``%2F``, and a request costs little more than the server itself.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from instep.serve.experiments import Experiments
from instep.serve.http import events, experiments, items, models, pages, rewards, slates, users
from instep.serve.http.gate import Disconnected, Gate, Message, Receive
from instep.serve.http.openapi import document, page
from instep.serve.http.problems import PROBLEM_JSON, problem
from instep.serve.http.routes import Answer, Headers, Request, Route, Router
from instep.serve.http.settings import HttpSettings
from instep.serve.metrics import Metrics
from instep.serve.models import Models

if TYPE_CHECKING:
    from instep.flow import Flow

Send = Callable[[Message], Awaitable[None]]
ROUTES: Final[tuple[Route, ...]] = (
    *events.ROUTES,
    *slates.ROUTES,
    *items.ROUTES,
    *users.ROUTES,
    *experiments.ROUTES,
    *models.ROUTES,
    *rewards.ROUTES,
    *pages.ROUTES,
)
_REQUEST_ID: Final = re.compile(rb"[\w.:-]{1,64}")
_NOWHERE: Final = "none"  # the route's label in metrics and logs when a request has none
_DEFAULT_HEADERS: Final = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
_FIXED_HEADERS: Final[Headers] = tuple(_DEFAULT_HEADERS.items())


class Service:
    """The HTTP service around a flow.

    Args:
        flow: what observes and recommends; whoever made it closes it.
        settings: of the service.
        metrics: where requests are counted.
        models: versions of the language model; None where there is no folder.

    Raises:
        ConfigError: the settings would leave the service open to everybody.
    """

    def __init__(
        self,
        flow: Flow,
        settings: HttpSettings,
        metrics: Metrics | None = None,
        models: Models | None = None,
    ) -> None:
        settings.check()
        self.flow = flow
        self.experiments = Experiments(flow)
        self.models = models
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.metrics.watch(flow)
        self.stopping = False
        openapi = document(ROUTES, version("instep"))
        self.openapi_json = msgspec.json.encode(openapi)
        self.docs_page = page(openapi)
        self._gate = Gate(settings)
        self._find = Router(ROUTES).find
        self._encode = msgspec.json.Encoder().encode
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count()
        # Bound once: a line that the level leaves out then costs a call that does nothing.
        self._log = structlog.get_logger("instep.http").bind()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        began = perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = self._request_id(headers)
        method: str = scope["method"]
        label = _NOWHERE
        try:
            self._gate.check_host(headers)
            route, names = self._find(method, scope["raw_path"])
            label = route.path
            answer = await self._handle(route, names, scope, headers, receive, request_id)
        except Disconnected:
            return
        except Exception as error:
            answer = self._problem(error, request_id, label)
        await _send(answer, request_id, send)
        seconds = perf_counter() - began
        known = method if label is not _NOWHERE else "any"
        self.metrics.count_request(label, known, answer.status, seconds)
        self._log.debug("request", route=label, status=answer.status, ms=1e3 * seconds, id=request_id)

    async def _handle(
        self,
        route: Route,
        names: tuple[str, ...],
        scope: dict[str, Any],
        headers: dict[bytes, bytes],
        receive: Receive,
        request_id: str,
    ) -> Answer:
        if route.scope is not None:
            self._gate.admit(route.scope, headers)
        text = scope["query_string"]
        query = route.parse_query(text) if text or route.query else None
        body = route.decode(await self._gate.read_body(receive, headers)) if route.body else None
        answer = await route.handler(self, Request(request_id, names, query, body, headers))
        return answer if type(answer) is Answer else Answer(self._encode(answer))

    def _problem(self, error: Exception, request_id: str, label: str) -> Answer:
        described, headers = problem(error, request_id)
        if described.status == 500:
            self._log.error("failed", route=label, id=request_id, exc_info=error)
        else:
            # Neither the detail nor the field nor the path: they may hold ids of users.
            self._log.info("refused", route=label, status=described.status, id=request_id)
        return Answer(self._encode(described), PROBLEM_JSON, described.status, headers)

    def _request_id(self, headers: dict[bytes, bytes]) -> str:
        given = headers.get(b"x-request-id")
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
        return f"{self._prefix}-{next(self._numbers):x}"

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                self.stopping = True
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _send(answer: Answer, request_id: str, send: Send) -> None:
    body = answer.body
    own = answer.headers
    defaults = _FIXED_HEADERS
    if own:
        names = {name for name, _ in own}
        defaults = tuple((name, value) for name, value in defaults if name not in names)
    headers = [(b"content-type", answer.media_type), (b"x-request-id", request_id.encode()), *defaults, *own]
    if isinstance(body, bytes):
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    while chunk := await asyncio.to_thread(next, body, b""):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
