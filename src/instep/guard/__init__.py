"""What is checked before anything is stored."""

from instep.guard.filters import check_named_fields
from instep.guard.records import Limits, check_context, check_record, check_records
from instep.guard.values import check_id, check_user_id

__all__ = [
    "Limits",
    "check_context",
    "check_id",
    "check_named_fields",
    "check_record",
    "check_records",
    "check_user_id",
]
