"""The configuration: where a value comes from, and what a wrong one gets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from instep.domain import ConfigError
from instep.serve.config import Config, load_config, settings, write_template

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def folder(tmp_path: Path, toml: str) -> Path:
    (tmp_path / "instep.toml").write_text(toml)
    return tmp_path


def test_an_argument_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path, '[serve]\nhost = "::1"\nport = 1\nbody_seconds = 3\n')
    monkeypatch.setenv("INSTEP_SERVE__PORT", "2")
    monkeypatch.setenv("INSTEP_SERVE__SHUTDOWN_SECONDS", "2")
    serve = load_config(path, {"serve": {"shutdown_seconds": 3}}).serve
    assert (serve.body_seconds, serve.host, serve.port, serve.shutdown_seconds) == (3.0, "::1", 2, 3)
    assert serve.allowed_hosts == ()


def test_a_table_comes_from_file_and_environment_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTEP_REWARDS__CLICK", "0.5")
    assert load_config(folder(tmp_path, "[rewards]\nlend = 2\n")).rewards == {"lend": 2.0, "click": 0.5}


def test_the_configuration_cannot_be_changed() -> None:
    config = load_config()
    with pytest.raises(ValueError, match="frozen"):
        config.encoder = "none"
    with pytest.raises(ValueError, match="frozen"):
        config.serve.port = 1


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "[serve]\nport = 70000\n",
            r"instep\.toml: serve\.port: must be less than or equal to 65535, not 70000",
        ),
        ("[serve]\nprot = 1\n", r"instep\.toml: serve\.prot: there is no such setting; did you mean port\?"),
        ("[server]\nport = 1\n", r"instep\.toml: server: there is no such setting; did you mean serve\?"),
        ("[rewards]\nclick = nan\n", r"instep\.toml: rewards\.click: must be a finite number, not nan"),
        ('[recommend]\nrepeat = "often"\n', r"recommend\.repeat: must be a valid boolean.*, not 'often'"),
        ('[log]\nurl = "mysql://x"\n', r"instep\.toml: log\.url: must be"),
        ("port = \n", r"instep\.toml: is not valid TOML: .*line 1"),
        (
            "[tune.gate]\noverall = 1.0\n",
            r"instep\.toml: tune\.gate\.overall: must be less than 1, not 1\.0",
        ),
        ("[tune.gate]\npart = -0.1\n", r"tune\.gate\.part: must be greater than or equal to 0, not -0\.1"),
        ("[tune.gate]\nearned = nan\n", r"tune\.gate\.earned: must be a finite number, not nan"),
        ("[tune.gate]\nevents = 0\n", r"tune\.gate\.events: must be greater than or equal to 1, not 0"),
        ("[tune.gate]\nslates = 1.5\n", r"tune\.gate\.slates: must be a valid integer.*, not 1\.5"),
        ("[tune.gate]\nattribute = 3\n", r"tune\.gate\.attribute: must be a valid string, not 3"),
        ("[tune.gate]\nwindow = 0\n", r"tune\.gate\.window: must be greater than 0, not 0"),
        ("[tune.gate]\noveral = 0.1\n", r"overal: there is no such setting; did you mean overall\?"),
        ("[tune]\ngates = 1\n", r"tune\.gates: there is no such setting; did you mean gate\?"),
        ("[tune]\ngate = 1\n", r"instep\.toml: tune\.gate: must be"),
    ],
)
def test_a_wrong_value_names_the_file_and_the_key(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(folder(tmp_path, toml))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "INSTEP_SERVE__PORT",
            "many",
            r"INSTEP_SERVE__PORT: serve\.port: must be a valid integer.*, not 'many'",
        ),
        (
            "INSTEP_SERVE__PROT",
            "1",
            r"INSTEP_SERVE__PROT: serve\.prot: there is no such setting; did you mean port",
        ),
        (
            "INSTEP_TUNE__GATE__PART",
            "1",
            r"INSTEP_TUNE__GATE__PART: tune\.gate\.part: must be less than 1, not '1'",
        ),
        ("INSTEP_SERV__PORT", "1", r"INSTEP_SERV__PORT: there is no setting serv; did you mean serve\?"),
        ("INSTEP_REWARDS", "{", r"rewards"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=message):
        load_config()


def test_a_wrong_argument_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"argument: snapshot\.keep: must be greater than or equal to 1, not 0"
    ):
        load_config(None, {"snapshot": {"keep": 0}})


def test_the_template_holds_every_key_and_gives_the_defaults(tmp_path: Path) -> None:
    write_template(tmp_path / "instep.toml")
    text = (tmp_path / "instep.toml").read_text()
    assert load_config(tmp_path).model_dump() == Config().model_dump()
    uncommented = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))
    written = load_config(None, uncommented).model_dump()
    assert written == Config().model_dump() | {"rewards": {"click": 1.0}}
    for setting in settings():
        assert f"# {setting.key.rpartition('.')[2]} = " in text


def test_every_key_is_documented_with_its_meaning() -> None:
    page = DOCS.read_text()
    rows = dict(re.findall(r"^\| `([\w.]+)` \|.*\| (.*) \|$", page, flags=re.MULTILINE))
    assert rows == {setting.key: setting.description for setting in settings()}
