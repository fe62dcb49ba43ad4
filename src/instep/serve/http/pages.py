"""What people and machines open in a browser: the live page, the documentation, health and metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from instep.serve.console import asset
from instep.serve.http.messages import Health
from instep.serve.http.openapi import DOCS_POLICY
from instep.serve.http.problems import Refusal
from instep.serve.http.routes import Answer, Headers, Request, Route

if TYPE_CHECKING:
    from instep.serve.http.service import Service

HTML: Final = b"text/html; charset=utf-8"
PAGE_HEADERS: Final[Headers] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    # The files carry no version in their names: a browser keeps them, but asks whether they are current.
    (b"cache-control", b"no-cache"),
)


async def live_page(service: Service, request: Request) -> Answer:
    """The live page; `/` is its index, `/console/...` are its files."""
    return _file(request, "/".join(request.names) or "index.html")


async def experiments_page(service: Service, request: Request) -> Answer:
    """The live page's experiments."""
    return _file(request, "experiments.html")


async def models_page(service: Service, request: Request) -> Answer:
    """The live page's versions of the language model."""
    return _file(request, "models.html")


def _file(request: Request, path: str) -> Answer:
    found = asset(path)
    if found is None:
        raise Refusal(404, "the live page has no such file")
    etag = found.etag.encode()
    headers = ((b"etag", etag), *PAGE_HEADERS)
    if request.headers.get(b"if-none-match") == etag:
        return Answer(b"", found.media_type.encode(), 304, headers)
    return Answer(found.body, found.media_type.encode(), headers=headers)


async def docs(service: Service, request: Request) -> Answer:
    """The API's documentation as a page."""
    return Answer(service.docs_page, HTML, headers=((b"content-security-policy", DOCS_POLICY.encode()),))


async def openapi_json(service: Service, request: Request) -> Answer:
    """The API's documentation for machines."""
    return Answer(service.openapi_json)


async def live(service: Service, request: Request) -> Health:
    """Whether the process answers."""
    return Health("live", service.flow.log.end)


async def ready(service: Service, request: Request) -> Answer:
    """Whether it takes requests: 503 while it shuts down."""
    status, code = ("stopping", 503) if service.stopping else ("ready", 200)
    return Answer(msgspec.json.encode(Health(status, service.flow.log.end)), status=code)


async def metrics(service: Service, request: Request) -> Answer:
    """Metrics in Prometheus' text format."""
    text = await asyncio.to_thread(service.metrics.render)
    return Answer(text, service.metrics.media_type.encode())


ROUTES: Final = (
    Route("GET", "/", live_page, None, media_type="text/html"),
    Route("GET", "/experiments", experiments_page, None, media_type="text/html"),
    Route("GET", "/models", models_page, None, media_type="text/html"),
    Route("GET", "/console/{file}", live_page, None, media_type="text/html"),
    Route("GET", "/console/{folder}/{file}", live_page, None, media_type="text/html"),
    Route("GET", "/docs", docs, None, media_type="text/html"),
    Route("GET", "/openapi.json", openapi_json, None),
    Route("GET", "/health/live", live, None, Health),
    Route("GET", "/health/ready", ready, None, Health, problems=(503,)),
    Route("GET", "/metrics", metrics, "read", media_type="text/plain"),
)
