"""After an erasure no byte of the user's ids is left in any file."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path
from threading import Thread

from instep.domain import Entry, Feedback, Impression, SessionMerge, UserPut, session_user
from instep.log import SqliteLog
from instep.testing.log import click


def files_with(folder: Path, needle: bytes) -> list[str]:
    """Names of the files that hold these bytes."""
    return [path.name for path in folder.iterdir() if needle in path.read_bytes()]


def test_no_byte_of_an_erased_user_stays_in_any_file(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        rng = random.Random(5)
        for n in range(60):
            who = f"the-user-to-be-forgotten-{n % 20}-"
            log.append(
                [
                    Feedback(
                        f"event-of-{who}{n}", who, "i", 1.0, context={"note": "x" * rng.randrange(9000)}
                    ),
                    click(f"visit-of-{who}{n}", session_user(f"visit-before-{who}")),
                    SessionMerge(f"merge-of-{who}{n}", who, session_user(f"visit-before-{who}"), 2.0),
                    Impression(f"slate-of-{who}{n}", who, 3.0, ("i",) * 200, (0.5,) * 200),
                    UserPut(f"put-of-{who}{n}", who, 4.0, {"name": f"known as {who}"}),
                    *(click(f"other-{n}-{k}", f"somebody-{k}", "y" * rng.randrange(300)) for k in range(20)),
                ]
            )
        others = [e for e in log.read() if e.record.user_id.startswith("somebody")]
        order = list(range(20))
        rng.shuffle(order)
        for number in order:
            needle = f"the-user-to-be-forgotten-{number}-"
            assert files_with(tmp_path, needle.encode()) != []
            assert log.erase([needle]) == 15
            assert files_with(tmp_path, needle.encode()) == []
            log.append([click(f"meanwhile-{number}", "somebody-else")])
        assert [e for e in log.read() if not e.record.event_id.startswith("meanwhile")] == others
    assert files_with(tmp_path, b"the-user-to-be-forgotten-") == []
    assert files_with(tmp_path, b"somebody-7") == ["log.db"]


def test_an_erasure_that_a_crash_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    crash = tmp_path / "crash"
    crash.mkdir()
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        log.append([click("e1", "the-user-to-be-forgotten"), click("e2", "somebody")])
        log._db.execute("BEGIN")  # as the writer does it, up to the commit
        log._db.execute("UPDATE entries SET checksum = 0, payload = x'', event_key = NULL, user_key = NULL"
                        " WHERE offset = 0")  # fmt: skip
        log._db.execute("COMMIT")
        for name in ("log.db", "log.db-wal"):
            shutil.copy(tmp_path / name, crash / name)
    assert files_with(crash, b"the-user-to-be-forgotten") == ["log.db-wal"]
    with closing(SqliteLog(crash / "log.db")) as log:
        assert files_with(crash, b"the-user-to-be-forgotten") == []
        assert [entry.offset for entry in log.read()] == [1]


def test_reading_goes_on_during_erasures(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        log.append([click(f"e{n}", f"user-{n % 50}") for n in range(5000)])
        entries = log.read()
        first = next(entries)
        eraser = Thread(target=log.erase, args=([f"user-{n}" for n in range(1, 50)],))
        eraser.start()
        eraser.join()  # ends although a reader stands in the middle
        rest: list[Entry] = list(entries)
        assert first.offset == 0
        assert [e.offset for e in rest if e.record.user_id == "user-0"] == list(range(50, 5000, 50))
        assert [e.offset for e in log.read()] == list(range(0, 5000, 50))
