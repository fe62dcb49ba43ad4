"""Load on an HTTP service from outside of its process."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence

import numpy as np

Figures = dict[str, float]


def load(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Figures:
    """Ask for some time over kept connections, each with one request under way; runs in another process.

    Plain sockets and little parsing: the client must cost less than the server that it measures.

    Returns:
        With one client, `p50` and `p99` in microseconds; with several, requests `a second`.

    Raises:
        RuntimeError: an answer was not 200.
    """
    poll = selectors.DefaultSelector()
    sockets = {}
    for _ in range(clients):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(connection, selectors.EVENT_READ)
        sockets[connection.fileno()] = connection
    spent: list[float] = []
    sent: dict[int, float] = {}
    number, cpu, began = 0, time.process_time(), time.perf_counter()
    for at, connection in sockets.items():
        connection.sendall(requests[number % len(requests)])
        sent[at] = time.perf_counter()
        number += 1
    while (now := time.perf_counter()) - began < seconds:
        for key, _ in poll.select(1.0):
            at, connection = key.fd, sockets[key.fd]
            read_answer(connection)
            spent.append((now := time.perf_counter()) - sent[at])
            connection.sendall(requests[number % len(requests)])
            sent[at] = now
            number += 1
    took, busy = now - began, time.process_time() - cpu
    for connection in sockets.values():
        connection.close()
    if clients > 1:
        return {"a second": len(spent) / took, "client's share of a core": busy / took}
    return {f"p{share}": float(np.percentile(spent, share)) * 1e6 for share in (50, 99)}


def read_answer(connection: socket.socket) -> None:
    """Read one whole answer.

    Raises:
        RuntimeError: it was not 200.
    """
    answer = connection.recv(65_536)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the service answered {answer[:300]!r}")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
