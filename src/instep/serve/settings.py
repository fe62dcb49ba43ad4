"""The configuration as the flow takes it."""

from __future__ import annotations

from functools import partial

from instep.flow import Settings
from instep.guard import Limits
from instep.policy import Parameters, Reinforce, Surface
from instep.policy.reinforce import TABLE
from instep.reward import DEFAULT_REWARDS, Attribution
from instep.serve.causal import open_scorer
from instep.serve.config import Config
from instep.serve.folder import log_file_in


def attribution_of(config: Config) -> Attribution:
    """How acts are joined to slates."""
    given = config.attribution
    return Attribution(
        given.window_seconds, dict(given.windows), given.session_seconds, given.discount, given.slates
    )


def flow_settings(config: Config) -> Settings:
    """What the flow needs of the configuration."""
    recommend, given = config.recommend, config.limits
    log = log_file_in(config.folder, config) if config.folder is not None else None
    limits = Limits(
        event_types=frozenset(DEFAULT_REWARDS) | frozenset(config.rewards),
        any_type=given.any_type,
        rating_min=given.rating_min,
        rating_max=given.rating_max,
        earliest=given.earliest,
        skew=given.future_seconds,
    )
    return Settings(
        policy=recommend.policy,
        budget=recommend.budget,
        parameters=in_folder(recommend.policy, recommend.parameters, config),
        surfaces={
            name: Surface(
                each.policy,
                each.budget,
                each.explore,
                in_folder(each.policy, each.parameters, config),
            )
            for name, each in config.surfaces.items()
        },
        retrievers=recommend.retrievers,
        scorers=recommend.scorers,
        own_scorers={"causal": partial(open_scorer, config.causal, config.folder, log)},
        repeat=recommend.repeat,
        rewards=dict(config.rewards),
        attribution=attribution_of(config),
        auto_create_users=recommend.auto_create_users,
        auto_create_items=recommend.auto_create_items,
        limits=limits,
    )


def in_folder(policy: str | None, parameters: Parameters, config: Config) -> Parameters:
    """A policy's parameters; a taught policy's table is looked up in the folder.

    Args:
        policy: its name; None where none is named.
        parameters: as they are configured.
        config: of the folder.
    """
    if policy != Reinforce.name or config.folder is None:
        return dict(parameters)
    return {**parameters, "table": str(config.folder / str(parameters.get("table", TABLE)))}
