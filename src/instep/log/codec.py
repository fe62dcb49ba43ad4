"""How a record is stored: MessagePack, a checksum over (offset, payload), and 64-bit keys for the indexes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from instep.domain import InvalidRequest, Record

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class Sealed(NamedTuple):
    """A record exactly as a replay will read it, and its bytes."""

    record: Record
    payload: bytes


def seal(records: Sequence[Record]) -> list[Sealed]:
    """Encode records and read them back.

    Reading back makes three things certain before anything is written: the bytes can be read again (a record
    of a wrong type would stop every later start), subscribers see what a replay will see (a tuple in `fields`
    comes back as a list), and nothing that the caller holds and may change is shared with them.

    Args:
        records: what to store.

    Returns:
        One `Sealed` for each record, in order.

    Raises:
        InvalidRequest: a record that cannot be stored; the field names it.

    >>> from instep.domain import Feedback
    >>> seal([Feedback("e1", "u1", "i1", timestamp=3)])[0].record.timestamp
    3.0
    """
    sealed = []
    for position, record in enumerate(records):
        try:
            payload = _encode(record)
            copy: Record = _decode(payload)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise InvalidRequest(f"cannot be stored: {error}", field=f"records[{position}]") from error
        if not copy.event_id:
            raise InvalidRequest("must not be empty", field=f"records[{position}].event_id")
        sealed.append(Sealed(copy, payload))
    return sealed


def unseal(payload: bytes) -> Record:
    """The record in a payload.

    Raises:
        msgspec.MsgspecError: the bytes hold no record this version knows.
    """
    record: Record = _decode(payload)
    return record


def checksum(offset: int, payload: bytes) -> int:
    """CRC-32 of a payload, started from its offset, so that a record in the wrong place fails too.

    >>> checksum(7, b"abc") == checksum(8, b"abc")
    False
    """
    return zlib.crc32(payload, offset & 0xFFFFFFFF)


def key(identifier: str) -> int:
    """A 64-bit index key for an id, stable across machines; whoever looks up by it compares the id as well.

    >>> key("u1") == key("u1") != key("u2")
    True
    """
    digest = blake2b(identifier.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
