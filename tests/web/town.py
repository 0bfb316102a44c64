"""A real server with accounts, and its people: each asks by a token or by a cookie, and has a document or two."""

from __future__ import annotations

import base64
import itertools
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from bokeh_server.doctor import Socket
from bokeh_server.web.guard import WITH_ACCOUNTS
from bokeh_server.web.routes import Route
from tests.running import RunningServer
from tests.web.asking import Answer, Pairs, ask, content, handshake

API = "/api/v1"
DOCUMENTS = f"{API}/documents"
PASSWORD = "correct horse"
numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody who asks; ``headers`` say who it is."""

    port: int
    name: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def __call__(self, method: str, path: str, body: Any = None, **more: str) -> Answer:
        """A request; ``body`` is bytes, or a value for JSON; ``more`` are headers, with ``_`` for ``-``."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        extra = [(name.replace("_", "-"), value) for name, value in more.items()]
        return ask(self.port, method, path, [*self.headers, *extra], data)

    @property
    def key(self) -> str:
        """The text of his token."""
        return dict(self.headers)["Authorization"].removeprefix("Bearer ")

    def token(self, *scopes: str, **more: Any) -> Person:
        """The same person, by a new token of these scopes."""
        made = self("POST", f"{API}/account/tokens", {"name": "test", "scopes": scopes, **more})
        assert made.status == 201, made.body
        return self.by(made.json["token"])

    def by(self, token: str) -> Person:
        """The same person, by this token."""
        return replace(self, headers=(("Authorization", f"Bearer {token}"),))

    def store(self, title: str = "") -> Document:
        """A document of his, under a title that nobody has yet."""
        title = title or f"document {next(numbers)}"
        made = self("PUT", f"{DOCUMENTS}/{quote(title)}", content())
        assert made.status in (200, 201), made.body
        return Document(made.json["id"], title)

    def socket(self, document: Document) -> AbstractContextManager[ClientConnection]:
        """A program's socket on a document."""
        url = f"ws://localhost:{self.port}/bokeh/doc/{document.id}/ws"
        return connect(url, additional_headers=dict(self.headers), compression=None)

    def board(self) -> AbstractContextManager[ClientConnection]:
        """The socket of the board's page."""
        here = Origin(f"http://localhost:{self.port}")
        url = f"ws://localhost:{self.port}/bokeh/board"
        return connect(url, origin=here, additional_headers=dict(self.headers), compression=None)

    def handshake(self, path: str) -> int:
        """The status with which a program's handshake is answered."""
        return handshake(self.port, path, self.headers)


@dataclass(frozen=True)
class Document:
    """A stored document."""

    id: str
    title: str

    @property
    def api(self) -> str:
        """Its address in the API."""
        return f"{DOCUMENTS}/{self.id}"


@dataclass
class Town:
    """The server, its first administrator, and the way to more people."""

    server: RunningServer
    root: Person = field(init=False)
    nobody: Person = field(init=False)

    def __post_init__(self) -> None:
        self.nobody = Person(self.server.port)
        body = {"username": "root", "password": PASSWORD, "invitation": self.server.invitation}
        made = self.nobody("POST", f"{API}/register", body)
        assert made.status == 201, made.body
        self.root = Person(self.server.port, "root").by(made.json["token"])

    @property
    def port(self) -> int:
        return self.server.port

    def person(self, name: str = "", **more: Any) -> Person:
        """Somebody new, by a token from a log-in; without a name he gets one."""
        name = name or f"user{next(numbers)}"
        made = self.root("POST", f"{API}/users", {"username": name, "password": PASSWORD, **more})
        assert made.status == 201, made.body
        return self.program(name)

    def program(self, name: str, password: str = PASSWORD) -> Person:
        """Somebody, by a token for his password."""
        answer = self.nobody("POST", f"{API}/login", {"username": name, "password": password})
        assert answer.status == 200, answer.body
        return Person(self.port, name).by(answer.json["token"])

    def browser(self, name: str, password: str = PASSWORD, **more: str) -> Person:
        """Somebody, by a cookie for his password."""
        answer = self.nobody("POST", "/bokeh/login", {"username": name, "password": password}, **more)
        assert answer.status == 204, answer.body
        return Person(self.port, name, (("Cookie", cookie_of(answer)),))

    def visitor(self, key: str) -> Person:
        """A browser that has opened a link."""
        answer = self.nobody("POST", "/bokeh/link", {"key": key})
        assert answer.status == 200, answer.body
        return Person(self.port, "", (("Cookie", cookie_of(answer)),))


def visit(route: Route, path: str, port: int, town: Town, headers: Pairs = ()) -> Answer:
    """The answer of a route, at this path; those of accounts as an administrator gets them, where there are some."""
    if route.action in WITH_ACCOUNTS:
        return ask(town.port, route.method, path, [*headers, *town.root.headers])
    return ask(port, route.method, path, headers)


def cookie_of(answer: Answer) -> str:
    """The cookie that an answer sets, as the browser sends it."""
    return answer.headers["set-cookie"].partition(";")[0]


def basic(user: str, token: str) -> dict[str, str]:
    """The header of Basic credentials."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


def key_of(answer: Answer) -> str:
    """The secret behind the ``#`` of a URL that was told."""
    url: str = answer.json["url"]
    return url.partition("#")[2]


def send(client: ClientConnection | Socket, msgtype: str, body: object = None) -> None:
    """Send a message of Bokeh's protocol."""
    for part in ({"msgid": "1", "msgtype": msgtype}, {}, body or {}):
        client.send(json.dumps(part))


def receive(client: ClientConnection | Socket, *msgtypes: str) -> Any:
    """The content of the next message of one of these types."""
    while True:
        header, _, body = (json.loads(client.recv(10)) for _ in range(3))
        if header["msgtype"] in msgtypes:
            return body


def closed(client: ClientConnection, within: float = 5.0) -> tuple[int | None, str | None]:
    """Close code and reason of a socket that must be closed soon."""
    try:
        while True:
            client.recv(within)
    except ConnectionClosed:
        return client.close_code, client.close_reason
