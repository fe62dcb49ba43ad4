"""Context to candidates."""

from instep.retrieve.candidates import (
    FROM_ASKED,
    FROM_TEXT,
    MOST,
    SOURCES,
    Request,
    Scratch,
    Tables,
    new_scratch,
)
from instep.retrieve.filters import compile_filter
from instep.retrieve.gather import gather, keep_only, release
from instep.retrieve.text import nearest_items, text_profile

__all__ = [
    "FROM_ASKED",
    "FROM_TEXT",
    "MOST",
    "SOURCES",
    "Request",
    "Scratch",
    "Tables",
    "compile_filter",
    "gather",
    "keep_only",
    "nearest_items",
    "new_scratch",
    "release",
    "text_profile",
]
