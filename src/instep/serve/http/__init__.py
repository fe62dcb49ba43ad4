"""The HTTP service: plain ASGI with msgspec. `service.py` tells what happens to a request."""

from instep.serve.http.keys import Key, Keyring, Scope, make_key
from instep.serve.http.logs import configure_logs
from instep.serve.http.server import HttpServer, serve_http, serving
from instep.serve.http.service import ROUTES, Service
from instep.serve.http.settings import HttpSettings

__all__ = [
    "ROUTES",
    "HttpServer",
    "HttpSettings",
    "Key",
    "Keyring",
    "Scope",
    "Service",
    "configure_logs",
    "make_key",
    "serve_http",
    "serving",
]
