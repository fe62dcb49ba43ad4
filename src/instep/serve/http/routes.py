"""Which request goes where. A route says who may use it, what it reads and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from instep.domain import InvalidRequest
from instep.serve.http.keys import Scope
from instep.serve.http.problems import Refusal, unreadable

if TYPE_CHECKING:
    from instep.serve.http.service import Service

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Headers = tuple[tuple[bytes, bytes], ...]
JSON = b"application/json"


class Request:
    """What a handler gets.

    Args:
        id: the request id, for logs.
        names: the decoded variable segments of the path, in order.
        query: the route's query struct.
        body: what the route's `read` made of the body.
        headers: header names in lower case to values.
    """

    __slots__ = ("body", "headers", "id", "names", "query")

    def __init__(
        self, id: str, names: tuple[str, ...], query: Any, body: Any, headers: dict[bytes, bytes]
    ) -> None:
        self.id = id
        self.names = names
        self.query = query
        self.body = body
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not just a struct as JSON with status 200.

    Args:
        body: the bytes, or an iterator of them whose steps may block and are taken in another thread.
        media_type: value of the Content-Type header.
        status: the HTTP status.
        headers: more headers.
    """

    body: bytes | Iterator[bytes]
    media_type: bytes = JSON
    status: int = 200
    headers: Headers = ()


Handler = Callable[["Service", Request], Awaitable[msgspec.Struct | Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path.

    Args:
        method: the HTTP method; HEAD is answered by GET.
        path: variable segments in braces: ``/v1/items/{item_id}``.
        handler: what answers; the first line of its docstring is the summary in the OpenAPI document.
        scope: what the key must allow; None when no key is needed.
        answer: the struct that is answered; None for `Answer`s, whose media type is then `media_type`.
        query: the struct of the query string; None when there is no query.
        body: the types of a body, for the document; empty when no body is read.
        read: how the body is decoded; by default as the one type in `body`.
        problems: statuses of the problems it may answer beside those that all routes share.
        media_type: what is answered when `answer` is None.
    """

    method: Method
    path: str
    handler: Handler
    scope: Scope | None
    answer: Any = None
    query: type[msgspec.Struct] | None = None
    body: tuple[Any, ...] = ()
    read: Callable[[bytes], Any] | None = None
    problems: tuple[int, ...] = ()
    media_type: str = "application/json"
    segments: tuple[bytes | None, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(_segment(part) for part in self.path.split("/")))
        if self.body and self.read is None:
            object.__setattr__(self, "read", msgspec.json.Decoder(self.body[0]).decode)

    def decode(self, body: bytes) -> Any:
        """The body as the handler wants it.

        Raises:
            Refusal: it is not JSON (400).
            InvalidRequest: it is JSON of another shape; names the field.
        """
        assert self.read is not None  # the caller has looked at `body`
        try:
            return self.read(body)
        except (InvalidRequest, Refusal):
            raise
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise unreadable(error, body) from None

    def parse_query(self, text: bytes) -> msgspec.Struct | None:
        """The query string as the handler wants it.

        Raises:
            Refusal: it is not valid (400).
            InvalidRequest: a parameter is unknown, given twice or wrong; names it.
        """
        try:
            pairs = parse_qsl(
                text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=64
            )
        except ValueError as error:
            raise Refusal(400, f"the query string is not valid: {error}") from None
        values = dict(pairs)
        if len(values) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidRequest("must be given once", twice)
        if self.query is None:
            if values:
                raise InvalidRequest("is not a parameter of this address", next(iter(values)))
            return None
        try:
            return msgspec.convert(values, self.query, strict=False)
        except msgspec.ValidationError as error:
            raise unreadable(error) from None


def _segment(part: str) -> bytes | None:
    return None if part.startswith("{") else part.encode()


class Router:
    """Finds the route of a request. Segments are split before they are decoded: an id may hold ``%2F``.

    Args:
        routes: all routes.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._fixed: dict[bytes, dict[str, Route]] = {}
        self._variable: dict[int, list[tuple[tuple[bytes | None, ...], dict[str, Route]]]] = {}
        for route in routes:
            if None not in route.segments:
                methods = self._fixed.setdefault(route.path.encode(), {})
            else:
                same_length = self._variable.setdefault(len(route.segments), [])
                known = [methods for segments, methods in same_length if segments == route.segments]
                methods = known[0] if known else {}
                if not known:
                    same_length.append((route.segments, methods))
            methods[route.method] = route

    def find(self, method: str, raw_path: bytes) -> tuple[Route, tuple[str, ...]]:
        """The route and the decoded variable segments.

        Args:
            method: the HTTP method.
            raw_path: the path as it was sent, percent-encoded.

        Returns:
            The route, and the segments in the order of the path.

        Raises:
            Refusal: 404 when there is no such address, 405 when it answers to other methods, 400 when a part
                of it is not percent-encoded UTF-8.
        """
        names: tuple[str, ...] = ()
        methods = self._fixed.get(raw_path)
        if methods is None:
            methods, names = self._find_variable(raw_path)
        route = methods.get(method)
        if route is None and method == "HEAD":
            route = methods.get("GET")
        if route is None:
            allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
            detail = f"this address answers to {allowed}, not {method}"
            raise Refusal(405, detail, ((b"allow", allowed.encode()),))
        return route, names

    def _find_variable(self, raw_path: bytes) -> tuple[dict[str, Route], tuple[str, ...]]:
        parts = raw_path.split(b"/")
        for segments, methods in self._variable.get(len(parts), ()):
            if all(want is None or want == part for want, part in zip(segments, parts, strict=True)):
                pairs = zip(segments, parts, strict=True)
                return methods, tuple(_decoded(part) for want, part in pairs if want is None)
        raise Refusal(404, "there is nothing at this address; /docs lists what there is")


def _decoded(part: bytes) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise Refusal(400, "the path is not percent-encoded UTF-8") from None
