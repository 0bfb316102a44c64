"""The server with one route only, whose socket sends back what comes: what Autobahn's cases ask of a server.

Handshake, frames, back-pressure and farewells are those of the adapters, as with every other route. ``asgi`` and
``wsgi`` are what other people's servers serve.
"""

from __future__ import annotations

from dataclasses import replace

import flask

from bokeh_server.adapters import websocket
from bokeh_server.adapters.asgi import Application, Mounted, make_site
from bokeh_server.adapters.flask import Blueprint
from bokeh_server.config import Config
from bokeh_server.core import Payload
from bokeh_server.core.authorise import Action
from bokeh_server.core.wire import Outgoing
from bokeh_server.limits import LIMITS
from bokeh_server.seat import Connection
from bokeh_server.web.guard import Guard
from bokeh_server.web.http import Request
from bokeh_server.web.routes import Route, Table
from bokeh_server.web.site import Site


class Echoed(Outgoing):
    """One websocket message, which need not be one of Bokeh's."""

    __slots__ = ("_fragment",)

    def __init__(self, fragment: str | bytes) -> None:
        text = fragment.encode() if isinstance(fragment, str) else fragment
        super().__init__((text,))
        self._fragment = fragment

    @property
    def parts(self) -> tuple[str | bytes, ...]:
        """The message."""
        return (self._fragment,)

    @property
    def pieces(self) -> list[Payload]:
        """A text as it is; of anything else the first byte says so (RFC 6455, section 5.2)."""
        head, payload = super().pieces
        return [head if isinstance(self._fragment, str) else b"\x82" + head[1:], payload]


class Echo:
    """One socket."""

    subprotocol = None
    most = LIMITS.message
    _connection: Connection

    def connected(self, connection: Connection) -> None:
        """From now on."""
        self._connection = connection

    def received(self, *fragments: str | bytes) -> None:
        """Send them back."""
        for fragment in fragments:
            self._connection.send(Echoed(fragment))

    def paused(self) -> None:
        """The adapter reads no more until what was sent has left."""

    def resumed(self) -> None:
        """See ``paused``."""

    def disconnected(self) -> None:
        """Nothing is kept."""


async def echo(site: Site, request: Request) -> Echo:
    """A socket that sends back what comes."""
    return Echo()


websocket.LIMITS = replace(LIMITS, ping=3600.0)  # type: ignore[attr-defined]
"""No ping of ours comes within a case: they fail where anything does that they do not expect."""

TABLE = Table([Route("WEBSOCKET", "/echo", Action.PUBLIC, "anywhere", "socket", echo)])


class EchoApplication(Application):
    """The server as it runs by itself, with this route."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._guard = Guard(site, TABLE)


class EchoMounted(Mounted):
    """The ASGI application as others serve it, with this route."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._guard = Guard(site, TABLE)


class EchoBlueprint(Blueprint):
    """The Blueprint with this route."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._guard = Guard(site, TABLE)


asgi = EchoMounted(make_site(Config(mounted=True)))
wsgi = flask.Flask(__name__, static_folder=None)
wsgi.register_blueprint(EchoBlueprint(make_site(Config(mounted=True))))
