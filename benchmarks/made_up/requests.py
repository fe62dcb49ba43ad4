"""Requests as the bytes that go over the wire."""

from __future__ import annotations

import json


def get(path: str) -> bytes:
    """A GET.

    >>> get("/health/live").splitlines()[0]
    b'GET /health/live HTTP/1.1'
    """
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, **body: object) -> bytes:
    """A POST of a JSON object.

    >>> post("/v1/events", user_id="u1").splitlines()[-1]
    b'{"user_id": "u1"}'
    """
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
    return f"{head}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
