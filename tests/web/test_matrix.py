"""Who may do what over which route: every route × every kind of actor, against ``matrix.csv``, written by hand.

The document belongs to anna. *viewer* and *editor* have grants, *streamer* comes with a token of anna's that is good
for nothing but streaming, *revoked* with one that she has revoked, *administrator* is one, *stranger* has an account
and nothing to do with the document, *other* has no account and has opened a link to another document, or holds a ticket
to that. Each comes to a fresh document. A cell is the HTTP status (101: the socket opens). To a stranger the id of a
document is nothing but a title, under which he may put one of his own.
"""

from __future__ import annotations

import csv
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from bokeh_server.web.routes import ROUTES
from tests.web.asking import ask, content, handshake, token
from tests.web.people import JSON, USERS, World, bearer
from tests.web.town import PASSWORD

ROWS = list(csv.DictReader((Path(__file__).with_name("matrix.csv")).read_text().splitlines()))
ACTORS = [name for name in ROWS[0] if name not in ("method", "path")]


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert [(row["method"], row["path"]) for row in ROWS] == [(route.method, route.path) for route in ROUTES]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['method']} {row['path']}")
def test_the_matrix(world: World, row: dict[str, str]) -> None:
    expected = {actor: int(row[actor]) for actor in ACTORS}
    assert {actor: status(world, row["method"], row["path"], actor) for actor in ACTORS} == expected


def status(world: World, method: str, path: str, actor: str) -> int:
    """How the actor is answered."""
    document = world.new_document()
    headers = world.headers(actor)
    place = address(world, path, document)
    if path == "/bokeh/ws/{document}":
        return frame_socket(world, document, actor, headers)
    if method == "WEBSOCKET":
        own = [("Origin", f"http://localhost:{world.port}")] if "board" in path else []
        return handshake(world.port, place, [*headers, *own])
    if "frame" in path:
        headers += [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
    body = body_for(world, method, path, actor, document)
    return ask(world.port, method, place, [*headers, *([JSON] if body else [])], body).status


def frame_socket(world: World, document: str, actor: str, headers: list[tuple[str, str]]) -> int:
    """The frame's socket, with the ticket that the actor can get; *other* has one to another document."""
    ticketed = world.new_document() if actor == "other" else document
    headers = [bearer(world.keys["anna"])] if actor == "other" else headers
    answer = ask(world.port, "POST", f"/bokeh/doc/{ticketed}/ticket", headers)
    ticket = answer.json["ticket"] if answer.status == 200 else "none"
    protocols = ("Sec-WebSocket-Protocol", f"bokeh, {token(document, ticket)}")
    return handshake(world.port, f"/bokeh/ws/{document}", [("Origin", "null"), protocols])


def address(world: World, path: str, document: str) -> str:
    """An address of this route where there is something."""
    static = world.static["app" if "/app/" in path else "bokeh"]
    parts = {"document": document, "name": document, "model": "s1", "property": "value", "source": "c1", "user": "ben"}
    if "{link}" in path:
        parts["link"] = world.new_link(document)[1]
    if "{token}" in path:
        parts["token"] = world.new_token("anna")[1]
    if "{invitation}" in path:
        world.call("root", "POST", "/api/v1/invitations", {})
        parts["invitation"] = world.call("root", "GET", "/api/v1/invitations")[0]["id"]
    return path.replace("{path:path}", "{path}").format(**parts, version=static[0], path=static[1], login="none")


def body_for(world: World, method: str, path: str, actor: str, document: str) -> bytes | None:
    """What is sent."""
    name = USERS.get(actor, "anna")
    bodies: dict[str, Any] = {
        "/login": {"username": "sam", "password": PASSWORD},
        "/register": {"username": "new", "password": PASSWORD},
        "/link": {"key": world.new_link(document)[0]} if path == "/bokeh/link" else None,
        "/password": {"old": PASSWORD, "new": PASSWORD},
        "/tokens": {"name": "t", "scopes": ["read"]},
        "/users": {"username": f"u{secrets.token_hex(4)}", "password": PASSWORD},
        "/users/{user}": {"admin": False},
        "/invitations": {},
        "/grants/{user}": {"role": "viewer"},
        "/links": {},
        "/links/{link}": {"enabled": False},
        "/documents": {"title": secrets.token_hex(8)},
        "/{property}": 7,
        "/rows": {"t": 3.5, "n": 3, "who": name},
    }
    if method in ("GET", "DELETE") or path.endswith(("/published", "/ticket")):
        return None
    if path.endswith("/documents/{name}"):
        return content() if method == "PUT" else json.dumps({"title": secrets.token_hex(8)}).encode()
    return json.dumps(next(body for end, body in bodies.items() if path.endswith(end))).encode()
