"""Hugging Face names: the real client library against a small hub on this machine, and without any network.

The client reads its settings when it is imported, so each case runs in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from instep.encode import OnnxEncoder
from instep.encode.hub import HubName

COMMIT = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
CODE = """
import json, sys
from instep.domain import ConfigError
from instep.encode import open_encoder
try:
    encoder = open_encoder(sys.argv[1])
    print(json.dumps({"name": encoder.name, "bytes": encoder.encode(["green tea"]).tobytes().hex()}))
except ConfigError as error:
    print(json.dumps({"error": str(error)}))
"""


class Handler(BaseHTTPRequestHandler):
    """The addresses of a hub that a download uses."""

    folder: Path
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        files = [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]
        if self.path.startswith("/api/models/org/words/revision/main"):
            siblings = [{"rfilename": name} for name in files]
            self._send(json.dumps({"id": "org/words", "sha": COMMIT, "siblings": siblings}).encode())
        elif self.path.startswith(f"/api/models/org/words/tree/{COMMIT}"):
            sizes = {name: (self.folder / name).stat().st_size for name in files}
            tree = [{"type": "file", "path": n, "size": size, "oid": n} for n, size in sizes.items()]
            self._send(json.dumps(tree).encode())
        elif self.path.startswith(f"/org/words/resolve/{COMMIT}/"):
            name = self.path.split(f"{COMMIT}/")[1].partition("?")[0]
            self._send((self.folder / name).read_bytes())
        else:
            self._send(b"{}", 404, {"X-Error-Code": "RepoNotFound"})

    def _send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("ETag", f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hub(minilm_folder: Path) -> Iterator[str]:
    handler = type("FolderHandler", (Handler,), {"folder": minilm_folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _open(name: str, home: Path, endpoint: str, **settings: str) -> dict[str, str]:
    environment = os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": endpoint} | settings
    run = subprocess.run(
        [sys.executable, "-c", CODE, name], env=environment, capture_output=True, text=True, check=True
    )
    answer: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return answer


def test_a_hub_model_is_downloaded_once_and_pinned_to_its_commit(
    hub: str, tmp_path: Path, minilm: OnnxEncoder
) -> None:
    first = _open("org/words", tmp_path, hub)
    assert first == {
        "name": f"org/words@{COMMIT[:12]}",
        "bytes": minilm.encode(["green tea"]).tobytes().hex(),
    }
    assert _open("org/words", tmp_path, "http://127.0.0.1:1", HF_HUB_OFFLINE="1") == first


def test_an_unknown_name_is_told_apart_from_a_missing_network(hub: str, tmp_path: Path) -> None:
    error = _open("org/nothing", tmp_path, hub)["error"]
    assert error.startswith("Hugging Face knows no model 'org/nothing' at revision 'main'")
    assert "HF_TOKEN" in error


@pytest.mark.parametrize("settings", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_without_a_network_the_error_names_the_ways_out(tmp_path: Path, settings: dict[str, str]) -> None:
    error = _open("org/words", tmp_path, "http://127.0.0.1:1", **settings)["error"]
    assert "could not be downloaded" in error
    for way_out in ("HF_ENDPOINT", "model.onnx, tokenizer.json", "openai:MODEL@https://host/v1", "'english'"):
        assert way_out in error


def test_a_repository_without_an_onnx_file_says_how_to_export_it(hub: str, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--torch" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").write_text("{}")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(COMMIT)
    error = _open("org/torch", tmp_path, hub, HF_HUB_OFFLINE="1")["error"]
    assert "has no ONNX file" in error
    assert "optimum-cli export onnx --model org/torch" in error


def test_a_revision_follows_the_at_sign() -> None:
    assert HubName.parse("org/model@v1.0") == HubName("org/model", "v1.0")
    assert HubName.parse("org/model") == HubName("org/model", None)
