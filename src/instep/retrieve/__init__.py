"""Context to candidates."""

from instep.retrieve.candidates import (
    MOST,
    SOURCES,
    Question,
    Request,
    Scratch,
    may_be_shown,
    new_scratch,
)
from instep.retrieve.filters import compile_filter
from instep.retrieve.gather import gather, release
from instep.retrieve.request import read_request
from instep.retrieve.text import nearest_items, text_profile

__all__ = [
    "MOST",
    "SOURCES",
    "Question",
    "Request",
    "Scratch",
    "compile_filter",
    "gather",
    "may_be_shown",
    "nearest_items",
    "new_scratch",
    "read_request",
    "release",
    "text_profile",
]
