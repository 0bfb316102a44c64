"""Requests as nobody's library would send them: every header is the test's own, on a real server or straight to ASGI.

``content`` is a small document: a slider ("speed"), a source ("readings") of numbers and text, and a Div whose markup
must not show up anywhere but in the frame's own messages.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bokeh_server.adapters.asgi import Application

MARKUP = "<img src=x onerror=alert(1)>"
Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back; ``headers`` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def content(**attributes: Any) -> bytes:
    """The document as Bokeh's JSON; ``attributes`` are the slider's."""
    data = {"type": "map", "entries": [["t", [1.5, 2.5]], ["n", [1, 2]], ["who", ["ann", "bob"]]]}
    slider = {"name": "speed", "start": 0, "end": 10, "value": 5, **attributes}
    models = [
        {"type": "object", "name": "Slider", "id": "s1", "attributes": slider},
        {"type": "object", "name": "ColumnDataSource", "id": "c1", "attributes": {"name": "readings", "data": data}},
        {"type": "object", "name": "Div", "id": "d1", "attributes": {"text": MARKUP}},
    ]
    return json.dumps({"version": "3.9.2", "title": "t", "roots": models}).encode()


def ask(
    port: int, method: str, path: str, headers: Pairs | None = None, body: bytes | None = None, host: str | None = None
) -> Answer:
    """One request to 127.0.0.1. Without ``host`` the header is the server's own name; "" sends none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if host != "":
            connection.putheader("Host", host or f"localhost:{port}")
        for name, value in headers or ():
            connection.putheader(name, value.encode())
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def handshake(port: int, path: str, headers: Pairs = (), host: str | None = None) -> int:
    """The status with which a websocket handshake is answered (101: it is open)."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    lines = [f"GET {path} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += [f"Sec-WebSocket-Key: {key}", *([f"Host: {host or f'localhost:{port}'}"] if host != "" else [])]
    lines += [f"{name}: {value}" for name, value in headers]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(raw.makefile("rb").readline().split()[1])


def token(document: str, ticket: str) -> str:
    """The second subprotocol of a frame's socket."""
    text = json.dumps({"session_id": document, "ticket": ticket}).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def new_ticket(port: int, document: str) -> str:
    """A ticket to a document's socket, as the shell fetches it."""
    ticket: str = ask(port, "POST", f"/bokeh/doc/{document}/ticket").json["ticket"]
    return ticket


async def call(
    app: Application,
    method: str,
    path: str,
    *,
    headers: Pairs = (("host", "localhost:5006"),),
    body: bytes = b"",
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
) -> Answer:
    """One request straight to the application, from whichever client address."""
    sent: list[Any] = []
    raw = [(name.encode(), value.encode()) for name, value in headers]
    path, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": query.encode()}
    if body:
        raw.append((b"content-length", str(len(body)).encode()))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(event: Any) -> None:
        await asyncio.sleep(0)
        sent.append(event)

    await app({**scope, "client": client, "raw_path": path.encode()}, receive, send)
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, sent[1]["body"])
