"""The sockets of pages: the board's, and the sandboxed frame's, on a real server."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bokeh_server.core.authorise import DEFAULT_USER
from bokeh_server.core.wire import Outgoing
from bokeh_server.hub import Hub
from bokeh_server.store.memory import MemoryStore
from bokeh_server.web.socket import BoardEndpoint
from tests.web.asking import ask, content, new_ticket, token
from tests.web.conftest import Shared


def board(shared: Shared) -> AbstractContextManager[ClientConnection]:
    origin = Origin(f"http://localhost:{shared.port}")
    return connect(f"ws://localhost:{shared.port}/bokeh/board", origin=origin, compression=None)


def frame(shared: Shared) -> AbstractContextManager[ClientConnection]:
    pair = [Subprotocol("bokeh"), Subprotocol(token(shared.document, new_ticket(shared.port, shared.document)))]
    url = f"ws://localhost:{shared.port}/bokeh/ws/{shared.document}"
    return connect(url, origin=Origin("null"), subprotocols=pair, compression=None)


def send(client: ClientConnection, msgtype: str, body: object = None) -> None:
    for part in ({"msgid": "1", "msgtype": msgtype}, {}, body or {}):
        client.send(json.dumps(part))


def receive(client: ClientConnection, msgtype: str) -> dict[str, object]:
    while True:
        header, _, body = (json.loads(client.recv(10)) for _ in range(3))
        if header["msgtype"] == msgtype:
            assert isinstance(body, dict)
            return body


def test_the_board_hears_of_every_change_of_the_list(shared: Shared) -> None:
    with board(shared) as page:
        path = "/api/v1/documents/heard"
        for method, body in [("PUT", content()), ("PATCH", b'{"title": "heard again"}'), ("PUT", content())]:
            assert ask(shared.port, method, path, body=body).status in (200, 201)
            assert page.recv(5) == '{"changed":true}'
        assert ask(shared.port, "DELETE", path).status == 204
        assert page.recv(5) == '{"changed":true}'


def test_what_the_boards_page_sends_is_ignored(shared: Shared) -> None:
    with board(shared) as page:
        for fragment in ("{", b"\0", "x" * 10_000):
            page.send(fragment)
        assert ask(shared.port, "PUT", "/api/v1/documents/heard", body=content()).status == 201
        assert page.recv(5) == '{"changed":true}'
    assert ask(shared.port, "DELETE", "/api/v1/documents/heard").status == 204


def test_a_boards_page_that_does_not_read_is_sent_away_and_comes_back_by_itself() -> None:
    class Line:
        closed: tuple[int, str] | None = None
        unsent = 0

        def send(self, message: Outgoing) -> None: ...
        def close(self, code: int, reason: str) -> None:
            self.closed = (code, reason)

        def pause_reading(self) -> None: ...
        def resume_reading(self) -> None: ...

    line = Line()
    endpoint = BoardEndpoint(Hub(MemoryStore()), DEFAULT_USER)
    endpoint.paused()
    endpoint.disconnected()
    endpoint.connected(line)
    endpoint.paused()
    endpoint.resumed()
    assert line.closed == (1013, "too slow")


def test_a_frame_speaks_bokeh_and_what_it_changes_reaches_the_others(shared: Shared) -> None:
    with frame(shared) as one, frame(shared) as two:
        assert one.subprotocol == "bokeh"
        for page in (one, two):
            send(page, "PULL-DOC-REQ")
            receive(page, "PULL-DOC-REPLY")
        event = {"kind": "ModelChanged", "model": {"id": "s1"}, "attr": "value", "new": 9}
        send(one, "PATCH-DOC", {"events": [event]})
        assert receive(two, "PATCH-DOC")["events"] == [event]
        deadline = time.monotonic() + 5
        while ask(shared.port, "GET", f"/api/v1/documents/{shared.document}/info").json["viewers"] != 2:
            assert time.monotonic() < deadline
    assert ask(shared.port, "GET", f"/api/v1/documents/{shared.document}/models/speed/value").json == 9


def test_a_frame_whose_document_is_deleted_is_closed(shared: Shared) -> None:
    made = ask(shared.port, "PUT", "/api/v1/documents/short", body=content()).json["id"]
    lived = Shared(shared.server, made)
    with frame(lived) as page:
        send(page, "PULL-DOC-REQ")
        receive(page, "PULL-DOC-REPLY")
        assert ask(shared.port, "DELETE", f"/api/v1/documents/{made}").status == 204
        with pytest.raises(ConnectionClosed):
            receive(page, "nothing")
    assert page.close_code == 1008
