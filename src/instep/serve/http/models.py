"""Versions of the language model: which there are, what the gate said, which serves. For administrators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from instep.domain import ConfigError
from instep.serve.http.experiments import Nothing
from instep.serve.http.problems import Refusal
from instep.serve.http.routes import Request, Route
from instep.serve.models import ModelList, Models, VersionReport
from instep.tune.registry import UnknownVersion

if TYPE_CHECKING:
    from instep.serve.http.service import Service

T = TypeVar("T")


class Promote(msgspec.Struct, forbid_unknown_fields=True):
    """Whether it is promoted although the gate refused it or was not asked."""

    anyway: bool = False


async def list_models(service: Service, request: Request) -> ModelList:
    """All versions of the language model, the newest first, and which of them serves."""
    if service.models is None:
        return ModelList("base", "base", [])
    return await _done(service.models.list)


async def get_model(service: Service, request: Request) -> VersionReport:
    """One version: what it was trained on, its loss curve, the numbers of the gate and of live traffic."""
    name = request.names[0]
    return await _done(lambda: _of(service).show(name))


async def promote_model(service: Service, request: Request) -> ModelList:
    """Make a version serve, or `base` for the configured encoder.

    The catalogue is read in the background; requests see the new one when all of it is. 409 when it may not serve.
    """
    name, anyway = request.names[0], request.body.anyway
    return await _done(lambda: _of(service).promote(name, anyway))


async def roll_back_model(service: Service, request: Request) -> ModelList:
    """Make the version serve that served before. 409 when there is none, or it may not serve any more."""
    return await _done(lambda: _of(service).roll_back())


def _of(service: Service) -> Models:
    if service.models is None:
        raise UnknownVersion("this service has no folder, hence no versions of the language model")
    return service.models


async def _done(act: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(act)
    except UnknownVersion as error:
        raise Refusal(404, str(error)) from None
    except ConfigError as error:
        raise Refusal(409, str(error)) from None


_ONE: Final = "/v1/models/{version}"

ROUTES: Final = (
    Route("GET", "/v1/models", list_models, "admin", ModelList, problems=(409,)),
    Route(
        "POST",
        "/v1/models/rollback",
        roll_back_model,
        "admin",
        ModelList,
        body=(Nothing,),
        problems=(404, 409),
    ),
    Route("GET", _ONE, get_model, "admin", VersionReport, problems=(404, 409)),
    Route("POST", _ONE + "/promote", promote_model, "admin", ModelList, body=(Promote,), problems=(404, 409)),
)
