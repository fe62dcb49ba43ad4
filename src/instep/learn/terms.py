"""An item's terms: what it has in common with other items to the letter, where a language model sees likeness."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np

from instep.domain import Item
from instep.state import State
from instep.state.tables import I32, TERM_SLOTS
from instep.state.terms import NO_TERM, with_terms

MOST_ATTRIBUTES: Final = 4
LONGEST_VALUE: Final = 64  # characters: longer ones are texts, not names
READ_CHARACTERS: Final = 400  # of a description
# Runs of letters and digits; scripts that are written without blanks are read two characters at a time.
_UNSPACED: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff"
# In a large catalogue such words weigh next to nothing by themselves; in a small one they would be rare.
_SMALL_WORDS: Final = """
and as at by for from in into is it of on or that the this to with without your
der die das den dem ein eine mit und von zu für le la les des du et un une en aux el los las con del y para
"""
_LITTLE: Final = frozenset(_SMALL_WORDS.split())
_WORD: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_IS_UNSPACED: Final = re.compile(rf"[{_UNSPACED}]")


def words(text: str) -> Iterator[str]:
    """The telling words of a text, in order, as they are spelt; of Chinese, Japanese and Thai every two characters.

    >>> list(words("The 7 Samurai: a film"))
    ['7', 'Samurai', 'film']
    >>> list(words("七人の侍 1954"))
    ['七人', '人の', 'の侍', '1954']
    """
    for run in _WORD.findall(text):
        if _IS_UNSPACED.match(run):
            yield from (run[k : k + 2] for k in range(max(1, len(run) - 1)))
        elif (len(run) > 1 and run.casefold() not in _LITTLE) or run.isdigit():
            yield run


def _named(item: Item) -> Iterator[str]:
    """Its terms as text, the most telling first: names whole, then what they and the texts are made of."""
    names = {"brand": item.brand, "author": item.author}
    if item.brand:
        yield f"brand={item.brand}"
    if item.author:
        yield f"author={item.author}"
    yield from words(item.title)
    for field in sorted(item.attributes)[:MOST_ATTRIBUTES]:
        value = item.attributes[field]
        for each in value[:MOST_ATTRIBUTES] if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str | int) and len(str(each)) <= LONGEST_VALUE:
                yield f"{field}={each}"
                names[field] = each if isinstance(each, str) else ""
    for name in names.values():
        yield from words(name)
    yield from words(item.description[:READ_CHARACTERS])


def number_of(term: str) -> int:
    """The 32 bits that stand for a term, as a signed number; never 0.

    >>> number_of("tea") == number_of("TEA") != number_of("cup")
    True
    """
    bits = zlib.crc32(term.casefold().encode("utf-8", "replace"))
    return (bits ^ 1 << 31) - (1 << 31) or 1


def term_numbers(item: Item | None) -> I32:
    """int32 (TERM_SLOTS,): the numbers of an item's first terms, each once; zero behind the last.

    Args:
        item: None for one that was removed.

    >>> tea, cup = Item("i1", title="Green tea", brand="Lu"), Item("i2", title="Tea cup", brand="LU")
    >>> len((set(term_numbers(tea).tolist()) & set(term_numbers(cup).tolist())) - {0})
    3
    """
    return _numbers(_named(item) if item is not None else iter(()))


def query_terms(text: str) -> I32:
    """The same of the words of a query.

    >>> sum(number in term_numbers(Item("i1", title="Green tea")) for number in query_terms("A tea!") if number)
    1
    """
    return _numbers(words(text))


def _numbers(terms: Iterator[str]) -> I32:
    found: dict[int, None] = {}
    for term in terms:
        found[number_of(term)] = None
        if len(found) == TERM_SLOTS:
            break
    numbers = np.full(TERM_SLOTS, NO_TERM, np.int32)
    numbers[: len(found)] = list(found)
    return numbers


def note_terms(state: State, row: int, item: Item | None) -> None:
    """Write which terms an item has; where they are what they were (a price was patched), it keeps its places."""
    numbers = term_numbers(item)
    if not np.array_equal(numbers, state.items.terms[row]):
        state.terms = with_terms(state.terms, state.items.terms, row, numbers)
