"""Users over HTTP: attributes, export, erasure."""

from __future__ import annotations

import json

import httpx


def test_attributes_are_replaced_and_changed(client: httpx.Client) -> None:
    assert client.put("/v1/users/ann", json={"plan": "gold", "age": 30}).status_code == 200
    assert client.patch("/v1/users/ann", json={"age": None, "town": "Bonn"}).status_code == 200
    assert client.get("/v1/users/ann").json() == {
        "user_id": "ann",
        "attributes": {"plan": "gold", "town": "Bonn"},
        "events": 0,
    }
    answer = client.put("/v1/users/session:x", json={})
    assert (answer.status_code, answer.json()["field"]) == (422, "user_id")
    assert client.put("/v1/users/ann", json=[1]).status_code == 422


def test_an_export_holds_every_record_of_the_user_and_no_other(client: httpx.Client) -> None:
    for user, item in (("bob", "i1"), ("eve", "i2"), ("bob", "i3")):
        client.post("/v1/events", json={"user_id": user, "item_id": item, "type": "click"})
    client.post("/v1/recommendations", json={"user_id": "bob"})
    answer = client.get("/v1/users/bob/export")
    assert answer.headers["content-type"] == "application/jsonl"
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert {record["user_id"] for record in records} == {"bob"}
    assert [r["item_id"] for r in records if r["kind"] == "feedback"] == ["i1", "i3"]


def test_two_spellings_of_one_name_are_one_user_everywhere(client: httpx.Client) -> None:
    composed, decomposed = "/v1/users/Zo%C3%AB", "Zoe\u0308"
    client.post("/v1/events", json={"user_id": decomposed, "item_id": "i1", "type": "click"})
    client.post("/v1/recommendations", json={"user_id": decomposed})
    records = [json.loads(line) for line in client.get(composed + "/export").text.splitlines()]
    assert [record["kind"] for record in records] == ["feedback", "impression"]
    assert {record["user_id"] for record in records} == {"Zo\u00eb"}
    assert client.delete("/v1/users/Zoe%CC%88").json()["records"] == 2


def test_who_was_only_shown_slates_is_known_can_be_exported_and_erased(client: httpx.Client) -> None:
    client.post("/v1/recommendations", json={"user_id": "looker"})
    client.post("/v1/events", json={"user_id": "other", "item_id": "i1"})  # the slate is stored before it
    address = "/v1/users/looker"
    assert client.get(address).json() == {"user_id": "looker", "attributes": {}, "events": 0}
    assert client.get(address + "/history").json() == {"items": []}
    (shown,) = client.get(address + "/export").text.splitlines()
    assert json.loads(shown)["kind"] == "impression"
    assert client.delete(address).json()["records"] == 1
    assert client.delete(address).status_code == 404


def test_an_erased_user_is_gone_and_the_certificate_says_what_went(client: httpx.Client) -> None:
    for item in ("i1", "i2"):
        client.post("/v1/events", json={"user_id": "zoe/ü", "item_id": item, "type": "click"})
    address = "/v1/users/zoe%2F%C3%BC"
    assert len(client.get(address + "/history").json()["items"]) == 2
    answer = client.delete(address)
    assert answer.status_code == 200
    certificate = answer.json()
    assert set(certificate) == {"user_hash", "records", "state_hash", "offset"}
    assert certificate["records"] >= 2
    assert "zoe" not in answer.text
    for path in (address, address + "/history", address + "/export"):
        assert client.get(path).status_code == 404
    assert client.delete(address).status_code == 404
    assert "zoe/ü" not in client.get("/v1/users?prefix=zoe").json()["users"]


def test_users_are_listed_by_prefix(client: httpx.Client) -> None:
    for user in ("list-b", "list-a", "other"):
        client.post("/v1/events", json={"user_id": user, "item_id": "i1"})
    assert client.get("/v1/users?prefix=list-").json() == {"users": ["list-a", "list-b"]}
    assert len(client.get("/v1/users?prefix=list-&limit=1").json()["users"]) == 1
