"""Who may come in: the host and origin that browsers name, API keys, rates, sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from time import monotonic
from typing import Any, Final

from instep.serve.http.keys import Key, Keyring, Scope
from instep.serve.http.problems import Refusal
from instep.serve.http.settings import LOOPBACK_HOSTS, HttpSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
RequestHeaders = dict[bytes, bytes]

_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="instep"'),)


class Disconnected(Exception):
    """The client went away in the middle of its request: there is nobody to answer."""


class Bucket:
    """A token bucket: `burst` requests at once, `rate` a second in the long run."""

    __slots__ = ("burst", "level", "rate", "then")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate = rate
        self.burst = float(burst)
        self.level = float(burst)
        self.then = now

    def take(self, now: float) -> float:
        """Take a token; returns 0.0, or the seconds until there is one.

        >>> bucket = Bucket(rate=2.0, burst=1, now=0.0)
        >>> bucket.take(0.0), bucket.take(0.0), bucket.take(0.5)
        (0.0, 0.5, 0.0)
        """
        self.level = min(self.burst, self.level + (now - self.then) * self.rate)
        self.then = now
        if self.level >= 1.0:
            self.level -= 1.0
            return 0.0
        return (1.0 - self.level) / self.rate


class Gate:
    """Decides who may come in.

    Args:
        settings: hosts, keys, rates and sizes.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._keyring = Keyring(settings.keys)
        self._hosts = settings.allowed_hosts or (LOOPBACK_HOSTS if settings.loopback else frozenset())
        self._rate = settings.rate_per_second
        self._burst = settings.rate_burst
        self._buckets: dict[str, Bucket] = {}
        self._most = settings.max_body_bytes
        self._timeout = settings.body_timeout

    def check_host(self, headers: RequestHeaders) -> None:
        """Refuse a request that a web page elsewhere made a browser send.

        Raises:
            Refusal: 421 for a Host that is not ours (DNS rebinding), 403 for an Origin that is not the Host.
        """
        host = headers.get(b"host", b"")
        if self._hosts and _name(host) not in self._hosts:
            raise Refusal(
                421, "this service does not answer to the name in the Host header; see allowed_hosts"
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2].lower() != host.lower():
            raise Refusal(403, "web pages of another origin may not use this service")

    def admit(self, scope: Scope, headers: RequestHeaders) -> None:
        """Refuse a request that has no key for this scope, or came too soon after too many others.

        Raises:
            Refusal: 401 without a valid key, 403 when it lacks the scope, 429 after too many requests.
        """
        if not self._keyring:
            return
        key = self._key(headers)
        if not key.allows(scope):
            raise Refusal(403, f"this needs a key with the scope {scope!r}")
        if self._rate:
            now = monotonic()
            bucket = self._buckets.get(key.sha256)
            if bucket is None:
                bucket = self._buckets[key.sha256] = Bucket(self._rate, self._burst, now)
            wait = bucket.take(now)
            if wait:
                seconds = str(int(wait) + 1).encode()
                raise Refusal(429, "too many requests with this key", ((b"retry-after", seconds),))

    def _key(self, headers: RequestHeaders) -> Key:
        scheme, _, text = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not text:
            raise Refusal(401, "send an API key: Authorization: Bearer KEY", _CHALLENGE)
        key = self._keyring.find(text.strip().decode("latin-1"))
        if key is None:
            raise Refusal(401, "this API key is not known", _CHALLENGE)
        return key

    async def read_body(self, receive: Receive, headers: RequestHeaders) -> bytes:
        """A request's body, of limited size and in limited time.

        Raises:
            Refusal: 413 when it is too large, 408 when it did not arrive, 415 when it is not JSON as it stands.
            Disconnected: the client went away.
        """
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind not in (b"application/json", b"application/merge-patch+json"):
            # Also a defence: browsers send other kinds across origins without asking first.
            raise Refusal(415, "send JSON, with the header Content-Type: application/json")
        coding = headers.get(b"content-encoding", b"identity").strip().lower()
        if coding not in (b"", b"identity"):  # compressed, a body of allowed size may be of any size
            detail = "send the body as it is, uncompressed: the only Content-Encoding read is identity"
            raise Refusal(415, detail, ((b"accept-encoding", b"identity"),))
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._most:
            raise Refusal(413, f"the body may have at most {self._most} bytes")
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            return self._measured(message.get("body", b""))
        try:
            async with asyncio.timeout(self._timeout):
                return await self._read_on(message, receive)
        except TimeoutError:
            raise Refusal(408, f"the body did not arrive within {self._timeout:g} s") from None

    async def _read_on(self, message: Message, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            if message["type"] != "http.request":
                raise Disconnected
            body += message.get("body", b"")
            self._measured(body)
            if not message.get("more_body"):
                return bytes(body)
            message = await receive()

    def _measured(self, body: bytes | bytearray) -> bytes:
        if len(body) > self._most:
            raise Refusal(413, f"the body may have at most {self._most} bytes")
        return body  # type: ignore[return-value]


@lru_cache(maxsize=64)
def _name(host: bytes) -> str:
    """The name in a Host header, without its port.

    >>> _name(b"LocalHost:8080"), _name(b"[::1]:80"), _name(b"a.example")
    ('localhost', '[::1]', 'a.example')
    """
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    return name if colon and not port.endswith("]") else text
