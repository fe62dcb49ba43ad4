"""What a version of the language model is, and what may be in its folder."""

from __future__ import annotations

import hashlib
import os
import re
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from instep.domain import ConfigError

ACCEPTED: Final = frozenset({".safetensors", ".json", ".jsonl", ".onnx", ".txt"})
LEFTOVERS: Final = frozenset({"README.md", ".gitattributes"})
"""What libraries write beside weights for a hub; left out of a version."""
T = TypeVar("T")


_NAME: Final = re.compile(r"v[0-9]{4,9}")


def is_version(name: str) -> bool:
    """Whether a name is one that a registry gives.

    >>> is_version("v0003"), is_version("english")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None


class UnknownVersion(ConfigError):
    """There is no version of this name."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one version; the content of its version.json.

    Args:
        name: ``v0001`` ...; the registry gives it.
        parent: the version it was trained from; "" when from the base model.
        base: the pretrained model, by name or folder.
        task: what it was trained for.
        method: which parameters were trained: ``lora``, ``head`` ...
        created: epoch seconds; the registry gives it where it is 0.
        start: first log offset of its data.
        end: the offset after its data's last.
        records: how many records the log had in that range. Fewer later: some were erased.
        config: everything it was trained with.
        metrics: what was measured at the end.
        encoder: name of the encoder in model/; its vectors bear it. "" when nothing was exported.
        hash: BLAKE2b over the files of weights/ and model/; the registry gives it.
    """

    name: str = ""
    parent: str = ""
    base: str
    task: str
    method: str
    created: float = 0.0
    start: int = 0
    end: int = 0
    records: int = 0
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    encoder: str = ""
    hash: str = ""


class Standing(msgspec.Struct, frozen=True):
    """The content of live.json: what serves, what served before, and the highest number ever given."""

    live: str = ""
    previous: str = ""
    highest: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """What the registry needs of a gate.json: whether the version was found good enough."""

    passed: bool
    reasons: list[str] = []


class Difference(msgspec.Struct, frozen=True):
    """One entry that two versions do not share; None where a version lacks it."""

    what: str
    before: Any
    after: Any


def check_whole(version: Version, records_now: int) -> None:
    """Refuse a version some of whose data was erased since.

    Args:
        version: what was trained.
        records_now: how many records the log has now in its range.

    Raises:
        ConfigError: there are fewer than there were.
    """
    if records_now < version.records:
        lost = version.records - records_now
        raise ConfigError(
            f"{version.name}: somebody was erased from its data since ({lost:,} of {version.records:,} records"
            " are gone): tune again without them"
        )


def check_files(folder: Path) -> None:
    """Refuse what has no place in a version; what libraries leave for a hub is removed.

    Raises:
        ConfigError: a link, or a file of another kind than safetensors, JSON, ONNX and text.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ConfigError(f"{path.relative_to(folder)}: is a link; a version holds its files itself")
        if path.is_dir():
            continue
        if path.name in LEFTOVERS:
            path.unlink()
        elif path.suffix not in ACCEPTED:
            raise ConfigError(
                f"{path.relative_to(folder)}: a version holds {', '.join(sorted(ACCEPTED))} only. Weights belong "
                "in .safetensors: a pickle (.bin, .pt, .pkl) runs what is written in it when it is loaded"
            )


def hash_of(folder: Path) -> str:
    """BLAKE2b over the names and bytes of all files in weights/ and model/, as 64 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=32)
    for part in ("model", "weights"):
        for path in sorted(each for each in (folder / part).rglob("*") if each.is_file()):
            name = path.relative_to(folder).as_posix().encode()
            digest.update(b"%d:%s%d:" % (len(name), name, path.stat().st_size))
            with path.open("rb") as file:
                for block in iter(partial(file.read, 1 << 20), b""):
                    digest.update(block)
    return digest.hexdigest()


def differences(before: Version, after: Version) -> list[Difference]:
    """Where two versions differ, in what they were made from, their configuration and metrics."""
    old, new = flat(before), flat(after)
    keys = sorted(old.keys() | new.keys())
    return [Difference(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]


def flat(version: Version) -> dict[str, Any]:
    """A version's entries by dotted name, without those that always differ."""
    flat: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                add(f"{name}.{key}" if name else str(key), each)
        else:
            flat[name] = value

    add("", {k: v for k, v in msgspec.to_builtins(version).items() if k not in ("name", "created", "hash")})
    return flat


def told(path: Path) -> str:
    """A file of a version as messages name it. They are read over HTTP, too, where the server's folders concern nobody.

    >>> told(Path("/srv/shop.instep/models/v0003/gate.json"))
    'v0003/gate.json'
    """
    return f"{path.parent.name}/{path.name}"


def read_json(path: Path, kind: type[T], missing: T | None = None) -> T | None:
    """A file's content; None when it is damaged, `missing` when it is not there.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return missing
    except msgspec.DecodeError:
        return None
    except OSError as error:
        raise ConfigError(f"{told(path)}: cannot be read: {error.strerror or error}") from error


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file for people to read, too: indented."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")


def replace_json(path: Path, content: Any) -> None:
    """Write a JSON file so that readers see the old one or the new one, whatever happens.

    Raises:
        ConfigError: it cannot be written.
    """
    partial_path = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_json(partial_path, content)
        sync(partial_path)
        partial_path.replace(path)
        sync(path.parent)
    except OSError as error:
        raise ConfigError(f"{told(path)}: cannot be written: {error.strerror or error}") from error


def sync(path: Path) -> None:
    """Have a file or a directory on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
