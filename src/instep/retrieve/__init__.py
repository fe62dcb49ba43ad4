"""Context to candidates."""

from instep.retrieve.filters import compile_filter
from instep.retrieve.gather import (
    FROM_ASKED,
    FROM_TEXT,
    MOST,
    SOURCES,
    Request,
    Scratch,
    gather,
    new_scratch,
    release,
)
from instep.retrieve.text import nearest_items, text_profile

__all__ = [
    "FROM_ASKED",
    "FROM_TEXT",
    "MOST",
    "SOURCES",
    "Request",
    "Scratch",
    "compile_filter",
    "gather",
    "nearest_items",
    "new_scratch",
    "release",
    "text_profile",
]
