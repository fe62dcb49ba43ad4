"""What goes over the wire: one struct for each body, query and answer. OpenAPI is made from these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from instep.domain import Receipt
from instep.guard.values import CATEGORIES, CONTEXT_KEYS, TEXT_BYTES

_ID_PATTERN: Final = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f\u2028\u2029]*\S)?$"
_ACCOUNT_PATTERN: Final = r"^(?!session:)" + _ID_PATTERN[1:]
MAX_EVENTS: Final = 10_000
MAX_ITEMS: Final = 10_000

Id = Annotated[str, Meta(min_length=1, max_length=256, extra_json_schema={"pattern": _ID_PATTERN})]
AccountId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        description="a user with an account; a visitor without one is named by `session`",
        extra_json_schema={"pattern": _ACCOUNT_PATTERN},
    ),
]
SessionId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        description="a visitor without an account",
        extra_json_schema={"pattern": _ID_PATTERN},
    ),
]
Instant = (
    Annotated[float, Meta(description="seconds since the epoch")]
    | Annotated[datetime, Meta(tz=True, description="RFC 3339, with an offset")]
)
# Declared here and checked by the guard, which names the key that is wrong.
SCALARS: Final = {"additionalProperties": {"type": ["string", "number", "boolean"]}}


class Event(msgspec.Struct, forbid_unknown_fields=True):
    """A user's act on an item. Exactly one of `user_id` and `session` is given."""

    item_id: Id
    user_id: AccountId | None = None
    session: SessionId | None = None
    type: Annotated[str, Meta(max_length=256, description="`view`, `click`, `like`, `rating` ...")] = "view"
    value: Annotated[float, Meta(description="seconds of a dwell, stars of a rating ...")] | None = None
    timestamp: Annotated[Instant | None, Meta(description="when it happened; now when absent")] = None
    slate_id: Annotated[Id, Meta(description="the answer to /v1/recommendations that led to it")] | None = (
        None
    )
    position: Annotated[int, Meta(ge=0, lt=1_000_000, description="0-based place in that slate")] | None = (
        None
    )
    event_id: (
        Annotated[Id, Meta(description="a repeat is acknowledged, not counted; made here when absent")] | None
    ) = None
    context: Annotated[dict[str, Any], Meta(max_length=CONTEXT_KEYS, extra_json_schema=SCALARS)] | None = None


class Events(msgspec.Struct, forbid_unknown_fields=True):
    """Several events: all are stored or none."""

    events: Annotated[list[Event], Meta(max_length=MAX_EVENTS)]


class Receipts(msgspec.Struct):
    """Where each record is in the log, in the order sent; they are durable and learned from."""

    receipts: list[Receipt]


class RecommendationQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A request for a slate. Exactly one of `user_id` and `session` is given."""

    user_id: AccountId | None = None
    session: SessionId | None = None
    n: Annotated[int, Meta(ge=1, le=1000, description="how many items")] = 10
    context: Annotated[
        dict[str, Any],
        Meta(max_length=CONTEXT_KEYS, description="device, weather ...", extra_json_schema=SCALARS),
    ] = {}
    categories: Annotated[
        tuple[Id, ...], Meta(max_length=1000, description="only items in one of these")
    ] = ()
    exclude: Annotated[tuple[Id, ...], Meta(max_length=10_000, description="items not to show")] = ()
    filter: Annotated[
        str,
        Meta(
            max_length=2048,
            description="a CEL expression, e.g. `item.price < 20.0`; an item without a field named does not qualify, "
            "and a field that no item has is a 422 where nothing qualifies, unless `has(item.field)` asks for it",
        ),
    ] = ""
    surface: Annotated[Id, Meta(description="where it is shown")] = "default"
    explain: Annotated[bool, Meta(description="whether to give reasons")] = False
    repeat: Annotated[
        bool | None, Meta(description="whether consumed items may come back; null: as configured")
    ] = None


class ReasonAnswer(msgspec.Struct):
    """One exact addend of a score; `because` is the item of the user's history that contributed most."""

    signal: str
    contribution: float
    because: str | None


