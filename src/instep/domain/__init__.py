"""What everything speaks of: events, items, contexts, slates and errors. Plain, frozen, no I/O."""

from instep.domain.context import Context
from instep.domain.errors import (
    ConfigError,
    InstepError,
    InvalidRequest,
    LogCorrupt,
    NotFound,
    StageError,
    Unavailable,
)
from instep.domain.events import (
    EncoderSwitch,
    Entry,
    ExperimentChange,
    Feedback,
    Impression,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Receipt,
    Record,
    SessionMerge,
    UserPatch,
    UserPut,
    session_user,
)
from instep.domain.experiments import (
    INTERLEAVED,
    Arm,
    Assignment,
    Experiment,
    Metric,
    Overrides,
)
from instep.domain.items import Item, item_from_fields
from instep.domain.parts import find_part
from instep.domain.slates import Reason, Slate, SlateItem

__all__ = [
    "INTERLEAVED",
    "Arm",
    "Assignment",
    "ConfigError",
    "Context",
    "EncoderSwitch",
    "Entry",
    "Experiment",
    "ExperimentChange",
    "Feedback",
    "Impression",
    "InstepError",
    "InvalidRequest",
    "Item",
    "ItemPatch",
    "ItemPut",
    "ItemRemoval",
    "ItemVector",
    "LogCorrupt",
    "Metric",
    "NotFound",
    "Overrides",
    "Reason",
    "Receipt",
    "Record",
    "SessionMerge",
    "Slate",
    "SlateItem",
    "StageError",
    "Unavailable",
    "UserPatch",
    "UserPut",
    "find_part",
    "item_from_fields",
    "session_user",
]
