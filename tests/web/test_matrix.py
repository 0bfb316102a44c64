"""Who may do what over which route: every route × every kind of actor, against tables that are written by hand.

The document belongs to anna. *viewer* and *editor* have grants, *streamer* comes with a token of anna's that is good
for nothing but streaming, *revoked* with one that she has revoked, *elsewhere* with one that is good for another
document of hers; *browser* is the page in which anna has logged in, while the others show tokens; *administrator* is
one, *stranger* has an account and nothing to do with the document, *other* has no account and has opened a link to
another document, or holds a ticket to that. Who may change things comes to a fresh document. To a stranger the id of a
document is nothing but a title, under which he may put one of his own.

- ``matrix.csv``: every route. A cell is the HTTP status (101: the socket opens).
- ``published.csv``: the public view (``?public=true``) of a published document, over every route of a document.
- ``sockets.csv``: each message over a program's socket. A cell is what comes of it (the document is *shown* or
  *changed*, or the message is *taken*), the code of an error, or the status of a handshake that is refused.
"""

from __future__ import annotations

import csv
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bokeh_server.web.routes import ROUTES
from tests.web.asking import ask, content, handshake, token
from tests.web.people import JSON, USERS, World, bearer
from tests.web.town import PASSWORD, receive, send

Row = dict[str, str]


def table(name: str) -> list[Row]:
    """A table of this folder."""
    return list(csv.DictReader((Path(__file__).with_name(name)).read_text().splitlines()))


ROWS, PUBLISHED, MESSAGES = table("matrix.csv"), table("published.csv"), table("sockets.csv")
ACTORS = [name for name in ROWS[0] if name not in ("method", "path")]
PUBLIC = "?public=true"


def name_of(row: Row) -> str:
    """The id of a row's test."""
    return f"{row['method']} {row['path']}"


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert [(row["method"], row["path"]) for row in ROWS] == [(route.method, route.path) for route in ROUTES]
    of_documents = [route for route in ROUTES if "{document}" in route.path or "{name}" in route.path]
    assert [(row["method"], row["path"]) for row in PUBLISHED] == [(route.method, route.path) for route in of_documents]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_the_matrix(world: World, row: Row) -> None:
    expected = {actor: int(row[actor]) for actor in ACTORS}
    assert {actor: status(world, row["method"], row["path"], actor) for actor in ACTORS} == expected


@pytest.mark.parametrize("row", PUBLISHED, ids=name_of)
def test_the_public_view_of_a_published_document(world: World, row: Row) -> None:
    expected = {actor: int(row[actor]) for actor in ACTORS}
    found = {actor: status(world, row["method"], row["path"], actor, public=True) for actor in ACTORS}
    assert found == expected


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row["message"])
def test_what_is_sent_over_a_socket(world: World, row: Row) -> None:
    expected = {actor: row[actor] for actor in ACTORS}
    assert {actor: answer_to(world, row["message"], actor) for actor in ACTORS} == expected


