"""One cell to one value: what a CSV string, a JSON value or a Parquet value means for each kind of field.

Every function takes the cell as it was read and the name of its column, which an error begins with.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
DECIMAL = re.compile(r"-?(0|[1-9]\d{0,15})\.\d{1,15}")


class BadValue(ValueError):
    """A cell that cannot be what its column says; the message starts with the column's name."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(f"{column}: {message}")


def missing(value: Any) -> bool:
    """Whether a cell counts as empty: null, or nothing but blanks."""
    return value is None or (isinstance(value, str) and not value.strip())


def identifier(value: Any, column: str) -> str:
    """An id as text. Whole numbers are ids too, also where a table tool wrote them with a decimal point.

    Raises:
        BadValue: it is empty, or neither text nor a whole number.

    >>> identifier(17850, "user_id"), identifier(17850.0, "user_id"), identifier("u 1", "user_id")
    ('17850', '17850', 'u 1')
    """
    if missing(value):
        raise BadValue(column, "is empty")
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadValue(column, f"an id is text or a whole number, not {_shown(value)}")


def number(value: Any, column: str) -> float:
    """A finite number, from a number or its decimal text.

    Raises:
        BadValue: it is none, or not finite.

    >>> number("4.5", "value")
    4.5
    """
    if isinstance(value, str):
        if not NUMBER.fullmatch(value):
            raise BadValue(column, f"is not a number: {_shown(value)}")
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadValue(column, f"is not a number: {_shown(value)}")
    try:
        found = float(value)
    except (OverflowError, ValueError):
        found = math.inf
    if not math.isfinite(found):
        raise BadValue(column, "must be finite")
    return found


def integer(value: Any, column: str) -> int:
    """A whole number.

    Raises:
        BadValue: it is none, or 2^53 or more.
    """
    found = number(value, column)
    if not found.is_integer() or abs(found) >= 2**53:
        raise BadValue(column, f"is not a whole number: {_shown(value)}")
    return int(found)


def timestamp(value: Any, column: str) -> float:
    """Seconds since the epoch, from seconds, milliseconds (1e11 and up) or ISO 8601 (UTC if no zone).

    Raises:
        BadValue: it is empty, no time, or out of range.

    >>> timestamp("1260759144", "timestamp"), timestamp(1260759144500, "timestamp")
    (1260759144.0, 1260759144.5)
    >>> timestamp("2009-12-14T02:52:24Z", "timestamp")
    1260759144.0
    """
    if missing(value):
        raise BadValue(column, "is empty")
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise BadValue(
                column, f"is neither epoch seconds, milliseconds nor ISO 8601: {_shown(value)}"
            ) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        try:
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        except (OverflowError, ValueError):
            raise BadValue(column, f"is out of range: {_shown(value)}") from None
    found = number(value, column)
    if abs(found) >= 1e14:
        raise BadValue(column, f"is too large for seconds or milliseconds: {_shown(value)}")
    return found / 1000 if abs(found) >= 1e11 else found


def flag(value: Any, column: str) -> bool:
    """true or false, also as 1/0 and yes/no.

    Raises:
        BadValue: it is neither.
    """
    if isinstance(value, bool):
        return value
    found = str(value).strip().lower()
    if found in ("true", "1", "yes", "t", "y", "1.0"):
        return True
    if found in ("false", "0", "no", "f", "n", "0.0"):
        return False
    raise BadValue(column, f"is neither true nor false: {_shown(value)}")


def names(value: Any, column: str) -> list[str]:
    """A list of names: a JSON list, or text parted by ``|``.

    Raises:
        BadValue: it is no list, or holds something that is not text.

    >>> names("Drama|War", "categories"), names('["Rock, Pop"]', "categories")
    (['Drama', 'War'], ['Rock, Pop'])
    """
    if isinstance(value, str):
        listed = value.lstrip().startswith("[")
        value = _json(value, column) if listed else [part.strip() for part in value.split("|")]
    if not isinstance(value, list | tuple):
        raise BadValue(column, f"is not a list: {_shown(value)}")
    if not all(isinstance(name, str) for name in value):
        raise BadValue(column, "holds something that is not text")
    return [name for name in value if name.strip()]


def mapping(value: Any, column: str) -> dict[str, Any]:
    """An object: a JSON object as text, or one already read (a Parquet map is a list of pairs).

    Returns:
        The object, its keys sorted.

    Raises:
        BadValue: it is none.
    """
    if isinstance(value, str):
        value = _json(value, column)
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        value = dict(value)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise BadValue(column, f"is not an object: {_shown(value)}")
    return dict(sorted(value.items()))


def text(value: Any, column: str) -> str:
    """Text; numbers are written out.

    Raises:
        BadValue: it is something else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadValue(column, f"is not text: {_shown(value)}")


def attribute(value: Any, column: str) -> Any:
    """A column Instep has no name for: JSON values stay, plain numbers of CSV become numbers.

    Raises:
        BadValue: it cannot be kept (see `plain`).

    >>> attribute("1995", "year"), attribute("007", "agent"), attribute("1.5", "size")
    (1995, '007', 1.5)
    """
    if isinstance(value, str):
        if WHOLE.fullmatch(value) and value != "-0":
            return int(value)
        return float(value) if DECIMAL.fullmatch(value) else value
    if isinstance(value, datetime | date):
        return timestamp(value, column)
    return plain(value, column)


def plain(value: Any, column: str) -> Any:
    """A value that JSON and MessagePack can both hold.

    Raises:
        BadValue: it is none, also deep inside.
    """
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return value
        raise BadValue(column, "is too large a number")
    if isinstance(value, float):
        return number(value, column)
    if isinstance(value, list | tuple):
        return [plain(each, column) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each, column) for key, each in value.items()}
    if isinstance(value, Decimal):
        return number(value, column)
    raise BadValue(column, f"cannot be kept: {type(value).__name__}")


def _json(value: str, column: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadValue(column, f"is not valid JSON ({error})") from None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