class SlateEntry(msgspec.Struct):
    """An item of a slate."""

    item_id: str
    score: float
    propensity: Annotated[float, Meta(description="P(item at this position)")]
    sources: tuple[str, ...]
    reasons: list[ReasonAnswer]


class AssignmentAnswer(msgspec.Struct):
    """An experiment that a slate is part of, and its arm; ``interleaved`` when it mixes two arms' slates."""

    experiment: str
    arm: str


class SlateAnswer(msgspec.Struct):
    """A slate, best first. Give `slate_id` and the position back with the events it leads to."""

    slate_id: str
    items: list[SlateEntry]
    policy: str
    as_of: Annotated[int, Meta(description="the model had learned from every record below this offset")]
    degraded: Annotated[tuple[str, ...], Meta(description="optional stages that failed for this request")]
    experiments: list[AssignmentAnswer]


class SlateItems(msgspec.Struct):
    """Items, best first."""

    items: list[SlateEntry]


class ItemFields(msgspec.Struct):
    """Fields of an item, all optional; null means none. Every other field is kept as an attribute."""

    title: Annotated[str, Meta(max_length=TEXT_BYTES["title"])] | None = None
    description: Annotated[str, Meta(max_length=TEXT_BYTES["description"])] | None = None
    categories: Annotated[list[Id], Meta(max_length=CATEGORIES)] | None = None
    brand: Annotated[str, Meta(max_length=TEXT_BYTES["brand"])] | None = None
    author: Annotated[str, Meta(max_length=TEXT_BYTES["author"])] | None = None
    price: Annotated[float, Meta(ge=0)] | None = None
    stock: (
        Annotated[float, Meta(ge=0, description="units left; 0 takes it out of recommendations")] | None
    ) = None
    language: Annotated[str, Meta(max_length=TEXT_BYTES["language"], description="BCP 47")] | None = None
    image: Annotated[str, Meta(max_length=TEXT_BYTES["image"])] | None = None
    audio: Annotated[str, Meta(max_length=TEXT_BYTES["audio"])] | None = None
    published_at: Instant | None = None
    expires_at: Instant | None = None
    hidden: bool | None = None


class ItemEntry(ItemFields, kw_only=True):
    """An item with its id."""

    item_id: Id


class ItemList(msgspec.Struct, forbid_unknown_fields=True):
    """Several items: all are stored or none."""

    items: Annotated[list[ItemEntry], Meta(max_length=MAX_ITEMS)]


class UserAnswer(msgspec.Struct):
    """What is known of a user."""

    user_id: str
    attributes: dict[str, Any]
    events: Annotated[int, Meta(description="how many events were learned from")]


class HistoryEntry(msgspec.Struct):
    """One thing a user did."""

    item_id: str
    type: str
    value: float | None
    timestamp: float
    reward: float


class HistoryAnswer(msgspec.Struct):
    """What a user did, newest first."""

    items: list[HistoryEntry]


class UserIds(msgspec.Struct):
    """Ids of users."""

    users: list[str]


class Categories(msgspec.Struct):
    """Categories, the most popular first."""

    categories: list[str]


class Merge(msgspec.Struct, forbid_unknown_fields=True):
    """Who the visitor turned out to be."""

    user_id: AccountId


class Erasure(msgspec.Struct):
    """Proof of an erasure: the state equals that of a log in which the user never was."""

    user_hash: str
    records: Annotated[int, Meta(description="how many records were removed")]
    state_hash: str
    offset: int


class Health(msgspec.Struct):
    """Whether the service is up; `end` is the offset the next record gets."""

    status: str
    end: int


class CountQuery(msgspec.Struct, forbid_unknown_fields=True):
    """How many."""

    n: Annotated[int, Meta(ge=1, le=1000, description="how many items")] = 10


class TrendingQuery(CountQuery):
    """How many, and of which category."""

    category: Annotated[Id, Meta(description="only items of this category")] | None = None


class SearchQuery(CountQuery, kw_only=True):
    """What to look for."""

    q: Annotated[
        str, Meta(min_length=1, max_length=1024, description="plain words, in a language of the catalogue")
    ]


class UsersQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which users."""

    prefix: Annotated[str, Meta(max_length=256, description="how the id begins")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
