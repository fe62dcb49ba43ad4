"""Posting events: what is acknowledged is learned, once, and all or nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


def post(client: httpx.Client, body: Any) -> httpx.Response:
    return client.post("/v1/events", json=body)


def end(client: httpx.Client) -> int:
    return int(client.get("/health/ready").json()["end"])


def recommend(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommendations", json={"n": 5, "explain": True, **body})
    assert answer.status_code == 200, answer.text
    slate: dict[str, Any] = answer.json()
    return slate


def test_a_click_is_in_the_very_next_slate_a_thousand_times(client: httpx.Client) -> None:
    for turn in range(1000):
        user = f"reader-{turn}"
        clicked = recommend(client, user_id=user)["items"][0]["item_id"]
        answer = post(client, {"user_id": user, "item_id": clicked, "type": "click"})
        assert answer.json()["receipts"][0]["duplicate"] is False
        slate = recommend(client, user_id=user)
        assert clicked not in [item["item_id"] for item in slate["items"]]
        because = {reason["because"] for item in slate["items"] for reason in item["reasons"]}
        assert clicked in because
        assert slate["as_of"] > answer.json()["receipts"][0]["offset"]


def test_one_event_a_list_and_an_object_with_a_list_are_all_read(client: httpx.Client) -> None:
    event = {"user_id": "forms", "item_id": "i1", "type": "click"}
    counts = [
        len(post(client, body).json()["receipts"]) for body in (event, [event, event], {"events": [event]})
    ]
    assert counts == [1, 2, 1]
    assert post(client, []).json() == {"receipts": []}
    assert len(client.get("/v1/users/forms/history").json()["items"]) == 4


def test_a_repeated_event_id_is_acknowledged_at_its_first_offset_and_counts_once(
    client: httpx.Client,
) -> None:
    event = {"event_id": "once", "user_id": "again", "item_id": "i1", "type": "click"}
    first, second = post(client, event).json(), post(client, event).json()
    assert first["receipts"] == [
        {"event_id": "once", "offset": first["receipts"][0]["offset"], "duplicate": False}
    ]
    assert second["receipts"] == [{**first["receipts"][0], "duplicate": True}]
    both = post(client, [event, {**event, "event_id": "twice"}]).json()["receipts"]
    assert [receipt["duplicate"] for receipt in both] == [True, False]
    assert len(client.get("/v1/users/again/history").json()["items"]) == 2


def test_a_batch_with_one_bad_event_stores_none(client: httpx.Client) -> None:
    before = end(client)
    good = {"user_id": "batch", "item_id": "i1", "type": "click"}
    answer = post(client, {"events": [good, good, good, {**good, "type": "rating", "value": 99}]})
    assert (answer.status_code, answer.json()["field"]) == (422, "events[3].value")
    assert end(client) == before
    assert client.get("/v1/users/batch").status_code == 404


def test_a_time_may_be_a_number_or_rfc_3339(client: httpx.Client) -> None:
    for moment in (1_600_000_000, 1_600_000_000.0, "2020-09-13T12:26:40Z", "2020-09-13T14:26:40+02:00"):
        assert post(client, {"user_id": "clock", "item_id": "i2", "timestamp": moment}).status_code == 200
    history = client.get("/v1/users/clock/history").json()["items"]
    assert {entry["timestamp"] for entry in history} == {1_600_000_000.0}


def test_a_session_becomes_a_user(client: httpx.Client) -> None:
    post(client, {"session": "s/1", "item_id": "i3", "type": "click"})
    assert client.get("/v1/users/session:s%2F1/history").json()["items"][0]["item_id"] == "i3"
    merged = client.post("/v1/sessions/s%2F1/merge", json={"user_id": "merged"})
    assert merged.status_code == 200
    assert [entry["item_id"] for entry in client.get("/v1/users/merged/history").json()["items"]] == ["i3"]


EVENT = {"user_id": "u", "item_id": "i1"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"item_id": "i1"}, "user_id"),
        ({"user_id": "u"}, "item_id"),
        ({**EVENT, "session": "s"}, "session"),
        ({**EVENT, "user_id": "session:s"}, "user_id"),
        ({"item_id": "i1", "session": "a\n"}, "session"),
        ({**EVENT, "user_id": 3}, "user_id"),
        ({**EVENT, "user_id": "x" * 10_240}, "user_id"),
        ({**EVENT, "user_id": "é" * 200}, "user_id"),
        ({**EVENT, "user_id": "a\u0000"}, "user_id"),
        ({**EVENT, "item_id": " i1"}, "item_id"),
        ({**EVENT, "item_id": ""}, "item_id"),
        ({**EVENT, "type": "klick"}, "type"),
        ({**EVENT, "type": "dwell", "value": -1}, "value"),
        ({**EVENT, "type": "rating", "value": 6}, "value"),
        ({**EVENT, "value": "3"}, "value"),
        ({**EVENT, "timestamp": 4e9}, "timestamp"),
        ({**EVENT, "timestamp": 1.0}, "timestamp"),
        ({**EVENT, "timestamp": "yesterday"}, "timestamp"),
        ({**EVENT, "timestamp": "2020-01-01T00:00:00"}, "timestamp"),
        ({**EVENT, "position": -1}, "position"),
        ({**EVENT, "context": {"device": ["phone"]}}, "context.device"),
        ({**EVENT, "context": {"n": 2**70}}, "context.n"),
        ({**EVENT, "context": {str(n): n for n in range(65)}}, "context"),
        ({**EVENT, "colour": 1}, "colour"),
        ([EVENT, 3], "events[1]"),
        ([EVENT, {**EVENT, "value": []}], "events[1].value"),
        ([EVENT, {**EVENT, "vaule": 1}], "events[1].vaule"),
        ([EVENT, {"item_id": "i1"}], "events[1].user_id"),
        ({"events": [EVENT, {**EVENT, "item_id": None}]}, "events[1].item_id"),
        ({"events": [EVENT], "more": 1}, "more"),
        ({"events": 3}, "events"),
        ([EVENT] * 10_001, "events"),
    ],
)
def test_a_wrong_event_is_refused_by_the_name_of_its_field(
    client: httpx.Client, body: Any, field: str
) -> None:
    before = end(client)
    answer = post(client, body)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["field"]) == (422, 422, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "field", "request_id"}
    assert end(client) == before


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"\xff\xfe", 400, None),
        (b'{"user_id": "\xed\xa0\x80", "item_id": "i"}', 400, None),
        (b'{"user_id": "\\ud800", "item_id": "i"}', 400, None),
        (b'{"user_id": "u", "item_id": "i", "context": {"x": ' + b"[" * 100_000, 400, None),
        (b'{"user_id": "u", "item_id": "i", "value": NaN}', 422, "value"),
        (b'[{"user_id": "u", "item_id": "i", "value": -Infinity}]', 422, "events[0].value"),
        (
            b'{"events": [{"user_id": "u", "item_id": "i", "context": {"x": NaN}}]}',
            422,
            "events[0].context.x",
        ),
        (b'{"user_id": "u", "item_id": "i", "value": 1e999}', 422, "value"),
        (b'{"user_id": "u", "item_id": "i", "value": ' + b"9" * 5000 + b"}", 422, "value"),
        (b"3", 422, None),
        (b"null", 422, None),
        (b'"x"', 422, None),
    ],
)
def test_what_is_not_good_json_is_refused(
    client: httpx.Client, body: bytes, status: int, field: str | None
) -> None:
    answer = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
