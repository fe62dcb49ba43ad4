"""Feedback that claims too much, over HTTP: learned as plain feedback, not credited, and the account says why."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

_numbers = iter(range(10_000))


def show(client: httpx.Client, user: str) -> dict[str, Any]:
    slate: dict[str, Any] = client.post("/v1/recommendations", json={"user_id": user, "n": 5}).json()
    return slate


def send(client: httpx.Client, **event: Any) -> str:
    """Send an event; its id."""
    event_id = f"reward-{next(_numbers)}"
    answer = client.post("/v1/events", json={"event_id": event_id, "type": "click", **event})
    assert answer.status_code == 200, answer.text
    return event_id


def account(client: httpx.Client, event_id: str) -> dict[str, Any]:
    answer = client.get(f"/v1/events/{event_id}/reward")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["account"]
    return found


def events_of(client: httpx.Client, user: str) -> int:
    return int(client.get(f"/v1/users/{user}").json()["events"])


def test_an_act_that_names_its_slate_is_credited_and_explained(client: httpx.Client) -> None:
    slate = show(client, "honest")
    item = slate["items"][3]["item_id"]
    event = send(client, user_id="honest", item_id=item, slate_id=slate["slate_id"])
    answer = client.get(f"/v1/events/{event}/reward").json()
    assert answer["account"]["credit"]["place"] == 3
    assert answer["account"]["credit"]["joined_by"] == "slate id"
    assert answer["steps"][0].startswith(f"A click by honest on {item} at ")
    assert (
        account(client, send(client, user_id="honest", item_id=item, type="purchase"))["credit"]["place"] == 3
    )


@pytest.mark.parametrize("case", ["never was", "another's", "not on it", "too late", "too early"])
def test_what_no_slate_led_to_is_learned_as_plain_feedback(client: httpx.Client, case: str) -> None:
    user = f"liar {case}".replace(" ", "-").replace("'", "")
    slate = show(client, user)
    shown = [item["item_id"] for item in slate["items"]]
    claim: dict[str, Any] = {"user_id": user, "item_id": shown[0], "slate_id": slate["slate_id"]}
    lies: dict[str, dict[str, Any]] = {
        "never was": {"slate_id": "made-up"},
        "another's": {"user_id": f"{user}-2"},
        "not on it": {"item_id": next(f"i{n}" for n in range(30) if f"i{n}" not in shown)},
        "too late": {"timestamp": time.time() + 3 * 3600},
        "too early": {"timestamp": time.time() - 3600},
    }
    claim |= lies[case]
    why = {
        "never was": "there never was a slate with this id",
        "another's": "the slate was shown to another user",
        "not on it": "the item was not among the slate's first 20",
        "too late": "later than the window",
        "too early": "it came before the slate was shown",
    }[case]
    made = account(client, send(client, **claim))
    assert made["credit"] is None
    assert why in made["uncredited"]
    assert made["counted"] == made["reward"] == 1.0
    assert events_of(client, claim["user_id"]) == 1


def test_the_same_act_twice_is_stored_and_does_not_count_again(client: httpx.Client) -> None:
    slate = show(client, "keen")
    claim = {"user_id": "keen", "item_id": slate["items"][0]["item_id"], "slate_id": slate["slate_id"]}
    first, second = account(client, send(client, **claim)), account(client, send(client, **claim))
    assert first["credit"] is not None
    assert (second["credit"], second["uncredited"], second["counted"]) == (None, "it is a repeat", 0.0)
    assert events_of(client, "keen") == 2


def test_a_retry_with_the_same_event_id_changes_nothing(client: httpx.Client) -> None:
    slate = show(client, "retrier")
    event = {
        "event_id": "retried",
        "user_id": "retrier",
        "item_id": slate["items"][0]["item_id"],
        "type": "click",
    }
    first = client.post("/v1/events", json=event).json()["receipts"][0]
    made = account(client, "retried")
    second = client.post("/v1/events", json=event | {"type": "dislike"}).json()["receipts"][0]
    assert (first["duplicate"], second["duplicate"], second["offset"]) == (False, True, first["offset"])
    assert account(client, "retried") == made
    assert events_of(client, "retrier") == 1


def test_a_forged_propensity_is_refused_and_nothing_is_stored(client: httpx.Client) -> None:
    slate = show(client, "forger")
    event = {
        "user_id": "forger",
        "item_id": slate["items"][0]["item_id"],
        "slate_id": slate["slate_id"],
        "propensity": 0.0001,
    }
    answer = client.post("/v1/events", json=event)
    assert answer.status_code == 422
    assert answer.json()["field"] == "propensity"
    assert client.get("/v1/users/forger/history").json() == {"items": []}  # the slate alone was stored


def test_a_propensity_in_the_context_weighs_nothing(client: httpx.Client) -> None:
    slate = show(client, "sly")
    event = {"user_id": "sly", "item_id": slate["items"][1]["item_id"], "slate_id": slate["slate_id"]}
    made = account(client, send(client, **event, context={"propensity": 0.0001}, position=0))
    assert made["credit"]["place"] == 1
    assert made["counted"] == 1.0


def test_an_act_that_is_not_among_the_newest_is_404_and_says_the_way_out(client: httpx.Client) -> None:
    answer = client.get("/v1/events/nobody-knows/reward")
    assert answer.status_code == 404
    assert "instep rewards explain" in answer.json()["detail"]
    assert client.get("/v1/events/%00/reward").status_code == 422


def test_an_erased_users_accounts_are_gone(client: httpx.Client) -> None:
    event = send(client, user_id="leaver", item_id="i1")
    assert account(client, event)["user_id"] == "leaver"
    assert client.delete("/v1/users/leaver").status_code == 200
    assert client.get(f"/v1/events/{event}/reward").status_code == 404
