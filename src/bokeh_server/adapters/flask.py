"""The server as a Flask Blueprint: pages, API and websockets on the host application's own port.

A request waits in its WSGI thread for the answer of the hub's loop. A websocket does not stay there: its connection is
taken out of the WSGI server's hands and given to that loop, which drives it by the same protocol as under uvicorn. The
WSGI server gets another socket in its place, to write and close as it likes, and its thread is free at once.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import flask
import structlog
from flask.blueprints import BlueprintSetupState
from markupsafe import Markup
from werkzeug.routing import BaseConverter

from bokeh_server.adapters.asgi import SOCKET, make_site
from bokeh_server.adapters.background import Background, Turn
from bokeh_server.config import Config
from bokeh_server.errors import BadMessage, BokehServerError, Unavailable
from bokeh_server.web import embed
from bokeh_server.web.guard import Guard
from bokeh_server.web.http import Endpoint, Request, Response, ensure_plain, ensure_readable, place, too_large
from bokeh_server.web.site import Site

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Identify = Callable[[flask.Request], str | None]
log = structlog.get_logger("bokeh_server.web")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SOCKETS = ("werkzeug.socket", "gunicorn.socket")
"""Where WSGI servers name the socket of a request."""
PART = 4096
"""Bytes of a body that are read at once."""
HANDSHAKE = ("host", "upgrade", "connection")
NO_SOCKET = (
    "This WSGI server can't carry websockets: run the application by `flask run`, or by gunicorn with `--threads`, "
    "and let TLS end in a proxy in front of it."
)
ONE_PROCESS = (
    "The host application runs in several processes, and a folder of data is served by one: run it with one worker and "
    "many threads (gunicorn --workers 1 --threads 16)."
)


def blueprint(
    data: Path | str | None = None, name: str = "bokeh_server", *, identify: Identify | None = None, **settings: Any
) -> Blueprint:
    """The server as a Blueprint, with all its data in the folder ``data`` (None: in memory).

    Register it below any path: ``app.register_blueprint(blueprint("data"), url_prefix="/plots")``. ``name`` is its
    name in Flask. ``identify(request)`` says who is asking, by the name of a user of the application, or None; it is
    called within the request, where Flask's ``session`` and Flask-Login's ``current_user`` are. ``settings`` are the
    fields of ``config.Config``. Raises ``BadSetting`` where they can't be used.
    """
    folder = Path(data) if data is not None else None
    return Blueprint(
        make_site(Config(data=folder, mounted=True, identified=identify is not None, **settings)), name, identify
    )


class Below(BaseConverter):
    """Any path, as it came: what is wrong with one is the guard's to say."""

    regex = "(?s:.*)"
    part_isolating = False


def prepare(state: BlueprintSetupState) -> None:
    """Teach the application's routing what any path is; and have ``flask run`` end as other servers do when it is told
    to, so that sockets are closed: it has no handler for that."""
    state.app.url_map.converters["bokeh_path"] = Below
    by_flask = os.environ.get("FLASK_RUN_FROM_CLI") == "true" and threading.current_thread() is threading.main_thread()
    if by_flask and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


class Blueprint(flask.Blueprint):
    """The server as a Blueprint. ``background`` is its loop, which begins with the first request."""

    def __init__(self, site: Site, name: str = "bokeh_server", identify: Identify | None = None) -> None:
        super().__init__(name, __name__)
        self.site = site
        self._identify = identify
        self._guard = Guard(site)
        self.background = Background(site)
        self.record(prepare)
        for rule in ("/", "/<bokeh_path:path>"):
            exact: dict[str, Any] = {"merge_slashes": False, "provide_automatic_options": False}
            self.add_url_rule(rule, "answer", self.answer, methods=METHODS, **exact)
            self.add_url_rule(rule, "socket", self.take_over, websocket=True, **exact)

    def answer(self, path: str = "", **_: Any) -> flask.Response:
        """The answer to a request; ``path`` is below where we are registered."""
        asked = flask.request
        request = request_of(asked, path, asked.method, self.site)
        request.no_sockets = NO_SOCKET if connection_of(asked.environ) is None else ""
        found = self._ask(request)
        assert isinstance(found, Response), "a websocket route is not matched by an HTTP method"
        return sent(found)

    def take_over(self, path: str = "", **_: Any) -> flask.Response:
        """Hand the connection of a websocket's handshake to the hub, or refuse it."""
        request = request_of(flask.request, path, SOCKET, self.site)
        connection = connection_of(flask.request.environ)
        if connection is None:
            return sent(self._guard.refuse(request, Unavailable(NO_SOCKET)))
        found = self._ask(request)
        if isinstance(found, Response):
            return sent(found)
        taken, other = swap(connection)
        self.background.take_over(taken, handshake_of(request), found)
        answer = flask.Response(status=101)
        answer.call_on_close(other.close)
        return answer

    def tag(self, document: str, model: str = "") -> Markup:
        """The tag that shows a document (its id), or one model of it, in a page of the application to who may see it.

        To be called within a request: ``{{ plots.tag(id) }}`` in a template.
        """
        return embed.tag(flask.url_for(f"{self.name}.answer"), document, model)

    def forget(self, name: str) -> None:
        """Tell the server that this user has logged out of the application: his pages here end at once.

        Without it they end within five minutes.
        """

        async def end() -> None:
            self.site.accounts.forget(name)

        self.background.call(lambda _: end())

    def _who(self) -> str | None:
        assert self._identify is not None, "nobody is asked where there is nobody to ask"
        return self._identify(flask.request)

    def _ask(self, request: Request) -> Response | Endpoint:
        def answer(turn: Turn) -> Coroutine[Any, Any, Response | Endpoint]:
            request.identify = partial(turn.ask, self._who)

            async def read(most: int) -> bytes:
                ensure_readable(request.headers, most)
                return await turn.ask(lambda: body(most))

            async def part() -> bytes:
                ensure_plain(request.headers)
                return await turn.ask(next_part)

            request.read, request.stream = read, part
            return self._guard.answer(request)

        try:
            if flask.request.environ.get("wsgi.multiprocess"):
                raise Unavailable(ONE_PROCESS)
            return self.background.call(answer)
        except BokehServerError as error:
            log.error("a request failed", path=request.path[:200], error=str(error))
            return self._guard.refuse(request, error)


