"""The story over HTTP, on a real `instep serve`: import, click, change, log in, filter, Chinese, erase, restart."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from instep.files import demo_source
from instep.serve.warming import compile_loops
from instep.testing.service import COMMAND, ServiceProcess, environment

RATINGS = 1000
SETTINGS = {"encoder": "none", "recommend__policy": "greedy", "limits__rate_per_second": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the command line has imported the oldest ratings of MovieLens."""
    files = tmp_path_factory.mktemp("movielens")
    demo_source(files, RATINGS)
    compile_loops(print)
    place = tmp_path_factory.mktemp("films") / "films.instep"
    command = [*COMMAND, "import", str(place), str(files), "--json"]
    subprocess.run(command, check=True, capture_output=True, env=environment(**SETTINGS), timeout=120)
    return place


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[httpx.Client]:
    with (
        ServiceProcess(place, **SETTINGS) as service,
        httpx.Client(base_url=service.address, timeout=60) as http,
    ):
        yield http


def post(client: httpx.Client, path: str, body: Any) -> Any:
    return client.post(path, json=body).raise_for_status().json()


def recommended(client: httpx.Client, **asked: Any) -> list[str]:
    return [item["item_id"] for item in post(client, "/v1/recommendations", asked)["items"]]


def test_a_visitor_clicks_and_the_shelves_change(client: httpx.Client) -> None:
    assert client.get("/health/ready").json()["end"] > RATINGS
    slate = post(client, "/v1/recommendations", {"session": "v1", "n": 10})
    clicked = slate["items"][2]["item_id"]
    event = {"session": "v1", "item_id": clicked, "type": "click", "position": 2}
    (receipt,) = post(client, "/v1/events", {**event, "slate_id": slate["slate_id"]})["receipts"]
    after = post(client, "/v1/recommendations", {"session": "v1", "n": 10, "explain": True})
    assert after["as_of"] > receipt["offset"]
    assert clicked not in [item["item_id"] for item in after["items"]]
    assert clicked in {reason["because"] for item in after["items"] for reason in item["reasons"]}
    assert all(0 < item["propensity"] <= 1 and item["sources"] for item in after["items"])
    history = client.get("/v1/users/session:v1/history").json()["items"]
    assert [(act["item_id"], act["type"]) for act in history] == [(clicked, "click")]


def test_a_login_keeps_the_visit(client: httpx.Client) -> None:
    liked = recommended(client, session="v2", n=2)
    post(client, "/v1/events", [{"session": "v2", "item_id": item_id, "type": "like"} for item_id in liked])
    post(client, "/v1/sessions/v2/merge", {"user_id": "maria"})
    history = client.get("/v1/users/maria/history").json()["items"]
    assert [act["item_id"] for act in history] == liked[::-1]
    assert not set(recommended(client, user_id="maria", n=50)) & set(liked)
    exported = client.get("/v1/users/maria/export").text
    assert all(item_id in exported for item_id in liked)


def test_categories_filters_exclusions_and_repeats_hold(client: httpx.Client) -> None:
    everything = recommended(client, user_id="strict", n=30)
    assert not set(recommended(client, user_id="strict", n=30, exclude=everything[:5])) & set(everything[:5])
    comedies = recommended(client, user_id="strict", n=30, categories=["Comedy"])
    assert comedies
    for item_id in comedies:
        assert "Comedy" in client.get(f"/v1/items/{item_id}").json()["categories"]
    short = recommended(client, user_id="strict", n=30, filter="size(item.title) < 10")
    assert short
    assert all(len(client.get(f"/v1/items/{item_id}").json()["title"]) < 10 for item_id in short)
    post(client, "/v1/events", {"user_id": "strict", "item_id": everything[0], "type": "purchase"})
    assert everything[0] not in recommended(client, user_id="strict", n=50)
    assert everything[0] in recommended(client, user_id="strict", n=50, repeat=True)
    refused = client.post("/v1/recommendations", json={"user_id": "strict", "filter": "item.title =="})
    assert (refused.status_code, refused.json()["field"]) == (422, "filter")


def test_an_item_hidden_sold_out_expired_or_deleted_vanishes_at_once(client: httpx.Client) -> None:
    best = recommended(client, user_id="watcher", n=1)[0]
    address = f"/v1/items/{best}"

    def visible() -> bool:
        trending = client.get("/v1/trending?n=200").json()["items"]
        listed = best in [item["item_id"] for item in trending]
        wanted = best in recommended(client, user_id="watcher", n=20)
        assert wanted or not listed
        return wanted

    for gone, back in (
        ({"hidden": True}, {"hidden": None}),
        ({"stock": 0}, {"stock": 1}),
        ({"expires_at": "2001-01-01T00:00:00Z"}, {"expires_at": None}),
    ):
        client.patch(address, json=gone).raise_for_status()
        assert not visible()
        client.patch(address, json=back).raise_for_status()
        assert visible()
    whole = client.get(address).json()
    client.delete(address).raise_for_status()
    assert not visible()
    assert client.get(address).status_code == 404
    client.put(address, json=whole).raise_for_status()
    assert visible()


