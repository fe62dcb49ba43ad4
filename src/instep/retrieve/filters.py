"""The `filter` of a request: a CEL expression over `item`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cel

from instep.domain import InvalidRequest, Item

_FIELDS = frozenset(Item.__struct_fields__) - {"attributes"}
_ITEM = re.compile(r"\bitem\b(?:\s*\.\s*(\w+))?")
# Loops within loops take as long as a caller likes. Looked for in strings too, whose ends a parser knows.
_LOOP = re.compile(r"\b(all|exists|exists_one|map|filter)\s*(//[^\n]*\n\s*)*\(")


@lru_cache(maxsize=256)
def compile_filter(expression: str) -> Callable[[Item, float], bool]:
    """A predicate over items from a CEL expression.

    Args:
        expression: over `item` (every field of `Item`, its attributes as further fields) and `now` (seconds).

    Returns:
        A function of an item and the time. An item on which the expression cannot be evaluated (a field that
        it does not have, null compared with a number, a division by zero) does not qualify.

    Raises:
        InvalidRequest: the expression does not parse, loops, names an unknown variable or does not give true
            or false.

    >>> cheap = compile_filter("item.price < 20.0")
    >>> cheap(Item("a", price=3.0), 0.0), cheap(Item("b"), 0.0)
    (True, False)
    """
    if _LOOP.search(expression):
        raise InvalidRequest(
            "must not loop (all, exists, exists_one, map, filter); `in` finds in lists", "filter"
        )
    try:
        program = cel.compile(expression)
        unknown = set(program.variables()) - {"item", "now"}
    except ValueError as error:
        raise InvalidRequest(f"not a CEL expression: {error}", field="filter") from None
    if unknown:
        raise InvalidRequest(f"unknown name {sorted(unknown)[0]!r}; use `item` and `now`", field="filter")

    # Only what the expression names is handed over: that is most of what an evaluation costs.
    named = frozenset(found[1] for found in _ITEM.finditer(expression))

    def qualifies(item: Item, now: float) -> bool:
        """Whether the expression holds of an item; without a field that it names it does not."""
        names = named if None not in named else {*_FIELDS, *item.attributes}
        fields: dict[str, Any] = {name: getattr(item, name) for name in names if name in _FIELDS}
        fields.update({name: item.attributes[name] for name in names if name in item.attributes})
        if "categories" in fields:
            fields["categories"] = list(item.categories)
        try:
            answer = program.execute({"item": fields, "now": now})
        except (KeyError, TypeError, ArithmeticError):
            return False
        except (ValueError, RuntimeError) as error:
            raise InvalidRequest(f"cannot be evaluated: {error}", field="filter") from None
        if not isinstance(answer, bool):
            raise InvalidRequest(f"must give true or false, not {type(answer).__name__}", field="filter")
        return answer

    return qualifies
