"""What an experiment may be, before it is launched. Names of policies and plugins are looked up by the flow."""

from __future__ import annotations

import math
from typing import Final

from instep.domain import Arm, Experiment, InvalidRequest, Metric
from instep.domain.experiments import INTERLEAVED
from instep.guard.values import check_id

ARMS: Final = 20
METRICS: Final = 20
YEAR: Final = 366 * 86_400.0
LEAST_SHARE: Final = 0.0001


def check_experiment(experiment: Experiment, known_types: frozenset[str] | None) -> None:
    """Check a definition by itself.

    Args:
        experiment: as somebody wrote it.
        known_types: feedback types that there are; None when any will do.

    Raises:
        InvalidRequest: names the field, says what is wrong and what would be right.

    >>> halves = (Arm("control", 0.5), Arm("new", 0.6))
    >>> check_experiment(Experiment("e", halves), None)
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: arms: the shares must add up to at most 1, not 1.1
    """
    check_id(experiment.name, "name")
    check_id(experiment.layer, "layer")
    _check_arms(experiment)
    for place, surface in enumerate(experiment.surfaces):
        check_id(surface, f"surfaces[{place}]")
    if len(experiment.guardrails) >= METRICS:
        raise InvalidRequest(f"must be fewer than {METRICS}", "guardrails")
    _check_metric(experiment.metric, "metric", known_types)
    seen = {experiment.metric.type}
    for place, metric in enumerate(experiment.guardrails):
        _check_metric(metric, f"guardrails[{place}]", known_types)
        if metric.type in seen:
            raise InvalidRequest(f"{metric.type!r} is counted already", f"guardrails[{place}].type")
        seen.add(metric.type)
    _check_number(experiment.window_seconds, 1.0, YEAR, "window_seconds")
    _check_number(experiment.alpha, 1e-6, 0.5, "alpha")
    _check_number(experiment.least_users, 2, 10**9, "least_users")
    _check_number(experiment.planned_users, 2, 10**9, "planned_users")


def _check_arms(experiment: Experiment) -> None:
    arms = experiment.arms
    if not 2 <= len(arms) <= ARMS:
        raise InvalidRequest(f"must be 2 to {ARMS} arms, the control first, not {len(arms)}", "arms")
    for place, arm in enumerate(arms):
        _check_arm(arm, f"arms[{place}]")
        if arm.name in {other.name for other in arms[:place]}:
            raise InvalidRequest(f"there are two arms named {arm.name!r}", f"arms[{place}].name")
    total = sum(arm.share for arm in arms)
    if total > 1.0 + 1e-9:
        raise InvalidRequest(f"the shares must add up to at most 1, not {total:g}", "arms")
    if experiment.kind == "interleave" and len(arms) != 2:
        raise InvalidRequest(f"must be two to be interleaved, not {len(arms)}", "arms")


def _check_arm(arm: Arm, at: str) -> None:
    check_id(arm.name, f"{at}.name")
    if arm.name == INTERLEAVED:
        raise InvalidRequest(
            f"must not be {INTERLEAVED!r}, which is what a mixed slate is called", f"{at}.name"
        )
    _check_number(arm.share, LEAST_SHARE, 1.0, f"{at}.share")
    if arm.settings.policy is not None:
        check_id(arm.settings.policy, f"{at}.settings.policy")
    for field in ("retrievers", "scorers"):
        for place, name in enumerate(getattr(arm.settings, field) or ()):
            check_id(name, f"{at}.settings.{field}[{place}]")


def _check_metric(metric: Metric, at: str, known_types: frozenset[str] | None) -> None:
    check_id(metric.type, f"{at}.type")
    if known_types is not None and metric.type not in known_types:
        known = ", ".join(sorted(known_types))
        raise InvalidRequest(f"must be a feedback type: {known}; not {metric.type!r}", f"{at}.type")
    _check_number(metric.tolerance, 0.0, 1.0, f"{at}.tolerance")


def _check_number(value: float, least: float, most: float, field: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidRequest(f"must be a number, not {value!r}", field)
    if not least <= value <= most:
        raise InvalidRequest(f"must be between {least:g} and {most:g}, not {value:g}", field)
