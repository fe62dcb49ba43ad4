"""What one record may be, checked before anything is stored. Pure; nothing is ever silently clipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec
import numpy as np

from instep.domain import (
    Context,
    EncoderSwitch,
    ExperimentChange,
    Feedback,
    Impression,
    InvalidRequest,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Record,
    SessionMerge,
    UserPatch,
    UserPut,
)
from instep.domain.events import SESSION_PREFIX
from instep.guard.experiments import check_experiment
from instep.guard.values import (
    check_account_id,
    check_context_values,
    check_fields,
    check_id,
    check_number,
    check_user_id,
)
from instep.reward import DEFAULT_REWARDS

DAY: Final = 86_400.0
SLATE_LENGTH: Final = 1_000
EXCLUDED: Final = 10_000
FILTER_LENGTH: Final = 2_048
EVENT_TYPES: Final = frozenset(DEFAULT_REWARDS)


class Limits(msgspec.Struct, frozen=True):
    """What is accepted.

    Args:
        event_types: known feedback types (those of the rewards table).
        any_type: whether unknown types are accepted too.
        rating_min: lowest rating.
        rating_max: highest rating.
        earliest: oldest timestamp, seconds since the epoch; the default is 1990-01-01.
        skew: how far in the future a timestamp may be, seconds.
        vector_dimensions: length of the encoder's vectors; None when any length will do.
    """

    event_types: frozenset[str] = EVENT_TYPES
    any_type: bool = False
    rating_min: float = 0.0
    rating_max: float = 5.0
    earliest: float = 631_152_000.0
    skew: float = DAY
    vector_dimensions: int | None = None


def check_record(record: Record, now: float, limits: Limits) -> Record:
    """Check a record before it is stored.

    Args:
        record: any record.
        now: the present, seconds since the epoch.
        limits: what is accepted.

    Returns:
        The record with its ids in NFC and its numbers as floats: the very same object when it was so already.

    Raises:
        InvalidRequest: names the field, says what is wrong and what would be right.

    >>> event = Feedback("e1", "u1", "i1", 1e9, type="dwell", value=-2.0)
    >>> check_record(event, now=1e9, limits=Limits())
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: value: must be at least 0 and less than 86400 seconds, not -2.0
    """
    check = CHECKS.get(type(record))
    if check is None:
        raise InvalidRequest(f"is not a record: {type(record).__name__}")
    changes = check(record, limits)
    timestamp = record.timestamp
    if type(timestamp) is not float:
        timestamp = changes["timestamp"] = check_number(timestamp, "timestamp")
    if not limits.earliest <= timestamp <= now + limits.skew:
        raise InvalidRequest(_what_is_wrong_with_the_time(timestamp, now, limits), "timestamp")
    return msgspec.structs.replace(record, **changes) if changes else record


def check_records(records: Sequence[Record], now: float, limits: Limits, at: str = "records") -> list[Record]:
    """Check several records: all are fine or none is accepted.

    Args:
        records: any records.
        now: the present, seconds since the epoch.
        limits: what is accepted.
        at: what the caller calls the list, for the path of a field: ``records[3].value``.

    Returns:
        The records as `check_record` returns them.

    Raises:
        InvalidRequest: the first thing that is wrong.
    """
    checked: list[Record] = []
    for place, record in enumerate(records):
        try:
            checked.append(check_record(record, now, limits))
        except InvalidRequest as error:
            field = f"{at}[{place}].{error.field}" if error.field else f"{at}[{place}]"
            raise InvalidRequest(error.message, field) from None
    return checked


def check_context(context: Context, limits: Limits) -> Context:
    """Check a request for a slate; `filter` is only measured here, its grammar belongs to who evaluates it.

    Args:
        context: the request.
        limits: what is accepted.

    Returns:
        The context with its ids in NFC: the very same object when it was so already.

    Raises:
        InvalidRequest: names the field.

    >>> check_context(Context("u1", n=0), Limits())
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: n: must be between 1 and 1000, not 0
    """
    changes: dict[str, Any] = {}
    _note(changes, context, "user_id", check_user_id)
    if type(context.n) is not int:
        raise InvalidRequest(f"must be a whole number, not {type(context.n).__name__}", "n")
    if not 1 <= context.n <= SLATE_LENGTH:
        raise InvalidRequest(f"must be between 1 and {SLATE_LENGTH}, not {context.n}", "n")
    if context.surface != "default":
        _note(changes, context, "surface", check_id)
    for field, most in (("categories", SLATE_LENGTH), ("exclude", EXCLUDED)):
        names = getattr(context, field)
        if names or type(names) is not tuple:
            if type(names) not in (tuple, list):
                raise InvalidRequest(f"must be a list of ids, not {type(names).__name__}", field)
            if len(names) > most:
                raise InvalidRequest(f"must have at most {most} entries, not {len(names)}", field)
            checked = tuple([check_id(name, f"{field}[{place}]") for place, name in enumerate(names)])
            if checked != names:
                changes[field] = checked
    if context.request_id != "":
        _note(changes, context, "request_id", check_id)
    _note(changes, context, "now", check_number)
    if type(context.filter) is not str or len(context.filter) > FILTER_LENGTH:
        raise InvalidRequest(f"must be a string of at most {FILTER_LENGTH} characters", "filter")
    if context.attributes:
        check_context_values(context.attributes)
    return msgspec.structs.replace(context, **changes) if changes else context


def _note(changes: dict[str, Any], record: Any, field: str, check: Callable[[object, str], object]) -> None:
    """Check one field, and note what it became if that is something else."""
    value = getattr(record, field)
    checked = check(value, field)
    if checked is not value:
        changes[field] = checked


def _what_is_wrong_with_the_time(timestamp: float, now: float, limits: Limits) -> str:
    check_number(timestamp, "timestamp")
    if timestamp < limits.earliest:
        return f"must be seconds since the epoch, not before {limits.earliest:.0f}; {timestamp} is too early"
    message = (
        f"must be seconds since the epoch, at most {limits.skew:.0f} s in the future; {timestamp} is too late"
    )
    if limits.earliest <= timestamp / 1000.0 <= now + limits.skew:
        message += " (it looks like milliseconds)"
    return message


def _check_feedback(record: Feedback, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "user_id", check_user_id)
    _note(changes, record, "item_id", check_id)
    if type(record.type) is not str or record.type not in limits.event_types:
        _check_type(record.type, limits)
    if record.value is not None:
        _note(changes, record, "value", check_number)
    if record.type in BOUNDED_TYPES:
        _check_value(record.type, changes.get("value", record.value), limits)
    if record.slate_id is not None:
        _note(changes, record, "slate_id", check_id)
    if record.position is not None and (
        type(record.position) is not int or not 0 <= record.position < 1_000_000
    ):
        raise InvalidRequest(f"must be a whole number from 0 to 999999, not {record.position!r}", "position")
    if record.context is not None:
        check_context_values(record.context)
    return changes


BOUNDED_TYPES: Final = frozenset(("dwell", "rating"))


def _check_type(name: object, limits: Limits) -> None:
    check_id(name, "type")
    if not limits.any_type:
        known = ", ".join(sorted(limits.event_types))
        raise InvalidRequest(f"must be one of {known}, not {name!r}; the rewards table can have more", "type")


def _check_value(kind: str, value: float | None, limits: Limits) -> None:
    if value is None:
        unit = "seconds" if kind == "dwell" else "stars"
        raise InvalidRequest(f"must be given for a {kind}: how many {unit}", "value")
    if kind == "dwell" and not 0.0 <= value < DAY:
        raise InvalidRequest(f"must be at least 0 and less than {DAY:.0f} seconds, not {value}", "value")
    if kind == "rating" and not limits.rating_min <= value <= limits.rating_max:
        bounds = f"{limits.rating_min:g} and {limits.rating_max:g}"
        raise InvalidRequest(f"must be between {bounds} (the range set for ratings), not {value}", "value")


def _check_impression(record: Impression, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "user_id", check_user_id)
    for field in ("item_ids", "propensities"):
        if type(getattr(record, field)) not in (tuple, list):
            raise InvalidRequest(f"must be a list, not {type(getattr(record, field)).__name__}", field)
    if len(record.item_ids) > SLATE_LENGTH:
        raise InvalidRequest(
            f"must have at most {SLATE_LENGTH} items, not {len(record.item_ids)}", "item_ids"
        )
    if len(record.item_ids) != len(record.propensities):
        counts = f"{len(record.item_ids)} items and {len(record.propensities)} propensities"
        raise InvalidRequest(f"must have one entry for each item: there are {counts}", "propensities")
    checked = tuple([check_id(name, f"item_ids[{place}]") for place, name in enumerate(record.item_ids)])
    if checked != record.item_ids:
        changes["item_ids"] = checked
    for place, propensity in enumerate(record.propensities):
        if type(propensity) is not float:
            raise InvalidRequest(
                f"must be a float, not {type(propensity).__name__}", f"propensities[{place}]"
            )
        if not 0.0 < propensity <= 1.0:
            raise InvalidRequest(f"must be above 0 and at most 1, not {propensity}", f"propensities[{place}]")
    for place, assignment in enumerate(record.experiments):
        teams = assignment.teams
        if teams and (len(teams) != len(record.item_ids) or not set(teams) <= {0, 1}):
            raise InvalidRequest("must have 0 or 1 for each item, or be empty", f"experiments[{place}].teams")
    if record.asked:
        _check_asked(record, limits)
    return changes


def _check_asked(record: Impression, limits: Limits) -> None:
    try:
        asked = msgspec.convert({"user_id": record.user_id, **record.asked}, Context)
        check_context(asked, limits)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"is no request's: {error}", "asked") from None
    except InvalidRequest as error:
        raise InvalidRequest(error.message, f"asked.{error.field}") from None


def _check_item_fields(record: ItemPut | ItemPatch, limits: Limits) -> dict[str, Any]:
    changes = _check_item_removal(record, limits)
    fields = check_fields(record.fields)
    if fields is not None:
        changes["fields"] = fields
    return changes


def _check_item_removal(record: ItemRemoval | ItemPut | ItemPatch, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "item_id", check_id)
    if record.user_id != "":
        _note(changes, record, "user_id", check_user_id)
    return changes


def _check_item_vector(record: ItemVector, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "item_id", check_id)
    _note(changes, record, "encoder", check_id)
    _note(changes, record, "content_hash", check_id)
    if type(record.vector) is not bytes:
        raise InvalidRequest(f"must be bytes, not {type(record.vector).__name__}", "vector")
    size = len(record.vector)
    if limits.vector_dimensions is not None and size != 2 * limits.vector_dimensions:
        wanted = f"{limits.vector_dimensions} float16 numbers ({2 * limits.vector_dimensions} bytes)"
        raise InvalidRequest(f"must be {wanted}, not {size} bytes", "vector")
    if size == 0 or size % 2 or not np.isfinite(np.frombuffer(record.vector, "<f2")).all():
        raise InvalidRequest("must be finite float16 numbers, at least one", "vector")
    return changes


def _check_encoder_switch(record: EncoderSwitch, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "encoder", check_id)
    return changes


def _check_user_fields(record: UserPut | UserPatch, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "user_id", check_account_id)
    check_fields(record.fields, known=False)
    return changes


def _check_session_merge(record: SessionMerge, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "user_id", check_account_id)
    _note(changes, record, "session_user_id", check_user_id)
    if not record.session_user_id.startswith(SESSION_PREFIX):
        raise InvalidRequest(f"must begin with {SESSION_PREFIX!r}", "session_user_id")
    return changes


def _check_experiment_change(record: ExperimentChange, limits: Limits) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    _note(changes, record, "event_id", check_id)
    _note(changes, record, "experiment", check_id)
    if record.definition is not None:
        check_experiment(record.definition, None if limits.any_type else limits.event_types)
    if (record.action == "launch") != (record.definition is not None):
        raise InvalidRequest("must be given when one is launched, and only then", "definition")
    if record.definition is not None and record.definition.name != record.experiment:
        raise InvalidRequest(f"must be {record.experiment!r}", "definition.name")
    return changes


CHECKS: Final = cast(
    "dict[type, Callable[[Any, Limits], dict[str, Any]]]",
    {
        Feedback: _check_feedback,
        Impression: _check_impression,
        ItemPut: _check_item_fields,
        ItemPatch: _check_item_fields,
        ItemRemoval: _check_item_removal,
        ItemVector: _check_item_vector,
        EncoderSwitch: _check_encoder_switch,
        UserPut: _check_user_fields,
        UserPatch: _check_user_fields,
        SessionMerge: _check_session_merge,
        ExperimentChange: _check_experiment_change,
    },
)
