"""Experiments over HTTP: for administrators, with errors that name the field, and without anybody's id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from instep.domain import ConfigError, InvalidRequest
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.serve.http import HttpSettings
from instep.serve.http.experiments import read_definition
from instep.serve.http.keys import make_key
from instep.serve.remote import RemoteExperiments

Serve = Callable[..., AbstractContextManager[httpx.Client]]
EXPERIMENT: dict[str, Any] = {
    "name": "a/b",
    "arms": [
        {"name": "control", "share": 0.5},
        {
            "name": "wide",
            "share": 0.5,
            "settings": {"policy": "epsilon-greedy", "parameters": {"epsilon": 1.0}},
        },
    ],
    "guardrails": [{"type": "dislike", "goal": "decrease", "tolerance": 0.1}],
}


@pytest.fixture
def http(serving: Serve) -> Iterator[httpx.Client]:
    """A client of a service with a few items that a crowd clicked on."""
    with serving(flow=Flow(MemoryLog(), Settings(policy="greedy"))) as client:
        clicks = [{"user_id": f"crowd-{n}", "item_id": f"i{n % 12}", "type": "click"} for n in range(40)]
        assert client.post("/v1/events", json=clicks).status_code == 200
        yield client


def post(http: httpx.Client, path: str, body: object) -> dict[str, Any]:
    answer: dict[str, Any] = http.post(f"/v1/experiments{path}", json=body).json()
    return answer


def test_an_experiment_from_launch_to_promotion_and_back(http: httpx.Client) -> None:
    assert http.get("/v1/experiments").json() == {"experiments": []}
    assert post(http, "", EXPERIMENT)["status"] == "running"
    seen: dict[str, set[str]] = {"control": set(), "wide": set()}
    clicked = 0
    for n in range(40):
        slate = http.post("/v1/recommendations", json={"user_id": f"secret-user-{n}", "n": 3}).json()
        ((experiment, arm),) = [(each["experiment"], each["arm"]) for each in slate["experiments"]]
        assert experiment == "a/b"
        seen[arm].add(slate["policy"])
        act = {"user_id": f"secret-user-{n}", "item_id": slate["items"][0]["item_id"], "type": "click"}
        if arm == "wide":
            clicked += 1
            http.post("/v1/events", json=[{**act, "slate_id": slate["slate_id"]}] * 2)
    assert seen == {"control": {"greedy"}, "wide": {"epsilon-greedy"}}
    told = http.get("/v1/experiments/a%2Fb")
    assert "secret-user" not in told.text
    control, wide = told.json()["arms"]
    assert control["slates"] + wide["slates"] == 40
    assert (wide["slates"], wide["metrics"][0]["rate"], wide["metrics"][0]["verdict"]) == (
        clicked,
        1.0,
        "too early",
    )
    assert (control["metrics"][0]["rate"], control["metrics"][1]["goal"]) == (0.0, "decrease")
    assert post(http, "/a%2Fb/promote", {"arm": "wide"})["promoted"] == "wide"
    slate = http.post("/v1/recommendations", json={"user_id": "x"}).json()
    assert (slate["policy"], slate["experiments"]) == ("epsilon-greedy", [])
    assert post(http, "/a%2Fb/rollback", {})["status"] == "rolled_back"
    assert http.post("/v1/recommendations", json={"user_id": "x"}).json()["policy"] == "greedy"


def changed(**fields: Any) -> dict[str, Any]:
    return {**EXPERIMENT, **fields}


def arms(*shares: float, **settings: Any) -> list[dict[str, Any]]:
    return [{"name": f"arm {n}", "share": share, "settings": settings} for n, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (changed(arms=arms(0.7, 0.5)), "arms", "the shares must add up to at most 1, not 1.2"),
        (changed(arms=arms(0.7, 0.0)), "arms[1].share", "must be between 0.0001 and 1, not 0"),
        (changed(arms=arms(0.7)), "arms", "must be 2 to 20 arms"),
        (changed(arms=arms(0.2, 0.2)[:1] * 2), "arms[1].name", "there are two arms named 'arm 0'"),
        (changed(arms=arms(0.2, 0.2, policy="x")), "arms[0].settings.policy", "no instep.policies named 'x'"),
        (changed(arms=arms(0.2, 0.2, color="x")), "arms[0].settings.color", "unknown field"),
        (changed(arms=arms(0.2, 0.2, 0.2), kind="interleave"), "arms", "must be two to be interleaved"),
        (changed(kind="interleave"), "arms[1].settings.policy", "draws its slates by chance"),
        (changed(kind="shuffle"), "kind", "invalid enum value"),
        (changed(metric={"type": "clack"}), "metric.type", "must be a feedback type"),
        (changed(guardrails=[{"type": "click"}]), "guardrails[0].type", "'click' is counted already"),
        (changed(alpha=0), "alpha", "must be between 1e-06 and 0.5, not 0"),
        (changed(window_seconds=0.1), "window_seconds", "must be between 1"),
        (changed(least_users=1), "least_users", "must be between 2"),
        (changed(layer=""), "layer", "must not be empty"),
        (changed(name=" x"), "name", "must not"),
        (changed(shares=[1]), "shares", "unknown field"),
        ({"name": "x"}, "arms", "missing required field"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_and_the_field_is_named(
    http: httpx.Client, body: dict[str, Any], field: str, message: str
) -> None:
    answer = http.post("/v1/experiments", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert message in answer.json()["detail"]
    assert http.get("/v1/experiments").json() == {"experiments": []}


def test_what_an_ended_or_unknown_experiment_cannot_do_is_said(http: httpx.Client) -> None:
    for method, path, body in [
        ("GET", "/nobody", None),
        ("POST", "/nobody/stop", {}),
        ("POST", "/nobody/promote", {"arm": "x"}),
        ("POST", "/nobody/rollback", {}),
    ]:
        assert http.request(method, f"/v1/experiments{path}", json=body).status_code == 404
    post(http, "", EXPERIMENT)
    assert (
        post(http, "/a%2Fb/rollback", {})["detail"] == "no arm of experiment 'a/b' is promoted: it is running"
    )
    assert post(http, "/a%2Fb/promote", {"arm": "best"})["field"] == "arm"
    assert post(http, "/a%2Fb/stop", {"reason": "enough"})["reason"] == "enough"
    answer = http.post("/v1/experiments/a%2Fb/stop", json={})
    assert (answer.status_code, answer.json()["field"]) == (422, "name")
    assert answer.json()["detail"] == "experiment 'a/b' has ended: it was stopped"
    assert post(http, "", EXPERIMENT)["field"] == "name"


def test_only_an_administrator_s_key_opens_experiments(serving: Serve, tmp_path: Path) -> None:
    texts, keys = zip(*(make_key(scope, [scope]) for scope in ("read", "write", "admin")), strict=True)
    with serving(HttpSettings(port=0, keys=keys)) as http:
        for method, path in [
            ("GET", ""),
            ("POST", ""),
            ("GET", "/x"),
            ("POST", "/x/stop"),
            ("POST", "/x/promote"),
        ]:
            address = f"/v1/experiments{path}"
            assert http.request(method, address, json={}).status_code == 401
            for text in texts[:2]:
                headers = {"authorization": f"Bearer {text}"}
                assert http.request(method, address, json={}, headers=headers).status_code == 403
        remote = RemoteExperiments(str(http.base_url), texts[2])
        definition = read_definition(EXPERIMENT)
        assert remote.launch(definition) == remote.report("a/b") == remote.reports()[0]
        assert remote.promote("a/b", "wide").status == "promoted"
        assert remote.roll_back("a/b").status == "rolled_back"
        with pytest.raises(InvalidRequest, match="has ended"):
            remote.stop("a/b")
        with pytest.raises(ConfigError, match=r"Not Found: there is no experiment"):
            remote.report("nobody")
        with pytest.raises(ConfigError, match=r"--key-file"):
            RemoteExperiments(str(http.base_url)).reports()
    with pytest.raises(ConfigError, match=r"cannot be asked: \[Errno \d+\] Connection refused$"):
        RemoteExperiments(str(http.base_url), texts[2]).reports()
