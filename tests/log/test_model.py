"""Any sequence of writes, repeats, erasures, reads and restarts does what a plain list would."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instep.domain import Entry, Feedback, ItemPut, Record, SessionMerge
from instep.log import Log, MemoryLog, SqliteLog

users = st.sampled_from(["", "u1", "u2", "session:a", "session:b"])
event_ids = st.integers(0, 25).map("e{}".format)
records = st.one_of(
    st.builds(
        Feedback,
        event_ids,
        users,
        st.just("i"),
        st.floats(allow_nan=False),
        context=st.just({"long": "x" * 3000}),
    ),
    st.builds(
        ItemPut, event_ids, st.just("i"), st.just(1.0), st.dictionaries(st.text(max_size=3), st.floats(0, 1))
    ),
    st.builds(SessionMerge, event_ids, st.sampled_from(["u1", "u2"]), users.filter(bool), st.just(1.0)),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(records, max_size=6)),
        st.tuples(st.just("erase"), st.lists(users, max_size=2)),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=12,
)


class Model:
    """The same in the plainest form."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.end = 0

    def append(self, batch: list[Record]) -> list[tuple[int, bool]]:
        answer = []
        for record in batch:
            found = [e.offset for e in self.entries if e.record.event_id == record.event_id]
            answer.append((found[0], True) if found else (self.end, False))
            if not found:
                self.entries.append(Entry(self.end, record))
                self.end += 1
        return answer

    def erase(self, user_ids: list[str]) -> int:
        named = set(user_ids)
        for _ in self.entries:
            for entry in self.entries:
                if isinstance(entry.record, SessionMerge) and entry.record.user_id in named:
                    named.add(entry.record.session_user_id)
        named.discard("")
        kept = [
            e for e in self.entries if e.record.user_id not in named
            and getattr(e.record, "session_user_id", None) not in named
        ]  # fmt: skip
        gone = len(self.entries) - len(kept)
        self.entries = kept
        return gone


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "sqlite"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps)
def test_a_log_behaves_as_a_list(
    durable: bool, steps: list[tuple[str, list[Record] | list[str] | None]]
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        log: Log = SqliteLog(path) if durable else MemoryLog()
        with closing(log):
            model, seen = Model(), list[Entry]()
            log.subscribe(seen.extend)
            for verb, argument in steps:
                known = model.end
                if verb == "append":
                    receipts = log.append(argument)  # type: ignore[arg-type]
                    assert [(r.offset, r.duplicate) for r in receipts] == model.append(argument)  # type: ignore[arg-type]
                    assert seen == [e for e in model.entries if e.offset >= known]
                elif verb == "erase":
                    assert log.erase(argument) == model.erase(argument)  # type: ignore[arg-type]
                elif durable:
                    log.close()
                    log = SqliteLog(path)
                    log.subscribe(seen.extend)
                seen.clear()
                assert list(log.read()) == model.entries
                assert log.end == model.end
            for user_id in ("u1", "u2", "session:a", "session:b"):
                mine = [e for e in model.entries if e.record.user_id == user_id]
                assert list(log.read_user(user_id)) == mine
            log.close()
