"""Reading records straight from the pages of an SQLite file, when SQLite itself no longer can.

A record's checksum covers its offset and payload, so a row is known to be sound wherever it is found: no
schema, no page that points to it and no length of the file need be right.

Source: https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from instep.log.wal import read_frames

PAGE: Final = 4096
LEAF_TABLE: Final = 13
INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

Value = int | float | bytes | None


class Pages:
    """The pages of a database, those in its write-ahead log over those in the file.

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self._file: bytes | mmap = b""
        if path.exists() and path.stat().st_size:
            with path.open("rb") as file:
                self._file = mmap(file.fileno(), 0, access=ACCESS_READ)
        wal = read_frames(Path(f"{path}-wal"))
        # A log that is merely torn is taken as far as SQLite takes it; behind damage, whatever is there.
        damaged = not wal.sound_header or int((wal.frames["commit"][wal.valid :] != 0).sum()) >= 2
        frames = wal.frames if damaged else wal.frames[: wal.valid]
        last = max((index for index, frame in enumerate(frames) if frame["commit"]), default=-1)
        self._newer = {int(frame["page"]): frame["image"].tobytes() for frame in frames[: last + 1]}

    def __len__(self) -> int:
        return max(-(-len(self._file) // PAGE), max(self._newer, default=0))

    def __getitem__(self, number: int) -> bytes:
        """A page by its number, from 1; zeros where the file has ended."""
        page = self._newer.get(number) or self._file[(number - 1) * PAGE : number * PAGE]
        return page.ljust(PAGE, b"\0")

    def rows(self) -> Iterator[tuple[int, list[Value]]]:
        """Row id and columns of whatever looks like a row of a table; the caller checks."""
        for number in range(1, len(self) + 1):
            page = self[number]
            if page[0] != LEAF_TABLE:
                continue
            for cell in range(int.from_bytes(page[3:5], "big")):
                start = int.from_bytes(page[8 + 2 * cell : 10 + 2 * cell], "big")
                try:
                    yield self._row(page, start)
                except (IndexError, ValueError):
                    continue  # not a cell: this is a damaged page

    def _row(self, page: bytes, at: int) -> tuple[int, list[Value]]:
        size, at = _varint(page, at)
        offset, at = _varint(page, at)
        local = _local_bytes(size)
        body = page[at : at + local]
        if local < size:
            body += self._overflow(int.from_bytes(page[at + local : at + local + 4], "big"), size - local)
        if len(body) != size:
            raise ValueError("the cell leaves its page")
        return offset, _columns(body)

    def _overflow(self, number: int, missing: int) -> bytes:
        parts = []
        while missing > 0 and 0 < number <= len(self):
            page = self[number]
            parts.append(page[4 : 4 + min(missing, PAGE - 4)])
            missing -= len(parts[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)


def _columns(body: bytes) -> list[Value]:
    header, at = _varint(body, 0)
    types = []
    while at < header:
        kind, at = _varint(body, at)
        types.append(kind)
    values: list[Value] = []
    for kind in types:
        width = INTEGER_BYTES.get(kind, (kind - 12) // 2 if kind >= 12 else 0)
        raw = body[at : at + width]
        if len(raw) != width:
            raise ValueError("a column leaves its row")
        if kind in INTEGER_BYTES:
            values.append(int.from_bytes(raw, "big", signed=True))
        elif kind >= 12:
            values.append(raw)
        else:
            values.append({8: 0, 9: 1}.get(kind))
        at += width
    return values


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length in range(9):
        byte = raw[at + length]
        if length == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + length + 1
    raise ValueError("unreachable")


def _local_bytes(size: int) -> int:
    """How much of a cell's payload is on its own page; the rest is on overflow pages."""
    if size <= PAGE - 35:
        return size
    least = (PAGE - 12) * 32 // 255 - 23
    fitted = least + (size - least) % (PAGE - 4)
    return fitted if fitted <= PAGE - 35 else least
