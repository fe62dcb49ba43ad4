"""A damaged file is noticed, named, and repaired as far as its records are sound."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from instep.domain import ConfigError, Entry, ItemPut, LogCorrupt
from instep.log import SqliteLog, examine, repair
from instep.log.wal import hidden_commits
from instep.testing.log import ONE_OF_EACH, click


def written(path: Path, records: int = 400) -> list[Entry]:
    """A log of some pages, with overflow pages, erased records and every kind of record."""
    with closing(SqliteLog(path)) as log:
        log.append(ONE_OF_EACH)
        for n in range(0, records, 40):
            log.append([click(f"e{n + k}", f"user-{k % 7}", "x" * (n + k)) for k in range(40)])
        log.append([ItemPut("long", "i", 1.0, {"description": "y" * 20_000})])
        log.erase(["user-3"])
        return list(log.read())


def flip(path: Path, position: int, bit: int) -> None:
    """Turn one bit over."""
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1 << bit
    path.write_bytes(raw)


def test_any_flipped_bit_is_noticed_or_harmless_and_repair_keeps_every_sound_record(tmp_path: Path) -> None:
    original = tmp_path / "sound.db"
    entries = written(original)
    size, rng, noticed = original.stat().st_size, random.Random(3), 0
    positions = [16, 18, 24, 28, 40, 60, 68, 100, 4096 + 3, *(rng.randrange(size) for _ in range(60))]
    for number, position in enumerate(positions):
        path = tmp_path / f"{number}" / "log.db"
        path.parent.mkdir()
        shutil.copy(original, path)
        flip(path, position, rng.randrange(8))
        try:
            with closing(SqliteLog(path)) as log:
                assert list(log.read()) == entries, f"byte {position}"
        except ConfigError as error:
            noticed += 1
            message = str(error)
            wayout = re.escape(f"instep verify {path.parent} --repair")
            assert re.match(rf"{path}.*({wayout}|upgrade Instep)", message)
            if "upgrade" in message:
                continue  # the flip made it a later version's file: hands off
        report = repair(path)
        lost = {offset for first, last in report.lost for offset in range(first, last + 1)}
        with closing(SqliteLog(path)) as log:
            kept = list(log.read())
            assert kept == [entry for entry in entries if entry.offset not in lost], f"byte {position}"
            assert report.kept == len(kept)
            assert len(entries) - len(kept) <= 40, "one bit costs at most the records of a page"
            assert log.end == report.end == entries[-1].offset + 1
            assert log.append([click("after")])[0].offset == entries[-1].offset + 1
        assert examine(path) == ()
        assert report.damaged is None or report.damaged.exists()
    assert noticed > 20


def test_a_bad_record_stops_reading_with_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(SqliteLog(path)) as log:
        log.append([click(f"e{n}", item_id=f"unmistakable-{n}-") for n in range(10)])
    flip(path, path.read_bytes().index(b"unmistakable-6-"), 0)
    with closing(SqliteLog(path)) as log:
        entries = log.read()
        assert [next(entries).offset for _ in range(6)] == list(range(6))
        with pytest.raises(
            LogCorrupt, match=rf"{path}: offset 6: .*instep verify {tmp_path} --repair"
        ) as caught:
            next(entries)
        assert caught.value.offset == 6
        assert [entry.offset for entry in log.read(7)] == [7, 8, 9]
        with pytest.raises(LogCorrupt):
            list(log.read_user("user-1"))
        with pytest.raises(LogCorrupt):
            log.append([click("e6")])  # whether it is the same event can no longer be told
        with pytest.raises(LogCorrupt):
            log.erase(["user-1"])
        assert log.append([click("other", "user-2")])[0].offset == 10
    report = repair(path)
    assert report.lost == ((6, 6),)
    assert report.kept == 10
    assert report.damaged == tmp_path / "log.db.damaged-1"
    assert "lost offsets: 6." in str(report)
    with closing(SqliteLog(path)) as log:
        assert [entry.offset for entry in log.read()] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]
    assert repair(path).damaged is None


def test_records_that_changed_places_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(SqliteLog(path)) as log:
        log.append([click("e0"), click("e1"), click("e2")])
    with closing(sqlite3.connect(path)) as db, db:
        columns = "checksum, payload, event_key, user_key, session_key"
        rows = db.execute(f"SELECT 3 - offset, {columns} FROM entries WHERE offset > 0").fetchall()
        db.executemany(f"REPLACE INTO entries (offset, {columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
    with closing(SqliteLog(path)) as log, pytest.raises(LogCorrupt, match=r"offset 1: .* checksum"):
        list(log.read())


def test_a_missing_row_is_noticed(tmp_path: Path) -> None:
    for number, offset in enumerate((0, 1, 2)):
        path = tmp_path / f"{number}.db"
        with closing(SqliteLog(path)) as log:
            log.append([click("e0"), click("e1"), click("e2")])
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("DELETE FROM entries WHERE offset = ?", (offset,))
        with pytest.raises(LogCorrupt, match=str(path)) as caught, closing(SqliteLog(path)) as log:
            list(log.read())
        assert caught.value.offset == offset
        assert repair(path).lost == ((offset, offset),)


def test_a_truncated_file_is_noticed_and_repair_keeps_what_is_left(tmp_path: Path) -> None:
    original = tmp_path / "sound.db"
    entries = written(original)
    size = original.stat().st_size
    for number, length in enumerate((size - 1, size - 4096, size // 2, size // 2 + 777, 8192 + 5)):
        path = tmp_path / f"{number}" / "log.db"
        path.parent.mkdir()
        path.write_bytes(original.read_bytes()[:length])
        with (
            pytest.raises(ConfigError, match=rf"{path}.*instep verify {path.parent} --repair"),
            closing(SqliteLog(path)) as log,
        ):
            list(log.read())
        if length < size // 3:
            continue
        report = repair(path)
        lost = {offset for first, last in report.lost for offset in range(first, last + 1)}
        assert report.kept > 0
        with closing(SqliteLog(path)) as log:
            assert list(log.read()) == [entry for entry in entries if entry.offset not in lost]
            assert log.end == entries[-1].offset + 1


def test_an_emptied_file_is_not_taken_for_a_new_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    written(path)
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match="is empty, so its records are lost"):
        SqliteLog(path)
    with pytest.raises(ConfigError, match="unchanged: no record of a log"):
        repair(path)


def test_another_file_is_neither_opened_nor_repaired_away(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("Dear diary, " * 1000)
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE mine (a, b, c)")
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(ConfigError, match=str(path)):
            SqliteLog(path)
        with pytest.raises(ConfigError, match="unchanged"):
            repair(path)
        assert path.read_bytes() == before
        assert not list(tmp_path.glob("*.damaged*"))


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    written(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    for attempt in (SqliteLog, repair, examine):
        with pytest.raises(ConfigError, match="schema version 2, this Instep reads up to 1; upgrade"):
            attempt(path)


def crashed_with_a_write_ahead_log(tmp_path: Path) -> tuple[Path, list[Entry]]:
    """A copy of a log's files while its last 30 writes are in the write-ahead log only."""
    live, path = tmp_path / "live.db", tmp_path / "crash" / "log.db"
    path.parent.mkdir()
    with closing(SqliteLog(live)) as log:
        for n in range(30):
            log.append([click(f"e{n}-{k}") for k in range(3)])
        shutil.copy(live, path)
        shutil.copy(f"{live}-wal", f"{path}-wal")
        return path, list(log.read())


