"""The catalogue: items in, out and changed."""

from __future__ import annotations

from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from instep.domain import InvalidRequest, Item, ItemPatch, ItemPut, ItemRemoval
from instep.serve.http.messages import MAX_ITEMS, ItemEntry, ItemFields, ItemList, Receipts
from instep.serve.http.problems import unreadable
from instep.serve.http.records import new_id, store
from instep.serve.http.routes import Answer, Request, Route

if TYPE_CHECKING:
    from instep.serve.http.service import Service

Fields = dict[str, Any]
_MOMENTS: Final = ("published_at", "expires_at")
_one_or_list: Final = msgspec.json.Decoder(Fields | list[Fields])


class _Wrapped(msgspec.Struct, forbid_unknown_fields=True):
    """An `ItemList` as it is read: its items as dictionaries, for structs would lose the attributes."""

    items: list[Fields]


_wrapped: Final = msgspec.json.Decoder(_Wrapped)


def read_fields(body: bytes) -> Fields:
    """An object of fields, its dates as seconds.

    >>> read_fields(b'{"published_at": "1970-01-01T00:01:00Z"}')
    {'published_at': 60.0}
    """
    return _dated(msgspec.json.decode(body, type=Fields))


def read_items(body: bytes) -> list[Fields]:
    """One item, a list of them, or ``{"items": [...]}``.

    >>> read_items(b'{"items": [{"item_id": "a"}]}'), read_items(b'{"item_id": "b"}')
    ([{'item_id': 'a'}], [{'item_id': 'b'}])
    """
    try:
        items: Fields | list[Fields] = _one_or_list.decode(body)
    except msgspec.DecodeError as error:
        raise unreadable(error, body, "items") from None
    if isinstance(items, dict):
        items = _wrapped.decode(body).items if "items" in items and "item_id" not in items else [items]
    if len(items) > MAX_ITEMS:
        raise InvalidRequest(f"must have at most {MAX_ITEMS} entries, not {len(items)}", "items")
    for place, fields in enumerate(items):
        try:
            if "item_id" not in fields:
                raise InvalidRequest("must be given", "item_id")
            _dated(fields)
        except InvalidRequest as error:
            raise InvalidRequest(error.message, f"items[{place}].{error.field}") from None
    return items


def _dated(fields: Fields) -> Fields:
    for name in _MOMENTS:
        if isinstance(fields.get(name), str):
            try:
                moment = msgspec.convert(fields[name], Annotated[datetime, msgspec.Meta(tz=True)])
            except msgspec.ValidationError:
                message = "must be seconds since the epoch, or RFC 3339 with an offset"
                raise InvalidRequest(message, name) from None
            fields[name] = moment.timestamp()
    return fields


async def put_item(service: Service, request: Request) -> Receipts:
    """Create an item, or replace it whole.

    It can be recommended at once; the language model reads its text in the background.
    """
    return await store(service, [ItemPut(new_id(), request.names[0], time(), _own_fields(request))])


async def post_items(service: Service, request: Request) -> Receipts:
    """Create or replace many items: all or none."""
    now = time()
    records = [ItemPut(new_id(), fields.pop("item_id"), now, fields) for fields in request.body]
    return await store(service, records, at="items")


async def patch_item(service: Service, request: Request) -> Receipts:
    """Change some fields of an item; null removes one (RFC 7396)."""
    item = service.flow.known_item(request.names[0])
    return await store(service, [ItemPatch(new_id(), item.item_id, time(), _own_fields(request))])


async def get_item(service: Service, request: Request) -> Answer:
    """An item with all its fields, as it would be put."""
    return Answer(msgspec.json.encode(flat(service.flow.known_item(request.names[0]))))


async def delete_item(service: Service, request: Request) -> Receipts:
    """Take an item out of the catalogue: it is not recommended again unless it is put back."""
    item = service.flow.known_item(request.names[0])
    return await store(service, [ItemRemoval(new_id(), item.item_id, time())])


def flat(item: Item) -> Fields:
    """An item as one object: the known fields that it has, and its attributes beside them.

    >>> flat(Item("i1", title="Tea", attributes={"colour": "green"}))
    {'item_id': 'i1', 'title': 'Tea', 'colour': 'green'}
    """
    fields: Fields = msgspec.to_builtins(item)
    attributes = fields.pop("attributes", {})
    return {**fields, **attributes}


def _own_fields(request: Request) -> Fields:
    fields: Fields = request.body
    if fields.pop("item_id", request.names[0]) != request.names[0]:
        raise InvalidRequest("must be the id in the address, or absent", "item_id")
    return fields


_ITEM: Final = "/v1/items/{item_id}"

ROUTES: Final = (
    Route("PUT", _ITEM, put_item, "write", Receipts, body=(ItemFields,), read=read_fields),
    Route(
        "PATCH", _ITEM, patch_item, "write", Receipts, body=(ItemFields,), read=read_fields, problems=(404,)
    ),
    Route("GET", _ITEM, get_item, "read", ItemEntry, problems=(404,)),
    Route("DELETE", _ITEM, delete_item, "write", Receipts, problems=(404,)),
    Route(
        "POST",
        "/v1/items",
        post_items,
        "write",
        Receipts,
        body=(ItemList, list[ItemEntry], ItemEntry),
        read=read_items,
    ),
)
