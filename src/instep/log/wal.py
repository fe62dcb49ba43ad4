"""Reading SQLite's write-ahead log, to notice what SQLite does not say.

When SQLite opens a database it takes the write-ahead log up to the first frame with a bad checksum and drops
the rest without a word. After a power cut that is right: the last write may be torn, and nobody was told
of it. But two or more complete writes behind a bad frame were acknowledged, and are hidden by damage.

Source: https://www.sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 32


class WalFrames(NamedTuple):
    """The newest generation of frames in a write-ahead log.

    Args:
        frames: structured (n,): `page` number, `commit` (non-zero on a write's last frame), `image`.
        valid: how many of them, from the start, SQLite will take.
        sound_header: whether the header's own checksum holds.
    """

    frames: NDArray[Any]
    valid: int
    sound_header: bool


def hidden_commits(wal: Path) -> int:
    """How many acknowledged writes a bad frame hides; 0 if the file is missing, sound or torn at its end."""
    read = read_frames(wal)
    hidden = int(np.count_nonzero(read.frames["commit"][read.valid :]))
    return hidden if hidden >= 2 or not read.sound_header else 0


def read_frames(wal: Path) -> WalFrames:
    """Read a write-ahead log, checking every frame as SQLite would."""
    raw = wal.read_bytes() if wal.exists() else b""
    size = int.from_bytes(raw[8:12], "big") if len(raw) >= HEADER else 0
    if not (512 <= size <= 65536 and size & (size - 1) == 0):
        size = 4096  # a damaged header; logs are always made with this page size
    layout = np.dtype(
        [("page", ">u4"), ("commit", ">u4"), ("salt", ">u8"), ("sums", ">u4", (2,)), ("image", "u1", (size,))]
    )
    frames = np.frombuffer(raw, layout, max(0, len(raw) - HEADER) // layout.itemsize, HEADER if raw else 0)
    if not len(frames):
        return WalFrames(frames, 0, True)
    words = ">u4" if raw[3] & 1 else "<u4"
    state = _sums(np.frombuffer(raw, words, 6)[None], (0, 0))[0]
    sound_header = state == (int.from_bytes(raw[24:28], "big"), int.from_bytes(raw[28:32], "big"))
    salt = int.from_bytes(raw[16:24], "big") if sound_header else frames["salt"][0]
    current = np.flatnonzero(frames["salt"] == salt)  # what follows them is left over from before a restart
    frames = frames[: current[-1] + 1 if len(current) else 0]
    if not sound_header or not len(frames):
        return WalFrames(frames, 0, sound_header)
    heads = np.frombuffer(frames[["page", "commit"]].copy().tobytes(), "u1").reshape(len(frames), -1)[:, :8]
    body = np.concatenate([heads, frames["image"]], axis=1).view(words)
    good = [got == tuple(kept) for got, kept in zip(_sums(body, state), frames["sums"].tolist(), strict=True)]
    good = [sums and kept == salt for sums, kept in zip(good, frames["salt"].tolist(), strict=True)]
    return WalFrames(frames, good.index(False) if False in good else len(good), True)


def _sums(blocks: NDArray[Any], state: tuple[int, int]) -> list[tuple[int, int]]:
    """SQLite's running checksum after each block of words, unsigned 32-bit (n, words).

    One step over a pair of words, ``s0 += x0 + s1; s1 += x1 + s0``, is linear, so a block's share is one
    product with fixed weights, and the state runs from block to block through one matrix, all modulo 2**32.
    """
    pairs = blocks.shape[1] // 2
    weights = np.empty((2 * pairs, 2), np.uint32)
    (a, b), (c, d) = (1, 0), (0, 1)
    for pair in reversed(range(pairs)):
        weights[2 * pair] = (a + b) % 2**32, (c + d) % 2**32
        weights[2 * pair + 1] = b, d
        (a, b), (c, d) = ((a + b) % 2**32, (a + 2 * b) % 2**32), ((c + d) % 2**32, (c + 2 * d) % 2**32)
    sums = []
    s0, s1 = state
    for share in (blocks.astype(np.uint32) @ weights).tolist():
        s0, s1 = (a * s0 + b * s1 + share[0]) % 2**32, (c * s0 + d * s1 + share[1]) % 2**32
        sums.append((s0, s1))
    return sums
