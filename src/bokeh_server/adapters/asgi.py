"""The server as an ASGI 3 application: a raw callable, for uvicorn with our protocol class or any other ASGI server.

It turns scopes into ``Request``, carries a ``Response`` out, and drives an ``Endpoint``: through the extension of
``adapters.websocket`` where it is offered, otherwise through ``send``, with one writer task per connection and a
bound on what waits for it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from importlib.metadata import version
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog
from markupsafe import Markup

from bokeh_server.accounts.accounts import Accounts
from bokeh_server.accounts.tickets import Tickets
from bokeh_server.adapters.websocket import EXTENSION, shortened
from bokeh_server.config import Config
from bokeh_server.core.retention import Retention
from bokeh_server.core.wire import Outgoing
from bokeh_server.errors import BadMessage, BokehServerError
from bokeh_server.hub import Hub
from bokeh_server.store.ledger import MemoryLedger
from bokeh_server.store.memory import MemoryStore
from bokeh_server.store.sql import SqlStore
from bokeh_server.web import embed
from bokeh_server.web.guard import Guard
from bokeh_server.web.http import (
    Endpoint,
    Request,
    Response,
    ensure_plain,
    ensure_readable,
    no_body,
    place,
    too_large,
)
from bokeh_server.web.site import Site

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Identify = Callable[[Scope], str | Awaitable[str | None] | None]
log = structlog.get_logger("bokeh_server.access")
SOCKET = "WEBSOCKET"
"""What the table of routes has in the place of a method."""
HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024
HOW_TO_ADMINISTER = (
    "Make the administrator's account (this link is good once, for a day) at bokeh/register#{}, below the path of "
    "bokeh-server in this application.\n"
)
FAREWELL = 5.0
"""Seconds for what waits to leave before the close."""


def make_site(config: Config, port: int | None = None) -> Site:
    """A server's site, with the store that its settings name. Imports and opens nothing that is not needed."""
    kept = SqlStore(config.data, config.durability) if config.data is not None else None
    accounts = Accounts(
        kept or MemoryLedger(),
        registration=config.registration,
        logins=config.multi_user and not config.identified,
        admins=config.admins,
    )
    hub = Hub(
        kept or MemoryStore(),
        access_of=accounts.sharing.access,
        bokeh_version=version("bokeh"),
        retention=Retention(config.retain_bytes, config.retain_raw),
    )
    accounts.doors.append(hub)
    return Site(config, hub, accounts, Tickets(), config.port if port is None else port)


def create_app(data: Path | str | None = None, *, identify: Identify | None = None, **settings: Any) -> Mounted:
    """The server as an ASGI application, with all its data in the folder ``data`` (None: in memory).

    Serve it by itself, or mount it below any path of another application: that may forward its lifespan or not.
    ``identify(scope)`` says who is asking, by the name of a user of that application, or None; it may be a coroutine
    function. ``settings`` are the fields of ``config.Config``. Raises ``BadSetting`` where they can't be used.
    """
    folder = Path(data) if data is not None else None
    config = Config(data=folder, mounted=True, identified=identify is not None, **settings)
    return Mounted(make_site(config), identify)


async def begin(site: Site) -> None:
    """Open the hub where others serve it, and say how the administrator gets an account where there is none."""
    await site.hub.start()
    if site.config.multi_user and not site.config.identified:
        invitation = await site.accounts.users.first_invitation()
        if invitation is not None:
            sys.stderr.write(HOW_TO_ADMINISTER.format(invitation))


