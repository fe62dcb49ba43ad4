"""The folder ``NAME.instep``: which file is what, and the API keys' hashes.

shop.instep/
  instep.toml      settings (docs/configuration.md)
  log.sqlite       every record: the one source of truth
  snapshots/       the model at some offsets; may be deleted
  vectors.sqlite   what the encoder made of texts; may be deleted
  encoders.json    which name opened which encoder; may be deleted
  keys.json        names, scopes and hashes of API keys
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from urllib.parse import quote

import msgspec

from instep.domain import ConfigError
from instep.serve.config import FILE, Config, write_template
from instep.serve.http.keys import Key

SUFFIX = ".instep"
KEYS = "keys.json"


class Folder:
    """An instep folder on disk.

    Args:
        path: the folder; its name ends in ``.instep``.
        create: whether to make it if it is missing.

    Raises:
        ConfigError: the name is wrong, or the folder is missing or cannot be made.
    """

    def __init__(self, path: str | Path, create: bool = True) -> None:
        self.path = Path(path).expanduser()
        if self.path.suffix != SUFFIX or self.path.name == SUFFIX:
            raise ConfigError(f"{self.path}: the name of a folder must end in {SUFFIX}, as in shop{SUFFIX}")
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: is a file; an instep folder is a directory")
        if not self.path.is_dir() and not create:
            raise ConfigError(
                f"{self.path}: there is no such folder; `instep import` or `instep serve` makes one"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not (self.path / FILE).exists() and not any(self.path.iterdir()):
                write_template(self.path / FILE)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be made: {error.strerror or error}") from error

    def snapshots(self, config: Config) -> Path:
        """Where snapshots are. Other rewards or plugins lead to another state, so each has its own place."""
        attribution = config.attribution.model_dump() | {
            "windows": sorted(config.attribution.windows.items())
        }
        plugins = (config.recommend.retrievers, config.recommend.scorers)
        teaching = (sorted(config.rewards.items()), *plugins, attribution)
        name = hashlib.blake2b(msgspec.json.encode(teaching), digest_size=4).hexdigest()
        return self.path / "snapshots" / name

    def drop_snapshots(self, keep: Path | None = None) -> None:
        """Delete all snapshots, but for those in `keep`."""
        for place in (self.path / "snapshots").glob("*"):
            if place != keep:
                shutil.rmtree(place)

    @property
    def vectors(self) -> Path:
        """The cache of vectors."""
        return self.path / "vectors.sqlite"

    def log_file(self, config: Config) -> Path | None:
        """The log's SQLite file; None when the log is not one."""
        return log_file_in(self.path, config)

    def log_url(self, config: Config) -> str:
        """The log's address, absolute."""
        file = self.log_file(config)
        return config.log.url if file is None else f"sqlite://{quote(str(file))}"

    def keys(self) -> tuple[Key, ...]:
        """The API keys that were added and not revoked.

        Raises:
            ConfigError: keys.json is damaged.
        """
        path = self.path / KEYS
        try:
            return msgspec.json.decode(path.read_bytes(), type=tuple[Key, ...])
        except FileNotFoundError:
            return ()
        except (msgspec.DecodeError, OSError) as error:
            raise ConfigError(
                f"{path}: cannot be read ({error}); restore it, or delete it and add keys anew"
            ) from error

    def save_keys(self, keys: tuple[Key, ...]) -> None:
        """Replace the keys, at once and only readable by the owner."""
        path = self.path / KEYS
        partial = path.with_suffix(".partial")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error


def log_file_in(folder: Path, config: Config) -> Path | None:
    """The SQLite file of a folder's log; None when the log is not one.

    Args:
        folder: the instep folder.
        config: its settings.
    """
    scheme, _, name = config.log.url.partition(":///")
    return (folder / name).resolve() if scheme == "sqlite" else None
