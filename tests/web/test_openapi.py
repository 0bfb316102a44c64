"""The description of the interface is valid OpenAPI 3.1, and it is complete."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from bokeh_server.adapters.asgi import create_app
from bokeh_server.core.authorise import Action
from bokeh_server.web.openapi import description
from bokeh_server.web.routes import ROUTES
from tests.web.asking import ask, call
from tests.web.conftest import Shared
from tests.web.town import Town, visit

API = [route for route in ROUTES if route.kind == "api"]


@pytest.fixture(scope="module")
def told(shared: Shared) -> Any:
    """What a running server tells."""
    return ask(shared.port, "GET", "/api/v1/openapi.json").json


def test_it_is_valid_openapi(told: Any) -> None:
    assert list(OpenAPIV31SpecValidator(told).iter_errors()) == []
    assert told["servers"] == [{"url": "/"}]
    assert description("1", "/plots")["servers"] == [{"url": "/plots"}]


def test_it_has_every_route_of_the_interface_and_no_other(told: Any) -> None:
    has = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert has == {(route.method, route.path) for route in API}
    names = [operation["operationId"] for methods in told["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names) == len(API)


@pytest.mark.parametrize("route", API, ids=lambda route: f"{route.method} {route.path}")
def test_every_operation_says_what_it_takes_and_gives(told: Any, route: Any) -> None:
    operation = told["paths"][route.path][route.method.lower()]
    assert operation["summary"] == route.summary
    shown = {scheme for way in operation["security"] for scheme in way}
    assert shown == (set() if route.action is Action.PUBLIC else set(told["components"]["securitySchemes"]))
    assert ({} in operation["security"]) is (route.action is Action.VIEW)
    in_path = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
    assert in_path == re.findall(r"\{(\w+)\}", route.path)
    bodyless = "ticket" in route.path or "published" in route.path
    assert ("requestBody" in operation) is (route.method in ("PUT", "PATCH", "POST") and not bodyless)
    assert "application/problem+json" in operation["responses"]["default"]["content"]


@pytest.mark.parametrize("route", [route for route in API if route.method == "GET"], ids=lambda route: route.path)
def test_what_is_answered_has_the_status_and_type_that_are_described(
    told: Any, shared: Shared, town: Town, route: Any
) -> None:
    parts = {"name": shared.document, "document": shared.document, "model": "speed", "property": "value"}
    answer = visit(route, route.path.format(**parts, user="root"), shared.port, town)
    described = told["paths"][route.path]["get"]["responses"][str(answer.status)]
    assert answer.headers["content-type"].partition(";")[0] in described["content"]


def test_not_being_ready_is_described_as_it_is_told(told: Any) -> None:
    answer = asyncio.run(call(create_app(), "GET", "/readyz"))
    assert answer.headers["content-type"] in told["paths"]["/readyz"]["get"]["responses"][str(answer.status)]["content"]


def test_what_the_server_says_of_a_document_is_what_is_described(told: Any, shared: Shared) -> None:
    schema = told["components"]["schemas"]["Document"]
    listed = ask(shared.port, "GET", f"/api/v1/documents/{shared.document}/info").json
    assert set(listed) == set(schema["required"]) == set(schema["properties"])
    kinds: dict[str, Any] = {"string": str, "number": (int, float), "integer": int, "boolean": bool}
    for name, described in schema["properties"].items():
        assert isinstance(listed[name], kinds[described["type"]]), name
        assert listed[name] in described.get("enum", [listed[name]])
    problem = ask(shared.port, "GET", "/api/v1/documents/none").json
    assert set(problem) == set(told["components"]["schemas"]["Problem"]["required"])
