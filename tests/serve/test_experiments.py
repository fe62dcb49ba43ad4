"""Experiments of a folder: configured, watched, stopped on harm, promoted, and all of it after a restart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from instep.domain import (
    Arm,
    ConfigError,
    Context,
    Experiment,
    ExperimentChange,
    Feedback,
    Impression,
    InvalidRequest,
    Overrides,
    Receipt,
    Record,
    Unavailable,
)
from instep.policy.reinforce import TABLE as TAUGHT_TABLE
from instep.policy.reinforce import Taught
from instep.serve.app import App, open_app
from instep.serve.cli import main
from instep.serve.verifying import verify_folder

NAME = "bolder"
ARMS = (
    Arm("control", 0.5),
    Arm("bold", 0.5, Overrides(policy="epsilon-greedy", parameters={"epsilon": 0.5})),
)
TABLE: dict[str, Any] = {
    "least_users": 10,
    "arms": [
        {"name": "control", "share": 0.5},
        {
            "name": "bold",
            "share": 0.5,
            "settings": {"policy": "epsilon-greedy", "parameters": {"epsilon": 0.5}},
        },
    ],
}
USERS = [f"v{n}" for n in range(60)]


def opened(folder: Path, **overrides: Any) -> App:
    return open_app(folder, encoder="none", recommend={"policy": "greedy"}, **overrides)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a few items that a crowd clicked on."""
    path = tmp_path / "shop.instep"
    with opened(path) as app:
        clicks = [Feedback(f"e{n}", f"c{n % 9}", f"i{n % 20}", 1.7e9 + n, "click") for n in range(100)]
        app.flow.observe(clicks)
    return path


def visits(app: App, clicking: str, rounds: int, first: int = 0) -> None:
    """Every user asks; the users of one arm click."""
    for number in range(first, first + rounds):
        acts = []
        for user in USERS:
            slate = app.flow.recommend(Context(user, n=3, now=time.time(), request_id=f"{number} {user}"))
            if slate.experiments and slate.experiments[0].arm == clicking:
                item = slate.items[0].item_id
                acts.append(
                    Feedback(f"f{number} {user}", user, item, time.time(), "click", slate_id=slate.slate_id)
                )
        if acts:
            app.flow.observe(acts)


def policies(app: App) -> set[str]:
    return {app.flow.rank(Context(user, n=3, request_id=user)).policy for user in USERS}


def test_a_configured_experiment_is_launched_once_and_its_counts_survive_restarts(folder: Path) -> None:
    with opened(folder, experiments={NAME: TABLE}) as app:
        assert policies(app) == {"greedy", "epsilon-greedy"}
        visits(app, "bold", 1)
        app.flow.observe(
            [Feedback("last", "c1", "i1", time.time(), "click")]
        )  # the impressions are on disk by then
        before = app.experiments.reports()
        assert before[0].arms[0].slates + before[0].arms[1].slates == len(USERS)
    for overrides in ({"experiments": {NAME: TABLE}}, {}):
        with opened(folder, **overrides) as app:
            assert app.experiments.reports() == before
            launches = [e for e in app.flow.log.read() if isinstance(e.record, ExperimentChange)]
            assert len(launches) == 1


def test_a_configured_experiment_that_changed_stops_the_start_with_the_way_out(folder: Path) -> None:
    with opened(folder, experiments={NAME: TABLE}):
        pass
    with pytest.raises(
        ConfigError, match=r"experiments\.bolder: was launched with other settings.*another name"
    ):
        opened(folder, experiments={NAME: {**TABLE, "alpha": 0.01}})
    with opened(folder) as app:
        assert app.experiments.report(NAME).alpha == 0.05


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({**TABLE, "colour": 1}, r"experiments\.bolder\.colour: object contains unknown field"),
        ({"arms": TABLE["arms"][:1]}, r"experiments\.bolder\.arms: must be 2 to 20 arms"),
        (
            {"arms": [*TABLE["arms"], {"name": "c", "share": 0.1}]},
            r"bolder\.arms: the shares must add up to at most 1",
        ),
        (
            {"arms": [{"name": "a", "share": 0.1}] * 2},
            r"bolder\.arms\[1\]\.name: there are two arms named 'a'",
        ),
        ({**TABLE, "metric": {"type": "clack"}}, r"bolder\.metric\.type: must be a feedback type"),
    ],
)
def test_a_configured_experiment_that_cannot_be_stops_the_start_and_names_the_key(
    folder: Path, table: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=r"instep\.toml: .*" + message):
        opened(folder, experiments={NAME: table})
    with opened(folder) as app:  # the log was let go
        assert app.experiments.reports() == []


