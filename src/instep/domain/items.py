"""Items: the known fields and everything else as attributes."""

from __future__ import annotations

from typing import Any

import msgspec


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item of the catalogue. Every field but the id is optional.

    Args:
        item_id: unique id.
        title: short text; with `description`, `categories`, `brand` and `author` it is what the encoder reads.
        categories: names, most important first.
        price: in the shop's own currency.
        stock: units left; 0 takes the item out of recommendations; None means not tracked.
        language: BCP 47 tag, if known.
        image: address of a picture.
        audio: address of a recording.
        published_at: seconds since the epoch; before then it is not recommended, unless somebody took it already.
        expires_at: seconds since the epoch; from then on it is not recommended.
        hidden: never recommended while true.
        attributes: every other field, as given.
    """

    item_id: str
    title: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    brand: str = ""
    author: str = ""
    price: float | None = None
    stock: float | None = None
    language: str = ""
    image: str = ""
    audio: str = ""
    published_at: float | None = None
    expires_at: float | None = None
    hidden: bool = False
    attributes: dict[str, Any] = {}


ITEM_FIELDS = frozenset(Item.__struct_fields__) - {"item_id", "attributes"}


def item_from_fields(item_id: str, fields: dict[str, Any]) -> Item:
    """Build an item from a flat dictionary of already validated fields.

    >>> item_from_fields("i1", {"title": "Tea", "colour": "green"}).attributes
    {'colour': 'green'}
    """
    known = {name: value for name, value in fields.items() if name in ITEM_FIELDS and value is not None}
    if "categories" in known:
        known["categories"] = tuple(known["categories"])
    attributes = {name: value for name, value in fields.items() if name not in ITEM_FIELDS}
    return Item(item_id=item_id, attributes=attributes, **known)
