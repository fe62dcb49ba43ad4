"""The records of the log: feedback, impressions, item and user changes.

Every record is a frozen msgspec struct with a tag, so that the log stores it as MessagePack and the HTTP
service reads it as JSON. `user_id` is always the subject whose erasure removes the record ("" when none).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from instep.domain.experiments import Assignment, Experiment

SESSION_PREFIX: Final = "session:"


def session_user(session: str) -> str:
    """The user id under which an anonymous session's events are kept until it is merged into a user.

    >>> session_user("a1")
    'session:a1'
    """
    return SESSION_PREFIX + session


class Feedback(msgspec.Struct, frozen=True, tag_field="kind", tag="feedback", omit_defaults=True):
    """A raw user act on an item.

    Args:
        event_id: unique id; a second record with the same id is acknowledged and ignored.
        user_id: who acted; `session_user(...)` for an anonymous visitor.
        item_id: on what.
        timestamp: when, seconds since the epoch (UTC).
        type: what kind of act: ``view``, ``click``, ``like``, ``dwell``, ``rating``, ``purchase`` ...
        value: its amount where the type has one: seconds of a dwell, stars of a rating, quantity of a purchase.
        slate_id: the impression that led to it, if known.
        position: 0-based place in that slate, if known.
        context: what else was known (device, surface, weather ...), scalar values only.
    """

    event_id: str
    user_id: str
    item_id: str
    timestamp: float
    type: str = "view"
    value: float | None = None
    slate_id: str | None = None
    position: int | None = None
    context: dict[str, str | int | float | bool] | None = None


class Impression(msgspec.Struct, frozen=True, tag_field="kind", tag="impression", omit_defaults=True):
    """A slate as shown: its id joins later feedback to it.

    Args:
        event_id: equals the slate id.
        user_id: who saw it.
        timestamp: when, seconds since the epoch.
        item_ids: the items in order.
        propensities: P(item at its position | context, earlier positions), one for each item, in (0, 1].
        surface: where it was shown.
        policy: name of the policy that chose it.
        as_of: offset up to which the model had learned when it chose.
        experiments: the experiments that it was part of.
        asked: what its request asked for beyond user, time, surface and as many items (`Context.asked`).
    """

    event_id: str
    user_id: str
    timestamp: float
    item_ids: tuple[str, ...]
    propensities: tuple[float, ...]
    surface: str = "default"
    policy: str = "greedy"
    as_of: int = 0
    experiments: tuple[Assignment, ...] = ()
    asked: dict[str, Any] = {}


class ItemPut(msgspec.Struct, frozen=True, tag_field="kind", tag="item_put", omit_defaults=True):
    """An item created or replaced whole; `fields` as `domain.items.Item` names them, others are attributes."""

    event_id: str
    item_id: str
    timestamp: float
    fields: dict[str, Any]
    user_id: str = ""


class ItemPatch(msgspec.Struct, frozen=True, tag_field="kind", tag="item_patch", omit_defaults=True):
    """Some fields of an item changed; a null removes a field."""

    event_id: str
    item_id: str
    timestamp: float
    fields: dict[str, Any]
    user_id: str = ""


class ItemRemoval(msgspec.Struct, frozen=True, tag_field="kind", tag="item_removal", omit_defaults=True):
    """An item taken out of the catalogue: never recommended again unless it is put back."""

    event_id: str
    item_id: str
    timestamp: float
    user_id: str = ""


class ItemVector(msgspec.Struct, frozen=True, tag_field="kind", tag="item_vector", omit_defaults=True):
    """What an encoder made of an item's text, as a record, so that a replay needs no encoder.

    Args:
        event_id: unique id.
        item_id: the item.
        timestamp: when it was encoded, seconds since the epoch.
        encoder: name of the encoder (model and version).
        content_hash: hash of the text that was encoded; a vector whose hash is not the item's current one is stale.
        vector: float16 little-endian bytes, L2-normalised.
    """

    event_id: str
    item_id: str
    timestamp: float
    encoder: str
    content_hash: str
    vector: bytes
    user_id: str = ""


class EncoderSwitch(msgspec.Struct, frozen=True, tag_field="kind", tag="encoder_switch", omit_defaults=True):
    """From here on requests read the vectors of another encoder; those of the present one stay beside.

    It has no effect unless that encoder's vectors are the ones beside: that is how going back is the same record.

    Args:
        event_id: unique id.
        encoder: name of the encoder (model and version), as its vectors give it.
        timestamp: when, seconds since the epoch.
    """

    event_id: str
    encoder: str
    timestamp: float
    user_id: str = ""


class UserPut(msgspec.Struct, frozen=True, tag_field="kind", tag="user_put", omit_defaults=True):
    """A user's attributes, replaced whole."""

    event_id: str
    user_id: str
    timestamp: float
    fields: dict[str, Any]


class UserPatch(msgspec.Struct, frozen=True, tag_field="kind", tag="user_patch", omit_defaults=True):
    """Some of a user's attributes changed; a null removes an attribute."""

    event_id: str
    user_id: str
    timestamp: float
    fields: dict[str, Any]


class SessionMerge(msgspec.Struct, frozen=True, tag_field="kind", tag="session_merge", omit_defaults=True):
    """A visitor logged in: the session's history now belongs to the user, and is erased with the user."""

    event_id: str
    user_id: str
    session_user_id: str
    timestamp: float


class ExperimentChange(msgspec.Struct, frozen=True, tag_field="kind", tag="experiment", omit_defaults=True):
    """An experiment begins, ends, or its winner becomes what everybody gets: in the log, so that a replay knows it.

    Args:
        event_id: unique id.
        experiment: its name.
        timestamp: when, seconds since the epoch.
        action: what happens. ``promote`` ends it and gives an arm's settings to everybody, ``roll_back`` takes
            them back.
        definition: what is launched.
        arm: which arm is promoted.
        reason: why it ends.
    """

    event_id: str
    experiment: str
    timestamp: float
    action: Literal["launch", "stop", "promote", "roll_back"]
    definition: Experiment | None = None
    arm: str = ""
    reason: str = ""
    user_id: str = ""


Record = (
    Feedback
    | Impression
    | ItemPut
    | ItemPatch
    | ItemRemoval
    | ItemVector
    | EncoderSwitch
    | UserPut
    | UserPatch
    | SessionMerge
    | ExperimentChange
)


class Entry(msgspec.Struct, frozen=True):
    """A record at its place in the log's total order."""

    offset: int
    record: Record


class Receipt(msgspec.Struct, frozen=True):
    """The log's acknowledgement: where the record is; `duplicate` says it was there already."""

    event_id: str
    offset: int
    duplicate: bool = False
