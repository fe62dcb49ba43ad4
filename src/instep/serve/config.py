"""The configuration: one frozen model, read once when a folder is opened.

What an argument of `instep.open` says wins over the environment (``INSTEP_SERVE__PORT=9000``), that
over the folder's ``instep.toml``, and that over the defaults below. A key that does not exist is an error.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, Field, PrivateAttr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from instep.domain import ConfigError
from instep.serve.sections import (
    AttributionSection,
    CausalSection,
    Finite,
    LimitsSection,
    LogSection,
    RecommendSection,
    Section,
    ServeSection,
    SnapshotSection,
    SurfaceSection,
    TuneSection,
    Word,
)

FILE = "instep.toml"
PREFIX = "INSTEP_"


class Config(BaseSettings):
    """All settings of a folder.

    >>> Config().serve.port
    8080
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", case_sensitive=False
    )

    _folder: Path | None = PrivateAttr(None)

    encoder: Word = Field(
        default="auto",
        description="`auto` (by the catalogue's languages), `english`, `multilingual`, `none`, a folder, a "
        "Hugging Face name, or `openai:MODEL@URL`",
    )
    rewards: dict[Word, Finite] = Field(
        default_factory=dict,
        description="weight of a feedback type, beside the defaults of the usual; a new name is a new type",
    )
    surfaces: dict[Word, SurfaceSection] = Field(
        default_factory=dict,
        description="what is different where slates are shown: `policy`, `budget`, `explore`, `parameters` by the "
        "name that requests give ([policies](policies.md))",
    )
    experiments: dict[Word, dict[str, Any]] = Field(
        default_factory=dict,
        description="what is compared on live traffic: arms with their shares and settings, by the experiment's name "
        "([experiments](experiments.md))",
    )
    attribution: AttributionSection = AttributionSection()
    causal: CausalSection = CausalSection()
    log: LogSection = LogSection()
    recommend: RecommendSection = RecommendSection()
    limits: LimitsSection = LimitsSection()
    serve: ServeSection = ServeSection()
    snapshot: SnapshotSection = SnapshotSection()
    tune: TuneSection = TuneSection()

    @property
    def folder(self) -> Path | None:
        """The folder whose settings these are."""
        return self._folder


class Setting(msgspec.Struct, frozen=True):
    """A key of the configuration, as the documentation and the template show it."""

    key: str
    default: Any
    description: str


def settings() -> Iterator[Setting]:
    """Every key with its default and meaning, in order.

    >>> next(settings()).key
    'encoder'
    """
    yield from _settings_of(Config)


def _settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, Section):
            yield from _settings_of(type(default), f"{prefix}{name}.")
        else:
            yield Setting(f"{prefix}{name}", default, field.description or "")


def load_config(folder: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read the configuration once.

    Args:
        folder: the instep folder; its ``instep.toml`` need not exist.
        overrides: values that win over everything, sections as dictionaries: ``{"serve": {"port": 0}}``.

    Returns:
        The settings, checked and frozen.

    Raises:
        ConfigError: names the file or variable, and the key.
    """
    path = folder / FILE if folder else None
    table = _read_toml(path) if path else {}

    class Layered(Config):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, table)

    for variable in os.environ:
        if variable.upper().startswith(PREFIX):
            _check_known(variable.upper().removeprefix(PREFIX).split("__")[0].lower(), variable)
    try:
        config = Layered(**dict(overrides or {}))
        config._folder = folder
        return config
    except ValidationError as error:
        raise ConfigError("; ".join(_explained(fault, path, table) for fault in error.errors())) from None
    except SettingsError as error:
        raise ConfigError(f"environment: {error}") from None


def write_template(path: Path) -> None:
    """Write an ``instep.toml`` in which every key stands as a comment with its default."""
    lines = [
        "# Settings of this folder. Take the # away to change one; docs/configuration.md explains them.",
        "",
    ]
    section = ""
    for setting in settings():
        table, _, name = setting.key.rpartition(".")
        if table != section:
            lines += ["", f"[{table}]"]
            section = table
        if setting.key == "rewards":
            lines += [f"# {setting.description}", "# rewards = { click = 1.0 }"]
        else:
            lines += [f"# {setting.description}", f"# {name} = {as_toml(setting.default)}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def as_toml(value: Any) -> str:
    """A default as TOML writes it: for text, numbers, flags and lists that is what JSON writes.

    >>> as_toml(("a", 1.5, True))
    '["a",1.5,true]'
    """
    return msgspec.json.encode(value).decode()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


def _check_known(name: str, given: str) -> None:
    if name not in Config.model_fields:
        raise ConfigError(f"{given}: there is no setting {name}{_close(name, Config.model_fields)}")


def _close(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def _explained(fault: Any, path: Path | None, table: Mapping[str, Any]) -> str:
    """One validation error as a sentence that says where the value came from."""
    keys = [str(part) for part in fault["loc"]]
    key = ".".join(keys)
    variable = PREFIX + "__".join(keys).upper()
    found: Any = table
    for part in keys:
        found = found.get(part) if isinstance(found, Mapping) else None
    where = variable if variable in os.environ else str(path) if found is not None and path else "argument"
    if fault["type"] == "extra_forbidden":
        known: Mapping[str, Any] = Config.model_fields
        for part in keys[:-1]:
            default = known[part].get_default(call_default_factory=True) if part in known else None
            known = type(default).model_fields if isinstance(default, Section) else known
        known = SurfaceSection.model_fields if keys[0] == "surfaces" and len(keys) > 1 else known
        return f"{where}: {key}: there is no such setting{_close(keys[-1], known)}"
    given = "" if isinstance(fault["input"], Mapping) else f", not {fault['input']!r}"
    message = str(fault["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{where}: {key}: must be {message}{given}"
