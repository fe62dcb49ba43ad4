"""Streams of valid records for property tests: short ones that Hypothesis can shrink, long ones by seed.

They hold every kind of record, in an order that is not that of their times, on few users and items, so that
merges, removals, patches, late events and repeated acts meet often.
"""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec
import numpy as np
from hypothesis import strategies as st

from instep.domain import (
    Arm,
    Assignment,
    EncoderSwitch,
    Experiment,
    ExperimentChange,
    Feedback,
    Impression,
    ItemPatch,
    ItemPut,
    ItemRemoval,
    ItemVector,
    Overrides,
    Record,
    SessionMerge,
    UserPatch,
    UserPut,
)

START: Final = 1_700_000_000.0
END: Final = START + 864_000.0
"""No stream has a record after this time, seconds since the epoch."""
ACCOUNTS: Final = ("ann", "bob", "cid")
SESSIONS: Final = ("session:s1", "session:s2", "session:s3")
USERS: Final = ACCOUNTS + SESSIONS
ITEMS: Final = tuple(f"i{k}" for k in range(12))
CATEGORIES: Final = ("tea", "tools", "books", "garden")
EXPERIMENTS: Final = {"x": "split", "y": "interleave"}
"""Experiments of the streams, by name: their kind. Some of their slates are joined to acts, and some come too early."""
TYPES: Final = ("view", "click", "like", "dislike", "skip", "cart", "purchase", "share", "return")
VECTOR_WIDTH: Final = 12

_times = st.integers(0, 864_000).map(lambda seconds: START + seconds)
_users = st.sampled_from(USERS)
_accounts = st.sampled_from(ACCOUNTS)
_items = st.sampled_from(ITEMS)


def _made(kind: Any, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Record]:
    return st.tuples(*parts).map(lambda given: kind("", *given))


_acts = st.one_of(
    _made(Feedback, _users, _items, _times, st.sampled_from(TYPES)),
    _made(Feedback, _users, _items, _times, st.just("dwell"), st.sampled_from((0.0, 3.0, 30.0, 900.0))),
    _made(Feedback, _users, _items, _times, st.just("rating"), st.sampled_from((0.5, 2.0, 3.5, 5.0))),
)
_joined = st.builds(
    lambda user, item, at, place: Feedback("", user, item, at, "click", slate_id=f"e{place}"),
    _users,
    _items,
    _times,
    st.integers(0, 30),
)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(("Green tea", "铁锅", "")),
        "categories": st.lists(st.sampled_from(CATEGORIES), max_size=3, unique=True),
        "price": st.sampled_from((0.0, 4.5, 20.0)),
        "stock": st.sampled_from((0.0, 3.0)),
        "hidden": st.booleans(),
        "expires_at": st.sampled_from((START, END, END + 1e6)),
        "published_at": st.just(START - 1e6),
        "colour": st.sampled_from(("red", "blue")),
    },
)
_nulls = st.dictionaries(st.sampled_from(("title", "stock", "expires_at", "colour")), st.none(), max_size=2)
_patches = st.tuples(_fields, _nulls).map(lambda both: {**both[0], **both[1]})
_attributes = st.dictionaries(st.sampled_from(("age", "town")), st.sampled_from((1.0, 30.0)), max_size=2)
_slates = st.lists(_items, min_size=1, max_size=4, unique=True)
_seeds = st.integers(0, 50)


def _vector(item_id: str, timestamp: float, encoder: str, seed: int) -> ItemVector:
    numbers = np.random.default_rng(seed).standard_normal(VECTOR_WIDTH)
    stored = (numbers / np.linalg.norm(numbers)).astype("<f2").tobytes()
    return ItemVector("", item_id, timestamp, encoder, f"text {seed}", stored)


def _impression(user_id: str, timestamp: float, item_ids: list[str]) -> Impression:
    return Impression("", user_id, timestamp, tuple(item_ids), (0.5,) * len(item_ids))


def _experimental(user_id: str, timestamp: float, name: str, item_ids: list[str]) -> Impression:
    teams = tuple(place % 2 for place in range(len(item_ids))) if EXPERIMENTS[name] == "interleave" else ()
    arm = "interleaved" if teams else "ab"[len(user_id) % 2]
    shown = _impression(user_id, timestamp, item_ids)
    return msgspec.structs.replace(shown, experiments=(Assignment(name, arm, teams),))