class Application:
    """The ASGI callable."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._guard = Guard(site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One lifespan, request or websocket."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            if not self.site.hub.ready:
                await self._begin()
        except BokehServerError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.site.hub.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _begin(self) -> None:
        await self.site.hub.start()

    async def _answer(self, request: Request, scope: Scope) -> Response | Endpoint:
        return await self._guard.answer(request)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["method"] != SOCKET else "none of HTTP's"
        request = request_of(scope, method, self.site.config.prefix, body_reader(scope, receive))
        request.stream = part_reader(request, receive)
        response = await self._answer(request, scope)
        assert isinstance(response, Response), "a websocket route is not matched by an HTTP method"
        log.info("request", method=request.method, path=request.path[:200], status=response.status)
        await send({"type": "http.response.start", "status": response.status, "headers": encoded(response)})
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        request = request_of(scope, SOCKET, self.site.config.prefix)
        endpoint = await self._answer(request, scope)
        log.info("socket", path=request.path[:200], status=getattr(endpoint, "status", 101))
        if isinstance(endpoint, Response):
            await refuse(scope, send, endpoint)
            return
        await drive(endpoint, scope, receive, send)


class Mounted(Application):
    """The ASGI callable where others serve it. What keeps the lifespan to itself has the hub begin with the first
    request, and end with the process: what was acknowledged is on the disk."""

    def __init__(self, site: Site, identify: Identify | None = None) -> None:
        super().__init__(site)
        self._identify = identify
        self._began = False
        self._turn = asyncio.Lock()

    def tag(self, document: str, model: str = "", *, at: str) -> Markup:
        """The tag that shows a document (its id), or one model of it, in a page of the application to who may see it.

        ``at`` is the path where this is mounted, like ``/plots``.
        """
        return embed.tag(at, document, model)

    def forget(self, name: str) -> None:
        """Tell the server that this user has logged out of the application: his pages here end at once.

        Without it they end within five minutes. To be called in the event loop."""
        self.site.accounts.forget(name)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        self._began = True
        await super()._lifespan(receive, send)

    async def _begin(self) -> None:
        await begin(self.site)

    async def _answer(self, request: Request, scope: Scope) -> Response | Endpoint:
        request.identify = partial(self._who, scope)
        async with self._turn:
            try:
                if not self._began and not self.site.hub.ready:
                    await self._begin()
                self._began = True
            except BokehServerError as error:
                log.error("the server could not begin", error=str(error))
                return self._guard.refuse(request, error)
        return await super()._answer(request, scope)

    async def _who(self, scope: Scope) -> str | None:
        assert self._identify is not None, "nobody is asked where there is nobody to ask"
        found = self._identify(scope)
        return await found if isawaitable(found) else found


async def drive(endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
    """Accept a websocket, and let the endpoint have it until it is closed, by whomever.

    With our own protocol that needs no task: it returns at once.
    """
    await send({"type": "websocket.accept", "subprotocol": endpoint.subprotocol})
    frames = scope.get("extensions", {}).get(EXTENSION)
    if frames is not None:
        frames.attach(endpoint)
        return
    try:
        await Writer(endpoint, send).run(receive)
    finally:
        endpoint.disconnected()


class Writer:
    """A ``Connection`` over plain ASGI ``send``: one task writes what waits, and what waits is bounded.

    It reads only while what waits is little and the room wants more. The first of its two tasks that ends (the peer
    has gone, our close has left, sending failed or takes too long) ends the connection.
    """

    def __init__(self, endpoint: Endpoint, send: Send) -> None:
        self._endpoint = endpoint
        self._send = send
        self._waiting: deque[MutableMapping[str, Any]] = deque()
        self._size = 0
        self._there = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = asyncio.Event()
        self._reading.set()
        self._closed = False
        self._writer: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self, receive: Receive) -> None:
        """Drive the endpoint until the socket is closed, by whomever."""
        self._writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read(receive))
        self._endpoint.connected(self)
        try:
            await asyncio.wait({reader, self._writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closed = True
            if self._deadline is not None:
                self._deadline.cancel()
            for task in (reader, self._writer):
                task.cancel()
            outcomes = await asyncio.gather(reader, self._writer, return_exceptions=True)
        for error in outcomes:
            if isinstance(error, Exception):
                log.debug("a socket ended", error=repr(error)[:200])

    async def _read(self, receive: Receive) -> None:
        while True:
            await self._reading.wait()
            await self._writable.wait()
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if not self._closed:
                fragment = event.get("text")
                self._endpoint.received(fragment if fragment is not None else event["bytes"])

    async def _write(self) -> None:
        """Send what waits, until something can't be sent or the close has been."""
        while True:
            await self._there.wait()
            while self._waiting:
                event = self._waiting.popleft()
                await self._send(event)
                if event["type"] == "websocket.close":
                    return
                self._size -= len(event.get("text") or event.get("bytes") or b"")
                if self._size <= LOW_WATER and not self._writable.is_set():
                    self._writable.set()
                    self._endpoint.resumed()
            self._there.clear()

    @property
    def unsent(self) -> int:
        """What is lined up."""
        return self._size

    def send(self, message: Outgoing) -> None:
        """Line the message up."""
        if self._closed:
            return
        for part in message.parts:
            self._waiting.append({"type": "websocket.send", "text" if isinstance(part, str) else "bytes": part})
            self._size += len(part)
        self._there.set()
        if self._size > HIGH_WATER and self._writable.is_set():
            self._writable.clear()
            self._endpoint.paused()

    def close(self, code: int, reason: str) -> None:
        """Close after what waits; a peer that does not take that in time is cut off."""
        if not self._closed:
            self._closed = True
            self._waiting.append({"type": "websocket.close", "code": code, "reason": shortened(reason)})
            self._there.set()
            if self._writer is not None:
                self._deadline = asyncio.get_running_loop().call_later(FAREWELL, self._writer.cancel)

    def pause_reading(self) -> None:
        """Ask for no more events."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Ask for events again."""
        self._reading.set()


