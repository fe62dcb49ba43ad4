"""The OpenAPI document, made from the very structs that decode and encode, and a page that shows it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from http import HTTPStatus
from inspect import getdoc
from typing import Any, Final

import msgspec

from instep.serve.http.problems import TITLES, Problem
from instep.serve.http.routes import Route

_REF: Final = "#/components/schemas/{name}"
_CODE: Final = re.compile("`([^`]+)`")
Json = dict[str, Any]


def document(routes: Sequence[Route], version: str) -> Json:
    """The OpenAPI 3.1 document of these routes.

    Args:
        routes: what the service answers to; those without a struct or media type of their own are left out.
        version: of the service.

    Returns:
        The document, ready to be encoded.
    """
    shown = [route for route in routes if route.path.startswith(("/v1/", "/health/", "/metrics"))]
    schemas = _Schemas(shown)
    paths: Json = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Instep",
            "version": version,
            "description": "A recommender in step with its users: every event changes what comes next.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """JSON Schemas of all structs of the routes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        types: list[Any] = [Problem]
        for route in routes:
            types += [*route.body, *([route.answer] if route.answer else [])]
        schemas, self.components = msgspec.json.schema_components(types, ref_template=_REF)
        self._of = dict(zip(map(repr, types), schemas, strict=True))

    def of(self, type_: Any) -> Json:
        return self._of[repr(type_)]


def _operation(route: Route, schemas: _Schemas) -> Json:
    summary, _, description = (getdoc(route.handler) or "").partition("\n\n")
    operation: Json = {
        "operationId": route.handler.__name__,
        "summary": " ".join(summary.split()),
        "tags": [route.path.split("/")[2] if route.path.startswith("/v1/") else "operation"],
        "parameters": _path_parameters(route) + _query_parameters(route),
        "responses": _responses(route, schemas),
        # {} says that no key will do too: a service on loopback may have none.
        "security": [{"key": []}, {}] if route.scope else [],
    }
    if description:
        operation["description"] = " ".join(description.split())
    if route.scope:
        operation["description"] = f"{operation.get('description', '')} Scope: `{route.scope}`.".strip()
    if route.body:
        choices = [schemas.of(type_) for type_ in route.body]
        schema = choices[0] if len(choices) == 1 else {"anyOf": choices}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _path_parameters(route: Route) -> list[Json]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    schema = {"type": "string", "minLength": 1, "maxLength": 256}
    about = "percent-encoded: a slash in an id is written %2F"
    return [
        {"name": name, "in": "path", "required": True, "schema": schema, "description": about}
        for name in names
    ]


def _query_parameters(route: Route) -> list[Json]:
    if route.query is None:
        return []
    ((_,), components) = msgspec.json.schema_components([route.query], ref_template=_REF)
    schema = components[route.query.__name__]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(of_field)}
        for name, of_field in schema["properties"].items()
    ]


def _without_null(schema: Json) -> Json:
    """The schema of a query parameter: it cannot be null, only absent."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    return choices[0] if len(choices) == 1 else schema


def _responses(route: Route, schemas: _Schemas) -> Json:
    schema = schemas.of(route.answer) if route.answer else {"type": "string"}
    responses: Json = {
        "200": {"description": "done", "content": {route.media_type: {"schema": schema}}},
    }
    statuses = {400, 421, 403, *route.problems}
    if route.scope:
        statuses |= {401, 422, 429, 503}
    if route.body:
        statuses |= {408, 413, 415}
    problem = {"application/problem+json": {"schema": schemas.of(Problem)}}
    for status in sorted(statuses):
        title = TITLES.get(status) or HTTPStatus(status).phrase
        responses[str(status)] = {"description": title, "content": problem}
    return responses


_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { padding: .75rem 1rem; background: #8881; border-radius: 6px; overflow-x: auto }
h2 { margin-top: 3rem; text-transform: capitalize } h3 { margin: 2rem 0 .25rem }
b { display: inline-block; min-width: 4.5rem } table { border-collapse: collapse }
td, th { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; border-top: 1px solid #8884 }
"""

DOCS_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + b64encode(sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def page(openapi: Json) -> bytes:
    """The document as one page of HTML that needs no script and nothing from elsewhere.

    Args:
        openapi: what `document` returned.

    Returns:
        The page as UTF-8.
    """
    tags: dict[str, list[str]] = {}
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            tags.setdefault(operation["tags"][0], []).append(_section(method, path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in tags.items())
    schemas = "".join(_schema(name, schema) for name, schema in openapi["components"]["schemas"].items())
    info = openapi["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{info["title"]} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{info['title']} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['description'])}</p>"
        '<p>Machines read <a href="openapi.json">openapi.json</a>. Errors are problem documents (RFC 9457) '
        "that name the field. A service that other machines can reach wants "
        "<code>Authorization: Bearer KEY</code>.</p>"
        f"{sections}<h2>Schemas</h2>{schemas}"
    ).encode()


def _section(method: str, path: str, operation: Json) -> str:
    rows = [(p["name"], p["schema"], p["required"], p["in"]) for p in operation["parameters"]]
    table = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{_kind(schema)}<td>{where}{', required' if required else ''}"
        for name, schema, required, where in rows
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    reads = f"<p>Body: {_kind(body)}</p>" if body else ""
    ((_, answer),) = operation["responses"]["200"]["content"].items()
    return (
        f"<h3><b>{method.upper()}</b> <code>{escape(path)}</code></h3><p>{_prose(operation['summary'])} "
        f"{_prose(operation.get('description', ''))}</p>{f'<table>{table}</table>' if table else ''}{reads}"
        f"<p>Answer: {_kind(answer['schema'])}</p>"
    )


def _schema(name: str, schema: Json) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{' *' if field in required else ''}<td>{_kind(of_field)}"
        f"<td>{_prose(_about(of_field))}"
        for field, of_field in schema.get("properties", {}).items()
    )
    return (
        f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{_prose(schema.get("description", ""))}</p>'
        f"<table>{rows}</table>"
    )


def _prose(text: str) -> str:
    """Text as HTML, what stands between backticks as code.

    >>> _prose("`n` < 3")
    '<code>n</code> &lt; 3'
    """
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _about(schema: Json) -> str:
    choices = [choice.get("description", "") for choice in schema.get("anyOf", ())]
    return str(schema.get("description") or ", or ".join(choice for choice in choices if choice))


def _kind(schema: Json) -> str:
    """A schema in a few words of HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    words = str(schema.get("format") or schema.get("type") or "anything")
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return escape(" ".join([words, *bounds]))
