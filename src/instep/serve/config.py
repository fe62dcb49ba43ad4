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
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from instep.domain import ConfigError
from instep.policy import BUDGET
from instep.reward import Attribution
from instep.tune.margins import MARGINS

FILE = "instep.toml"
PREFIX = "INSTEP_"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=256)]


class Section(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=False)


class LogSection(Section):
    """Where records are kept."""

    url: str = Field(
        default="sqlite:///log.sqlite",
        pattern=r"^(sqlite:///.+|memory://)$",
        description="`sqlite:///FILE`, relative to the folder, or `memory://` (nothing is kept)",
    )


class RecommendSection(Section):
    """How slates are made."""

    policy: Word = Field(
        default="thompson",
        description="`thompson`, `epsilon-greedy`, `plackett-luce` and `linucb` explore and say with which "
        "probability, `reinforce` does so as it was taught, `greedy` takes the best, `pessimistic` the surest; "
        "or the name of an installed plugin (entry-point group `instep.policies`)",
    )
    budget: Finite = Field(
        default=BUDGET,
        ge=0,
        le=1,
        description="share of the best slate's expected reward that a slate may give up to explore; 0 for never",
    )
    parameters: dict[Word, Finite | Word] = Field(
        default_factory=dict, description="of the policy, by name: `{ epsilon = 0.1 }`"
    )
    retrievers: tuple[Word, ...] = Field(
        default=(), description="plugins that propose more candidates (entry-point group `instep.retrievers`)"
    )
    scorers: tuple[Word, ...] = Field(
        default=(), description="plugins that add to the ranker's scores (entry-point group `instep.scorers`)"
    )
    repeat: bool = Field(
        default=False,
        description="whether items a user has consumed may come back (shops re-sell; news never repeats)",
    )
    auto_create_users: bool = Field(
        default=True, description="whether an event of an unknown user creates the user"
    )
    auto_create_items: bool = Field(
        default=True, description="whether an event on an unknown item creates the item"
    )


class SurfaceSection(Section):
    """How slates of one surface are chosen; what is left out is as in `[recommend]`."""

    policy: Word | None = None
    budget: Finite | None = Field(default=None, ge=0, le=1)
    explore: bool = True
    parameters: dict[Word, Finite | Word] = Field(default_factory=dict)


class CausalSection(Section):
    """The scorer `causal`, where `recommend.scorers` names it (docs/causal.md)."""

    model: Word = Field(
        default="smollm2",
        description="`smollm2`, a version of this folder that `instep tune --task ranking` made (`v0003`), a folder, "
        "or a Hugging Face name ([causal](causal.md))",
    )
    top: int = Field(default=20, ge=2, le=100, description="how many of the best candidates it reads")
    weight: Finite = Field(
        default=0.35, ge=0, description="what one nat a token is worth in the ranker's log-odds"
    )
    less: Finite = Field(
        default=0.5,
        ge=0,
        le=1,
        description="the share of a title's likelihood without a history that is taken off",
    )
    users: Literal["cold", "all"] = Field(
        default="cold", description="`cold` (at most `cold_events` events), or `all`"
    )
    cold_events: int = Field(default=5, ge=1, description="up to how many events a user counts as cold")
    deadline_ms: Finite = Field(
        default=1000.0, gt=0, description="after so long a request goes on without it, and says so"
    )


class AttributionSection(Section):
    """Which slate an act is credited to."""

    window_seconds: Finite = Field(
        default=Attribution().window,
        gt=0,
        description="when a slate is judged: what earned nothing by then counts as a refusal; also how long an act is "
        "credited to a slate if its type has no window of its own",
    )
    windows: dict[Word, Annotated[Finite, Field(gt=0)]] = Field(
        default_factory=dict,
        description="seconds by type of feedback, over the usual: like, dislike, share and cart a day, rating and "
        "purchase 7 days, return 30 days",
    )
    session_seconds: Finite = Field(
        default=Attribution().session,
        gt=0,
        description="a session is over after so long; within it the same act on the same item counts once",
    )
    discount: Finite = Field(
        default=Attribution().discount,
        ge=0,
        le=1,
        description="share of a slate's reward that the slate before it in the session gets",
    )
    slates: int = Field(
        default=Attribution().slates,
        ge=64,
        description="how many slates, the newest of all users, may still be credited; each takes 0.6 KiB",
    )