def sent(found: Response) -> flask.Response:
    """The answer as Flask has it; the host's server notes in its log that it was sent."""
    return flask.Response(found.body, found.status, list(found.headers), content_type=found.content_type)


def request_of(asked: flask.Request, path: str, method: str, site: Site) -> Request:
    """The request as the guard knows it; ``path`` is below where we are registered."""
    environ, headers = asked.environ, {name.lower(): value for name, value in asked.headers.items()}
    whole: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or quote(asked.root_path + asked.path)
    spelled = whole.partition("?")[0]
    if not spelled.startswith("/"):  # a whole URL, as one asks a proxy
        spelled = urlsplit(spelled).path
    _, spelled = place(asked.root_path, spelled)
    root, spelled = place(asked.root_path + asked.path[: len(asked.path) - len(path)], spelled)
    protocols = headers.get("sec-websocket-protocol", "").split(",")
    return Request(
        method,
        spelled,
        asked.query_string.decode("latin-1"),
        headers,
        environ["wsgi.url_scheme"],
        asked.remote_addr or "",
        subprotocols=tuple(protocol.strip() for protocol in protocols if protocol.strip()),
        prefix=root + site.config.prefix,
    )


@contextmanager
def unbroken() -> Iterator[None]:
    """Read a body within this: a WSGI server raises what it likes where one is broken off, or is none."""
    try:
        yield
    except Exception:  # noqa: BLE001 - all of it is the sender's fault
        raise BadMessage("The request was broken off.") from None


def body(most: int) -> bytes:
    """The body of the host's request, up to a bound; past it ``TooLarge``."""
    with unbroken():
        found = flask.request.stream.read(most + 1)
    if len(found) > most:
        raise too_large(most)
    return found


def next_part() -> bytes:
    """The next part of the body of the host's request, of a chunked one as soon as it has come.

    A WSGI server's ``read`` waits until it has all the bytes that it was asked for. Gunicorn has what came of each
    chunk, and is told of a broken one: where the next request begins is then unknown. The development server knows how
    much of a chunk is left when its first byte is there.
    """
    stream: Any = flask.request.stream
    pieces: Iterator[bytes] | None = getattr(getattr(stream, "reader", None), "parser", None)
    with unbroken():
        if pieces is not None:
            stream.failed = True
            part = next(pieces, b"")
            stream.failed = False
            return part
        first: bytes = stream.read(1)
        return first + stream.read(min(getattr(stream, "_len", PART), PART)) if first else b""


def connection_of(environ: WSGIEnvironment) -> socket.socket | None:
    """The connection that a request came by; None where the server does not give it away, or has TLS within."""
    found = next((environ[name] for name in SOCKETS if name in environ), None)
    return found if isinstance(found, socket.socket) and not isinstance(found, ssl.SSLSocket) else None


def swap(connection: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Take a connection from who holds the object, which gets one end of a pair instead; the connection, and the pair's
    other end, to be closed when that one has written its answer."""
    taken = socket.socket(fileno=os.dup(connection.fileno()))
    instead, other = socket.socketpair()
    os.dup2(instead.fileno(), connection.fileno(), inheritable=False)
    instead.close()
    return taken, other


def handshake_of(request: Request) -> bytes:
    """The handshake as it came, with what a websocket needs of it: the guard has seen the rest."""
    kept = {name: text for name, text in request.headers.items() if name in HANDSHAKE or name.startswith("sec-websock")}
    lines = [f"GET {request.path} HTTP/1.1", *(f"{name}: {text}" for name, text in kept.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
