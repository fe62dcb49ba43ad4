"""The rejects file: every row that was refused, with its line and the reason, as JSON lines."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from instep.domain import ConfigError
from instep.files.base import Rejected

FOLDER_SUFFIX = ".instep"


def outside_folders(path: Path, what: str) -> None:
    """Refuse a place inside an instep folder: erasing a user clears the whole folder of the user's id.

    Args:
        path: where something that may hold users' ids is to be written.
        what: what that is.

    Raises:
        ConfigError: the path lies inside an instep folder.
    """
    if any(parent.name.endswith(FOLDER_SUFFIX) for parent in path.resolve().parents):
        raise ConfigError(f"{path}: {what} must stay outside the instep folder; choose another place")


class RejectsFile:
    """Written beside the source when the first row is refused; none is left when all rows are good.

    Args:
        path: where to write.

    Attributes:
        count: rows refused so far.

    Raises:
        ConfigError: the path lies inside an instep folder, or (on the first reject) cannot be written.
    """

    def __init__(self, path: Path) -> None:
        outside_folders(path, "a rejects file")
        self.path = path
        self.count = 0
        self._file: BinaryIO | None = None

    @classmethod
    def beside(cls, source: Path) -> RejectsFile:
        """The default place: ``<source>.rejects.jsonl`` in the source's folder."""
        return cls(source.with_name(source.name + ".rejects.jsonl"))

    def add(self, rejected: Rejected) -> None:
        """Keep one refused row.

        Raises:
            ConfigError: the file cannot be written.
        """
        try:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(msgspec.json.encode(rejected) + b"\n")
        except OSError as error:
            raise ConfigError(
                f"{self.path}: rejects cannot be written there ({error.strerror}); choose another --rejects"
            ) from error
        self.count += 1

    def __enter__(self) -> RejectsFile:
        if self.path.is_file():
            self.path.unlink()  # of an earlier run
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
