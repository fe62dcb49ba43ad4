"""Whether a filter asks for fields that there are. Its grammar is checked where it is compiled (`retrieve/`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from instep.domain import InvalidRequest, Item

FIELDS: Final = frozenset(Item.__struct_fields__) - {"attributes"}
SAMPLE: Final = 1_000
LISTED: Final = 30
NAME_LENGTH: Final = 64
_PIECES: Final = re.compile(
    r"""
      //[^\n]*                                            # a comment
    | \b[bB]?[rR](?P<raw>"{3}|'{3}|"|')(?s:.)*?(?P=raw)   # a text without escapes
    | (?P<text>"{3}|'{3}|"|')(?:\\(?s:.)|[^\\])*?(?P=text)
    | \bhas\s*\(\s*item\s*\.\s*(?P<asked>\w+)
    | (?<![\w.])item\s*(?:\.\s*(?P<field>\w+)|\[\s*(?P<key>"|')(?P<entry>[^"'\\]+)(?P=key)\s*\])
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=256)
def named_attributes(expression: str) -> tuple[str, ...]:
    """The fields beyond `Item`'s own that a filter takes for granted: named, and nowhere asked for with `has`.

    Args:
        expression: a CEL expression over `item`.

    Returns:
        Their names, sorted.

    >>> named_attributes('item.colour == "item.size" && item["made"].year > 2000 && item.price < 5.0')
    ('colour', 'made')
    >>> named_attributes('has(item.sale) && item.sale')
    ()
    """
    named, asked = set(), set(FIELDS)
    for piece in _PIECES.finditer(expression):
        asked.add(piece["asked"])
        named.add(piece["field"] or piece["entry"])
    return tuple(sorted(named - asked - {None}))


def check_named_fields(expression: str, catalogue: Sequence[Item | None]) -> None:
    """Refuse a filter that names a field which no item has: it is misspelt.

    It looks at every item, so it is for a filter that let nothing pass.

    Args:
        expression: a CEL expression over `item`.
        catalogue: all items; None for what is known by events alone. When there is no item, nothing is refused.

    Raises:
        InvalidRequest: names the field, and those that are spelt alike, or else those that there are.

    >>> check_named_fields("item.prise < 5.0", [Item("tea", price=4.5)])
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: filter: no item has a field 'prise'; did you mean price?
    """
    items = [item for item in catalogue if item is not None] if named_attributes(expression) else []
    for name in named_attributes(expression) if items else ():
        if not any(name in item.attributes for item in items):
            known = _some_fields(items)
            alike = " or ".join(get_close_matches(name, known))
            advice = f"did you mean {alike}?" if alike else f"there are {', '.join(known[:LISTED])}"
            raise InvalidRequest(f"no item has a field {name[:NAME_LENGTH]!r}; {advice}", "filter")


def _some_fields(items: Sequence[Item]) -> list[str]:
    """Fields to tell of: attributes of a sample of the items first, those of every item after them."""
    sample = items[:: 1 + len(items) // SAMPLE]
    found = sorted({name for item in sample for name in item.attributes if len(name) <= NAME_LENGTH})
    return [*found[:SAMPLE], *sorted(FIELDS)]
