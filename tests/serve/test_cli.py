"""The command line as people and scripts run it: real processes on small real data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import instep
from instep.domain import Feedback, Record
from instep.files import demo_source
from instep.serve.cli import COMMANDS
from instep.serve.warming import compile_loops

RATINGS = 3000


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oldest ratings of MovieLens in the official CSV layout; the loops are compiled on the way."""
    folder = tmp_path_factory.mktemp("movielens")
    demo_source(folder, RATINGS)
    compile_loops(print)
    return folder


def start(*arguments: str | Path, encoder: str = "none") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [Path(sys.executable).with_name("instep"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "INSTEP_ENCODER": encoder},
    )


def run(*arguments: str | Path, status: int = 0, encoder: str = "none") -> tuple[str, str]:
    """Standard output and error of a command that must end with this status, and without a traceback."""
    process = start(*arguments, encoder=encoder)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, "Traceback" in err) == (status, False), err
    return out, err


def run_json(*arguments: str | Path, status: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", status=status)[0])


def records(folder: Path) -> list[Record]:
    with instep.open(folder, encoder="none") as app:
        return [entry.record for entry in app.flow.log.read()]


def test_version_says_the_version() -> None:
    assert run_json("version")["instep"] == instep.__version__
    assert run("version")[0].startswith(f"instep {instep.__version__} (Python ")


def test_import_instep_alone_is_light() -> None:
    code = "import instep, sys; print(sorted({'numpy', 'numba', 'msgspec', 'click'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_every_command_has_help_with_an_example() -> None:
    listed = run("--help")[0]
    for name in COMMANDS:
        assert f"  {name} " in listed
        text = run(name, "--help")[0]
        assert "Example" in text
        assert f"instep {name}" in text


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve"], ["version", "--loud"], ["import", "a.instep"]]
)
def test_a_wrong_call_ends_with_status_2(arguments: list[str]) -> None:
    assert "Usage" in run(*arguments, status=2)[1]


def test_an_error_is_one_line_that_says_the_way_out(tmp_path: Path) -> None:
    out, err = run("export", tmp_path / "none.instep", tmp_path, status=1)
    assert out == ""
    assert err.startswith("instep: ")
    assert err.count("\n") == 1
    assert "there is no such folder" in err
    _, err = run("export", tmp_path / "none.instep", tmp_path, "--json", status=1)
    assert "there is no such folder" in json.loads(err)["error"]


def test_probe_names_what_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = run_json("probe", "--port", str(taken.getsockname()[1]))
    assert found["packages"]["instep"] == instep.__version__
    assert found["port_free"] is False
    assert found["models"]["english (all-MiniLM-L6-v2, ONNX int8)"] is True


