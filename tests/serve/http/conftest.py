"""A real service on loopback: uvicorn in a thread, a flow over a log in memory, httpx as the client."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx
import pytest

from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.serve.http import HttpSettings, Service, configure_logs
from instep.serve.http import serving as run
from instep.serve.metrics import Metrics
from instep.serve.warming import compile_loops

Serve = Callable[..., AbstractContextManager[httpx.Client]]


@contextlib.contextmanager
def _serving(settings: HttpSettings | None = None, flow: Flow | None = None) -> Iterator[httpx.Client]:
    settings = settings or HttpSettings(port=0)
    own = Flow(MemoryLog(), Settings(policy="greedy")) if flow is None else None
    served = flow or own
    assert served is not None
    try:
        with (
            run(Service(served, settings, Metrics()), settings) as address,
            httpx.Client(base_url=address, timeout=30) as client,
        ):
            yield client
    finally:
        if own is not None:
            own.close()


@pytest.fixture(scope="session")
def serving() -> Serve:
    """Start a service with these settings and this flow; yields a client of it."""
    configure_logs("error")
    compile_loops(print)
    return _serving


@pytest.fixture(scope="module")
def client(serving: Serve) -> Iterator[httpx.Client]:
    """A client of a service with default settings, a few items and a crowd that clicked on them in turn."""
    with serving() as http:
        items = [
            {"item_id": f"i{n}", "title": f"Tea number {n}", "categories": ["tea"], "price": n}
            for n in range(30)
        ]
        assert http.post("/v1/items", json=items).status_code == 200
        clicks = [
            {"user_id": f"crowd-{n}", "item_id": f"i{(n + step) % 30}", "type": "click"}
            for n in range(30)
            for step in range(4)
        ]
        assert http.post("/v1/events", json=clicks).status_code == 200
        yield http
