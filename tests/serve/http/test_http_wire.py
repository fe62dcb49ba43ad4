"""What goes over the wire: an answer is sent whole, and ids are nobody else's."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx

from instep.serve.http.records import new_id
from instep.serve.http.server import Joined


class Recorded(asyncio.Transport):
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.sent.append(b"closed")

    def is_closing(self) -> bool:
        return False


def sent_of(*writes: bytes, close: bool = False) -> list[bytes]:
    recorded = Recorded()
    joined = Joined(recorded)
    for data in writes:
        joined.write(data)
    if close:
        joined.close()
    return recorded.sent


def test_a_header_and_its_body_are_sent_at_once() -> None:
    assert sent_of(b"HTTP/1.1 200 OK\r\n\r\n", b"{}") == [b"HTTP/1.1 200 OK\r\n\r\n{}"]


def test_a_header_is_sent_with_an_empty_body() -> None:
    assert sent_of(b"HTTP/1.1 204 No Content\r\n\r\n", b"") == [b"HTTP/1.1 204 No Content\r\n\r\n"]


def test_later_parts_of_a_body_are_sent_as_they_come() -> None:
    assert sent_of(b"head ", b"one", b"two", b"three") == [b"head one", b"two", b"three"]


def test_the_leave_to_go_on_is_not_kept_back() -> None:
    leave = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert sent_of(leave, b"head ", b"body") == [leave, b"head body"]


def test_a_header_without_a_body_is_sent_before_the_connection_closes() -> None:
    assert sent_of(b"head", close=True) == [b"head", b"closed"]
    assert sent_of(b"head ", b"body", close=True) == [b"head body", b"closed"]


def test_a_client_that_asks_for_leave_to_send_its_body_gets_it(client: httpx.Client) -> None:
    body = b'{"user_id": "crowd-1", "n": 2}'
    head = (
        b"POST /v1/recommendations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"}")


def test_a_header_alone_is_answered_to_head(client: httpx.Client) -> None:
    whole, head = client.get("/health/live"), client.head("/health/live")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert client.get("/health/live").content == whole.content  # the connection goes on


def test_requests_sent_ahead_are_answered_whole_and_in_order(client: httpx.Client) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: r%d\r\n\r\n"
    last = b"HEAD /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: r3\r\nConnection: close\r\n\r\n"
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(one % 1 + one % 2 + last)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    places = [answer.index(b"x-request-id: r%d\r\n" % n) for n in (1, 2, 3)]
    assert places == sorted(places)
    assert answer.endswith(b"\r\n\r\n")


def test_ids_are_distinct_from_any_thread() -> None:
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda _: new_id(), range(5_000)))
    assert len(set(drawn)) == 5_000
    assert {len(one) for one in drawn} == {32}


def test_a_forked_child_gives_out_other_ids_than_its_parent() -> None:
    new_id()  # now there are some in store
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_id() for _ in range(600)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(child, 0)
    theirs = {text[at : at + 32] for at in range(0, len(text), 32)}
    assert len(theirs) == 600
    assert theirs.isdisjoint(new_id() for _ in range(600))
