"""Websockets: fragments from an adapter become messages for a seat in a room, and the board's page hears of changes.

What a peer sends wrong it is told in one ERROR, and the socket is closed with the error's code; nobody else notices.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from urllib.parse import unquote

import msgspec
import orjson

from bokeh_server.core.authorise import Actor
from bokeh_server.core.events import Kind
from bokeh_server.core.wire import Assembler, Message, outgoing
from bokeh_server.errors import BadMessage, NotFound, Unauthorized
from bokeh_server.hub import Hub, OpenRoom
from bokeh_server.limits import LIMITS, Limits
from bokeh_server.seat import Connection, Seat
from bokeh_server.web.http import Request
from bokeh_server.web.site import Site

SUBPROTOCOL = "bokeh"
TRY_AGAIN = 1013


class Token(msgspec.Struct):
    """What BokehJS sends as its second subprotocol: it reads ``session_id``, we read the rest."""

    session_id: str
    ticket: str


class DocumentEndpoint:
    """One socket on one document."""

    def __init__(self, room: OpenRoom, actor: Actor, kind: Kind, subprotocol: str | None, limits: Limits) -> None:
        self.subprotocol = subprotocol
        self._room = room
        self._actor = actor
        self._kind = kind
        self.most = limits.message if room.takes_from(actor) else limits.question
        self._assembler = Assembler(replace(limits, message=self.most))
        self._connection: Connection | None = None
        self._seat: Seat | None = None

    def connected(self, connection: Connection) -> None:
        """Take the seat."""
        self._connection = connection
        self._seat = self._room.join(connection, self._actor, self._kind)

    def received(self, *fragments: str | bytes) -> None:
        """Fragments of messages."""
        connection, seat = self._connection, self._seat
        if seat is None or connection is None:
            return
        messages: list[Message] = []
        try:
            messages.extend(self._assembler.messages(fragments))
            seat.receive(*messages)
        except BadMessage as error:
            seat.receive(*messages)
            content = orjson.dumps({"text": str(error), "code": error.code, "traceback": None})
            connection.send(outgoing("ERROR", content, msgid="0"))
            connection.close(error.close, error.code)
            self.disconnected()

    def paused(self) -> None:
        """Pass it on to the room."""
        if self._seat is not None:
            self._seat.paused()

    def resumed(self) -> None:
        """Pass it on to the room."""
        if self._seat is not None:
            self._seat.resumed()

    def disconnected(self) -> None:
        """Leave the seat."""
        seat, self._seat = self._seat, None
        if seat is not None:
            seat.leave()


@dataclass(slots=True)
class BoardEndpoint:
    """One open board. What its page sends is ignored."""

    hub: Hub
    actor: Actor
    subprotocol: str | None = None
    connection: Connection | None = None
    most = LIMITS.question

    def connected(self, connection: Connection) -> None:
        """Tell it of changes from now on."""
        self.connection = connection
        self.hub.watch(connection, self.actor)

    def received(self, *fragments: str | bytes) -> None:
        """The page has nothing to say."""

    def paused(self) -> None:
        """A page that does not read these tiny messages comes back by itself."""
        if self.connection is not None:
            self.connection.close(TRY_AGAIN, "too slow")

    def resumed(self) -> None:
        """See ``paused``."""

    def disconnected(self) -> None:
        """Tell it no more."""
        if self.connection is not None:
            self.hub.unwatch(self.connection)


async def frame_socket(site: Site, request: Request) -> DocumentEndpoint:
    """The socket of a sandboxed frame, opened by a ticket."""
    document = unquote(request.parameters["document"])
    actor = site.tickets.redeem(read_ticket(request.subprotocols), document)
    try:
        room = await site.hub.open(document)
    except NotFound:
        raise NotFound("The document was deleted.") from None
    return DocumentEndpoint(room, actor, "viewer", SUBPROTOCOL, site.limits)


async def program_socket(site: Site, request: Request) -> DocumentEndpoint:
    """The socket of a program: our ``Session``, or ``push_session`` and ``pull_session`` of ``bokeh.client``."""
    room = await site.hub.open(request.document.id)
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in request.subprotocols else None
    return DocumentEndpoint(room, request.actor, "program", subprotocol, site.limits)


async def board_socket(site: Site, request: Request) -> BoardEndpoint:
    """Says when the list of documents must be fetched again."""
    return BoardEndpoint(site.hub, request.actor)


def read_ticket(subprotocols: tuple[str, ...]) -> str:
    """The ticket in BokehJS's token; ``Unauthorized`` where there is none."""
    try:
        text = subprotocols[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Token).ticket
    except (IndexError, ValueError, msgspec.MsgspecError):
        raise Unauthorized("A page opens its socket with a ticket.") from None
