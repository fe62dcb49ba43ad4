"""Where the page is served: `/` and `/console/...`, for a Litestar application to include."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from instep.serve.console.assets import asset

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The files carry no version in their names: a browser keeps them, but asks whether they are still current.
    "Cache-Control": "no-cache",
}


def _answer(path: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    found = asset(path)
    if found is None:
        raise NotFoundException(f"the live page has no file {path!r}")
    headers = {**SECURITY_HEADERS, "ETag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(b"", status_code=304, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)


@get("/", include_in_schema=False, sync_to_thread=False)
def page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The live page itself."""
    return _answer("index.html", request)


@get("/console/{path:path}", include_in_schema=False, sync_to_thread=False)
def page_file(path: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    """A style sheet, script or icon of the live page."""
    return _answer(path.removeprefix("/"), request)


def console_routes() -> list[HTTPRouteHandler]:
    """The handlers to give to `Litestar(route_handlers=[*console_routes(), ...])`; they need no API key.

    >>> sorted(path for route in console_routes() for path in route.paths)
    ['/', '/console/{path:path}']
    """
    return [page, page_file]
