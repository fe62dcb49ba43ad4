"""Snapshots: the state at an offset, written beside the service.

A snapshot is one `.npz` (an uncompressed zip, no pickles) named by its offset, with a hash over all arrays inside. It
is written under another name and renamed when it is whole, so that a kill leaves the earlier ones. On Linux the writing
is done by a forked child: the parent's requests wait for the fork only, and the child sees one moment.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import structlog

from instep.state.state import FORMAT, Arrays, State, bytes_of

SUFFIX: Final = ".snapshot.npz"
PART: Final = ".part-"
GROWING: Final = (
    "items.",
    "users.",
    "terms.held",
    "terms.holders.",
    "history.",
    "passed.",
    "neighbours.",
    "takers.",
    "slates.",
    "examination.",
)
_log = structlog.get_logger("instep.snapshot")


def begin_snapshot(state: State, directory: Path, keep: int) -> Callable[[], Path]:
    """Begin to write the state as it is now.

    Args:
        state: read; its lock may be let go when this returns.
        directory: made when missing.
        keep: how many to keep, at least 1.

    Returns:
        A function that waits until the snapshot is on disk and returns its path; it raises OSError when the
        snapshot could not be written (the earlier ones are still there).
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{state.offset:020d}{SUFFIX}"
    state.finish_solving()
    if sys.platform != "linux":
        _write(state, path, keep)
        return lambda: path
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.closerange(3, 65536)  # the log's lock and sockets stay the parent's alone
            _write(state, path, keep, parent)
            status = 0
        finally:
            os._exit(status)

    def finish() -> Path:
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise OSError(f"{path.name} could not be written (is the disk full?); earlier snapshots are kept")
        return path

    return finish


def _write(state: State, path: Path, keep: int, parent: int | None = None) -> None:
    """Write, sync, rename, and sweep. Without its parent a child leaves no snapshot: who opened the folder meanwhile
    may have erased a user that this one still knows.
    """
    for torn in path.parent.glob(
        f"*{PART}*"
    ):  # of a process that was killed; a folder has one writer at a time
        torn.unlink(missing_ok=True)
    arrays = state.arrays()
    arrays["format"] = np.array([FORMAT, state.offset], np.int64)
    arrays["seal"] = np.frombuffer(_seal(arrays), np.uint8)
    part = path.with_suffix(f"{PART}{os.getpid()}")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        if parent is not None and os.getppid() != parent:
            raise OSError("the process that wanted the snapshot is gone")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    for old in sorted(path.parent.glob(f"*{SUFFIX}"))[:-keep]:
        old.unlink(missing_ok=True)


def _seal(arrays: Arrays) -> bytes:
    whole = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        if name != "seal":
            array = arrays[name]
            whole.update(f"{name}{array.dtype}{array.shape}".encode())
            whole.update(bytes_of(array))
    return whole.digest()


def _read(path: Path) -> Arrays:
    """The arrays of a snapshot, straight from the file: the seal sees whatever the zip's checksums would see."""
    arrays: Arrays = {}
    with path.open("rb") as file, ZipFile(file) as archive:
        for member in archive.infolist():
            if member.compress_type != ZIP_STORED:
                raise ValueError(f"{member.filename} is compressed")
            file.seek(member.header_offset)
            name_length, extra_length = struct.unpack("<26x2H", file.read(30))
            file.seek(name_length + extra_length, os.SEEK_CUR)
            array = np.lib.format.read_array(file, allow_pickle=False)
            arrays[member.filename.removesuffix(".npy")] = array
    return arrays


def _check_layout(arrays: Arrays, state: State) -> None:
    """Refuse a snapshot whose tables are of another shape than this version's (a fresh state's)."""
    for name, mine in state.arrays().items():
        if name == "names" or name.startswith(("text.", "beside.")):
            continue
        theirs = arrays[name]
        rows_grow = name.startswith(GROWING) or name == "trending.category"
        same = theirs.shape[1:] == mine.shape[1:] if rows_grow else theirs.shape == mine.shape
        if theirs.dtype != mine.dtype or not same:
            raise ValueError(
                f"{name} is {theirs.dtype}{theirs.shape}, this version has {mine.dtype}{mine.shape}"
            )


def read_newest(state: State, directory: Path, end: int) -> int:
    """Load the newest valid snapshot.

    Args:
        state: overwritten when one is found.
        directory: where snapshots are; it may be missing.
        end: the log's end; a snapshot beyond it does not belong to this log and is skipped.

    Returns:
        The snapshot's offset, 0 when there is none.
    """
    for path in sorted(directory.glob(f"*{SUFFIX}"), reverse=True):
        try:
            arrays = _read(path)
            form, offset = arrays["format"].tolist()
            if form != FORMAT:
                raise ValueError(f"its format is {form}, this version reads {FORMAT}")
            if arrays["seal"].tobytes() != _seal(arrays):
                raise ValueError("its hash does not match")
            _check_layout(arrays, state)
            if offset > end:
                raise ValueError(f"it is at offset {offset}, the log ends at {end}")
            state.load(arrays)
        except Exception as error:  # damaged bytes fail in many ways, and the log has everything
            _log.warning(
                "snapshot skipped; an older one or the log itself is used", file=path.name, why=str(error)
            )
            continue
        state.offset = offset
        return int(offset)
    return 0
