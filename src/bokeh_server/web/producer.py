"""Rows by a websocket, for programs of any language: a JSON object in each message, and nothing of Bokeh's protocol.

What came together is one patch. A producer that counts its messages is told up to which of them all is durable, and may
send again, over another socket, what is not: it is taken once. What is refused is told with its number, and the others
are taken. It hears nothing of the document, only of its own messages.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from bokeh_server.core.wire import Outgoing
from bokeh_server.errors import BadMessage, BokehServerError, RefusedPatch, ServerFault
from bokeh_server.limits import LIMITS
from bokeh_server.seat import Connection
from bokeh_server.web.http import Request, parse_json
from bokeh_server.web.intake import Intake, Numbered, aimed
from bokeh_server.web.push import found_or_made, from_value
from bokeh_server.web.runs import merged
from bokeh_server.web.site import Site

log = structlog.get_logger("bokeh_server.web")
TRY_AGAIN = 1013
MESSAGES = 1_000
"""Messages that wait here, at most, until the producer has to."""


@dataclass(slots=True)
class Watched:
    """A connection as the hub watches it: it is closed when its actor loses what he came with, and told nothing."""

    connection: Connection
    unsent: int = 0

    def send(self, message: Outgoing) -> None:
        """Lists of documents are not its business."""

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        self.connection.close(code, reason)

    def pause_reading(self) -> None:
        """It is never asked to."""

    def resume_reading(self) -> None:
        """It is never asked to."""

    __hash__ = object.__hash__


@dataclass(slots=True)
class ProducerEndpoint:
    """One producer's socket."""

    site: Site
    request: Request
    intake: Intake
    client: str
    subprotocol: str | None = None
    most: int = LIMITS.line
    _connection: Connection | None = None
    _watched: Watched | None = None
    _waiting: list[str | bytes] = field(default_factory=list)
    _size: int = 0
    _there: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def connected(self, connection: Connection) -> None:
        """Say which document it is, and begin."""
        self._connection, self._watched = connection, Watched(connection)
        self.site.hub.watch(self._watched, self.request.actor)
        id = self.intake.document
        self._tell({"document": id, "link": f"{self.site.url_for(self.request)}bokeh/doc/{id}"})
        self._task = asyncio.get_running_loop().create_task(self._run(connection))

    def received(self, *fragments: str | bytes) -> None:
        """Messages wait for their turn; the socket is not read where many do."""
        self._waiting += fragments
        self._size += sum(map(len, fragments))
        self._there.set()
        if self._connection is not None and self._is_full:
            self._connection.pause_reading()

    def paused(self) -> None:
        """Who does not read these small answers comes back by himself."""
        if self._connection is not None:
            self._connection.close(TRY_AGAIN, "too slow")

    def resumed(self) -> None:
        """See ``paused``."""

    def disconnected(self) -> None:
        """What came before is taken; nothing is told any more."""
        self._connection = None
        if self._watched is not None:
            self.site.hub.unwatch(self._watched)
        self._there.set()

    @property
    def _is_full(self) -> bool:
        return self._size > LIMITS.line or len(self._waiting) > MESSAGES

    async def _run(self, connection: Connection) -> None:
        while self._connection is not None or self._waiting:
            await self._there.wait()
            self._there.clear()
            waiting, self._waiting, self._size = self._waiting, [], 0
            try:
                await self._take([message for text in waiting if (message := self._read(text)) is not None])
            except BokehServerError as error:
                connection.close(error.close, error.code)
                return
            except Exception as error:  # our mistake: the producer comes back, and the others notice nothing
                log.error("a producer's socket failed", exc_info=error)
                connection.close(ServerFault.close, ServerFault.code)
                return
            connection.resume_reading()

    def _read(self, text: str | bytes) -> Numbered | None:
        """A message; None where it is none, which its sender is told."""
        number = None
        try:
            if isinstance(text, bytes):
                raise BadMessage("A message is text: a JSON object.")
            found = parse_json(text.encode("utf-8", "surrogatepass"))
            if not isinstance(found, dict) or not {"rows"} <= found.keys() <= {"rows", "number"}:
                raise BadMessage('A message is {"rows": …}, with a "number" if you like.')
            number = found.get("number")
            if number is not None and (type(number) is not int or not 1 <= number < 2**53 or not self.client):
                raise BadMessage("A number is 1, 2, 3, …, and goes with a client (8 to 64 characters) in the address.")
            return number, merged(from_value(found["rows"], loose=not self.intake.aim.source))
        except BadMessage as error:
            self._refuse(error, number)
            return None

    async def _take(self, messages: list[Numbered]) -> None:
        """Have messages taken: together, or each on its own where one of them is refused."""
        if not messages:
            return
        try:
            await self.intake.take_counted(messages, self.client)
        except (BadMessage, RefusedPatch) as error:
            if len(messages) == 1:
                self._refuse(error, messages[0][0])
                return
            for message in messages:
                await self._take([message])
            return
        self._tell({"ok": messages[-1][0], "rows": self.intake.taken, "seq": self.intake.seq})

    def _refuse(self, error: BokehServerError, number: Any) -> None:
        self._tell({"error": error.code, "detail": str(error), "number": number if type(number) is int else None})

    def _tell(self, value: dict[str, Any]) -> None:
        if self._connection is not None:
            self._connection.send(Outgoing((orjson.dumps(value),)))


async def rows_socket(site: Site, request: Request) -> ProducerEndpoint:
    """The socket of a producer of rows, in any language: JSON messages, each taken once. It makes a new document."""
    client = request.query.get("client", "")
    if client and not 8 <= len(client) <= 64:
        raise BadMessage("The name of a client has 8 to 64 characters.")
    aim = aimed(request)
    info = await found_or_made(site, request)
    return ProducerEndpoint(site, request, Intake(site, request, info.id, aim), client)
