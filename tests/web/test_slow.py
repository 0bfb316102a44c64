"""Who is slow, or sends more than anybody wants of him, gets nothing by it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from bokeh_server.limits import LIMITS
from tests.web.asking import ask, content, token
from tests.web.people import World, bearer
from tests.web.town import PASSWORD

SLOW, QUICK = 0.7, 0.1
"""Seconds that a body takes: longer than bodies do, and no longer."""


@contextmanager
def begun(world: World, key: str, method: str, path: str, body: Any) -> Iterator[Callable[..., int]]:
    """A request of which all but the last byte has come; sends that, and tells the status of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", f"Host: localhost:{world.port}", f"Authorization: Bearer {key}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(data)}", "", ""]
    with socket.create_connection(("127.0.0.1", world.port), timeout=30) as raw:
        raw.sendall("\r\n".join(head).encode() + data[:-1])

        def end(seconds: float = SLOW) -> int:
            time.sleep(seconds)
            raw.sendall(data[-1:])
            return int(raw.makefile("rb").readline().split()[1])

        yield end


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v1/account/tokens", {"name": "t", "scopes": ["read"]}, 401),
        ("PUT", "/api/v1/documents/{document}", content(), 401),
        ("PATCH", "/api/v1/documents/{document}", {"title": "another"}, 401),
        ("POST", "/api/v1/documents/{document}/links", {}, 401),
        ("PUT", "/api/v1/documents/{document}/grants/sam", {"role": "viewer"}, 401),
        ("POST", "/api/v1/documents/{document}/sources/readings/rows", {"t": 1.0, "n": 1, "who": "x"}, 401),
    ],
)
def test_a_body_that_ends_after_its_token_does_nothing(
    world: World, method: str, path: str, body: Any, status: int
) -> None:
    document = world.new_document()
    key, id = world.new_token("anna")
    with begun(world, key, method, path.format(document=document), body) as end:
        world.call("anna", "DELETE", f"/api/v1/account/tokens/{id}")
        assert end() == status
    assert world.call("anna", "GET", f"/api/v1/documents/{document}/links") == []


@pytest.mark.parametrize("seconds", [SLOW, QUICK])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("users", {"username": "backdoor", "password": PASSWORD, "admin": True}),
        ("invitations", {"admin": True}),
    ],
)
def test_an_administrator_who_is_none_any_more_lets_nobody_in(
    world: World, path: str, body: Any, seconds: float
) -> None:
    world.call("root", "PATCH", "/api/v1/users/sam", {"admin": True})
    before = world.call("root", "GET", f"/api/v1/{path}")
    with begun(world, world.keys["sam"], "POST", f"/api/v1/{path}", body) as end:
        time.sleep(QUICK)  # the server has read who it is from
        world.call("root", "PATCH", "/api/v1/users/sam", {"admin": False})
        assert end(seconds) == 403
    after = world.call("root", "GET", f"/api/v1/{path}")
    assert [thing for thing in after if thing.get("name") != "sam"] == [t for t in before if t.get("name") != "sam"]


def test_a_body_that_takes_its_time_is_taken_from_whoever_still_may(world: World) -> None:
    with begun(world, world.keys["anna"], "PUT", f"/api/v1/documents/{world.new_document()}", content()) as end:
        assert end() == 200


def test_who_may_only_look_can_not_fill_the_memory(world: World) -> None:
    document = world.new_document()
    place, url = f"/bokeh/doc/{document}/ticket", f"ws://localhost:{world.port}/bokeh/ws/{document}"
    own = psutil.Process(world.server.pid)
    for user, close in (("ben", 1009), ("eva", None)):
        ticket = ask(world.port, "POST", place, [bearer(world.keys[user])]).json["ticket"]
        protocols = [Subprotocol("bokeh"), Subprotocol(token(document, ticket))]
        with connect(url, origin=Origin("null"), subprotocols=protocols, proxy=None, close_timeout=0.1) as page:
            page.recv(10)
            before = own.memory_info().rss
            raw = page.socket
            raw.sendall(b"\x81\xff" + (100_000_000).to_bytes(8) + b"\0\0\0\0" + b" " * LIMITS.question)
            if close is None:
                raw.sendall(b" " * 1_000_000)  # an editor may send as much as he says
                time.sleep(0.2)
                assert own.memory_info().rss < before + 20_000_000
                continue
            with suppress(ConnectionClosed):
                while True:
                    page.recv(10)
            assert page.close_code == close


def test_a_document_pushed_by_an_editor_may_be_large(world: World) -> None:
    large = json.loads(content())
    large["roots"][2]["attributes"]["text"] = "x" * (2 * LIMITS.question)
    document = world.new_document()
    url = f"ws://localhost:{world.port}/bokeh/doc/{document}/ws"
    with connect(url, additional_headers=[bearer(world.keys["eva"])], subprotocols=[Subprotocol("bokeh")]) as program:
        program.recv(10)
        for part in ({"msgid": "1", "msgtype": "PUSH-DOC"}, {}, {"doc": large}):
            program.send(json.dumps(part))
        while json.loads(program.recv(10)).get("msgtype") != "OK":
            pass
