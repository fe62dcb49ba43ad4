"""What went wrong, as RFC 9457 problem documents that name the field."""

from __future__ import annotations

import json
import math
import re
from http import HTTPStatus
from typing import Any, Final

import msgspec

from instep.domain import InvalidRequest, NotFound, StageError, Unavailable

PROBLEM_JSON: Final = b"application/problem+json"
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_OBJECT: Final = re.compile(
    r"^Object (?:missing required|contains unknown) field `(?P<field>.*)`$", re.DOTALL
)


class Problem(msgspec.Struct, omit_defaults=True):
    """A problem document.

    Args:
        type: identifies the kind of problem.
        title: the kind of problem, in words.
        status: the HTTP status.
        detail: what is wrong with this request and what would be right.
        request_id: the X-Request-ID of the answer, for the operator's log.
        field: path of the offending field, e.g. ``events[3].value``.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    field: str | None = None


class Refusal(Exception):
    """An answer with a 4xx status that is not about one field of the body.

    Args:
        status: the HTTP status.
        detail: what is wrong and what would be right.
        headers: more headers for the answer.
    """

    def __init__(self, status: int, detail: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


Headers = tuple[tuple[bytes, bytes], ...]


def problem(error: Exception, request_id: str) -> tuple[Problem, Headers]:
    """The document for an error, and what headers go with it.

    An error that nobody foresaw becomes a 500 that tells nothing of its inside.

    >>> problem(InvalidRequest("must be finite", "value"), "r1")[0]
    Problem(type='urn:instep:problem:unprocessable-content', title='Unprocessable Content', status=422, \
detail='must be finite', request_id='r1', field='value')
    """
    if isinstance(error, Refusal):
        return _document(error.status, error.detail, request_id), error.headers
    if isinstance(error, NotFound):
        return _document(404, error.message, request_id), ()
    if isinstance(error, InvalidRequest):
        return _document(422, error.message, request_id, error.field), ()
    if isinstance(error, StageError):
        return _document(503, str(error), request_id), ((b"retry-after", b"5"),)
    if isinstance(error, Unavailable):
        return _document(503, f"{error} (nothing was stored; try again)", request_id), (
            (b"retry-after", b"1"),
        )
    detail = f"an error inside the service; its log has more under the request id {request_id}"
    return _document(500, detail, request_id), ()


def _document(status: int, detail: str, request_id: str, field: str | None = None) -> Problem:
    title = TITLES.get(status) or HTTPStatus(status).phrase
    kind = f"urn:instep:problem:{title.lower().replace(' ', '-')}"
    return Problem(kind, title, status, detail, request_id, field)


# Python 3.11 has the names of RFC 7231; these are those of RFC 9110.
TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


def unreadable(error: Exception, body: bytes = b"", root: str = "") -> InvalidRequest | Refusal:
    """What msgspec said about a body or a query, in our words.

    Args:
        error: what was raised while decoding.
        body: what was decoded.
        root: the caller's name for a list at the top of it, for the path of a field.

    Returns:
        `InvalidRequest` with the field's path when the JSON was well-formed, `Refusal` (400) when it was not.

    >>> unreadable(msgspec.ValidationError("Expected `str`, got `int` - at `$[3].type`"), root="events").field
    'events[3].type'
    >>> unreadable(msgspec.ValidationError("Object contains unknown field `colour`")).field
    'colour'
    >>> unreadable(msgspec.DecodeError("Input data was truncated")).status
    400
    >>> unreadable(msgspec.DecodeError("JSON is malformed"), b'{"events": [{"value": NaN}]}').field
    'events[0].value'
    """
    if isinstance(error, msgspec.ValidationError):
        found = _AT.match(str(error))
        assert found is not None  # the expression matches every text
        what, path = found["what"], (found["path"] or "").replace("[...]", "")
        about = _OBJECT.match(what)
        if about:
            path = f"{path}.{about['field']}"
        field = f"{root}{path}" if path.startswith("[") else path.removeprefix(".")
        return InvalidRequest(what[0].lower() + what[1:], field or None)
    if isinstance(error, RecursionError):
        return Refusal(400, "the JSON is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Refusal(400, "the JSON is not valid UTF-8")
    path = _not_finite(body)
    if path is not None:
        field = f"{root}{path}" if path.startswith("[") else path.removeprefix(".")
        return InvalidRequest("must be a finite number; NaN and Infinity are not JSON", field or None)
    return Refusal(400, f"the body is not valid JSON: {error}")


def _not_finite(body: bytes) -> str | None:
    """Where a body that JSON does not allow, but many writers produce, has its first NaN or Infinity."""
    if b"NaN" not in body and b"Infinity" not in body:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    places: list[tuple[str, Any]] = [("", value)]
    while places:
        path, value = places.pop()
        if isinstance(value, dict):
            places += [(f"{path}.{name}", entry) for name, entry in reversed(value.items())]
        elif isinstance(value, list):
            places += [(f"{path}[{place}]", entry) for place, entry in reversed(list(enumerate(value)))]
        elif isinstance(value, float) and not math.isfinite(value):
            return path
    return None
