"""Errors, one tree, split by who must act.

InstepError
├── InvalidRequest   the caller: the request is wrong (HTTP 422; names the field)
│   └── NotFound     the caller: there is nothing of this id (HTTP 404)
├── ConfigError      the operator, at start-up: configuration, folder, model or data (exit status 1)
│   └── LogCorrupt   the log holds a bad record; names the offset and the repair command
├── StageError       nobody at once: an optional stage failed; the request degrades, the failure is counted
└── Unavailable      wait and retry: disk full, shutting down (HTTP 503)
"""

from __future__ import annotations


class InstepError(Exception):
    """The root: every error Instep raises on purpose."""


class InvalidRequest(InstepError, ValueError):
    """The caller sent something that cannot be accepted.

    Args:
        message: what is wrong and what would be right.
        field: the offending field as a path (``events[3].value``), if one is to blame.

    >>> str(InvalidRequest("must be finite", field="value"))
    'value: must be finite'
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.message = message
        self.field = field


class NotFound(InvalidRequest):
    """The caller named an item or a user that is not there."""


class ConfigError(InstepError):
    """The operator must change the configuration, the folder or the installation before Instep starts."""


class LogCorrupt(ConfigError):
    """A stored record does not match its checksum.

    Args:
        message: what was found, and the command that repairs it.
        offset: offset of the first bad record.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class StageError(InstepError):
    """An optional stage failed; the request goes on without it."""


class Unavailable(InstepError):
    """The write could not be made durable now (disk full, shutting down). Nothing was acknowledged; retry."""