def test_a_torn_last_write_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    path, entries = crashed_with_a_write_ahead_log(tmp_path)
    wal = Path(f"{path}-wal")
    wal.write_bytes(wal.read_bytes()[:-100])
    assert hidden_commits(wal) == 0
    with closing(SqliteLog(path)) as log:
        assert list(log.read()) == entries[:-3]
        assert log.append([click("next")])[0].offset == len(entries) - 3


@pytest.mark.parametrize("position", [5, 20, 26, 32 + 3, 32 + 10, 32 + 24 + 2000, 32 + 7 * 4120 + 100])
def test_a_flipped_bit_in_the_write_ahead_log_hides_no_acknowledged_write(
    tmp_path: Path, position: int
) -> None:
    path, entries = crashed_with_a_write_ahead_log(tmp_path)
    wal = Path(f"{path}-wal")
    assert hidden_commits(wal) == 0
    flip(wal, position, 2)
    for _ in range(2):
        with pytest.raises(ConfigError, match=rf"{wal}: a bad checksum hides \d+ committed writes"):
            SqliteLog(path)
    report = repair(path)
    lost = {offset for first, last in report.lost for offset in range(first, last + 1)}
    assert len(lost) <= 3
    with closing(SqliteLog(path)) as log:
        assert list(log.read()) == [entry for entry in entries if entry.offset not in lost]


def test_a_write_ahead_log_without_its_file_is_not_taken_for_a_new_log(tmp_path: Path) -> None:
    path, _ = crashed_with_a_write_ahead_log(tmp_path)
    path.unlink()
    with pytest.raises(ConfigError, match="put both back"):
        SqliteLog(path)


def test_a_repair_interrupted_at_the_swap_is_finished_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    entries = written(path)
    repaired = tmp_path / "log.db.repaired"
    shutil.copy(path, repaired)
    path.rename(tmp_path / "log.db.damaged-1")
    with closing(SqliteLog(path)) as log:
        assert list(log.read()) == entries
    assert not repaired.exists()


def test_examine_finds_a_record_indexed_under_another_user(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    entries = written(path)
    assert examine(path) == ()
    with closing(sqlite3.connect(path)) as db, db:
        (at,) = db.execute("SELECT max(offset) FROM entries WHERE user_key IS NOT NULL").fetchone()
        db.execute("UPDATE entries SET user_key = user_key + 1 WHERE offset = ?", (at,))
    assert len(examine(path)) == 1
    assert f"offset {at}: the record is indexed under another id" in examine(path)[0]
    assert repair(path).lost == ()
    with closing(SqliteLog(path)) as log:
        assert list(log.read()) == entries
    assert examine(path) == ()
