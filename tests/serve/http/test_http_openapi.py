"""The OpenAPI document tells the truth: whatever it allows or forbids, the service answers as it says."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from instep.domain import Item
from instep.serve.http import ROUTES
from instep.serve.http.messages import ItemEntry, ItemFields
from instep.serve.http.openapi import document

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


schema = schemathesis.openapi.from_dict(document(ROUTES, "1"))


@schema.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_gets_an_error_of_the_service_or_an_answer_that_is_not_documented(
    case: Any, client: httpx.Client
) -> None:
    case.call_and_validate(base_url=str(client.base_url), checks=CHECKS)


def test_every_address_under_v1_is_documented_with_its_scope() -> None:
    paths = document(ROUTES, "1")["paths"]
    for route in ROUTES:
        if route.path.startswith("/v1/"):
            operation = paths[route.path][route.method.lower()]
            assert f"Scope: `{route.scope}`" in operation["description"]
            assert operation["summary"]


def test_the_documented_fields_of_an_item_are_those_of_an_item() -> None:
    fields = set(Item.__struct_fields__) - {"attributes"}
    assert set(ItemEntry.__struct_fields__) == fields
    assert set(ItemFields.__struct_fields__) == fields - {"item_id"}


def test_the_documentation_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs").text
    for mark in ("http://", "https://", "//cdn", "<script", "@import", "url("):
        assert mark not in page
    for route in ROUTES:
        if route.path.startswith("/v1/"):
            assert f"<b>{route.method}</b> <code>{route.path}</code>" in page
    assert msgspec.json.decode(client.get("/openapi.json").content)["openapi"] == "3.1.0"