def status(world: World, method: str, path: str, actor: str, *, public: bool = False) -> int:
    """How the actor is answered."""
    changes = method not in ("GET", "WEBSOCKET") or path.endswith("/rows")
    document = world.new_document() if changes else world.shown(published=public)
    headers = world.headers(actor) if "account" in path else world.known(actor)
    if public and changes:
        world.call("anna", "PUT", f"/api/v1/documents/{document}/published")
    place = address(world, path, document) + (PUBLIC if public else "")
    if path == "/bokeh/ws/{document}":
        return frame_socket(world, document, actor, headers, PUBLIC if public else "")
    if method == "WEBSOCKET":
        own = [("Origin", f"http://localhost:{world.port}")] if "board" in path else []
        return handshake(world.port, place, [*headers, *own])
    if "frame" in path:
        headers += [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
    body = body_for(world, method, path, actor, document, place)
    return ask(world.port, method, place, [*headers, *([JSON] if body else [])], body).status


def answer_to(world: World, message: str, actor: str) -> str:
    """What comes of a message over a program's socket: the code of an error, or what the document's owner finds."""
    document = world.new_document()
    before = world.call("anna", "GET", f"/api/v1/documents/{document}")
    url = f"ws://localhost:{world.port}/bokeh/doc/{document}/ws"
    try:
        with connect(url, additional_headers=dict(world.known(actor)), compression=None) as client:
            send(client, *SENT[message])
            send(client, "SERVER-INFO-REQ")  # its answer comes after those to what was sent before
            answer = receive(client, "ERROR", "PULL-DOC-REPLY", "SERVER-INFO-REPLY")
    except InvalidStatus as error:
        return str(error.response.status_code)
    if "code" in answer:
        return str(answer["code"])
    changed = world.call("anna", "GET", f"/api/v1/documents/{document}") != before
    return "shown" if "doc" in answer else "changed" if changed else "taken"


def frame_socket(world: World, document: str, actor: str, headers: list[tuple[str, str]], query: str) -> int:
    """The frame's socket, with the ticket that the actor can get; *other* has one to another document."""
    ticketed = world.new_document() if actor == "other" else document
    headers, query = ([bearer(world.keys["anna"])], "") if actor == "other" else (headers, query)
    answer = ask(world.port, "POST", f"/bokeh/doc/{ticketed}/ticket{query}", headers)
    ticket = answer.json["ticket"] if answer.status == 200 else "none"
    protocols = ("Sec-WebSocket-Protocol", f"bokeh, {token(document, ticket)}")
    return handshake(world.port, f"/bokeh/ws/{document}", [("Origin", "null"), protocols])


SLIDER, SOURCE = {"model": {"id": "s1"}, "attr": "value"}, {"model": {"id": "c1"}, "attr": "data"}
ONE_ROW = {"type": "map", "entries": [["t", [3.5]], ["n", [3]], ["who", ["eva"]]]}
CLICK = {"type": "event", "name": "button_click", "values": {"type": "map", "entries": [["model", {"id": "s1"}]]}}
SENT: dict[str, tuple[str, Any]] = {
    "pull": ("PULL-DOC-REQ", None),
    "value": ("PATCH-DOC", {"events": [{"kind": "ModelChanged", **SLIDER, "new": 7}]}),
    "rows": ("PATCH-DOC", {"events": [{"kind": "ColumnsStreamed", **SOURCE, "data": ONE_ROW}]}),
    "cells": (
        "PATCH-DOC",
        {"events": [{"kind": "ColumnsPatched", **SOURCE, "patches": {"type": "map", "entries": [["n", [[0, 9]]]]}}]},
    ),
    "root": ("PATCH-DOC", {"events": [{"kind": "RootRemoved", "model": {"id": "d1"}}]}),
    "title": ("PATCH-DOC", {"events": [{"kind": "TitleChanged", "title": "new"}]}),
    "click": ("PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": CLICK}]}),
    "document": ("PUSH-DOC", {"doc": json.loads(content(value=9))}),
}


def address(world: World, path: str, document: str) -> str:
    """An address of this route where there is something."""
    static = world.static["app" if "/app/" in path else "bokeh"]
    parts = {"document": document, "name": document, "model": "s1", "property": "value", "source": "c1", "user": "ben"}
    if "linked" in path:
        parts["link"] = world.new_link(document, "https://intranet.example")[1]
    elif "{link}" in path:
        parts["link"] = world.new_link(document)[1]
    if "{token}" in path:
        parts["token"] = world.new_token("anna")[1]
    if "{invitation}" in path:
        world.call("root", "POST", "/api/v1/invitations", {})
        parts["invitation"] = world.call("root", "GET", "/api/v1/invitations")[0]["id"]
    return path.replace("{path:path}", "{path}").format(**parts, version=static[0], path=static[1], login="none")


def body_for(world: World, method: str, path: str, actor: str, document: str, place: str) -> bytes | None:
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
        "/retention": {"raw": 60},
        "/linked/{link}": {"key": world.links.get(place.rpartition("/")[2])},
        "/links": {},
        "/links/{link}": {"enabled": False},
        "/documents": {"title": secrets.token_hex(8)},
        "/{property}": 7,
        "/rows": {"t": 3.5, "n": 3, "who": name},
    }
    if method in ("GET", "DELETE", "OPTIONS") or path.endswith(("/published", "/ticket")):
        return None
    if path.endswith("/documents/{name}"):
        return content() if method == "PUT" else json.dumps({"title": secrets.token_hex(8)}).encode()
    return json.dumps(next(body for end, body in bodies.items() if path.endswith(end))).encode()
