"""API keys: made once, shown once, kept as hashes."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection
from hashlib import sha256
from typing import Final, Literal, get_args

import msgspec

from instep.domain import ConfigError

Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PREFIX: Final = "instep_"


class Key(msgspec.Struct, frozen=True):
    """A key as it is kept.

    Args:
        name: what people call it; it may appear in logs and metrics.
        scopes: what it may do; ``admin`` includes the others.
        sha256: hexadecimal hash of the key. A key has 256 random bits, so that no slow hash is needed.
    """

    name: str
    scopes: frozenset[Scope]
    sha256: str

    def allows(self, scope: Scope) -> bool:
        """Whether the key may do this.

        >>> Key("k", frozenset({"admin"}), "").allows("read")
        True
        """
        return scope in self.scopes or "admin" in self.scopes


def make_key(name: str, scopes: Collection[Scope]) -> tuple[str, Key]:
    """Make a key.

    Args:
        name: what people will call it.
        scopes: what it may do.

    Returns:
        The key's text, to be shown once to its owner, and what is kept of it.

    Raises:
        ConfigError: there is no such scope, or none was given.

    >>> text, key = make_key("shop", {"read"})
    >>> Keyring([key]).find(text).name
    'shop'
    >>> Keyring([key]).find(text + "x") is None
    True
    """
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        raise ConfigError(f"a key needs one or more of the scopes {', '.join(SCOPES)}, not {sorted(scopes)}")
    text = PREFIX + secrets.token_urlsafe(32)
    return text, Key(name, frozenset(scopes), sha256(text.encode()).hexdigest())


class Keyring:
    """The keys a service accepts."""

    def __init__(self, keys: Collection[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, text: str) -> Key | None:
        """The key with this text. How long it takes tells only how many keys there are."""
        digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found
