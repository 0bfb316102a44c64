"""Revoked means gone: whatever a right came from, when that ends, its open sockets end within a second.

Others on the same document notice nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.web.asking import ask, content, token
from tests.web.people import World, bearer
from tests.web.town import PASSWORD, Person

NULL = Origin("null")
AT_ONCE = 1.0
"""Seconds."""
PATIENCE = 10
"""Seconds after which a socket will never close."""


@contextmanager
def program(world: World, document: str, key: str) -> Iterator[ClientConnection]:
    """The socket of a program."""
    url = f"ws://localhost:{world.port}/bokeh/doc/{document}/ws"
    with connect(url, additional_headers=[bearer(key)], subprotocols=[Subprotocol("bokeh")], proxy=None) as socket:
        assert json.loads(socket.recv(10))["msgtype"] == "ACK"
        yield socket


@contextmanager
def page(world: World, document: str, shown: tuple[str, str] | None, query: str = "") -> Iterator[ClientConnection]:
    """The socket of a page, opened with a ticket."""
    ticket = ask(world.port, "POST", f"/bokeh/doc/{document}/ticket{query}", [shown] if shown else []).json["ticket"]
    url = f"ws://localhost:{world.port}/bokeh/ws/{document}"
    protocols = [Subprotocol("bokeh"), Subprotocol(token(document, ticket))]
    with connect(url, origin=NULL, subprotocols=protocols, proxy=None) as socket:
        assert json.loads(socket.recv(10))["msgtype"] == "ACK"
        yield socket


def closed(socket: ClientConnection) -> tuple[int, str, float]:
    """Close code and reason, and the seconds that it took."""
    begin = time.monotonic()
    with suppress(ConnectionClosed):
        while True:
            socket.recv(PATIENCE)
    return socket.close_code or 0, socket.close_reason or "", time.monotonic() - begin


def is_open(socket: ClientConnection) -> bool:
    """Whether the server still answers."""
    for part in ('{"msgid":"1","msgtype":"SERVER-INFO-REQ"}', "{}", "{}"):
        socket.send(part)
    while json.loads(socket.recv(10)).get("msgtype") != "SERVER-INFO-REPLY":
        pass
    return True


def cookie(world: World, user: str) -> tuple[str, str]:
    """A browser that logs in."""
    (shown,) = world.town.browser(user).headers
    return shown


def send(world: World, shown: tuple[str, str], method: str, path: str, body: Any = None) -> None:
    """A request that must work."""
    assert Person(world.port, headers=(shown,))(method, path, body).status == 204


def ends_at_once(*sockets: ClientConnection) -> None:
    """All are shown the door in time."""
    for socket in sockets:
        code, reason, seconds = closed(socket)
        assert (code, reason) == (1008, "revoked")
        assert seconds < AT_ONCE


def test_a_token_that_is_revoked(world: World) -> None:
    document = world.new_document()
    key, id = world.new_token("eva")
    with program(world, document, key) as his, program(world, document, world.keys["eva"]) as other:
        world.call("eva", "DELETE", f"/api/v1/account/tokens/{id}")
        ends_at_once(his)
        assert is_open(other)


def test_a_program_that_logs_out(world: World) -> None:
    document = world.new_document()
    key, _ = world.new_token("ben")
    with program(world, document, key) as his:
        send(world, bearer(key), "DELETE", "/api/v1/account/login")
        ends_at_once(his)


def test_a_browser_that_logs_out(world: World) -> None:
    document = world.new_document()
    here, there = cookie(world, "ben"), cookie(world, "ben")
    with page(world, document, here) as his, page(world, document, there) as other:
        send(world, here, "DELETE", "/api/v1/account/login")
        ends_at_once(his)
        assert is_open(other)


def test_a_user_who_logs_out_everywhere(world: World) -> None:
    document = world.new_document()
    here, there = cookie(world, "eva"), cookie(world, "eva")
    with page(world, document, here) as one, page(world, document, there) as two:
        send(world, here, "DELETE", "/api/v1/account/logins")
        ends_at_once(one, two)


def test_a_changed_password(world: World) -> None:
    document = world.new_document()
    here, there = cookie(world, "ben"), cookie(world, "ben")
    with page(world, document, here) as his, page(world, document, there) as other:
        send(world, here, "PUT", "/api/v1/account/password", {"old": PASSWORD, "new": PASSWORD})
        ends_at_once(other)
        assert is_open(his)


def test_a_password_that_an_administrator_gives(world: World) -> None:
    document, person = world.new_document(), world.town.person()
    world.call("anna", "PUT", f"/api/v1/documents/{document}/grants/{person.name}", {"role": "viewer"})
    job = person.token("read")
    with page(world, document, cookie(world, person.name)) as his, program(world, document, job.key) as too:
        world.call("root", "PATCH", f"/api/v1/users/{person.name}", {"password": PASSWORD})
        ends_at_once(his, too)


def test_a_disabled_user(world: World) -> None:
    document = world.new_document()
    world.call("anna", "PUT", f"/api/v1/documents/{document}/grants/sam", {"role": "viewer"})
    key, _ = world.new_token("sam")
    try:
        with page(world, document, cookie(world, "sam")) as his, program(world, document, key) as too:
            world.call("root", "PATCH", "/api/v1/users/sam", {"disabled": True})
            ends_at_once(his, too)
    finally:
        world.call("root", "PATCH", "/api/v1/users/sam", {"disabled": False})


def test_what_a_disabled_user_has_shown_to_others_than_named_users(world: World) -> None:
    document = world.call("sam", "PUT", "/api/v1/documents/shown", content())["id"]
    place = f"/api/v1/documents/{document}"
    world.call("sam", "PUT", f"{place}/published")
    world.call("sam", "PUT", f"{place}/grants/ben", {"role": "viewer"})
    key = world.call("sam", "POST", f"{place}/links", {"role": "editor"})["url"].partition("#")[2]
    by_link = world.town.visitor(key)
    (opened,) = by_link.headers
    changed = ("PUT", f"{place}/models/d1/text", "mine")
    try:
        with (
            page(world, document, opened) as editor,
            page(world, document, None, "?public=true") as visitor,
            program(world, document, world.keys["ben"]) as named,
        ):
            world.call("root", "PATCH", "/api/v1/users/sam", {"disabled": True})
            ends_at_once(editor, visitor)
            assert is_open(named)
        assert by_link(*changed).status == 404
        assert world.town.nobody("POST", "/bokeh/link", {"key": key}).status == 404
        assert world.town.nobody("GET", f"/bokeh/doc/{document}?public=true").status == 404
    finally:
        world.call("root", "PATCH", "/api/v1/users/sam", {"disabled": False})
    assert world.town.nobody("GET", f"/bokeh/doc/{document}?public=true").status == 200
    assert by_link(*changed).status == 200


def test_a_grant_that_is_taken_back(world: World) -> None:
    document = world.new_document()
    with program(world, document, world.keys["ben"]) as his, program(world, document, world.keys["eva"]) as other:
        world.call("anna", "DELETE", f"/api/v1/documents/{document}/grants/ben")
        ends_at_once(his)
        assert is_open(other)


def test_an_editor_who_becomes_a_viewer_comes_back_as_one(world: World) -> None:
    document = world.new_document()
    with program(world, document, world.keys["eva"]) as his:
        world.call("anna", "PUT", f"/api/v1/documents/{document}/grants/eva", {"role": "viewer"})
        code, reason, seconds = closed(his)
    assert (code, reason) == (1012, "rights")
    assert seconds < AT_ONCE


@pytest.mark.parametrize("way", ["switched off", "removed", "ended"])
def test_a_link(world: World, way: str) -> None:
    document = world.new_document()
    life = {"seconds": 1.5} if way == "ended" else {}
    made = world.call("anna", "POST", f"/api/v1/documents/{document}/links", life)
    (opened,) = world.town.visitor(made["url"].partition("#")[2]).headers
    place = f"/api/v1/documents/{document}/links/{made['id']}"
    with page(world, document, opened) as his, program(world, document, world.keys["anna"]) as other:
        if way == "switched off":
            world.call("anna", "PATCH", place, {"enabled": False})
        elif way == "removed":
            world.call("anna", "DELETE", place)
        code, reason, seconds = closed(his)
        assert (code, reason) == (1008, "revoked")
        assert seconds < AT_ONCE + (2.5 if way == "ended" else 0.0)
        assert is_open(other)


def test_a_document_that_is_no_longer_published(world: World) -> None:
    document = world.new_document()
    world.call("anna", "PUT", f"/api/v1/documents/{document}/published")
    with page(world, document, None, "?public=true") as visitor, page(world, document, None) as stranger:
        world.call("anna", "DELETE", f"/api/v1/documents/{document}/published")
        ends_at_once(visitor, stranger)


def test_a_token_whose_time_is_over(world: World) -> None:
    document = world.new_document()
    body = {"name": "short", "scopes": ["read"], "seconds": 1.5}
    key = world.call("ben", "POST", "/api/v1/account/tokens", body)["token"]
    with program(world, document, key) as his:
        code, reason, _ = closed(his)
    assert (code, reason) == (1008, "revoked")


def test_a_ticket_that_was_fetched_before(world: World) -> None:
    document = world.new_document()
    here = cookie(world, "ben")
    ticket = ask(world.port, "POST", f"/bokeh/doc/{document}/ticket", [here]).json["ticket"]
    send(world, here, "DELETE", "/api/v1/account/login")
    url = f"ws://localhost:{world.port}/bokeh/ws/{document}"
    protocols = [Subprotocol("bokeh"), Subprotocol(token(document, ticket))]
    with connect(url, origin=NULL, subprotocols=protocols, proxy=None) as socket:
        ends_at_once(socket)


def test_the_board_of_a_user_who_logs_out(world: World) -> None:
    here = cookie(world, "ben")
    own, url = Origin(f"http://localhost:{world.port}"), f"ws://localhost:{world.port}/bokeh/board"
    with connect(url, origin=own, additional_headers=[here], proxy=None) as board:
        send(world, here, "DELETE", "/api/v1/account/login")
        ends_at_once(board)
