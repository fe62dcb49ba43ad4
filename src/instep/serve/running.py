"""Serving an open folder: what `instep serve` and `instep demo` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from instep.domain import ConfigError
from instep.serve.following import FollowingTuner, follow_command
from instep.serve.http import HttpServer, Service
from instep.serve.terminal import Terminal

if TYPE_CHECKING:
    from instep.serve.app import App


def serve_app(app: App, terminal: Terminal, exit_when_ready: bool = False, any_port: bool = False) -> None:
    """Serve an app over HTTP until SIGINT or SIGTERM.

    Args:
        app: whose flow answers; whoever opened it closes it.
        terminal: where the address is printed.
        exit_when_ready: whether to stop once it answers.
        any_port: whether another port may be taken when the wanted one is not free.

    Raises:
        ConfigError: the address cannot be bound, or it would let everybody in.
    """
    settings = app.http_settings()
    server: HttpServer

    def ready(address: str) -> None:
        terminal.result(
            f"Ready: {address}/", address=address, folder=str(app.folder.path), offset=app.flow.log.end
        )
        if exit_when_ready:
            server.stop()
        else:
            terminal.say("Ctrl-C stops it.")

    service = Service(app.flow, settings, app.metrics, app.models)
    try:
        server = HttpServer(service, settings, ready)
    except ConfigError as error:
        if not any_port:
            raise
        terminal.say(f"{error}. Taking a free port instead.")
        server = HttpServer(service, msgspec.structs.replace(settings, port=0), ready)
    tuner = None
    if app.config.tune.follow and not exit_when_ready:
        tuner = FollowingTuner(follow_command(str(app.folder.path)))
    try:
        server.serve_until_stopped()
    finally:
        if tuner is not None:
            tuner.close()
