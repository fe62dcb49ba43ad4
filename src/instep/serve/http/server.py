"""Running the service: uvicorn, one worker, bounded headers, a shutdown that finishes what was begun."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from instep.domain import ConfigError, Unavailable
from instep.serve.http.service import Service
from instep.serve.http.settings import HttpSettings
from instep.serve.metrics import Metrics

if TYPE_CHECKING:
    from instep.flow import Flow

HEAD_BYTES: Final = 64 * 1024
CONTINUE: Final = b"HTTP/1.1 100 "
HEAD_SECONDS: Final = 15.0
SWITCH_SECONDS: Final = 0.0005
SECONDS_TO_LISTEN: Final = 30.0


class Joined:
    """One answer's way to its connection: the header waits for the body's first part, and both are sent at once.

    uvicorn writes them one after the other. Each write is a call of the system that wakes the client, and at
    each another thread of this process may take the interpreter.

    Args:
        transport: the connection.
    """

    __slots__ = ("_head", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Keep the header, send all else with what was kept."""
        if self._head is None:
            if data.startswith(CONTINUE):  # the client waits for it before it sends the body
                self._transport.write(data)
            else:
                self._head = data
        else:
            self._transport.write(self._head + data if self._head else data)
            self._head = b""

    def close(self) -> None:
        """Send what was kept, and hang up."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with what it lacks: a bound on a request's header, in bytes and in time.

    It also sends an answer's header and body together.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._head_bytes = 0
        self._head_since: float | None = monotonic()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = 0
        self._head_since = monotonic()
        super().on_message_begin()  # type: ignore[no-untyped-call, unused-ignore]

    def on_headers_complete(self) -> None:
        """A request's header has arrived."""
        self._head_since = None
        before = self.cycle
        super().on_headers_complete()  # type: ignore[no-untyped-call, unused-ignore]
        if self.cycle is not before and self.scope["method"] != "HEAD":  # whose answer is a header alone
            self.cycle.transport = Joined(self.transport)  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Some bytes have arrived."""
        super().data_received(data)
        if self._head_since is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.send_400_response("The request's header is too large.")

    def close_if_slow(self, now: float) -> None:
        """Hang up on a client whose header has been under way for too long."""
        if self._head_since is not None and now - self._head_since > HEAD_SECONDS:
            self.transport.close()


class HttpServer(uvicorn.Server):
    """The server of one service.

    Args:
        service: what answers.
        settings: where to listen.
        on_ready: called with the address once requests are answered.

    Raises:
        ConfigError: the address cannot be bound.
    """

    def __init__(
        self, service: Service, settings: HttpSettings, on_ready: Callable[[str], None] | None = None
    ) -> None:
        self._socket = _bind(settings)
        self._on_ready = on_ready
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.address = f"http://{host}:{self._socket.getsockname()[1]}"
        super().__init__(
            uvicorn.Config(
                service,
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=60,
                timeout_graceful_shutdown=settings.shutdown_timeout,
            )
        )

    def serve_until_stopped(self) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; open requests are finished first."""
        before = sys.getswitchinterval()
        # The log's thread learns while this one answers: at the default of 5 ms they wait for one another.
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            self.run(sockets=[self._socket])
        finally:
            sys.setswitchinterval(before)
            self._socket.close()

    def stop(self) -> None:
        """Have it stop, from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        structlog.get_logger("instep.http").info("listening", address=self.address)
        if self._on_ready is not None:
            self._on_ready(self.address)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            now = monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.close_if_slow(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn would raise them again, and the log would not be closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve_http(
    flow: Flow,
    settings: HttpSettings,
    metrics: Metrics | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a flow over HTTP until SIGINT or SIGTERM. Returns when all requests are finished.

    Args:
        flow: what observes and recommends; whoever made it closes it afterwards.
        settings: where to listen and whom to let in.
        metrics: where requests are counted.
        on_ready: called with the address once requests are answered.

    Raises:
        ConfigError: the address cannot be bound, or the settings leave the service open to everybody.
    """
    HttpServer(Service(flow, settings, metrics), settings, on_ready).serve_until_stopped()


@contextlib.contextmanager
def serving(service: Service, settings: HttpSettings) -> Iterator[str]:
    """Serve in a thread of its own while the block runs.

    Args:
        service: what answers.
        settings: where and how.

    Yields:
        The service's address.

    Raises:
        ConfigError: the address cannot be bound, or the settings leave the service open to everybody.
        Unavailable: it did not begin to listen within half a minute.
    """
    listening = threading.Event()
    server = HttpServer(service, settings, lambda _: listening.set())
    thread = threading.Thread(target=server.serve_until_stopped, name="instep-http")
    thread.start()
    try:
        if not listening.wait(SECONDS_TO_LISTEN):
            raise Unavailable(f"{server.address}: does not listen after {SECONDS_TO_LISTEN:.0f} seconds")
        yield server.address
    finally:
        server.stop()
        thread.join()


def _bind(settings: HttpSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        raise ConfigError(f"cannot listen on {where}: {error}; choose another host or port") from error
    return bound