def test_an_arm_that_harms_is_stopped_by_itself_for_good(folder: Path) -> None:
    with opened(folder, experiments={NAME: TABLE}) as app:
        visits(app, "control", 6)
        app.flow.observe([Feedback("last", "c1", "i1", time.time(), "click")])
        found = app.experiments.report(NAME)
        assert found.status == "stopped"
        assert found.reason == "harm: arm bold certainly has fewer slates with click than the control"
        assert policies(app) == {"greedy"}
        stops = [e.record for e in app.flow.log.read() if isinstance(e.record, ExperimentChange)]
        assert [one.action for one in stops] == ["launch", "stop"]
    with opened(folder, experiments={NAME: TABLE}) as app:
        assert app.experiments.report(NAME) == found
    verdict = verify_folder(app.folder)
    assert verdict.sound, verdict.problems


def test_a_stop_that_a_kill_prevented_is_made_up_for_at_the_next_start(folder: Path) -> None:
    definition = Experiment(NAME, ARMS, least_users=10)
    with opened(folder) as app:
        app.experiments._stopping.add(NAME)  # as if the process had died before it could write the stop
        app.experiments.launch(definition)
        visits(app, "control", 6)
        assert app.experiments.report(NAME).status == "running"
        assert policies(app) == {"greedy"}  # it is not served any more, whatever the log says
    with opened(folder) as app:
        app.flow.observe([Feedback("last", "c1", "i1", time.time(), "click")])
        assert app.experiments.report(NAME).status == "stopped"


def test_a_stop_that_the_disk_refused_is_tried_again_with_the_next_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder, experiments={NAME: TABLE}) as app:
        submit, refused = app.flow.log.submit, list[Record]()

        def full(records: Sequence[Record]) -> Future[list[Receipt]]:
            if not isinstance(records[0], ExperimentChange) or refused:
                return submit(records)
            refused.append(records[0])
            future = Future[list[Receipt]]()
            future.set_exception(Unavailable("the disk is full"))
            return future

        monkeypatch.setattr(app.flow.log, "submit", full)
        visits(app, "control", 6)
        app.flow.observe([Feedback("last", "c1", "i1", time.time(), "click")])
        assert len(refused) == 1
        # The stop is a record of its own behind the act that led to it: what is written after it waits for it.
        app.flow.observe([Feedback("after", "c1", "i1", time.time(), "click")])
        assert app.experiments.report(NAME).status == "stopped"


def test_an_erased_user_s_clicks_that_stopped_an_experiment_do_not_start_it_again(folder: Path) -> None:
    with opened(folder, experiments={NAME: {**TABLE, "least_users": 25}}) as app:
        visits(app, "control", 6)
        app.flow.observe([Feedback("last", "c1", "i1", time.time(), "click")])
        controls = {
            entry.record.user_id
            for entry in app.flow.log.read()
            if isinstance(entry.record, Impression) and "control" in {x.arm for x in entry.record.experiments}
        }
        for user in sorted(controls)[24:]:  # with 24 users left, nothing could be said any more
            app.erase(user)
        found = app.experiments.report(NAME)
        assert (found.status, found.arms[1].metrics[0].verdict) == ("stopped", "too early")
        assert policies(app) == {"greedy"}


