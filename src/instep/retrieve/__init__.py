"""Context to candidates."""

from instep.retrieve.candidates import (
    MOST,
    SOURCES,
    Request,
    Scratch,
    Tables,
    new_scratch,
)
from instep.retrieve.filters import compile_filter
from instep.retrieve.gather import gather, release
from instep.retrieve.text import nearest_items, text_profile

__all__ = [
    "MOST",
    "SOURCES",
    "Request",
    "Scratch",
    "Tables",
    "compile_filter",
    "gather",
    "nearest_items",
    "new_scratch",
    "release",
    "text_profile",
]
