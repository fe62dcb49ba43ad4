"""An OpenAI-compatible endpoint: a real HTTP server on this machine that answers with real MiniLM vectors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from instep.domain import ConfigError, StageError
from instep.encode import Encoder, EndpointEncoder, OnnxEncoder, open_encoder
from instep.testing import EncoderContract

KEY = "sk-test-5f2c"


class Server(ThreadingHTTPServer):
    """Embeddings by MiniLM; `faults` are answers to give first."""

    daemon_threads = True

    def __init__(self, model: OnnxEncoder) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = model
        self.faults: list[tuple[int, str, dict[str, str]]] = []
        self.seen: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        return f"openai:minilm@http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append({"path": self.path, "key": self.headers.get("Authorization"), **question})
        if self.server.faults:
            self._answer(*self.server.faults.pop(0))
            return
        vectors = self.server.model.encode(question["input"])
        data = [{"index": row, "embedding": vector.tolist()} for row, vector in enumerate(vectors)]
        self._answer(200, json.dumps({"object": "list", "data": data[::-1]}), {})

    def _answer(self, status: int, body: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server(minilm: OnnxEncoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("INSTEP_ENCODER_KEY", KEY)
    with Server(minilm) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class TestEndpoint(EncoderContract):
    @pytest.fixture(autouse=True)
    def _server(self, server: Server) -> None:
        self.encoder = open_encoder(server.name)

    def make(self) -> Encoder:
        return self.encoder


def test_vectors_come_back_in_the_order_of_the_texts(server: Server, minilm: OnnxEncoder) -> None:
    texts = [f"film number {n}" for n in range(150)]
    encoder = open_encoder(server.name)
    server.seen.clear()
    np.testing.assert_allclose(encoder.encode(texts), minilm.encode(texts), atol=1e-6)
    assert [len(question["input"]) for question in server.seen] == [64, 64, 22]
    assert {question["path"] for question in server.seen} == {"/v1/embeddings"}
    assert {question["model"] for question in server.seen} == {"minilm"}
    assert {question["key"] for question in server.seen} == {f"Bearer {KEY}"}
    assert encoder.name == server.name


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_that_says_later_is_tried_again(server: Server, status: int) -> None:
    encoder = open_encoder(server.name)
    server.faults = [(status, "busy", {"Retry-After": "0"})] * 2
    assert encoder.encode(["tea"]).shape == (1, 384)
    assert len(server.seen) == 4


def test_a_lasting_failure_is_a_stage_error(server: Server) -> None:
    encoder = EndpointEncoder("minilm", server.name.partition("@")[2], retries=1)
    server.faults = [(503, "down", {})] * 2
    with pytest.raises(StageError, match="answered 503: down"):
        encoder.encode(["tea"])


def test_a_refused_key_stops_start_up_and_is_not_in_the_message(server: Server) -> None:
    server.faults = [(401, f"Incorrect API key provided: {KEY}", {})]
    with pytest.raises(ConfigError, match="answered 401") as caught:
        open_encoder(server.name)
    assert KEY not in str(caught.value)
    assert "INSTEP_ENCODER_KEY" in str(caught.value)
    assert len(server.seen) == 1


def test_a_redirect_is_not_followed_so_the_key_goes_nowhere_else(server: Server) -> None:
    server.faults = [(307, "", {"Location": f"http://127.0.0.1:{server.server_port}/elsewhere"})]
    with pytest.raises(ConfigError, match="answered 307"):
        open_encoder(server.name)
    assert [question["path"] for question in server.seen] == ["/v1/embeddings"]


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        "{}",
        '{"data": []}',
        '{"data": [{"index": 0, "embedding": [0.1, 0.2]}]}',
        '{"data": [{"index": 0, "embedding": [NaN]}]}',
        '{"data": [{"index": 0, "embedding": "AAAA"}]}',
        '{"data": [{"index": 7, "embedding": [1.0]}]}',
    ],
)
def test_an_answer_without_usable_vectors_is_a_stage_error(server: Server, body: str) -> None:
    encoder = open_encoder(server.name)
    server.faults = [(200, body, {})]
    with pytest.raises(StageError, match="sent no usable vectors"):
        encoder.encode(["tea"])


def test_an_endpoint_that_is_not_there_stops_start_up(server: Server) -> None:
    with pytest.raises(ConfigError, match="could not be reached"):
        EndpointEncoder("minilm", "http://127.0.0.1:1/v1", retries=0)


def test_the_key_is_not_sent_in_the_clear_over_a_network(server: Server) -> None:
    with pytest.raises(ConfigError, match="use https"):
        open_encoder("openai:minilm@http://192.0.2.1/v1")


@pytest.mark.parametrize("url", ["ftp://host/v1", "host/v1", "https://", "https://user:secret@host/v1"])
def test_an_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        EndpointEncoder("minilm", url)
