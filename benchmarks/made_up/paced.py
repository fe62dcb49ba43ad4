"""Load at a given rate on an HTTP service from outside of its process."""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from made_up.load import Figures, read_answer

LEAD: float = 0.05


def paced(
    port: int, kinds: Mapping[str, tuple[Sequence[bytes], float]], seconds: float, most: int
) -> Figures:
    """Send requests when they are due, whether or not earlier ones were answered; runs in another process.

    Arrivals are a Poisson process. A latency counts from the moment its request was due, not from when a connection
    was free to send it: a service that stalls cannot hide what it made others wait (no coordinated omission).

    Args:
        port: of the service, on this machine.
        kinds: name to requests, taken in turns, and how many a second.
        seconds: for how long requests fall due; all of them are answered before it returns.
        most: connections; as many requests are under way at most, the others wait.

    Returns:
        For each kind `NAME p50`, `NAME p99`, `NAME p99.9` in microseconds and `NAME a second`, answers by the
        time from the first due to the last answer.

    Raises:
        RuntimeError: an answer was not 200.
    """
    due = _schedule({name: rate for name, (_, rate) in kinds.items()}, seconds)
    free = [_connected(port) for _ in range(most)]
    under_way: dict[socket.socket, tuple[str, float]] = {}
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    number = dict.fromkeys(kinds, 0)
    began = time.perf_counter() + LEAD
    waiting = deque((began + at, name) for at, name in due)
    while waiting or under_way:
        now = time.perf_counter()
        while waiting and free and waiting[0][0] <= now:
            at, name = waiting.popleft()
            connection = free.pop()
            requests = kinds[name][0]
            connection.sendall(requests[number[name] % len(requests)])
            number[name] += 1
            under_way[connection] = (name, at)
        # select, since epoll counts in whole milliseconds
        pause = max(waiting[0][0] - time.perf_counter(), 0.0) if waiting and free else 1.0
        for ready in select.select(list(under_way), (), (), pause)[0]:
            read_answer(ready)
            name, at = under_way.pop(ready)
            spent[name].append(time.perf_counter() - at)
            free.append(ready)
    took = time.perf_counter() - began
    for connection in free:
        connection.close()
    return {
        f"{name} {figure}": value
        for name, times in spent.items()
        for figure, value in (
            *((f"p{share:g}", float(np.percentile(times, share)) * 1e6) for share in (50, 99, 99.9)),
            ("a second", len(times) / took),
        )
    }


def _schedule(rates: Mapping[str, float], seconds: float) -> list[tuple[float, str]]:
    """When each kind's requests fall due, in order: seconds from the beginning."""
    rng = np.random.default_rng(5)
    due = [
        (float(at), name)
        for name, rate in rates.items()
        for at in np.cumsum(rng.exponential(1.0 / rate, round(rate * seconds)))
    ]
    return sorted(due)


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
