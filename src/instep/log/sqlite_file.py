"""The SQLite file of a log: its layout, who may open it, and what is checked before it is used.

    entries   one row an offset, without gaps, so that a missing row is noticed. An erased record keeps its
              row, emptied: removing rows would make SQLite move their neighbours between pages and leave
              stale copies of them behind, which only rewriting the whole file could clear away.
    tail      the offset the next record gets, with a checksum; notices rows missing at the end.

Ids are stored only inside the payload. The indexes hold 64-bit keys of them: a third of the size, hence
faster to write, and one place to erase. Two ids with one key are told apart by the payload.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from instep.domain import ConfigError, LogCorrupt
from instep.log.codec import checksum
from instep.log.wal import hidden_commits

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x1A57E9
TABLES: Final = {
    "entries": "CREATE TABLE entries (offset INTEGER PRIMARY KEY, checksum INTEGER NOT NULL,"
    " payload BLOB NOT NULL, event_key INTEGER, user_key INTEGER, session_key INTEGER)",
    "by_event": "CREATE INDEX by_event ON entries (event_key) WHERE event_key IS NOT NULL",
    "by_user": "CREATE INDEX by_user ON entries (user_key) WHERE user_key IS NOT NULL",
    "by_session": "CREATE INDEX by_session ON entries (session_key) WHERE session_key IS NOT NULL",
    "tail": "CREATE TABLE tail (id INTEGER PRIMARY KEY, next INTEGER NOT NULL, checksum INTEGER NOT NULL)",
}


def repair_hint(path: Path) -> str:
    """The sentence that tells the operator what to do about a damaged file."""
    return f"run `instep verify {path.parent} --repair`, or restore {path.name} from a backup"


class NewerVersion(ConfigError):
    """The file was written by a later Instep: nothing here may touch it."""


class FileLock:
    """Makes one process, and one log in it, the only user of a path.

    Args:
        path: the database; the lock is on `<path>.lock`, which holds the process id of the owner.

    Raises:
        ConfigError: somebody else has it, or the folder is missing or not writable.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: int | None = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{path}: {error.strerror}; create the folder, writable for this user"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(self._file, 20, 0).decode() or "unknown"
            os.close(self._file)
            raise ConfigError(
                f"{path} is in use by process {pid}; stop it or choose another folder"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others open the path. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def open_writer(path: Path) -> sqlite3.Connection:
    """Open a log for writing, creating it if there is none; the caller holds its `FileLock`.

    Returns:
        A connection in autocommit mode, for one thread at a time.

    Raises:
        ConfigError: not a log, damaged, or of a newer version.
    """
    finish_repair(path)
    wal = Path(f"{path}-wal")
    if not path.exists():
        if wal.exists():
            raise ConfigError(
                f"{path} is missing, but its {wal.name} is there; put both back from one backup"
            )
        create(path)
    elif path.stat().st_size == 0:
        raise ConfigError(f"{path} is empty, so its records are lost; {repair_hint(path)}")
    if lost := hidden_commits(wal):
        raise ConfigError(f"{wal}: a bad checksum hides {lost} committed writes; {repair_hint(path)}")
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{path} is not writable for this user; change its owner or mode")
    with path.open("rb") as file:
        if not file.read(20).endswith(
            b"\2\2"
        ):  # other versions of the format make a file read-only, or foreign
            raise ConfigError(f"{path} is not an Instep log, or its header is damaged; {repair_hint(path)}")
    try:
        db = _connect(path)
        try:
            _check(path, db)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # also finishes an erasure that a crash cut short
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: {error}; {repair_hint(path)}") from error
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection beside the writer's, usable from any one thread at a time."""
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    db.text_factory = bytes  # a flipped type byte must fail the checksum, not the decoding of UTF-8
    return db


def create(path: Path) -> None:
    """Make an empty log, all or nothing: a file of that name is always a complete log."""
    unfinished = Path(f"{path}.new")
    remove(unfinished)
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        db = _connect(unfinished)
        db.execute("BEGIN")
        for statement in TABLES.values():
            db.execute(statement)
        db.execute("INSERT INTO tail VALUES (0, 0, ?)", (tail_checksum(0),))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
        db.close()
        os.replace(unfinished, path)
        sync_folder(path)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"{path} cannot be created: {error}") from error


def remove(path: Path) -> None:
    """Delete a database and the files SQLite keeps beside it."""
    for suffix in ("-journal", "-wal", "-shm", ""):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def set_tail(db: sqlite3.Connection, end: int) -> None:
    """Record the offset the next record gets."""
    db.execute("UPDATE tail SET next = ?, checksum = ? WHERE id = 0", (end, tail_checksum(end)))


def tail_checksum(end: int) -> int:
    """Checksum of the tail's row."""
    return checksum(end, b"tail")


def finish_repair(path: Path) -> Path | None:
    """Put `<path>.repaired` in the place of a damaged log, which stays beside it; safe to repeat.

    Returns:
        Where the damaged file is kept, or None if there was no repair to finish.
    """
    repaired = Path(f"{path}.repaired")
    if not repaired.exists():
        return None
    number = 1
    while (aside := Path(f"{path}.damaged-{number}")).exists():
        number += 1
    wal = Path(f"{path}-wal")
    if wal.exists():
        os.replace(wal, f"{aside}-wal")
    Path(f"{path}-shm").unlink(missing_ok=True)
    if path.exists():
        os.replace(path, aside)
    os.replace(repaired, path)
    sync_folder(path)
    return aside


def sync_folder(path: Path) -> None:
    """Make the names in a file's folder durable."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "fullfsync = ON",  # macOS: reach the disk, not its cache; nothing elsewhere
        "secure_delete = ON",
        "wal_autocheckpoint = 4000",  # 16 MB: random keys dirty the same index pages again and again
        "cache_size = -65536",
        "temp_store = MEMORY",
    ):
        db.execute(f"PRAGMA {pragma}")
    return db


def _check(path: Path, db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ConfigError(f"{path} is not an Instep log; choose another folder, or {repair_hint(path)}")
    if version > SCHEMA_VERSION:
        raise NewerVersion(
            f"{path} has schema version {version}, this Instep reads up to {SCHEMA_VERSION}; upgrade Instep"
        )
    if dict(db.execute("SELECT name, sql FROM sqlite_schema")) != TABLES or version != SCHEMA_VERSION:
        raise ConfigError(f"{path}: its tables are not those of a log; {repair_hint(path)}")
    tail = db.execute("SELECT next, checksum FROM tail WHERE id = 0").fetchone()
    if tail is None or tail[1] != tail_checksum(tail[0]):
        raise ConfigError(f"{path}: the record of its end is damaged; {repair_hint(path)}")
    last = db.execute("SELECT max(offset) FROM entries").fetchone()[0]
    found = 0 if last is None else last + 1
    if found != tail[0]:
        raise LogCorrupt(
            f"{path}: the log was written up to {tail[0]}, but its rows end at {found}; {repair_hint(path)}",
            min(found, tail[0]),
        )
