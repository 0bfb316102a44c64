"""Who may do what over which route: every route × every kind of actor, against ``matrix.csv``, written by hand.

The document belongs to anna. *viewer* and *editor* have grants, *streamer* comes with a token of anna's that is good
for nothing but streaming, *revoked* with one that she has revoked, *administrator* is one, *stranger* has an account
and nothing to do with the document, *other* has no account and has opened a link to another document, or holds a ticket
to that. Each comes to a fresh document. A cell is the HTTP status (101: the socket opens).
"""

from __future__ import annotations

import csv
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bokeh_server.web.routes import ROUTES
from tests.running import RunningServer
from tests.web.asking import Answer, ask, content, handshake, token

PASSWORD = "correct horse battery"
USERS = {"owner": "anna", "viewer": "ben", "editor": "eva", "stranger": "sam", "administrator": "root"}
ROWS = list(csv.DictReader((Path(__file__).with_name("matrix.csv")).read_text().splitlines()))
ACTORS = [name for name in ROWS[0] if name not in ("method", "path")]
JSON = ("Content-Type", "application/json")


@dataclass
class World:
    """A server with all these people, and the keys of each."""

    port: int
    keys: dict[str, str]
    static: dict[str, tuple[str, str]]

    def call(self, user: str, method: str, path: str, body: Any = None) -> Any:
        """The answer to something that this user may do."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = ask(self.port, method, path, [bearer(self.keys[user]), JSON], data)
        assert answer.status < 300, answer
        return answer.json if answer.body else None

    def new_token(self, user: str, *scopes: str) -> tuple[str, str]:
        """Text and id of a token."""
        wanted = scopes or ("read", "stream", "write", "manage")
        made = self.call(user, "POST", "/api/v1/account/tokens", {"name": "t", "scopes": wanted, "seconds": 600})
        return made["token"], made["id"]

    def new_document(self) -> str:
        """A document of anna's, shared with ben and eva."""
        title = secrets.token_hex(8)
        document: str = self.call("anna", "PUT", f"/api/v1/documents/{title}", content())["id"]
        for user, role in (("ben", "viewer"), ("eva", "editor")):
            self.call("anna", "PUT", f"/api/v1/documents/{document}/grants/{user}", {"role": role})
        return document

    def new_link(self, document: str) -> tuple[str, str]:
        """Key and id of a link."""
        made = self.call("anna", "POST", f"/api/v1/documents/{document}/links", {})
        return made["url"].rpartition("#")[2], made["id"]

    def headers(self, actor: str) -> list[tuple[str, str]]:
        """What an actor shows."""
        match actor:
            case "anonymous":
                return []
            case "streamer":
                return [bearer(self.new_token("anna", "stream")[0])]
            case "revoked":
                text, id = self.new_token("anna")
                self.call("anna", "DELETE", f"/api/v1/account/tokens/{id}")
                return [bearer(text)]
            case "other":
                key, _ = self.new_link(self.new_document())
                opened = ask(self.port, "POST", "/bokeh/link", [JSON], json.dumps({"key": key}).encode())
                return [("Cookie", opened.headers["set-cookie"].partition(";")[0])]
        return [bearer(self.new_token(USERS[actor])[0])]


def bearer(text: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {text}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server with all these people."""
    with RunningServer(tmp_path_factory.mktemp("matrix") / "data", "-m") as server:
        told = server._process.stdout.readline()  # type: ignore[union-attr]
        found = re.search(r"#(bsi_\S+)", told)
        assert found, told
        first = {"username": "root", "password": PASSWORD, "invitation": found[1]}
        keys = {"root": json.loads(raw(server, "register", first).body)["token"]}
        made = World(server.port, keys, {})
        for user in USERS.values():
            if user != "root":
                made.call("root", "POST", "/api/v1/users", {"username": user, "password": PASSWORD})
                login = raw(server, "login", {"username": user, "password": PASSWORD}).json["token"]
                keys[user] = login
                keys[user], _ = made.new_token(user)  # one that no change of password ends
        keys["root"], _ = made.new_token("root")
        document = made.new_document()
        frame = [bearer(keys["anna"]), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
        page = ask(server.port, "GET", f"/bokeh/frame/{document}", frame).body.decode()
        for kind, file in (("app", r"frame\.js"), ("bokeh", r"js/bokeh\.min\.js")):
            place = re.search(rf"/static/{kind}/([\w.]+)/({file})", page)
            assert place
            made.static[kind] = (place[1], place[2])
        yield made


def raw(server: RunningServer, what: str, body: Any) -> Answer:
    """Log in or register."""
    return ask(server.port, "POST", f"/api/v1/{what}", [JSON], json.dumps(body).encode())


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
