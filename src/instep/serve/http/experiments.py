"""Experiments: launch, watch, stop, promote, roll back. All for administrators; no answer has a user's id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from instep.domain import Experiment
from instep.experiment import Report
from instep.guard import check_id
from instep.serve.http.problems import Refusal, unreadable
from instep.serve.http.routes import Request, Route

if TYPE_CHECKING:
    from instep.serve.http.service import Service


class ReportList(msgspec.Struct):
    """All experiments, the newest first."""

    experiments: list[Report]


class Stop(msgspec.Struct, forbid_unknown_fields=True):
    """Why it is stopped."""

    reason: Annotated[str, Meta(max_length=1024)] = ""


class Promotion(msgspec.Struct, forbid_unknown_fields=True):
    """Which arm is promoted."""

    arm: Annotated[str, Meta(min_length=1, max_length=256)]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """An empty object."""


def read_definition(fields: Mapping[str, Any]) -> Experiment:
    """A definition from what a TOML or JSON file says.

    Raises:
        InvalidRequest: a field is unknown, missing or of another type; names it.

    >>> read_definition({"name": "e", "arms": [{"name": "control", "share": "half"}]})
    Traceback (most recent call last):
    instep.domain.errors.InvalidRequest: arms[0].share: expected `float`, got `str`
    """
    try:
        return msgspec.convert(fields, Experiment)
    except msgspec.ValidationError as error:
        raise unreadable(error) from None


async def list_experiments(service: Service, request: Request) -> ReportList:
    """What all experiments have shown so far, the newest first."""
    return ReportList(await asyncio.to_thread(service.experiments.reports))


async def launch_experiment(service: Service, request: Request) -> Report:
    """Begin an experiment. It is in force with the next request, and survives a restart."""
    return await asyncio.to_thread(service.experiments.launch, request.body)


async def get_experiment(service: Service, request: Request) -> Report:
    """What an experiment has shown so far. The bounds hold however often you look."""
    return await _of_known(service, request, service.experiments.report)


async def stop_experiment(service: Service, request: Request) -> Report:
    """End an experiment: everybody is served as usual again."""
    return await _of_known(service, request, lambda name: service.experiments.stop(name, request.body.reason))


async def promote_arm(service: Service, request: Request) -> Report:
    """Give an arm's settings to everybody, without a restart; an experiment that runs ends."""
    return await _of_known(service, request, lambda name: service.experiments.promote(name, request.body.arm))


async def roll_back_arm(service: Service, request: Request) -> Report:
    """Take a promoted arm's settings back, without a restart."""
    return await _of_known(service, request, service.experiments.roll_back)


async def _of_known(service: Service, request: Request, act: Callable[[str], Report]) -> Report:
    name = check_id(request.names[0], "name")
    if name not in service.flow.model.state.names.trials.by_name:
        raise Refusal(404, "there is no experiment with this name")
    return await asyncio.to_thread(act, name)


_ONE: Final = "/v1/experiments/{name}"

ROUTES: Final = (
    Route("GET", "/v1/experiments", list_experiments, "admin", ReportList),
    Route("POST", "/v1/experiments", launch_experiment, "admin", Report, body=(Experiment,)),
    Route("GET", _ONE, get_experiment, "admin", Report, problems=(404,)),
    Route("POST", _ONE + "/stop", stop_experiment, "admin", Report, body=(Stop,), problems=(404,)),
    Route("POST", _ONE + "/promote", promote_arm, "admin", Report, body=(Promotion,), problems=(404,)),
    Route("POST", _ONE + "/rollback", roll_back_arm, "admin", Report, body=(Nothing,), problems=(404,)),
)