def _change(name: str, timestamp: float, action: Any) -> ExperimentChange:
    arms = (Arm("a", 0.5), Arm("b", 0.5, Overrides(repeat=True)))
    kind: Any = EXPERIMENTS[name]
    definition = Experiment(name, arms, kind, layer=name, surfaces=(name,), least_users=2)
    launched = definition if action == "launch" else None
    arm = "b" if action == "promote" else ""
    return ExperimentChange("", name, timestamp, action, launched, arm)


def _numbered(records: list[Record]) -> list[Record]:
    return [msgspec.structs.replace(record, event_id=f"e{place}") for place, record in enumerate(records)]


def streams(max_size: int = 40) -> st.SearchStrategy[list[Record]]:
    """Lists of valid records, each with an event id of its own, in any order of time.

    >>> from hypothesis import find
    >>> find(streams(), lambda records: len(records) > 1)[1].event_id
    'e1'
    """
    names = st.sampled_from(sorted(EXPERIMENTS))
    actions = st.sampled_from(("launch", "launch", "launch", "stop", "promote", "roll_back"))
    encoders = st.sampled_from(("m1", "m1", "m2", "m2", "m3"))
    kinds = (
        _acts,
        _acts,
        _acts,
        _joined,
        st.builds(_impression, _users, _times, _slates),
        st.builds(_experimental, _users, _times, names, _slates),
        st.builds(_change, names, _times, actions),
        _made(ItemPut, _items, _times, _fields),
        _made(ItemPatch, _items, _times, _patches),
        _made(ItemRemoval, _items, _times),
        st.builds(_vector, _items, _times, encoders, _seeds),
        st.builds(lambda encoder, at: EncoderSwitch("", encoder, at), encoders, _times),
        _made(UserPut, _accounts, _times, _attributes),
        _made(UserPatch, _accounts, _times, _attributes),
        _made(SessionMerge, _accounts, st.sampled_from(SESSIONS), _times),
    )
    return st.lists(st.one_of(*kinds), max_size=max_size).map(_numbered)


def long_stream(seed: int, size: int, items: int = 60, users: int = 25) -> list[Record]:
    """A stream long enough for everything that starts late: text directions, dense regressions, exploration.

    Args:
        seed: the only source of randomness.
        size: records.
        items: distinct items at most.
        users: distinct accounts at most; as many visitors, some of whom log in.

    >>> long_stream(1, 50) == long_stream(1, 50)
    True
    """
    rng = random.Random(seed)
    records: list[Record] = []
    for place in range(size):
        now = START + 600.0 * place + rng.random()
        item_id, account = f"i{int(items * rng.random() ** 2)}", f"u{rng.randrange(users)}"
        user_id = account if rng.random() < 0.8 else f"session:v{rng.randrange(users)}"
        kind = rng.random()
        if kind < 0.75:
            records.append(Feedback("", user_id, item_id, now, rng.choice(TYPES)))
        elif kind < 0.8:
            records.append(Feedback("", user_id, item_id, now, "rating", float(rng.randrange(1, 6))))
        elif kind < 0.85:
            records.append(Feedback("", user_id, item_id, now, "dwell", 200.0 * rng.random()))
        elif kind < 0.89:
            records.append(_impression(user_id, now, [f"i{k}" for k in rng.sample(range(items), 4)]))
        elif kind < 0.93:
            fields: dict[str, Any] = {"title": f"title {place}", "categories": [rng.choice(CATEGORIES)]}
            records.append(ItemPut("", item_id, now, {**fields, "price": rng.random()}))
        elif kind < 0.95:
            records.append(ItemPatch("", item_id, now, {"stock": float(rng.randrange(3))}))
        elif kind < 0.98:
            records.append(_vector(item_id, now, "m1" if rng.random() < 0.7 else "m2", place))
        elif kind < 0.983:
            records.append(EncoderSwitch("", rng.choice(("m1", "m2")), now))
        elif kind < 0.99:
            records.append(UserPatch("", account, now, {"visits": float(place)}))
        else:
            records.append(SessionMerge("", account, f"session:v{rng.randrange(users)}", now))
    return _numbered(records)
