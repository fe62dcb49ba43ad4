"""Items and slates over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest


def address(item_id: str) -> str:
    return "/v1/items/" + quote(item_id, safe="").replace(".", "%2E")


@pytest.mark.parametrize(
    "item_id", ["a/b", "a b", "100%", "茶/叶", "..", ".", "a?b#c", "%2F", "similar", "é"]
)
def test_an_id_of_any_spelling_is_put_got_changed_and_deleted(client: httpx.Client, item_id: str) -> None:
    assert (
        client.put(address(item_id), json={"title": "Tea", "price": 3, "colour": "green"}).status_code == 200
    )
    stored = {"item_id": item_id, "title": "Tea", "price": 3.0, "colour": "green"}
    assert client.get(address(item_id)).json() == stored
    assert client.put(address(item_id), json=stored).status_code == 200
    assert client.patch(address(item_id), json={"price": 4, "colour": None}).status_code == 200
    assert client.get(address(item_id)).json() == {"item_id": item_id, "title": "Tea", "price": 4.0}
    assert client.get(address(item_id) + "/similar").status_code == 200
    assert client.delete(address(item_id)).status_code == 200
    assert client.get(address(item_id)).status_code == 404
    assert client.delete(address(item_id)).status_code == 404
    assert client.patch(address(item_id), json={}).status_code == 404


def test_a_date_may_be_written_as_rfc_3339(client: httpx.Client) -> None:
    client.put("/v1/items/dated", json={"published_at": "1969-07-20T20:17:40Z"})
    assert client.get("/v1/items/dated").json()["published_at"] == -14_182_940.0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": 3}, "title"),
        ({"price": -1}, "price"),
        ({"price": "3"}, "price"),
        ({"hidden": "no"}, "hidden"),
        ({"categories": "tea"}, "categories"),
        ({"categories": ["tea", ""]}, "categories[1]"),
        ({"published_at": "yesterday"}, "published_at"),
        ({"expires_at": 1e30}, "expires_at"),
        ({"item_id": "other"}, "item_id"),
        ({"attributes": {}}, "attributes"),
        ({"deep": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}}, "deep.a.b.c.d.e"),
        ({"big": 2**63}, "big"),
        ({str(n): n for n in range(129)}, "fields"),
    ],
)
def test_a_wrong_item_is_refused_by_the_name_of_its_field(
    client: httpx.Client, body: Any, field: str
) -> None:
    answer = client.put("/v1/items/wrong", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert client.get("/v1/items/wrong").status_code == 404


def test_many_items_are_stored_or_none(client: httpx.Client) -> None:
    wrong = {"items": [{"item_id": "bulk-0"}, {"item_id": "bulk-1", "price": "cheap"}]}
    answer = client.post("/v1/items", json=wrong)
    assert (answer.status_code, answer.json()["field"]) == (422, "items[1].price")
    assert client.get("/v1/items/bulk-0").status_code == 404
    answer = client.post("/v1/items", json=[{"title": "no id"}])
    assert (answer.status_code, answer.json()["field"]) == (422, "items[0].item_id")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ({"user_id": "u", "session": "s"}, "session"),
        ({"user_id": "u", "n": 0}, "n"),
        ({"user_id": "u", "n": 1001}, "n"),
        ({"user_id": "u", "n": 2.5}, "n"),
        ({"user_id": "u", "filter": "item.price <"}, "filter"),
        ({"user_id": "u", "filter": 3}, "filter"),
        ({"user_id": "u", "filter": "item.price"}, "filter"),
        ({"user_id": "u", "filter": "nothing > 3"}, "filter"),
        ({"user_id": "u", "filter": "(" * 2048}, "filter"),
        ({"user_id": "u", "filter": "[1,2].all(a, [1,2] . // loop\n all (b, true))"}, "filter"),
        ({"user_id": "u", "filter": "item.title.matches('[')"}, "filter"),
        ({"user_id": "u", "filter": "item.prise < 5.0"}, "filter"),
        ({"user_id": "u", "exclude": "i1"}, "exclude"),
        ({"user_id": "u", "exclude": ["i1", ""]}, "exclude[1]"),
        ({"user_id": "u", "context": {"a": None}}, "context.a"),
        ({"user_id": "u", "limit": 3}, "limit"),
    ],
)
def test_a_wrong_request_for_a_slate_is_refused_by_the_name_of_its_field(
    client: httpx.Client, body: Any, field: str
) -> None:
    answer = client.post("/v1/recommendations", json=body)
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.text


@pytest.mark.parametrize(
    "filter_", ["1 / 0 > 1", "-9223372036854775808 - 1 > 0", "has(item.none) && item.none > 3"]
)
def test_items_on_which_a_filter_cannot_be_evaluated_do_not_qualify(
    client: httpx.Client, filter_: str
) -> None:
    answer = client.post("/v1/recommendations", json={"user_id": "u", "filter": filter_})
    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_a_slate_keeps_to_its_categories_exclusions_and_filter(client: httpx.Client) -> None:
    client.put("/v1/items/coffee", json={"title": "Coffee", "categories": ["coffee"], "price": 1})
    body = {
        "user_id": "picky",
        "n": 100,
        "categories": ["tea"],
        "exclude": ["i1"],
        "filter": "item.price < 4.0",
    }
    answer = client.post("/v1/recommendations", json=body)
    assert answer.status_code == 200, answer.text
    assert sorted(item["item_id"] for item in answer.json()["items"]) == ["i0", "i2", "i3"]
    assert all(0 < item["propensity"] <= 1 for item in answer.json()["items"])


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/trending?n=0", "n"),
        ("/v1/trending?n=x", "n"),
        ("/v1/trending?n=1&n=2", "n"),
        ("/v1/trending?m=1", "m"),
        ("/v1/search", "q"),
        ("/v1/search?q=", "q"),
        ("/v1/search?q=%20%20", "q"),
        ("/v1/users?limit=0", "limit"),
        ("/v1/categories?n=1", "n"),
        ("/health/live?x=1", "x"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(client: httpx.Client, path: str, field: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_lists_are_lists_also_when_there_is_nothing_to_list(client: httpx.Client) -> None:
    assert client.get("/v1/trending?category=none").json()["field"] == "category"
    assert client.get("/v1/users?prefix=nobody-").json() == {"users": []}
    assert client.get("/v1/items/nothing/similar").status_code == 404
    assert client.get("/v1/users/nobody").status_code == 404
    assert "tea" in client.get("/v1/categories").json()["categories"]


def test_an_empty_catalogue_recommends_nothing(serving: Any) -> None:
    with serving() as empty:
        assert empty.post("/v1/recommendations", json={"session": "a"}).json()["items"] == []
        assert empty.get("/v1/trending").json() == {"items": []}
        assert empty.get("/v1/categories").json() == {"categories": []}
        empty.put("/v1/items/only", json={"title": "Tea"})
        assert [
            i["item_id"] for i in empty.post("/v1/recommendations", json={"session": "a"}).json()["items"]
        ] == ["only"]