def test_chinese_ids_titles_and_words_pass_through_every_address(client: httpx.Client) -> None:
    items = [{"item_id": f"茶/{n}", "title": f"绿茶 {n}", "categories": ["茶 叶"]} for n in range(4)]
    post(client, "/v1/items", items)
    assert client.get("/v1/items/%E8%8C%B6%2F1").json() == items[1]
    post(client, "/v1/events", {"user_id": "小明", "item_id": "茶/1", "type": "like"})
    found = recommended(client, user_id="小明", n=10, categories=["茶 叶"])
    assert sorted(found) == ["茶/0", "茶/2", "茶/3"]
    assert recommended(client, user_id="小明", n=10, filter='item.title == "绿茶 2"') == ["茶/2"]
    assert "茶 叶" in client.get("/v1/categories").json()["categories"]
    trending = client.get("/v1/trending", params={"category": "茶 叶"}).json()["items"]
    assert [item["item_id"] for item in trending] == ["茶/1"]
    assert client.delete("/v1/users/%E5%B0%8F%E6%98%8E").json()["records"] >= 2
    assert client.get("/v1/users/%E5%B0%8F%E6%98%8E").status_code == 404


def test_metrics_count_what_happened_and_name_nobody(client: httpx.Client) -> None:
    post(client, "/v1/events", {"user_id": "quiet-user-77", "item_id": "1", "type": "view"})
    text = client.get("/metrics").text
    assert re.search(r"^instep_model_lag 0\.0$", text, re.M)
    assert re.search(r"^instep_impressions_lost 0\.0$", text, re.M)
    assert "quiet-user-77" not in text


def test_titles_that_change_are_read_again_while_the_service_runs(tmp_path: Path) -> None:
    settings = {**SETTINGS, "encoder": "english"}
    with (
        ServiceProcess(tmp_path / "shop.instep", **settings) as service,
        httpx.Client(base_url=service.address, timeout=60) as client,
    ):
        titles = [
            "Green tea",
            "Black tea",
            "Mint tea",
            "Hand saw",
            "Chain saw",
            "Saw blade",
            "Ghost novel",
        ]
        titles += ["Poems", "Garden hose"]
        post(client, "/v1/items", [{"item_id": f"i{k}", "title": title} for k, title in enumerate(titles)])
        assert len(recommended(client, session="early", n=20)) == len(titles)

        def nearest(item_id: str) -> str:
            items = client.get(f"/v1/items/{item_id}/similar?n=1").json()["items"]
            return str(items[0]["item_id"]) if items else ""

        wait_for(lambda: nearest("i5") in {"i3", "i4"})
        client.patch("/v1/items/i5", json={"title": "Herbal tea, a hot drink"}).raise_for_status()
        wait_for(lambda: nearest("i5") in {"i0", "i1", "i2"})

        def found() -> list[str]:
            answer = client.get("/v1/search", params={"q": "something hot to sip", "n": 4})
            return [
                item["item_id"] for item in answer.json().get("items", [])
            ]  # 503 until the model is there

        wait_for(lambda: "i5" in found())


def wait_for(holds: Any, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def test_a_service_stopped_and_started_goes_on_and_verifies(place: Path, client: httpx.Client) -> None:
    slates = {user: recommended(client, user_id=user, n=10) for user in ("1", "2", "nobody")}
    copy = place.with_name("copy.instep")
    # The module's service still has the folder: another one may not open it.
    second = subprocess.run(
        [*COMMAND, "verify", str(place), "--json"],
        capture_output=True,
        text=True,
        env=environment(**SETTINGS),
    )
    assert second.returncode == 1
    assert "use" in second.stderr
    backup = place.with_name("backup")
    shutil.copytree(place, copy)
    with ServiceProcess(copy, **SETTINGS) as service:
        with httpx.Client(base_url=service.address, timeout=60) as other:
            assert {user: recommended(other, user_id=user, n=10) for user in slates} == slates
        assert service.stop() == 0
    for command in (["verify", str(copy)], ["export", str(copy), str(backup), "--what", "log"]):
        done = subprocess.run(
            [*COMMAND, *command, "--json"], capture_output=True, text=True, env=environment(**SETTINGS)
        )
        assert done.returncode == 0, done.stderr
    assert len((backup / "log.jsonl").read_text().splitlines()) > RATINGS
