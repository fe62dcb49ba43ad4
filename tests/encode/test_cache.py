"""The vector cache: it survives restarts, stays bounded, and may be damaged at will."""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
from pathlib import Path

import pytest

from instep.encode import VectorCache

VECTORS = {f"{n:032x}": bytes([n % 256]) * 768 for n in range(200)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "vectors.sqlite"


def _filled(file: Path) -> Path:
    cache = VectorCache(file)
    cache.put(VECTORS)
    cache.close()
    return file


def test_vectors_survive_a_restart_to_the_byte(file: Path) -> None:
    cache = VectorCache(_filled(file))
    assert cache.get(VECTORS) == VECTORS
    assert cache.get(["unknown"]) == {}
    assert cache.count == 200


def test_more_keys_than_a_query_holds_are_found(file: Path) -> None:
    many = {f"{n:032x}": b"x" * 8 for n in range(2500)}
    cache = VectorCache(file)
    cache.put(many)
    assert cache.get(many) == many


def test_it_stays_within_its_limit_and_forgets_the_longest_unused(file: Path) -> None:
    cache = VectorCache(file, limit=100)
    cache.put({f"a{n}": b"1" for n in range(60)})
    cache.put({f"b{n}": b"1" for n in range(40)})
    used = [f"a{n}" for n in range(10)]
    assert len(cache.get(used)) == 10
    cache.put({f"c{n}": b"1" for n in range(20)})
    assert cache.count == 90
    assert len(cache.get(used)) == 10
    assert len(cache.get(f"c{n}" for n in range(20))) == 20
    assert cache.get(f"a{n}" for n in range(10, 40)) == {}


def test_replacing_vectors_does_not_count_them_twice(file: Path) -> None:
    cache = VectorCache(file, limit=100)
    for round_ in range(5):
        cache.put({f"a{n}": bytes([round_]) for n in range(80)})
    assert len(cache.get(f"a{n}" for n in range(80))) == 80


def test_pruning_keeps_the_latest_and_gives_space_back(file: Path) -> None:
    cache = VectorCache(_filled(file))
    before = file.stat().st_size
    assert cache.prune(keep=20) == 180
    assert set(cache.get(VECTORS)) == set(list(VECTORS)[-20:])
    cache.close()
    assert file.stat().st_size < before / 2


def test_a_flipped_bit_in_a_vector_makes_it_unknown_not_wrong(file: Path) -> None:
    _filled(file)
    data = bytearray(file.read_bytes())
    place = data.find(bytes([77]) * 700)
    data[place + 100] ^= 1
    file.write_bytes(data)
    cache = VectorCache(file)
    found = cache.get(VECTORS)
    assert len(found) == 199
    assert all(found[key] == VECTORS[key] for key in found)
    cache.put(VECTORS)
    assert cache.get(VECTORS) == VECTORS


@pytest.mark.parametrize(
    "content", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_cache_is_set_up_anew(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    cache = VectorCache(file)
    cache.put({"k": b"v"})
    assert cache.get(["k"]) == {"k": b"v"}
    cache.close()
    assert VectorCache(file).get(["k"]) == {"k": b"v"}


def test_damage_is_told_once_and_never_raised(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    _filled(file)
    file.write_bytes(b"garbage " * 2000)
    with caplog.at_level(logging.WARNING, logger="instep.encode"):
        cache = VectorCache(file)
    assert "is damaged" in caplog.text
    assert "set up anew" in caplog.text
    assert cache.get(VECTORS) == {}
    cache.put(VECTORS)
    assert cache.get(VECTORS) == VECTORS


def test_whatever_happens_to_the_bytes_no_wrong_vector_and_no_error_comes_out(file: Path) -> None:
    original = _filled(file).read_bytes()
    rng = random.Random(3)
    for _ in range(60):
        data = bytearray(original)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        for _ in range(rng.choice([1, 20, 2000])):
            data[rng.randrange(len(data))] = rng.randrange(256) if data else 0
        for leftover in file.parent.iterdir():
            leftover.unlink()
        file.write_bytes(data)
        cache = VectorCache(file)
        assert all(VECTORS[key] == vector for key, vector in cache.get(VECTORS).items())
        cache.put({"new": b"v"})
        cache.prune(keep=50)
        cache.close()


def test_damage_while_it_is_open_is_not_fatal(file: Path) -> None:
    cache = VectorCache(_filled(file))
    file.write_bytes(b"\0" * file.stat().st_size)
    for _ in range(3):
        found = cache.get(VECTORS)
        assert all(VECTORS[key] == vector for key, vector in found.items())
        cache.put(VECTORS)
    assert cache.get(VECTORS) == VECTORS


def test_a_file_of_another_version_is_set_up_anew(file: Path) -> None:
    _filled(file)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    cache = VectorCache(file)
    assert cache.get(VECTORS) == {}
    assert cache.count == 0


def test_a_place_where_nothing_can_be_written_leaves_a_cache_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, logger="instep.encode"):
        cache = VectorCache(tmp_path / "file" / "vectors.sqlite")
    assert "kept in memory" in caplog.text
    cache.put({"k": b"v"})
    assert cache.get(["k"]) == {"k": b"v"}


def test_a_full_disk_makes_it_forget_and_nothing_else(file: Path) -> None:
    cache = VectorCache(_filled(file))
    pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
    cache._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own "database or disk is full"
    more = {f"m{n}": b"y" * 4000 for n in range(500)}
    cache.put(more)
    assert cache.get(more) == {}
    assert cache.get(VECTORS) == VECTORS


def test_a_writer_in_another_process_makes_it_wait_then_forget(file: Path) -> None:
    cache = VectorCache(_filled(file))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.put({"k": b"v"})
    other.execute("ROLLBACK")
    other.close()
    cache.put({"l": b"v"})
    assert cache.get(["k", "l"]) == {"l": b"v"}


def test_threads_share_it(file: Path) -> None:
    cache = VectorCache(file)

    def work(name: str) -> None:
        for n in range(50):
            cache.put({f"{name}{n}": name.encode()})
            assert cache.get([f"{name}{n}"]) == {f"{name}{n}": name.encode()}

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache.get(f"{name}{n}" for name in "abcd" for n in range(50))) == 200


def test_after_close_it_is_empty_and_quiet(file: Path) -> None:
    cache = VectorCache(_filled(file))
    cache.close()
    cache.close()
    assert cache.get(VECTORS) == {}
    cache.put({"k": b"v"})
    assert VectorCache(file).get(["k"]) == {}
