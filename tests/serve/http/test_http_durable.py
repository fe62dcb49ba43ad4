"""Over a log on disk and with a language model: erasure leaves no byte, a stop is a 503, search finds."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from instep.domain import ItemVector
from instep.encode import content_hash, item_text, open_encoder, to_bytes
from instep.flow import Flow, Settings
from instep.log import MemoryLog, SqliteLog
from instep.serve.http import HttpSettings

USER = "erase-me-3141592653"


def bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def click(client: httpx.Client, user: str, item: str) -> httpx.Response:
    return client.post("/v1/events", json={"user_id": user, "item_id": item, "type": "click"})


def test_an_erasure_leaves_no_byte_of_the_user_while_others_are_served(serving: Any, tmp_path: Path) -> None:
    flow = Flow(SqliteLog(tmp_path / "log.sqlite"), Settings(policy="greedy"))
    clean = Flow(MemoryLog(), Settings(policy="greedy"))
    stop = threading.Event()
    failures: list[httpx.Response] = []

    def others(address: httpx.URL) -> None:
        with httpx.Client(base_url=address, timeout=30) as other:
            while not stop.is_set():
                answer = other.post("/v1/recommendations", json={"user_id": "ann", "n": 3})
                if answer.status_code != 200 or not answer.json()["items"]:
                    failures.append(answer)

    with serving(flow=flow) as client:
        client.post("/v1/items", json=[{"item_id": f"more-{n}"} for n in range(10)])
        for n in range(20):
            click(client, "ann" if n % 2 else "bob", f"i{n % 7}")
            click(client, USER, f"i{n % 5}")
        client.post("/v1/events", json={"session": "visit-2718", "item_id": "i1", "type": "click"})
        client.post("/v1/sessions/visit-2718/merge", json={"user_id": USER})
        exported = client.get(f"/v1/users/{USER}/export").text
        assert len(exported.splitlines()) == 22
        assert "session:visit-2718" in exported
        assert USER.encode() in bytes_in(tmp_path)
        thread = threading.Thread(target=others, args=(client.base_url,))
        thread.start()
        certificate = client.delete(f"/v1/users/{USER}").json()
        stop.set()
        thread.join()
        assert failures == []
        assert certificate["records"] == 22
        for secret in (USER.encode(), b"visit-2718"):
            assert secret not in bytes_in(tmp_path)
        clean.observe([entry.record for entry in flow.log.read(0, certificate["offset"])])
        assert clean.state_hash() == certificate["state_hash"]
    flow.close()


def test_what_cannot_be_stored_is_answered_503_with_when_to_come_back(serving: Any) -> None:
    flow = Flow(MemoryLog(), Settings())
    with serving(flow=flow) as client:
        assert click(client, "u", "i1").status_code == 200
        flow.close()
        answer = click(client, "u", "i1")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "nothing was stored" in answer.json()["detail"]
        assert client.get("/v1/users/u").json()["events"] == 1


def test_search_finds_by_meaning_once_the_texts_are_read(serving: Any) -> None:
    encoder = open_encoder("english")
    flow = Flow(MemoryLog(), Settings(), encoder)
    titles = {
        "rose": "Rose garden shears",
        "ship": "A rocket ship to the stars",
        "cake": "Baking a birthday cake",
        "shoe": "Running shoes for men",
        "lamp": "Desk lamp with a dimmer",
        "rope": "Climbing rope, 60 metres",
        "soap": "Lavender soap bar",
        "drum": "Snare drum and sticks",
        "tent": "Tent for two campers",
    }
    with serving(flow=flow) as client:
        assert client.get("/v1/search?q=stars").json() == {"items": []}
        client.post("/v1/items", json=[{"item_id": name, "title": title} for name, title in titles.items()])
        for name in titles:
            item = flow.item(name)
            assert item is not None
            text = item_text(item)
            vector = to_bytes(encoder.encode([text])[0])
            hash_ = content_hash(text, encoder.name)
            flow.observe([ItemVector(f"v-{name}", name, time.time(), encoder.name, hash_, vector)])
        found = client.get("/v1/search", params={"q": "travel to outer space", "n": 1}).json()["items"]
        assert [item["item_id"] for item in found] == ["ship"]
    flow.close()


def test_open_requests_are_finished_when_the_service_stops(tmp_path: Path) -> None:
    from instep.serve.http import HttpServer, Service

    flow = Flow(SqliteLog(tmp_path / "log.sqlite"), Settings())
    settings = HttpSettings(port=0)
    ready = threading.Event()
    server = HttpServer(Service(flow, settings), settings, lambda _: ready.set())
    thread = threading.Thread(target=server.serve_until_stopped)
    thread.start()
    assert ready.wait(30)
    acknowledged: list[int] = []

    def write(number: int) -> None:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            try:
                for _ in range(1000):
                    answer = click(client, f"u{number}", "i1")
                    acknowledged.append(answer.json()["receipts"][0]["offset"])
            except httpx.TransportError:
                return  # no longer listening: nothing was acknowledged

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    while len(acknowledged) < 20:
        time.sleep(0.001)
    server.stop()
    thread.join(30)
    assert not thread.is_alive()
    for writer in writers:
        writer.join()
    stored = {entry.offset for entry in flow.log.read()}
    assert stored >= set(acknowledged)
    flow.close()


@pytest.mark.parametrize("path", ["/metrics"])
def test_metrics_name_no_user_and_count_what_happened(client: httpx.Client, path: str) -> None:
    click(client, "metric-user", "i1")
    client.post("/v1/recommendations", json={"user_id": "metric-user"})
    client.get("/v1/items/metric-item")
    text = client.get(path).text
    assert 'instep_http_requests_total{method="GET",route="/v1/items/{item_id}",status="404"}' in text
    for name in (
        'instep_stage_seconds_count{stage="observe"}',
        'instep_stage_seconds_count{stage="recommend"}',
        "instep_log_end",
        "instep_log_queue 0.0",
        "instep_model_lag 0.0",
        "instep_items",
        "process_resident_memory_bytes",
    ):
        assert name in text
    assert "metric-user" not in text
    assert "metric-item" not in text
