"""What one value may be: an id, a number, a moment, a context, an item's field. Pure and quick."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

from instep.domain import InvalidRequest
from instep.domain.events import SESSION_PREFIX

ID_BYTES: Final = 256
CONTEXT_KEYS: Final = 64
CONTEXT_TEXT: Final = 1_024
FIELD_COUNT: Final = 128
FIELD_DEPTH: Final = 6
FIELD_ENTRIES: Final = 4_096
FIELD_BYTES: Final = 65_536
CATEGORIES: Final = 64
TEXT_BYTES: Final = {
    "title": 4_096,
    "description": 65_536,
    "brand": 1_024,
    "author": 4_096,
    "language": 64,
    "image": 4_096,
    "audio": 4_096,
}
MOMENTS: Final = ("published_at", "expires_at")
YEAR_ONE: Final = -62_135_596_800.0
YEAR_TEN_THOUSAND: Final = 253_402_300_800.0
INT64: Final = 2**63


def check_id(value: object, field: str) -> str:
    """An id: 1..256 bytes of UTF-8 after NFC, no control character, no space at either end.

    Args:
        value: what the caller gave.
        field: its path, for the error.

    Returns:
        The id in NFC, the very same object when it is in NFC already.

    Raises:
        InvalidRequest: it is not such an id.

    >>> check_id("cafe\\u0301", "item_id") == "caf\\u00e9"
    True
    >>> check_id("a\\n", "item_id")
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: item_id: must not contain control characters (found U+000A)
    """
    if (
        type(value) is str
        and 0 < len(value) <= ID_BYTES
        and value.isascii()
        and value.isprintable()
        and value[0] != " "
        and value[-1] != " "
    ):
        return value
    return _check_unusual_id(value, field)


def _check_unusual_id(value: object, field: str) -> str:
    if type(value) is not str:  # msgspec stores no subclass of str either
        raise InvalidRequest(f"must be a string, not {type(value).__name__}", field)
    if not value:
        raise InvalidRequest("must not be empty", field)
    # Before normalising: NFC of a megabyte of combining marks is slow, and shortens text at most threefold.
    if len(value) > 3 * ID_BYTES:
        raise InvalidRequest(f"must be at most {ID_BYTES} bytes long", field)
    text = unicodedata.normalize("NFC", value)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("must be valid Unicode (it holds half a surrogate pair)", field) from None
    if size > ID_BYTES:
        raise InvalidRequest(f"must be at most {ID_BYTES} bytes long as UTF-8, not {size}", field)
    for character in text:
        if unicodedata.category(character) in ("Cc", "Zl", "Zp"):
            raise InvalidRequest(f"must not contain control characters (found U+{ord(character):04X})", field)
    if text != text.strip():
        raise InvalidRequest("must not begin or end with a space", field)
    return value if text == value else text


def check_user_id(value: object, field: str) -> str:
    """A user id; one that begins with ``session:`` must name a session after it.

    Raises:
        InvalidRequest: it is no such id.

    >>> check_user_id("session:", "user_id")
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: user_id: must name a session after 'session:'
    """
    if type(value) is str and value.startswith(SESSION_PREFIX):
        rest = value[len(SESSION_PREFIX) :]
        if not rest:
            raise InvalidRequest(f"must name a session after {SESSION_PREFIX!r}", field)
        checked = check_id(rest, field)
        return value if checked is rest else SESSION_PREFIX + checked
    return check_id(value, field)


def check_account_id(value: object, field: str) -> str:
    """A user id that is not a session's.

    Raises:
        InvalidRequest: it is no such id.

    >>> check_account_id("session:a", "user_id")
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: user_id: must not begin with 'session:', which marks visitors without an account
    """  # noqa: E501
    if type(value) is str and value.startswith(SESSION_PREFIX):
        raise InvalidRequest(
            f"must not begin with {SESSION_PREFIX!r}, which marks visitors without an account", field
        )
    return check_id(value, field)


def check_number(value: object, field: str) -> float:
    """A finite number (no boolean), as a float.

    Raises:
        InvalidRequest: it is none.

    >>> check_number(float("nan"), "value")
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: value: must be a finite number, not nan
    """
    if type(value) is float:
        number = value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise InvalidRequest("is too large a number", field) from None
    else:
        raise InvalidRequest(f"must be a number, not {type(value).__name__}", field)
    if not math.isfinite(number):
        raise InvalidRequest(f"must be a finite number, not {number}", field)
    return number


def check_context_values(value: object, field: str = "context") -> None:
    """A flat dictionary: at most 64 named scalars.

    Raises:
        InvalidRequest: it is none; names the key.

    >>> check_context_values({"device": ["phone"]})
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: context.device: must be a string, a number or a boolean, not list
    """
    if type(value) is not dict:
        raise InvalidRequest(f"must be an object, not {type(value).__name__}", field)
    if len(value) > CONTEXT_KEYS:
        raise InvalidRequest(f"must have at most {CONTEXT_KEYS} keys, not {len(value)}", field)
    for key, entry in value.items():
        check_id(key, f"{field} (a key)")
        if type(entry) is str:
            _check_text(entry, f"{field}.{key}", CONTEXT_TEXT)
        elif type(entry) in (bool, int, float):
            _check_scalar(entry, f"{field}.{key}")
        else:
            raise InvalidRequest(
                f"must be a string, a number or a boolean, not {type(entry).__name__}", f"{field}.{key}"
            )


def check_fields(fields: object, known: bool = True) -> dict[str, Any] | None:
    """An item's (or, with known=False, a user's) fields. Null is always allowed: it means that there is none.

    Args:
        fields: names to values.
        known: whether `title`, `price` ... have the meaning and the type that an item's have.

    Returns:
        The fields when a value had to change (``{"price": 3}`` becomes 3.0), None when they are fine.

    Raises:
        InvalidRequest: a name, a type or a size is wrong.
    """
    if type(fields) is not dict:
        raise InvalidRequest(f"must be an object, not {type(fields).__name__}", "fields")
    if len(fields) > FIELD_COUNT:
        raise InvalidRequest(f"must have at most {FIELD_COUNT} fields, not {len(fields)}", "fields")
    changed: dict[str, Any] = {}
    for name, value in fields.items():
        check_id(name, "fields (a name)")
        if name in ("item_id", "attributes") and known:
            raise InvalidRequest("is not a field; attributes stand beside the known fields", name)
        if value is None:
            continue
        check = KNOWN_FIELDS.get(name) if known else None
        checked = check(value, name) if check else _check_attribute(value, name)
        if checked is not value:
            changed[name] = checked
    return {**fields, **changed} if changed else None


def _check_text(value: object, field: str, limit: int) -> str:
    if type(value) is not str:  # msgspec stores no subclass of str either
        raise InvalidRequest(f"must be a string, not {type(value).__name__}", field)
    # A cheap bound first: UTF-8 has one to four bytes a character.
    if len(value) * 4 > limit or not value.isascii():
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise InvalidRequest("must be valid Unicode (it holds half a surrogate pair)", field) from None
        if size > limit:
            raise InvalidRequest(f"must be at most {limit} bytes long as UTF-8, not {size}", field)
    if "\0" in value:
        raise InvalidRequest("must not contain the character U+0000", field)
    return value


def _check_scalar(value: Any, field: str) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        if not -INT64 <= value < INT64:
            raise InvalidRequest("must fit in 64 bits", field)
    elif not math.isfinite(value):
        raise InvalidRequest(f"must be a finite number, not {value}", field)


def _check_known_text(value: object, field: str) -> str:
    return _check_text(value, field, TEXT_BYTES[field])


def _check_amount(value: object, field: str) -> float:
    number = check_number(value, field)
    if number < 0:
        raise InvalidRequest(f"must be at least 0, not {number}", field)
    return number


def _check_moment(value: object, field: str) -> float:
    number = check_number(value, field)
    if not YEAR_ONE <= number < YEAR_TEN_THOUSAND:
        raise InvalidRequest(
            f"must be seconds since the epoch between the years 1 and 9999, not {number}", field
        )
    return number


def _check_hidden(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"must be true or false, not {type(value).__name__}", field)
    return value


def _check_categories(value: object, field: str) -> object:
    if not isinstance(value, (list, tuple)):
        raise InvalidRequest(f"must be a list of names, not {type(value).__name__}", field)
    if len(value) > CATEGORIES:
        raise InvalidRequest(f"must have at most {CATEGORIES} names, not {len(value)}", field)
    names = [check_id(name, f"{field}[{place}]") for place, name in enumerate(value)]
    return value if all(a is b for a, b in zip(names, value, strict=True)) else names


def _check_attribute(value: object, field: str) -> object:
    entries = [0]
    size = _weigh(value, field, 1, entries)
    if size > FIELD_BYTES:
        raise InvalidRequest(f"must be at most {FIELD_BYTES} bytes long, not {size}", field)
    return value


def _weigh(value: object, field: str, depth: int, entries: list[int]) -> int:
    """Check a JSON value of any shape and return how many bytes of text it holds."""
    entries[0] += 1
    if entries[0] > FIELD_ENTRIES:
        raise InvalidRequest(f"must have at most {FIELD_ENTRIES} entries", field)
    if value is None:
        return 0
    if type(value) is str:
        return len(_check_text(value, field, FIELD_BYTES).encode())
    if type(value) in (bool, int, float):
        _check_scalar(value, field)
        return 8
    if depth >= FIELD_DEPTH:
        raise InvalidRequest(f"must be nested at most {FIELD_DEPTH} deep", field)
    if isinstance(value, (list, tuple)):
        return sum(
            _weigh(entry, f"{field}[{place}]", depth + 1, entries) for place, entry in enumerate(value)
        )
    if type(value) is dict:
        total = 0
        for name, entry in value.items():
            check_id(name, f"{field} (a name)")
            total += len(name) + _weigh(entry, f"{field}.{name}", depth + 1, entries)
        return total
    raise InvalidRequest(f"must be JSON, not {type(value).__name__}", field)


KNOWN_FIELDS: Final[Mapping[str, Callable[[object, str], object]]] = {
    **dict.fromkeys(TEXT_BYTES, _check_known_text),
    **dict.fromkeys(MOMENTS, _check_moment),
    "categories": _check_categories,
    "price": _check_amount,
    "stock": _check_amount,
    "hidden": _check_hidden,
}
