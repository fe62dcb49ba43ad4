"""Law 9: after erasing a user the state equals that of a log in which the user never was."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from instep.domain import Context, Feedback, Impression, ItemPut, Record, SessionMerge
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.testing.streams import ACCOUNTS, END, SESSIONS, USERS, long_stream, streams


def without(records: list[Record], user: str) -> list[Record]:
    """The records of a world in which the user never was: their sessions, merged into them, neither."""
    gone = {user}
    gone |= {r.session_user_id for r in records if isinstance(r, SessionMerge) and r.user_id == user}
    return [
        record
        for record in records
        if record.user_id not in gone
        and not (isinstance(record, SessionMerge) and record.session_user_id in gone)
    ]


@given(records=streams(max_size=60), user=st.sampled_from((*ACCOUNTS, SESSIONS[0])))
def test_an_erased_user_never_was(records: list[Record], user: str) -> None:
    flow, never = (Flow(MemoryLog(), Settings()) for _ in range(2))
    flow.observe(records)
    never.observe(without(records, user))
    certificate = flow.erase(user)
    assert flow.state_hash() == never.state_hash() == certificate.state_hash
    assert certificate.records == len(records) - never.log.end
    assert user.encode() not in b"".join(table.tobytes() for table in flow.model.state.arrays().values())
    assert (flow.user(user), flow.history(user)) == (None, [])
    for other in USERS:
        asked = Context(other, n=12, now=END, request_id="r", explain=True)
        assert flow.rank(asked).items == never.rank(asked).items


def test_items_slates_and_visits_go_with_the_user_who_alone_brought_them(empty: Callable[[], Flow]) -> None:
    shared: list[Record] = [
        ItemPut("p1", "tea", END, {"title": "Tea"}),
        Feedback("b1", "bob", "tea", END, "click"),
        Feedback("b2", "bob", "saw", END + 1, "click"),
    ]
    mine: list[Record] = [
        Feedback("a1", "ann", "only ann knows this", END + 2, "purchase"),
        Feedback("a2", "session:anns", "nor this", END + 3, "click"),
        SessionMerge("a3", "ann", "session:anns", END + 4),
        Impression("a4", "ann", END + 5, ("tea", "saw"), (0.5, 0.25)),
        Feedback("a5", "session:anns", "tea", END + 6, "like"),
    ]
    later: list[Record] = [
        Impression("b3", "bob", END + 7, ("only ann knows this", "tea"), (1.0, 1.0)),
        Feedback("b4", "bob", "pot", END + 8, "click"),
    ]
    flow, never = empty(), empty()
    flow.observe([*shared, *mine, *later])
    never.observe([*shared, *later])
    assert flow.erase("ann").records == len(mine)
    assert flow.state_hash() == never.state_hash()
    assert flow.item("only ann knows this") is flow.item("nor this") is None
    flow.observe([Feedback("a1", "ann", "saw", END + 9, "click")])
    never.observe([Feedback("a1", "ann", "saw", END + 9, "click")])
    assert flow.state_hash() == never.state_hash()


def test_what_happens_during_an_erasure_is_learned_once(empty: Callable[[], Flow]) -> None:
    records = long_stream(seed=9, size=600)
    flow, never = empty(), empty()
    flow.observe(records)
    stop, sent, served = threading.Event(), [], []

    def go_on() -> None:
        while not stop.is_set() or len(sent) < 50:
            act = Feedback(f"during-{len(sent)}", f"u{len(sent) % 4}", f"i{len(sent) % 9}", END, "click")
            flow.observe([act])
            sent.append(act)
            served.append(len(flow.rank(Context("u1", n=3, now=END)).items))

    writer = threading.Thread(target=go_on)
    writer.start()
    for user in ("u7", "u8", "u9"):
        flow.erase(user)
    stop.set()
    writer.join()
    kept: list[Record] = [*records, *sent]
    for user in ("u7", "u8", "u9"):
        kept = without(kept, user)
    never.observe(kept)
    assert flow.state_hash() == never.state_hash()
    assert set(served) == {3}


def test_erasing_nobody_changes_nothing(empty: Callable[[], Flow]) -> None:
    flow = empty()
    flow.observe(long_stream(seed=10, size=100))
    before = flow.state_hash()
    certificate = flow.erase("nobody")
    assert (certificate.records, certificate.state_hash) == (0, before)
    assert certificate.offset == flow.log.end == 100
