"""Lines of text files, whatever wrote them: byte order marks, UTF-16, Latin-1 lines, lines without end."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from instep.domain import ConfigError
from instep.files.base import RAW_LIMIT, Rejected

LINE_LIMIT = 1 << 20
"""Bytes in a line; a longer one is rejected, so that a file without line ends cannot fill the memory."""


def lines(path: Path) -> Iterator[tuple[int, str | Rejected]]:
    """Numbered lines with their line ends.

    Text is UTF-8 (or UTF-16 with a byte order mark). A line that is not valid UTF-8 is read as Latin-1,
    alone: a Latin-1 file comes out right, and one damaged line does not garble the others.

    Args:
        path: a text file.

    Raises:
        ConfigError: the file cannot be opened or read.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(_raw_lines(file), 1):
                if len(raw) > LINE_LIMIT:
                    shown = raw[:RAW_LIMIT].decode("latin-1")
                    yield number, Rejected(number, f"longer than {LINE_LIMIT} bytes", shown, path.name)
                else:
                    yield number, _decoded(raw)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        file.seek(0)
        text = io.TextIOWrapper(file, encoding="utf-16", errors="replace", newline="")
        while line := text.readline(LINE_LIMIT + 1):
            if len(line) > LINE_LIMIT:
                while (more := text.readline(LINE_LIMIT)) and not more.endswith(("\n", "\r")):
                    pass
            yield line.encode()
        return
    file.seek(3 if start.startswith(codecs.BOM_UTF8) else 0)
    while chunk := file.readline(LINE_LIMIT + 1):
        if len(chunk) > LINE_LIMIT and not chunk.endswith(b"\n"):
            while (rest := file.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                pass
        yield chunk
