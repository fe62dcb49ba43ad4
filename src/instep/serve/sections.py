"""The tables of the configuration: what can be set, between which bounds, and what it is for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from instep.policy import BUDGET
from instep.reward import Attribution
from instep.tune.margins import MARGINS

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
