"""A request served as its user's experiments say: another policy, other plugins, two slates mixed into one.

Where there is no experiment and nothing was promoted, this costs two looks at empty lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
import structlog

from instep.domain import (
    INTERLEAVED,
    Assignment,
    ConfigError,
    Context,
    Experiment,
    InstepError,
    InvalidRequest,
    Overrides,
    Slate,
    find_part,
)
from instep.experiment import arms_of, promoted_settings, team_draft
from instep.experiment.place import EVERY_ARM
from instep.model import Model, Served, seed_of
from instep.policy import Parameters, Policy, Surface, surface_policy
from instep.score.base import Reranker, Scorer
from instep.state.trials import Trial

TEAM_DRAFT: Final = "team-draft"
PROBES: Final = 8
_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("instep.experiments")


class Variants:
    """What arms are served with.

    Args:
        default: how slates are chosen, as configured.
        surfaces: what is configured differently on some surfaces.
        usual: the configured retrievers, scorers and `repeat`.
        scorers: what makes the scorers that need no entry point, by name.

    Attributes:
        reranks: whether anything that was made so far reranks, and is to be prepared for.
        completed: a policy's parameters as an arm gives them to what its constructor gets; raises `ConfigError`.
    """

    def __init__(
        self,
        default: Surface,
        surfaces: Mapping[str, Surface],
        usual: Overrides,
        scorers: Mapping[str, Callable[[], Scorer]] | None = None,
    ) -> None:
        self._scorers = dict(scorers or {})
        self.reranks = False
        self._default = default
        self._surfaces = dict(surfaces)
        self._usual = usual
        self.completed: Callable[[str | None, Parameters], Parameters] = lambda policy, parameters: parameters
        self._made: dict[tuple[bytes, str], Served | InstepError] = {}
        self._settled: dict[int, bool] = {}

    def slate(self, model: Model, context: Context) -> Slate:
        """Choose a slate as `Model.slate` does, under the arms that the user is in and what was promoted.

        An arm that cannot be served any more (its plugin is gone) is left out: the slate is the usual one, belongs to
        no experiment, and says ``experiment`` among what is degraded.
        """
        trials, merged = model.state.names.trials, model.state.names.merged
        if not trials.running and not trials.promoted:
            return model.slate(context)
        settings, assigned, mixed = promoted_settings(trials), [], None
        for trial, number in arms_of(trials, merged.get(context.user_id, context.user_id), context.surface):
            if number == EVERY_ARM:
                mixed = trial
                continue
            arm = trial.definition.arms[number]
            settings = arm.settings.over(settings)
            assigned.append(Assignment(trial.definition.name, arm.name))
        try:
            if mixed is not None:
                slate = self._mixed(model, context, mixed, settings)
            else:
                slate = model.slate(context, self.served(settings, context.surface))
        except ConfigError:
            model.failures["experiment"] += 1
            slate = model.slate(context)
            return msgspec.structs.replace(slate, degraded=(*slate.degraded, "experiment"))
        return msgspec.structs.replace(slate, experiments=(*slate.experiments, *assigned))

    def served(self, settings: Overrides, surface: str) -> Served:
        """What these settings come to on a surface; made once.

        Raises:
            ConfigError: a policy, parameter or plugin does not exist, or cannot be used on this surface.
        """
        key = (_encode(settings), surface if surface in self._surfaces else "")
        made = self._made.get(key)
        if made is None:
            try:
                made = self._make(settings, surface)
            except ConfigError as error:
                made = error
                _log.warning("an experiment's settings cannot be served", why=str(error))
            self._made[key] = made
        if isinstance(made, InstepError):
            raise made
        return made

    def check(self, experiment: Experiment, promoted: Overrides) -> None:
        """Whether every arm can be served on every surface of an experiment.

        Args:
            experiment: to be launched.
            promoted: what is in force by promotion.

        Raises:
            InvalidRequest: names the arm's field.
        """
        surfaces = experiment.surfaces or ("", *self._surfaces)
        for place, arm in enumerate(experiment.arms):
            at = f"arms[{place}].settings"
            if arm.settings.surface is not None and arm.settings.surface not in self._surfaces:
                known = ", ".join(self._surfaces) or "none"
                raise InvalidRequest(
                    f"no surface {arm.settings.surface!r} is configured; there are: {known}", f"{at}.surface"
                )
            for surface in surfaces:
                self._check_arm(experiment, arm.settings.over(promoted), surface, at)

    def _check_arm(self, experiment: Experiment, settings: Overrides, surface: str, at: str) -> None:
        try:
            served = self._make(settings, surface)
        except ConfigError as error:
            raise InvalidRequest(str(error), _blamed(settings, str(error), at)) from None
        if experiment.kind == "interleave" and not is_settled(served.policy):
            raise InvalidRequest(_unsettled(served.policy), f"{at}.policy")

    def _make(self, settings: Overrides, surface: str) -> Served:
        usual = self._usual
        retrievers = usual.retrievers if settings.retrievers is None else settings.retrievers
        scorers = usual.scorers if settings.scorers is None else settings.scorers
        repeat = usual.repeat if settings.repeat is None else settings.repeat
        return Served(
            surface_policy(self._surface(settings, surface), self._default),
            bool(repeat),
            tuple(_plugin("instep.retrievers", name, {}) for name in retrievers or ()),
            self.made_scorers(scorers or ()),
        )

    def made_scorers(self, names: Iterable[str]) -> tuple[Scorer, ...]:
        """Scorers by name. Raises `ConfigError` when one does not exist or cannot be made."""
        scorers = tuple(_plugin("instep.scorers", name, self._scorers) for name in names)
        self.reranks |= any(isinstance(scorer, Reranker) for scorer in scorers)
        return scorers

    def _surface(self, settings: Overrides, name: str) -> Surface:
        here = self._surfaces.get(name, Surface())
        base = here if settings.surface is None else self._surfaces.get(settings.surface, Surface())
        another = settings.policy is not None
        return Surface(
            settings.policy if another else base.policy,
            settings.budget if another or settings.budget is not None else base.budget,
            here.explore and base.explore and settings.explore is not False,
            self.completed(settings.policy, settings.parameters)
            if another or settings.parameters
            else base.parameters,
        )

    def _mixed(self, model: Model, context: Context, trial: Trial, settings: Overrides) -> Slate:
        """The slates of both arms, mixed by team draft."""
        arms = trial.definition.arms
        both = [self.served(arm.settings.over(settings), context.surface) for arm in arms]
        for served in both:  # what was promoted since the launch may draw by chance
            policy = id(served.policy)  # it is kept in `_made`
            if policy not in self._settled:
                self._settled[policy] = is_settled(served.policy)
            if not self._settled[policy]:
                raise ConfigError(_unsettled(served.policy))
        slates = [model.slate(context, served) for served in both]
        first, second = ([item.item_id for item in slate.items] for slate in slates)
        draft = team_draft((first, second), context.n, seed_of(f"{TEAM_DRAFT} {context.request_id}"))
        known = [{item.item_id: item for item in slate.items} for slate in slates]
        items = tuple(
            msgspec.structs.replace(
                known[team].get(item_id) or known[1 - team][item_id], propensity=propensity
            )
            for item_id, team, propensity in zip(*draft, strict=True)
        )
        return Slate(
            context.request_id,
            items,
            TEAM_DRAFT,
            slates[0].as_of,
            tuple(dict.fromkeys((*slates[0].degraded, *slates[1].degraded))),
            (Assignment(trial.definition.name, INTERLEAVED, draft.teams),),
        )


def is_settled(policy: Policy) -> bool:
    """Whether a policy gives the same slate whatever the seed, and says so.

    >>> from instep.policy import Greedy, make_policy
    >>> is_settled(Greedy()), is_settled(make_policy("thompson", budget=1.0))
    (True, False)
    """
    rows = 1 + policy.draws + policy.deviation
    scores = np.random.default_rng(3).standard_normal((rows, 3 * PROBES)).astype(np.float32)
    choices = [policy.choose(scores, PROBES, seed) for seed in range(PROBES)]
    same = all(choice.places.tolist() == choices[0].places.tolist() for choice in choices)
    return same and all((choice.propensities == 1.0).all() for choice in choices)


def _plugin(group: str, name: str, built_in: Mapping[str, Any]) -> Any:
    made = find_part(group, name, built_in)
    try:
        return made()
    except ConfigError:
        raise
    except Exception as error:  # a plugin may fail in any way
        raise ConfigError(f"{group} {name!r} cannot be made: {error!r}") from error


def _unsettled(policy: Policy) -> str:
    return (
        f"policy {policy.name!r} draws its slates by chance, and the propensities of a mixed slate would not be known; "
        'interleave policies that do not ("greedy"), or use kind = "split"'
    )


def _blamed(settings: Overrides, message: str, at: str) -> str:
    """The field that a message is about."""
    for field in ("retrievers", "scorers"):
        if f"instep.{field}" in message:
            return f"{at}.{field}"
    for name in settings.parameters:
        if f"{name!r}" in message or f"{name}:" in message:
            return f"{at}.parameters.{name}"
    return f"{at}.budget" if "budget" in message else f"{at}.policy"
