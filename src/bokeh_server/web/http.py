"""Requests and responses without a framework, and the sans-IO end of a websocket.

An adapter (ASGI now, WSGI later) makes a ``Request`` of what it got, and carries a ``Response`` out or drives an
``Endpoint``. Nothing here knows which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, unquote

import msgspec
import orjson

from bokeh_server.core.authorise import ANONYMOUS, Access, Action, Actor, Allowed, may
from bokeh_server.errors import BadMessage, TooLarge
from bokeh_server.seat import Connection
from bokeh_server.store import Info

Headers = tuple[tuple[str, str], ...]
PARAMETERS = 100
"""Parameters of one query."""


async def no_body(_: int) -> bytes:
    """The body of a request that has none."""
    return b""


async def nothing() -> bytes:
    """The next part of a body that has none."""
    return b""


async def nobody() -> str | None:
    """Who is asking, where no host application says so."""
    return None


@dataclass(slots=True)
class Request:
    """One HTTP request, or the handshake of a websocket (``method`` is then "WEBSOCKET").

    ``path`` is the whole one, still quoted, and ``prefix`` what all of ours is below: where a host application has
    mounted us, and the prefix of the settings. ``headers`` have lower-case names; ``read`` gives the body, bounded, or
    ``stream`` its next part, as far as it has come (b"": it has ended; ``BadMessage``: it was broken off).
    ``client`` and ``server`` are the IP addresses of both ends. ``identify`` asks the host application who this is
    (None: it does not know); ``no_sockets`` says why the host carries no websockets ("": it does). ``actor``,
    ``parameters`` (the parts of the path), ``info`` and ``access`` are filled in by the guard.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    scheme: str
    client: str
    server: str = ""
    subprotocols: tuple[str, ...] = ()
    read: Callable[[int], Awaitable[bytes]] = no_body
    stream: Callable[[], Awaitable[bytes]] = nothing
    prefix: str = ""
    identify: Callable[[], Awaitable[str | None]] = nobody
    no_sockets: str = ""
    actor: Actor = ANONYMOUS
    parameters: dict[str, str] = field(default_factory=dict)
    info: Info | None = None
    access: Access | None = None

    def may(self, action: Action) -> bool:
        """Whether the actor may do this with the document that the route is about."""
        return isinstance(may(self.actor, action, self.access), Allowed)

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name. Where one comes twice it counts as missing: somebody else set one of them."""
        pairs = [pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";")]
        names = [name for name, _, _ in pairs]
        return {name: value for name, _, value in pairs if names.count(name) == 1}

    @property
    def agent(self) -> str:
        """What the client calls itself."""
        return self.headers.get("user-agent", "")[:200]

    @property
    def document(self) -> Info:
        """The document that the route is about; the guard has found it and checked the right."""
        assert self.info is not None, "the route's action concerns a document"
        return self.info

    @property
    def query(self) -> dict[str, str]:
        """The last value of each query parameter; ``BadMessage`` where there are too many."""
        try:
            return dict(parse_qsl(self.query_string, keep_blank_values=True, max_num_fields=PARAMETERS))
        except ValueError:
            raise BadMessage(f"A query has at most {PARAMETERS} parameters.") from None

    @property
    def host(self) -> str:
        """The Host header."""
        return self.headers.get("host", "")

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered; ``headers`` come on top of those of its kind (``web.headers``)."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Headers = ()

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Headers = ()) -> Response:
        """A JSON answer."""
        return cls(status, orjson.dumps(value), headers=headers)


class Endpoint(Protocol):
    """The server's end of one websocket: what a socket route returns instead of a response. No method raises."""

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol to accept with."""

    @property
    def most(self) -> int:
        """Bytes of the longest websocket message that it takes; a longer one is not read to its end."""

    def connected(self, connection: Connection) -> None:
        """The handshake is done."""

    def received(self, *fragments: str | bytes) -> None:
        """Whole websocket messages came, in this order."""

    def paused(self) -> None:
        """The connection's buffer is full."""

    def resumed(self) -> None:
        """The connection takes more."""

    def disconnected(self) -> None:
        """The socket is closed, by whomever."""


def place(root: str, path: str) -> tuple[str, str]:
    """Where a host application has mounted us, quoted, and the whole path that was asked for.

    ``root`` is what the host says (ASGI's ``root_path``, WSGI's ``SCRIPT_NAME``), ``path`` is quoted, with or without
    the root: hosts differ in that.
    """
    mounted = quote(root.rstrip("/"))
    head = "/".join(path.split("/")[: mounted.count("/") + 1])
    return mounted, mounted + (path[len(head) :] if unquote(head) == root.rstrip("/") else path)


def ensure_readable(headers: Mapping[str, str], most: int) -> None:
    """Refuse a body that is packed, or that says of itself that it is too large."""
    ensure_plain(headers)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > most:
        raise too_large(most)


def ensure_plain(headers: Mapping[str, str]) -> None:
    """Refuse a body that is packed."""
    coding = headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise BadMessage(f"The body is in {coding[:40]}; send it as it is.")


def too_large(most: int) -> TooLarge:
    """What is said where a body is longer than ``most`` bytes."""
    return TooLarge(f"The body is larger than {most} bytes; send it in smaller parts.")


def parse_json(body: bytes, type_: Any = Any) -> Any:
    """A JSON body as ``type_`` (a msgspec type); ``BadMessage`` says what is wrong with it."""
    try:
        return orjson.loads(body) if type_ is Any else msgspec.json.decode(body, type=type_)
    except (orjson.JSONDecodeError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadMessage(f"The body is not what is expected here: {error}.") from None