def test_keys_are_shown_once_and_kept_as_hashes(tmp_path: Path) -> None:
    folder = tmp_path / "shop.instep"
    key = run_json("keys", "add", folder, "website", "--scope", "read")["key"]
    assert not [path for path in folder.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert (folder / "keys.json").stat().st_mode & 0o077 == 0
    assert run_json("keys", "list", folder) == {"keys": [{"name": "website", "scopes": ["read"]}]}
    assert "already" in run("keys", "add", folder, "website", status=1)[1]
    assert run_json("keys", "revoke", folder, "website")["revoked"]
    assert run_json("keys", "list", folder) == {"keys": []}
    assert "no key is named" in run("keys", "revoke", folder, "website", status=1)[1]


def test_an_import_reports_rejects_with_status_1_and_adds_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "buys.csv"
    path.write_text("who,StockCode,at\nu1,tea,2024-05-01\nu2,cup,yesterday\nu2,cup,2024-05-02\n")
    call: list[str | Path] = ["import", tmp_path / "shop.instep", path]
    maps = ["--map", "user_id=who", "--map", "item_id=StockCode", "--map", "timestamp=at"]
    done = run_json(*call, *maps, status=1)
    assert (done["rejected"], done["files"][str(path)]["events"]["added"]) == (1, 2)
    rejected = json.loads((tmp_path / "buys.csv.rejects.jsonl").read_text())
    assert (rejected["line"], rejected["raw"]) == (3, "u2,cup,yesterday")
    assert "line 1: column user_id is missing" in run(*call, "--kind", "events", status=1)[1]
    out, _ = run(*call, *maps, "--rejects", tmp_path / "bad.jsonl", status=1)
    assert "0 added, 2 known already, 1 rejected" in out
    assert (tmp_path / "bad.jsonl").exists()


def test_an_import_with_a_file_that_cannot_be_read_takes_none_and_makes_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "buys.csv"
    path.write_text("user_id,item_id,timestamp\nu1,tea,2024-05-01\n")
    folder = tmp_path / "shop.instep"
    for other in ("mistyped.csv", "packed.csv.gz"):
        (tmp_path / "packed.csv.gz").touch()
        assert other in run("import", folder, path, tmp_path / other, status=1)[1]
        assert not folder.exists()


def written(folder: Path) -> int:
    """Bytes of the log's files; SQLite's journals come and go meanwhile."""
    total = 0
    for file in folder.glob("log.sqlite*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def test_an_import_that_is_killed_goes_on_and_ends_like_one_that_was_not(
    tmp_path: Path, ratings: Path
) -> None:
    run("import", tmp_path / "whole.instep", ratings)
    whole = records(tmp_path / "whole.instep")
    assert sum(isinstance(record, Feedback) for record in whole) == RATINGS
    killed = tmp_path / "killed.instep"
    reached = []
    for size in (20_000, 400_000, 700_000):
        process = start("import", killed, ratings)
        while process.poll() is None and written(killed) < size:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        reached.append(len(records(killed)))
    assert reached == sorted(reached)
    done = run_json("import", killed, ratings)
    events = done["files"][str(ratings)]["events"]
    assert events["added"] + events["known"] == RATINGS
    assert events["known"] > 0
    found = records(killed)
    assert len({record.event_id for record in found}) == len(found) == len(whole)
    assert [r for r in found if isinstance(r, Feedback)] == [r for r in whole if isinstance(r, Feedback)]
    assert run_json("verify", killed)["sound"]


def test_export_and_import_give_an_identical_folder_and_verify_says_so(tmp_path: Path, ratings: Path) -> None:
    run("import", tmp_path / "a.instep", ratings)
    files = run_json("export", tmp_path / "a.instep", tmp_path / "out", "--what", "log", "--format", "csv")[
        "files"
    ]
    assert list(files) == [str(tmp_path / "out" / "log.csv")]
    run("import", tmp_path / "b.instep", tmp_path / "out" / "log.csv")
    first, second = run_json("verify", tmp_path / "a.instep"), run_json("verify", tmp_path / "b.instep")
    assert first["sound"]
    assert first["state_hash"] == second["state_hash"]
    assert first["records"] == second["records"]
    assert set(first["snapshots"].values()) == {first["state_hash"]}


def test_verify_finds_a_flipped_bit_and_repair_saves_the_rest(tmp_path: Path, ratings: Path) -> None:
    folder = tmp_path / "shop.instep"
    run("import", folder, ratings)
    log = folder / "log.sqlite"
    content = bytearray(log.read_bytes())
    at = content.index(b"rating", len(content) // 2)
    content[at] ^= 1
    log.write_bytes(content)
    found = run_json("verify", folder, status=1)
    assert found["problems"]
    assert "--repair" in "".join(found["problems"])
    repaired = run_json("verify", folder, "--repair")
    assert repaired["sound"]
    assert "lost offsets" in repaired["repair"]
    assert len(records(folder)) >= RATINGS - 1


def test_verify_finds_a_snapshot_that_leads_elsewhere(tmp_path: Path, ratings: Path) -> None:
    folder = tmp_path / "shop.instep"
    run("import", folder, ratings)
    (snapshot,) = folder.rglob("*.npz")
    snapshot.write_bytes(snapshot.read_bytes()[:-1000])
    found = run_json("verify", folder, status=1)
    assert found["problems"] == [f"snapshot {snapshot.name} cannot be read, so it is not used; delete it"]


def test_erase_prints_the_certificate_that_verify_confirms(tmp_path: Path, ratings: Path) -> None:
    folder = tmp_path / "shop.instep"
    run("import", folder, ratings)
    users = {record.user_id for record in records(folder) if isinstance(record, Feedback)}
    user = sorted(users)[0]
    certificate = run_json("erase", folder, user)
    assert certificate["records"] > 0
    assert run_json("verify", folder)["state_hash"] == certificate["state_hash"]
    assert user not in {record.user_id for record in records(folder)}
    assert "there is no user" in run("erase", folder, user, "--yes", status=1)[1]


def test_serve_answers_until_it_is_told_to_stop_and_leaves_a_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "shop.instep"
    process = start("serve", folder, "--port", "0", "--json")
    assert process.stdout is not None
    address = json.loads(process.stdout.readline())["address"]
    body = json.dumps({"user_id": "u1", "item_id": "tea", "type": "click"}).encode()
    request = urllib.request.Request(
        f"{address}/v1/events", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (0, False), err
    assert len(list(folder.rglob("*.npz"))) == 1
    assert [r.user_id for r in records(folder) if isinstance(r, Feedback)] == ["u1"]


def test_serve_says_when_the_port_is_taken_or_the_door_would_stand_open(tmp_path: Path) -> None:
    folder = tmp_path / "shop.instep"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1 port {port}" in run("serve", folder, "--port", port, status=1)[1]
    err = run("serve", folder, "--host", "0.0.0.0", "--port", "0", status=1)[1]
    assert "make an API key first" in err


def test_the_demo_learns_serves_and_starts_again_from_its_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "demo.instep"
    call: list[str | Path] = [
        "demo",
        "--folder",
        folder,
        "--ratings",
        "500",
        "--port",
        "0",
        "--exit-when-ready",
    ]
    out, err = run(*call, encoder="auto")
    assert out.startswith("Ready: http://127.0.0.1:")
    assert "English model" in err
    assert "500 ratings are learned" in err
    found = records(folder)
    assert sum(isinstance(record, Feedback) for record in found) == 500
    kinds = [type(record).__name__ for record in found]
    assert kinds.count("ItemVector") == kinds.count("ItemPut") > 100
    out, err = run(*call, encoder="auto")
    assert out.startswith("Ready: http://127.0.0.1:")
    assert "learned" not in err
    assert len(records(folder)) == len(found)


def test_the_demo_takes_another_port_when_its_own_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("INSTEP_SERVE__PORT", str(taken.getsockname()[1]))
        out, err = run("demo", "--folder", tmp_path / "d.instep", "--ratings", "50", "--exit-when-ready")
    assert "Taking a free port instead" in err
    assert out.startswith("Ready: http://127.0.0.1:")
