"""Event, item and user files of known layouts, in and out; bad rows become rejects with their line."""

from instep.files.base import KINDS, Kind, Read, Rejected, Source
from instep.files.demo import demo_source
from instep.files.order import content_id
from instep.files.rejects import RejectsFile, outside_folders
from instep.files.source import FORMATS, open_mapped, open_source
from instep.files.write import write_events, write_items, write_log, write_users

__all__ = [
    "FORMATS",
    "KINDS",
    "Kind",
    "Read",
    "Rejected",
    "RejectsFile",
    "Source",
    "content_id",
    "demo_source",
    "open_mapped",
    "open_source",
    "outside_folders",
    "write_events",
    "write_items",
    "write_log",
    "write_users",
]
