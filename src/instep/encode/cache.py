"""Vectors by content hash, in one SQLite file that may be lost without harm."""

from __future__ import annotations

import logging
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

FORMAT: Final = 1
DEFAULT_VECTORS: Final = 1_000_000  # about 1 GB of 384 float16 numbers each
_QUERY_KEYS: Final = 500
# Beside SQLite's own errors: what rows with damaged texts, types or numbers raise on their way to Python.
_DAMAGE: Final = (sqlite3.Error, TypeError, ValueError, ArithmeticError)
_PASSING: Final = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    )
)
_Result = TypeVar("_Result")
_log = logging.getLogger("instep.encode")


class VectorCache:
    """What encoders made of texts, so that a restart or an unchanged item costs nothing.

    Holds content hashes and float16 vectors: no text, no item id, nothing of any user. It is only a cache:
    a file that is damaged, of another version or of another kind is set up anew with a warning; a full disk
    or a read-only folder makes it forget, and nothing else. When it holds more than `limit` vectors, those
    unused for longest go. Safe to use from several threads.

    Args:
        path: the SQLite file; it and its folder are created. None keeps it in memory.
        limit: vectors to keep, at least 1.

    >>> cache = VectorCache(None)
    >>> cache.put({"a1": b"12"})
    >>> cache.get(["a1", "b2"])
    {'a1': b'12'}
    """

    def __init__(self, path: Path | None, limit: int = DEFAULT_VECTORS) -> None:
        self._path = path
        self._limit = max(1, limit)
        self._lock = threading.Lock()
        self._connection = self._open()
        self._clock: int = self._run(lambda db: _one(db, "SELECT coalesce(max(used), 0) FROM vectors"), 0)
        self._count: int = self._run(lambda db: _one(db, "SELECT count(*) FROM vectors"), 0)

    @property
    def count(self) -> int:
        """How many vectors it holds, or a few more where some were replaced."""
        return self._count

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The float16 bytes of those keys that are here; a vector whose checksum is wrong is not."""
        wanted = list(dict.fromkeys(keys))

        def read(db: sqlite3.Connection) -> dict[str, bytes]:
            """Read what is there and sound, and note that it was used."""
            found: dict[str, bytes] = {}
            for start in range(0, len(wanted), _QUERY_KEYS):
                part = wanted[start : start + _QUERY_KEYS]
                marks = ",".join("?" * len(part))
                rows = db.execute(f"SELECT key, vector, checksum FROM vectors WHERE key IN ({marks})", part)
                found.update((key, data) for key, data, checksum in rows if _checksum(key, data) == checksum)
            # A full disk must not keep vectors from being read.
            with suppress(sqlite3.OperationalError), db:
                db.executemany(
                    "UPDATE vectors SET used = ? WHERE key = ?", ((self._tick(), key) for key in found)
                )
            return found

        return self._run(read, {})

    def put(self, vectors: Mapping[str, bytes]) -> None:
        """Keep these vectors (float16 bytes by content hash)."""

        def write(db: sqlite3.Connection) -> None:
            """Write all or none, and drop the longest unused above the limit."""
            rows = ((key, data, _checksum(key, data), self._tick()) for key, data in vectors.items())
            with db:
                db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
            self._count += len(vectors)  # too many where keys were replaced: counted exactly at the limit
            if self._count > self._limit:
                self._count = _one(db, "SELECT count(*) FROM vectors")
            if self._count > self._limit:
                self._drop(
                    db, self._count - self._limit + self._limit // 10
                )  # a tenth more: not at every write

        self._run(write, None)

    def prune(self, keep: int) -> int:
        """Keep only the `keep` most recently used vectors and give the space back; returns how many went."""

        def shrink(db: sqlite3.Connection) -> int:
            """Drop the longest unused, and give the space back to the disk."""
            gone = max(0, _one(db, "SELECT count(*) FROM vectors") - max(0, keep))
            self._drop(db, gone)
            db.execute("VACUUM")
            return gone

        return self._run(shrink, 0)

    def close(self) -> None:
        """Release the file. Idempotent; from then on the cache is empty and keeps nothing."""
        with self._lock:
            self._connection.close()
            self._connection = _create(None)
            self._path = None
            self._count = 0

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    def _drop(self, db: sqlite3.Connection, n: int) -> None:
        with db:
            db.execute(
                "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY used LIMIT ?)", (n,)
            )
        self._count = _one(db, "SELECT count(*) FROM vectors")

    def _run(self, work: Callable[[sqlite3.Connection], _Result], otherwise: _Result) -> _Result:
        """Work on the file; a damaged file is replaced by an empty one, other failures are passed over."""
        with self._lock:
            try:
                return work(self._connection)
            except _DAMAGE as error:
                if _passes(error):
                    _log.warning("the vector cache %s was not used this time: %s", self._path, error)
                else:
                    self._connection.close()
                    self._connection = self._start_again(error)
            return otherwise

    def _open(self) -> sqlite3.Connection:
        try:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            return _create(self._path)
        except (OSError, *_DAMAGE) as error:
            if not isinstance(error, OSError) and not _passes(error):
                return self._start_again(error)
            _log.warning("the vector cache %s cannot be opened (%s): it is kept in memory", self._path, error)
            self._path = None
            return _create(None)

    def _start_again(self, error: Exception) -> sqlite3.Connection:
        _log.warning(
            "the vector cache %s is damaged (%s): set up anew, items are encoded again", self._path, error
        )
        self._count = 0
        try:
            if self._path is not None:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            return _create(self._path)
        except (OSError, *_DAMAGE) as reason:
            _log.warning(
                "the vector cache %s cannot be set up anew (%s): it is kept in memory", self._path, reason
            )
            self._path = None
            return _create(None)


def _create(path: Path | None) -> sqlite3.Connection:
    """A connection to a file with the table in it; raises `sqlite3.DatabaseError` for any other file."""
    connection = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=1.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # losing the last vectors in a power cut is allowed
        version = _one(connection, "PRAGMA user_version")
        tables = _one(connection, "SELECT count(*) FROM sqlite_master")
        if version != FORMAT and tables:
            raise sqlite3.DatabaseError(f"format {version} instead of {FORMAT}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL, "
            "checksum INTEGER NOT NULL, used INTEGER NOT NULL)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS by_use ON vectors (used)")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.commit()
    except Exception:
        connection.close()
        raise
    return connection


def _checksum(key: str, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(key.encode()))


def _passes(error: Exception) -> bool:
    """Whether an error says nothing about the file: disk full, locked by another process, read-only."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING


def _one(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
