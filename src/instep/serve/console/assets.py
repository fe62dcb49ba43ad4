"""The page's files, read once from the installed package."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final

import msgspec

MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Asset(msgspec.Struct, frozen=True):
    """One file of the page.

    Args:
        body: its bytes.
        media_type: value of the Content-Type header.
        etag: quoted hash of the bytes, for If-None-Match.
    """

    body: bytes
    media_type: str
    etag: str


@cache
def assets() -> MappingProxyType[str, Asset]:
    """All files of the page by their path below the `static` folder.

    >>> "index.html" in assets()
    True
    """
    root = files("instep.serve.console") / "static"
    return MappingProxyType(dict(_walk(root, "")))


def asset(path: str) -> Asset | None:
    """One file, or None when the page has none of that name.

    It is looked up in a dictionary of the files there are: no path, however written, leaves the folder.

    >>> asset("app.js").media_type
    'text/javascript; charset=utf-8'
    >>> asset("../assets.py") is None
    True
    """
    return assets().get(path.removeprefix("/"))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
            continue
        body = entry.read_bytes()
        media_type = MEDIA_TYPES.get(entry.name.rpartition(".")[2], "text/plain; charset=utf-8")
        found.append((prefix + entry.name, Asset(body, media_type, f'"{sha256(body).hexdigest()[:20]}"')))
    return found
