"""The table of routes fails closed: no row without its action, no two rows of one address."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from bokeh_server.adapters.asgi import create_app
from bokeh_server.core.authorise import ON_DOCUMENTS, Action
from bokeh_server.errors import BadValue, MethodNotAllowed, NotFound
from bokeh_server.web import embed
from bokeh_server.web.guard import Guard
from bokeh_server.web.routes import ROUTES, Route, Table
from tests.web.asking import call


@pytest.mark.parametrize("action", [None, "", "view", "publik"])
def test_a_route_that_does_not_state_its_action_stops_the_server_from_starting(action: Any) -> None:
    with pytest.raises(ValueError, match="does not state its action"):
        Table([replace(ROUTES[0], action=action)])


def test_a_route_can_not_be_written_without_its_action_or_its_rule_for_origins() -> None:
    with pytest.raises(TypeError):
        Route("GET", "/x", handler=ROUTES[0].handler)  # type: ignore[call-arg]


def test_two_routes_of_one_method_and_path_stop_the_server_from_starting() -> None:
    with pytest.raises(ValueError, match="same method and path"):
        Table([ROUTES[0], replace(ROUTES[0], action=Action.PUBLIC)])


def test_an_origin_rule_that_nobody_wrote_lets_nothing_pass() -> None:
    """As a new kind of place would be, of which the guard has not heard."""

    async def main() -> int:
        app = create_app()
        app._guard = Guard(app.site, Table([replace(ROUTES[0], origin=cast(Any, "everywhere"))]))
        return (await call(app, "GET", "/")).status

    assert asyncio.run(main()) == 403


def test_what_concerns_a_document_names_it_in_its_path() -> None:
    for route in ROUTES:
        named = "{document}" in route.path or "{name}" in route.path
        assert named or route.action not in ON_DOCUMENTS, route.path
    public = {route.path for route in ROUTES if route.action is Action.PUBLIC and route.handler is not embed.preflight}
    assert {path for path in public if "{document}" in path or "{name}" in path} == {"/bokeh/ws/{document}"}, (
        "only the frame's socket is public, since its ticket names the document"
    )


def test_the_table_finds_routes_and_says_what_is_wrong_otherwise() -> None:
    table = Table()
    route, parts = table.match("GET", "/api/v1/documents/a%20b/models/m/value")
    assert (route.path, parts) == (
        "/api/v1/documents/{name}/models/{model}/{property}",
        {"name": "a%20b", "model": "m", "property": "value"},
    )
    assert table.match("HEAD", "/bokeh/ping")[0].path == "/bokeh/ping"
    assert table.match("GET", "/static/bokeh/3.9.2/js/bokeh.min.js")[1]["path"] == "js/bokeh.min.js"
    with pytest.raises(NotFound):
        table.match("GET", "/nothing")
    with pytest.raises(NotFound):
        table.match("GET", "/bokeh/ws/document")
    with pytest.raises(MethodNotAllowed):
        table.match("POST", "/bokeh/ping")
    with pytest.raises(MethodNotAllowed):
        table.match("WEBSOCKET", "/bokeh/ping")
    with pytest.raises(BadValue):
        table.match("GET", "/bokeh/p%69ng")


def test_every_route_says_in_a_sentence_what_it_does() -> None:
    for route in ROUTES:
        assert route.summary.endswith("."), route.path
