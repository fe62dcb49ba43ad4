"""Versions of the language model: folders that appear whole or not at all, and one that is live.

    models/
      live.json        {"live": "v0003", "previous": "v0002", "highest": 3}; "" is the configured encoder
      v0003/
        version.json   what it is: parent, data range, configuration, metrics, hash
        weights/       what was trained, as safetensors
        model/         what serves: model.onnx, tokenizer.json, recipe
        losses.jsonl   the loss by step
        gate.json      whether it was found good enough, and by what numbers
        shadow.json    how it did on live traffic that it was not shown to

Nothing here is a pickle: loading one runs what it says. Files of other kinds are refused.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from instep.domain import ConfigError
from instep.tune.version import (
    Difference,
    Standing,
    UnknownVersion,
    Verdict,
    Version,
    check_files,
    check_whole,
    differences,
    hash_of,
    is_version,
    read_json,
    replace_json,
    sync,
    told,
    write_json,
)

__all__ = [
    "BASE",
    "FOLDER",
    "Difference",
    "Registry",
    "Standing",
    "UnknownVersion",
    "Verdict",
    "Version",
    "check_whole",
]

BASE: Final = "base"
"""What the configured encoder is called where a version is asked for; "" in the files."""
FOLDER: Final = "models"
STALE_SECONDS: Final = 86400.0
NOTES: Final = ("gate.json", "shadow.json")
"""What is found out about a version after it was made."""
_DRAFT: Final = ".draft-"


class Registry:
    """The versions of one folder's ``models/``. Safe beside other processes.

    Args:
        folder: where the versions are; made when the first one is drafted.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     registry = Registry(Path(place) / "models")
    ...     with registry.draft() as draft:
    ...         (draft / "weights").mkdir()
    ...         _ = (draft / "weights" / "adapter.json").write_text("{}")
    ...         version = registry.add(draft, Version(base="minilm", task="matching", method="lora"))
    ...     _ = registry.promote(version.name, records_now=0)
    ...     (registry.live, registry.rollback().live, registry.previous)
    ('v0001', '', 'v0001')
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def versions(self) -> list[Version]:
        """All readable versions, the oldest first. Of a damaged one, `get` says what is wrong with it."""
        found = []
        for name in self.names():
            with suppress(ConfigError):
                found.append(self.get(name))
        return found

    def names(self) -> list[str]:
        """The names of all versions, damaged ones too, the oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(filter(is_version, os.listdir(self.folder)), key=_number)

    def get(self, name: str) -> Version:
        """One version.

        Raises:
            UnknownVersion: there is none of this name.
            ConfigError: its version.json is damaged.
        """
        path = self.path(name) / "version.json"
        version = read_json(path, Version)
        if version is None or version.name != name:
            raise ConfigError(
                f"{told(path)}: is corrupt; delete the folder {path.parent.name}, or restore it"
            )
        return version

    def path(self, name: str) -> Path:
        """The folder of a version.

        Raises:
            UnknownVersion: there is none of this name.
        """
        folder = self.folder / name
        if not is_version(name) or not folder.is_dir():
            have = ", ".join(self.names()[-8:]) or "there are none yet"
            raise UnknownVersion(f"{name!r} is no version of this folder ({have})")
        return folder

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """An empty directory to write a version into; `add` makes it one, otherwise it goes at the end."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, draft: Path, version: Version) -> Version:
        """Make a draft a version: on disk in full before it has its name.

        Args:
            draft: what `draft` gave, with weights/ and model/ filled.
            version: what is known of it; name and hash are given here.

        Returns:
            The version as stored.

        Raises:
            ConfigError: a file is of a kind that has no place in a version, or nothing can be written.
        """
        check_files(draft)
        created = version.created or time.time()
        try:
            with self._locked():
                number = 1 + max([self.standing.highest, *map(_number, self.names())])
                name = f"v{number:04d}"
                whole = msgspec.structs.replace(version, name=name, created=created, hash=hash_of(draft))
                write_json(draft / "version.json", whole)
                for path in [*draft.rglob("*"), draft]:
                    sync(path)
                draft.rename(self.folder / name)
                sync(self.folder)
        except OSError as error:
            raise ConfigError(
                f"{self.folder}: no version can be written: {error.strerror or error}"
            ) from error
        return whole

    @property
    def standing(self) -> Standing:
        """What live.json says.

        Raises:
            ConfigError: it is damaged.
        """
        path = self.folder / "live.json"
        found = read_json(path, Standing, missing=Standing())
        if found is None:
            raise ConfigError(
                f"{told(path)}: is corrupt; delete it, and promote the version that is to serve"
            )
        return found

    @property
    def live(self) -> str:
        """The version that serves; "" when it is the configured encoder."""
        return self.standing.live

    @property
    def previous(self) -> str:
        """What served before; "" when it was the configured encoder."""
        return self.standing.previous

    def verify(self, name: str) -> None:
        """Compare a version's files with its hash.

        Raises:
            ConfigError: they differ: a file was damaged, changed, added or removed.
        """
        version, folder = self.get(name), self.path(name)
        check_files(folder)
        if hash_of(folder) != version.hash:
            raise ConfigError(f"{name}: corrupt: its files do not match its hash; it cannot serve")

    def verdict(self, name: str) -> Verdict | None:
        """What the gate said of a version; None when it was not asked.

        Raises:
            ConfigError: gate.json is damaged.
        """
        path = self.path(name) / "gate.json"
        if not path.exists():
            return None
        found = read_json(path, Verdict)
        if found is None:
            raise ConfigError(f"{told(path)}: is corrupt; have the gate judge {name} again")
        return found

    def write(self, name: str, file: str, content: Any) -> None:
        """Put gate.json or shadow.json beside a version's weights, at once and whole.

        Args:
            name: of the version.
            file: ``gate.json`` or ``shadow.json``.
            content: what becomes JSON.

        Raises:
            UnknownVersion: there is none of this name.
            ConfigError: it cannot be written.
        """
        path = self.path(name) / file
        if file not in NOTES:
            raise ValueError(f"{file} is not written after a version is made")
        replace_json(path, content)

    def promote(self, name: str, *, records_now: int = 0, anyway: bool = False) -> Standing:
        """Make a version the live one.

        Args:
            name: the version; ``base`` or "" for the configured encoder.
            records_now: how many records the log has now in the version's range.
            anyway: promote it although the gate refused it.

        Returns:
            The new standing.

        Raises:
            UnknownVersion: there is no such version.
            ConfigError: somebody was erased from its data, it is corrupt, or the gate refused it.
        """
        name = "" if name == BASE else name
        if name:
            self._check_promotable(name, records_now, anyway)
        with self._locked():
            now = self.standing
            if name != now.live:
                now = Standing(name, now.live, now.highest)
                replace_json(self.folder / "live.json", now)
        return now

    def _check_promotable(self, name: str, records_now: int, anyway: bool) -> None:
        version = self.get(name)
        if version.task == "ranking":
            raise ConfigError(
                f"{name}: was tuned to rank by titles and makes no vectors, so it cannot be promoted; the scorer "
                f'\'causal\' uses it: scorers = ["causal"] in [recommend], model = "{name}" in [causal]'
            )
        check_whole(version, records_now)
        self.verify(name)
        verdict = self.verdict(name)
        if verdict is not None and not verdict.passed and not anyway:
            why = "; ".join(verdict.reasons) or "see gate.json"
            raise ConfigError(f"{name}: the gate refused it: {why}")

    def rollback(self, *, records_now: int | None = None) -> Standing:
        """Exchange the live version and the one before it.

        Args:
            records_now: how many records the log has now in the previous version's range; None does not ask.

        Returns:
            The new standing.

        Raises:
            ConfigError: nothing was promoted yet, or the previous version cannot serve any more.
        """
        with self._locked():
            now = self.standing
            if now.live == now.previous:
                raise ConfigError("nothing was promoted, so there is nothing to roll back")
            if now.previous:
                if records_now is not None:
                    check_whole(self.get(now.previous), records_now)
                self.verify(now.previous)
            now = Standing(now.previous, now.live, now.highest)
            replace_json(self.folder / "live.json", now)
        return now

    def prune(self, keep: int) -> list[str]:
        """Delete all but the newest versions.

        The live one and the one before it stay, and so do the versions they were trained from.

        Args:
            keep: how many of the newest stay, >= 0.

        Returns:
            The names of those that went, the oldest first.
        """
        if keep < 0:
            raise ConfigError(f"cannot keep {keep} versions; 0 or more")
        if not self.folder.is_dir():
            return []
        with self._locked():
            now, names = self.standing, self.names()
            if names and _number(names[-1]) > now.highest:
                now = Standing(now.live, now.previous, _number(names[-1]))
                replace_json(self.folder / "live.json", now)  # first: a number is never given twice
            stay = set(names[len(names) - keep :] if keep else ()) | self._lines((now.live, now.previous))
            gone = [name for name in names if name not in stay]
            for name in gone:
                grave = self.folder / f"{_DRAFT}{name}"
                (self.folder / name).rename(grave)  # a kill leaves no half version
                shutil.rmtree(grave, ignore_errors=True)
            self._drop_stale()
        return gone

    def _lines(self, names: Iterable[str]) -> set[str]:
        """These versions and all they descend from."""
        found: set[str] = set()
        for name in names:
            while name and name not in found:
                found.add(name)
                try:
                    name = self.get(name).parent
                except ConfigError:  # unreadable, hence without a parent that is known
                    name = ""
        return found

    def _drop_stale(self) -> None:
        for path in self.folder.glob(f"{_DRAFT}*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS:  # its trainer was killed
                    shutil.rmtree(path, ignore_errors=True)

    def diff(self, before: str, after: str) -> list[Difference]:
        """Where two versions differ, in what they were made from, their configuration and metrics.

        Raises:
            UnknownVersion: there is no version of one of the names.
        """
        return differences(self.get(before), self.get(after))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder against other processes and threads for as long as it takes to rename."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _number(name: str) -> int:
    return int(name[1:])
