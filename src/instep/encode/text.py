"""What an encoder reads: an item as one bounded text, and the hash under which its vector is known."""

from __future__ import annotations

import hashlib
from typing import Final

from instep.domain import Item

ITEM_CHARACTERS: Final = 600  # about 150 English word pieces: longer texts cost time and blur the vector
ENCODER_CHARACTERS: Final = 1024  # no encoder reads further: a hostile text must not stall the others


def item_text(item: Item, limit: int = ITEM_CHARACTERS) -> str:
    """An item as one text, most telling parts first, at most `limit` characters.

    Args:
        item: any item; missing fields are left out.
        limit: characters kept; a description is cut at a word where it has words.

    Returns:
        Title, categories, brand, author and description, separated by full stops; "" when the item has none.

    >>> item_text(Item("i1", title="Toy Story", categories=("Animation", "Children"), author="J. Lasseter"))
    'Toy Story. Animation, Children. J. Lasseter'
    """
    parts = (item.title, ", ".join(item.categories), item.brand, item.author, item.description)
    # Joining first and cutting after would copy a huge description; cut each part to what could still fit.
    text = ". ".join(clean for part in parts if (clean := " ".join(part[: 2 * limit].split())))
    if len(text) <= limit:
        return text
    cut = text[:limit]
    word = cut.rfind(" ", limit - 40)  # languages without spaces are cut where the limit falls
    return cut[:word] if word > 0 and not text[limit].isspace() else cut.rstrip()


def content_hash(text: str, encoder_name: str) -> str:
    """The key of a text's vector: equal only for the same text read by the same encoder.

    Args:
        text: what was encoded.
        encoder_name: `Encoder.name`.

    Returns:
        32 hexadecimal digits (half of a SHA-256).

    >>> content_hash("tea", "model-1") == content_hash("tea", "model-2")
    False
    """
    digest = hashlib.sha256(encoder_name.encode("utf-8", "replace"))
    digest.update(b"\0")
    digest.update(text.encode("utf-8", "replace"))
    return digest.hexdigest()[:32]


def readable(text: str) -> str:
    """A text every tokenizer accepts: no NUL, no lone surrogates, at most `ENCODER_CHARACTERS` characters.

    >>> readable("caf\\u00e9\\ud800\\0!")
    'café? !'
    """
    return text[:ENCODER_CHARACTERS].replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