def request_of(scope: Scope, method: str, prefix: str, read: Callable[[int], Awaitable[bytes]] = no_body) -> Request:
    """The request of a scope. The values of a header that comes twice are joined, so that no check sees only one."""
    headers: dict[str, str] = {}
    for raw, text in scope["headers"]:
        name, value = raw.decode("latin-1").lower(), text.decode("latin-1")
        between = "; " if name == "cookie" else ", "  # HTTP/2 sends every cookie by itself
        headers[name] = headers[name] + between + value if name in headers else value
    asked = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1").partition("?")[0]
    root, path = place(scope.get("root_path", ""), asked)
    return Request(
        method,
        path,
        scope.get("query_string", b"").decode("latin-1"),
        headers,
        scope.get("scheme", "http"),
        (scope.get("client") or ("", 0))[0],
        (scope.get("server") or ("", 0))[0],
        tuple(scope.get("subprotocols", ())),
        read,
        prefix=root + prefix,
    )


def body_reader(scope: Scope, receive: Receive) -> Callable[[int], Awaitable[bytes]]:
    """What reads the body, up to a bound; past it ``TooLarge``."""

    async def read(limit: int) -> bytes:
        headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in scope["headers"]}
        ensure_readable(headers, limit)
        body = bytearray()
        while True:
            event = await receive()
            if event["type"] != "http.request":
                raise BadMessage("The request was broken off.")
            body += event.get("body", b"")
            if len(body) > limit:
                raise too_large(limit)
            if not event.get("more_body"):
                return bytes(body)

    return read


def part_reader(request: Request, receive: Receive) -> Callable[[], Awaitable[bytes]]:
    """What reads the next part of the body; the server reads no more from the connection than what was asked for."""
    ended = False

    async def read() -> bytes:
        nonlocal ended
        ensure_plain(request.headers)
        while not ended:
            event = await receive()
            if event["type"] != "http.request":
                raise BadMessage("The request was broken off.")
            ended = not event.get("more_body")
            if part := event.get("body", b""):
                return bytes(part)
        return b""

    return read


def encoded(response: Response) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    pairs = [("Content-Type", response.content_type), ("Content-Length", str(len(response.body))), *response.headers]
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]


async def refuse(scope: Scope, send: Send, response: Response) -> None:
    """Answer a handshake with an HTTP status, where the server can, or by closing."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    start = {"type": "websocket.http.response.start", "status": response.status, "headers": encoded(response)}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": response.body})
