"""Experiments and models of a service that runs, over its HTTP API: what the command line uses beside a folder."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import quote

import msgspec

from instep.domain import ConfigError, Experiment, InvalidRequest
from instep.experiment import Report
from instep.serve.http.experiments import ReportList
from instep.serve.http.problems import Problem
from instep.serve.models import ModelList, VersionReport

SECONDS: Final = 30.0


class Remote:
    """A part of a service's API.

    Args:
        address: ``http://127.0.0.1:8080``.
        key: an API key of scope ``admin``; "" where none is needed.
    """

    root = ""

    def __init__(self, address: str, key: str = "") -> None:
        self._address = address.rstrip("/")
        self._key = key

    def _call(self, method: str, path: str, body: Any) -> bytes:
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        data = None if body is None else msgspec.json.encode(body)
        if data is not None:
            headers["content-type"] = "application/json"
        address = f"{self._address}{self.root}{path}"
        try:
            request = urllib.request.Request(address, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise ConfigError(f"{self._address}: cannot be asked: {reason}") from None


class RemoteExperiments(Remote):
    """The same verbs as `Experiments`, for a service at an address (see `Remote`)."""

    root = "/v1/experiments"

    def launch(self, definition: Experiment) -> Report:
        """See `Experiments.launch`."""
        return self._report("POST", "", definition)

    def stop(self, name: str, reason: str = "") -> Report:
        """See `Experiments.stop`."""
        return self._report("POST", f"/{quote(name, '')}/stop", {"reason": reason})

    def promote(self, name: str, arm: str) -> Report:
        """See `Experiments.promote`."""
        return self._report("POST", f"/{quote(name, '')}/promote", {"arm": arm})

    def roll_back(self, name: str) -> Report:
        """See `Experiments.roll_back`."""
        return self._report("POST", f"/{quote(name, '')}/rollback", {})

    def report(self, name: str) -> Report:
        """See `Experiments.report`."""
        return self._report("GET", f"/{quote(name, '')}")

    def reports(self) -> list[Report]:
        """See `Experiments.reports`."""
        return msgspec.json.decode(self._call("GET", "", None), type=ReportList).experiments

    def _report(self, method: str, path: str, body: Any = None) -> Report:
        return msgspec.json.decode(self._call(method, path, body), type=Report)


class RemoteModels(Remote):
    """The same verbs as `Models`, for a service at an address (see `Remote`)."""

    root = "/v1/models"

    def list(self) -> ModelList:
        """See `Models.list`."""
        return msgspec.json.decode(self._call("GET", "", None), type=ModelList)

    def show(self, name: str) -> VersionReport:
        """See `Models.show`."""
        return msgspec.json.decode(self._call("GET", f"/{quote(name, '')}", None), type=VersionReport)

    def promote(self, name: str, anyway: bool = False) -> ModelList:
        """See `Models.promote`."""
        path = f"/{quote(name or 'base', '')}/promote"
        return msgspec.json.decode(self._call("POST", path, {"anyway": anyway}), type=ModelList)

    def roll_back(self) -> ModelList:
        """See `Models.roll_back`."""
        return msgspec.json.decode(self._call("POST", "/rollback", {}), type=ModelList)


def _refused(error: urllib.error.HTTPError) -> ConfigError | InvalidRequest:
    try:
        problem = msgspec.json.decode(error.read(), type=Problem)
    except msgspec.DecodeError:
        return ConfigError(f"{error.url}: answered {error.code} {error.reason}; is it an Instep service?")
    if problem.status == 422:
        return InvalidRequest(problem.detail, problem.field)
    way_out = " (--key-file names a file with a key of scope admin)" if problem.status in (401, 403) else ""
    return ConfigError(f"{problem.title}: {problem.detail}{way_out}")