def test_a_promotion_holds_after_a_restart_until_it_is_rolled_back(folder: Path) -> None:
    with opened(folder) as app:
        app.experiments.launch(Experiment(NAME, ARMS))
        app.experiments.promote(NAME, "bold")
        assert policies(app) == {"epsilon-greedy"}
    with opened(folder) as app:
        assert policies(app) == {"epsilon-greedy"}
        with pytest.raises(
            InvalidRequest, match=r"name: arm 'bold' of experiment 'bolder' is promoted already"
        ):
            app.experiments.promote(NAME, "control")
        assert app.experiments.roll_back(NAME).status == "rolled_back"
        assert policies(app) == {"greedy"}
    with opened(folder) as app:
        assert policies(app) == {"greedy"}


def test_an_arm_may_have_a_policy_that_was_taught_in_the_folder_and_no_other_file(folder: Path) -> None:
    taught = Overrides(policy="reinforce")
    with opened(folder) as app:
        for settings, message in [
            (taught, r"arms\[1\]\.settings\.policy: .*there is no such table"),
            (
                Overrides(policy="reinforce", parameters={"table": "../../etc/passwd"}),
                r"arms\[1\]\.settings\.parameters\.table: .*must be a file in the folder",
            ),
        ]:
            with pytest.raises(InvalidRequest, match=message):
                app.experiments.launch(Experiment(NAME, (ARMS[0], Arm("taught", 0.5, settings))))
        table = Taught({}, slates=100, gain=0.1, least=0.01)
        (folder / TAUGHT_TABLE).write_bytes(msgspec.json.encode(table))
        app.experiments.launch(Experiment(NAME, (ARMS[0], Arm("taught", 0.5, taught))))
        assert policies(app) == {"greedy", "reinforce"}


def test_the_command_line_tells_the_story_of_an_experiment(folder: Path, tmp_path: Path) -> None:
    (folder / "instep.toml").write_text('encoder = "none"\n[recommend]\npolicy = "greedy"\n')
    definition = tmp_path / "bolder.toml"
    definition.write_text(
        f'name = "{NAME}"\n[[arms]]\nname = "control"\nshare = 0.5\n'
        '[[arms]]\nname = "bold"\nshare = 0.25\nsettings = { policy = "linucb" }\n'
    )

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        result = CliRunner().invoke(main, ["experiment", *words, "--json"], catch_exceptions=False)
        return result.exit_code, msgspec.json.decode(result.stdout or result.stderr)

    target = str(folder)
    assert run("list", target) == (0, {"experiments": []})
    status, told = run("launch", target, str(definition))
    assert (status, told["status"], [arm["name"] for arm in told["arms"]]) == (
        0,
        "running",
        ["control", "bold"],
    )
    assert run("launch", target, str(definition)) == (
        1,
        {
            "error": "name: there was an experiment named 'bolder' already; results stay under their name, so give "
            "this one another"
        },
    )
    assert run("report", target, "none of mine")[1] == {
        "error": "name: there is no experiment named 'none of mine'; there are: bolder"
    }
    assert run("promote", target, NAME, "best")[1] == {
        "error": "arm: must be one of control, bold, not 'best'"
    }
    assert run("promote", target, NAME, "bold")[1]["promoted"] == "bold"
    assert run("stop", target, NAME)[1] == {"error": "name: experiment 'bolder' has ended: it was promoted"}
    assert run("rollback", target, NAME)[1]["status"] == "rolled_back"
    assert run("rollback", target, NAME)[0] == 1
    assert run("report", target, NAME)[1]["arms"][0]["metrics"][0]["verdict"] == "control"
    text = CliRunner().invoke(main, ["experiment", "report", target, NAME]).stdout
    assert (
        "bold: 25.00% of users, 0 users, 0 slates\n    click: 0.0000, +0.0000 (no bounds yet): too early"
        in text
    )


def test_a_definition_that_is_no_toml_is_refused(folder: Path, tmp_path: Path) -> None:
    for name, text, message in [
        ("a.toml", "arms = [", "is neither TOML nor JSON"),
        ("a.json", "arms", "is neither TOML nor JSON"),
        ("b.toml", 'name = "x"\narms = 3\n', "arms: expected `array`, got `int`"),
    ]:
        (tmp_path / name).write_text(text)
        result = CliRunner().invoke(main, ["experiment", "launch", str(folder), str(tmp_path / name)])
        assert result.exit_code == 1
        assert message in result.stderr
