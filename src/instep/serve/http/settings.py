"""What an operator may set about the HTTP service."""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

from instep.domain import ConfigError
from instep.serve.http.keys import Key

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class HttpSettings(msgspec.Struct, frozen=True):
    """Settings of the HTTP service. The defaults are safe: only this machine can reach it.

    Args:
        host: address to bind; anything but a loopback address needs `keys`.
        port: port to bind; 0 lets the system choose.
        keys: API keys. On loopback none are needed; once there are some, they are needed there too.
        allowed_hosts: names in the Host header that are answered, without port. Empty: on loopback its own
            names, elsewhere any. It keeps web pages from driving a local service by DNS rebinding.
        max_body_bytes: largest request body.
        rate_per_second: requests a second that one key may make in the long run; 0 turns the limit off.
        rate_burst: requests that one key may make at once.
        body_timeout: seconds in which a request's body must have arrived.
        shutdown_timeout: seconds that open requests get to finish at shutdown.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    keys: tuple[Key, ...] = ()
    allowed_hosts: frozenset[str] = frozenset()
    max_body_bytes: int = 8 * 1024 * 1024
    rate_per_second: float = 1_000.0
    rate_burst: int = 2_000
    body_timeout: float = 30.0
    shutdown_timeout: int = 10

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service.

        >>> HttpSettings(host="::1").loopback, HttpSettings(host="0.0.0.0").loopback
        (True, False)
        """
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Raise `ConfigError` when these settings would leave the service open to everybody.

        >>> HttpSettings(host="0.0.0.0").check()  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        instep.domain.errors.ConfigError: binding to 0.0.0.0 lets other machines in: make an API key first...
        """
        if not self.loopback and not self.keys:
            raise ConfigError(
                f"binding to {self.host} lets other machines in: make an API key first (`instep keys add`), or "
                "bind to 127.0.0.1"
            )
        if not 0 <= self.port < 65_536:
            raise ConfigError(f"port must be between 0 and 65535, not {self.port}")
        if self.rate_per_second < 0 or (self.rate_per_second > 0 and self.rate_burst < 1):
            raise ConfigError("rate_per_second must be at least 0 and rate_burst at least 1")