class LimitsSection(Section):
    """What is accepted."""

    body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, description="largest body of a request, bytes")
    rate_per_second: Finite = Field(
        default=1000.0,
        ge=0,
        description="requests a second one API key may make in the long run; 0 turns it off",
    )
    rate_burst: int = Field(default=2000, ge=1, description="requests one API key may make at once")
    rating_min: Finite = Field(default=0.0, description="lowest rating")
    rating_max: Finite = Field(default=5.0, description="highest rating")
    future_seconds: Finite = Field(
        default=86_400.0, ge=0, description="how far ahead of the clock a timestamp may be, seconds"
    )
    earliest: Finite = Field(
        default=631_152_000.0, description="oldest timestamp, seconds since the epoch (1990-01-01)"
    )
    any_type: bool = Field(
        default=False,
        description="whether feedback types outside the rewards table are accepted (they teach nothing)",
    )


class ServeSection(Section):
    """The HTTP service."""

    host: Word = Field(
        default="127.0.0.1",
        description="address to bind; any but a loopback address needs an API key (`instep keys add`)",
    )
    port: int = Field(default=8080, ge=0, le=65_535, description="port to bind; 0 lets the system choose")
    allowed_hosts: tuple[Word, ...] = Field(
        default=(),
        description="names in the Host header that are answered; empty: its own on loopback, any elsewhere",
    )
    body_seconds: Finite = Field(
        default=30.0, gt=0, description="seconds in which a request's body must have arrived"
    )
    shutdown_seconds: int = Field(
        default=10, ge=0, description="seconds that open requests get to finish at shutdown"
    )


class SnapshotSection(Section):
    """The model on disk, so that a start need not replay the whole log."""

    every_seconds: Finite = Field(
        default=60.0, gt=0, description="longest time between snapshots while events arrive"
    )
    every_events: int = Field(default=100_000, ge=1, description="most records between snapshots")
    keep: int = Field(default=3, ge=1, description="how many snapshots are kept")


class GateSection(Section):
    """What the gate lets pass (docs/models.md)."""

    overall: Finite = Field(
        default=MARGINS.overall, ge=0, lt=1, description="share of NDCG@10 that may be lost over all events"
    )
    part: Finite = Field(
        default=MARGINS.part,
        ge=0,
        lt=1,
        description="the same in one slice, where it must also be beyond chance",
    )
    earned: Finite = Field(
        default=MARGINS.earned,
        ge=0,
        lt=1,
        description="share of what the logged slates earned that may be lost",
    )
    events: int = Field(
        default=MARGINS.events, ge=1, description="a replay or slice with fewer scored events cannot tell"
    )
    slates: int = Field(default=MARGINS.slates, ge=1, description="with fewer logged slates they cannot tell")
    attribute: Annotated[str, Field(max_length=256)] = Field(
        default=MARGINS.attribute,
        description="a user's attribute whose values are the groups to be fair to; empty for groups by activity, and "
        "for popular and rare items",
    )
    window: Finite = Field(
        default=MARGINS.window, gt=0, description="seconds in which a slate's feedback counts for it"
    )


class TuneSection(Section):
    """Tuning the language model beside the service (docs/tune.md)."""

    follow: bool = Field(
        default=False,
        description="whether a running service keeps tuning its language model, in a process of the lowest priority",
    )
    events: int = Field(
        default=5_000,
        ge=0,
        description="a round begins after so many acts since the newest version; 0 for never",
    )
    minutes: Finite = Field(
        default=0.0, ge=0, description="or so long after the last one, if anything was heard; 0 for never"
    )
    unseen: Finite = Field(
        default=0.3,
        ge=0,
        le=1,
        description="or when this share of the newest acts is on items that the newest version has not seen (drift); "
        "0 for never",
    )
    share: Finite = Field(
        default=0.25, gt=0, le=1, description="of one core that tuning may use in the long run"
    )
    options: tuple[Word, ...] = Field(
        default=(), description='of `instep tune` for each round: `["--method", "lora", "--steps", "200"]`'
    )
    shadow: int = Field(
        default=0,
        ge=0,
        description="on so many live choices each round's version is scored, shown to nobody, before the gate decides; "
        "0 for none",
    )
    gate: GateSection = GateSection()


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
