"""Our websocket protocol for uvicorn: prebuilt frames straight to the transport, fragments straight to the endpoint.

A subclass of uvicorn's sans-IO protocol, which does the handshake and parses frames (``websockets``' sans-IO core).
It offers itself in ``scope["extensions"]["bokeh.frames"]``; an application that calls ``attach`` has from then on a
``Connection`` whose ``send`` writes bytes that were made once for all receivers, with no task, queue or encoding per
message, and that says when the socket is full and when it has drained. One timer pings all sockets of the process.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from asyncio.transports import BaseTransport, Transport
from typing import Any, ClassVar, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame

from bokeh_server.core.wire import Outgoing
from bokeh_server.limits import LIMITS
from bokeh_server.web.http import Endpoint

EXTENSION = "bokeh.frames"
SEND_BUFFER = 64 * 1024
"""Bytes in the kernel for one viewer: a slow one is then a second behind, not half a minute."""
HIGH_WATER = 64 * 1024


class FramesProtocol(WebSocketsSansIOProtocol):
    """One websocket."""

    endpoint: Endpoint | None = None
    connection: FramesConnection
    pinged = False

    def connection_made(self, transport: BaseTransport) -> None:
        """Keep little in the kernel and in the transport, so that back-pressure is felt early."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        cast(Transport, transport).set_write_buffer_limits(high=HIGH_WATER)

    async def run_asgi(self) -> None:
        """Offer the extension, and run the application."""
        extensions = cast(dict[str, Any], self.scope["extensions"])
        extensions[EXTENSION] = self
        await super().run_asgi()

    def attach(self, endpoint: Endpoint) -> None:
        """From now on this endpoint gets what comes; to be called right after the accept."""
        self.endpoint = endpoint
        self.connection = FramesConnection(self)
        Pinger.of(self.loop).add(self)
        endpoint.connected(self.connection)

    # What comes

    def send_receive_event_to_app(self) -> None:
        """A whole message is here: hand it to the endpoint at once."""
        if self.endpoint is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        self.pinged = False
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.endpoint.received(bytes(data))
            return
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError:
            self.connection.close(1007, "text is not UTF-8")
            return
        self.endpoint.received(text)

    def handle_pong(self, event: Frame) -> None:
        """The peer is alive."""
        self.pinged = False

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        super().pause_writing()
        if self.endpoint is not None:
            self.endpoint.paused()

    def resume_writing(self) -> None:
        """The transport takes more."""
        super().resume_writing()
        if self.endpoint is not None:
            self.endpoint.resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        super().connection_lost(exc)
        if self.endpoint is not None:
            self.endpoint.disconnected()

    def ping(self) -> None:
        """Send a ping; close who has been silent since the last one."""
        if self.close_sent or self.transport.is_closing():
            return
        if self.pinged:
            self.transport.abort()
            return
        self.pinged = True
        self.conn.send_ping(b"")
        self.transport.write(b"".join(self.conn.data_to_send()))


class FramesConnection:
    """The endpoint's ``hub.Connection``: its messages go to the transport as they are."""

    __slots__ = ("_protocol", "_transport")

    def __init__(self, protocol: FramesProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport

    def send(self, message: Outgoing) -> None:
        """Write a message's frames; none follows the close frame."""
        if not self._protocol.close_sent and not self._transport.is_closing():
            self._transport.write(message.frames)

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        protocol = self._protocol
        if protocol.close_sent or self._transport.is_closing():
            return
        protocol.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        try:
            protocol.conn.send_close(code, reason[:120])
        except InvalidState:  # the peer is closing just now
            return
        self._transport.write(b"".join(protocol.conn.data_to_send()))
        protocol.close_sent = True
        protocol.close_timer = protocol.loop.call_later(protocol.close_timeout, self._transport.close)

    def pause_reading(self) -> None:
        """Let the sender wait."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()


class Pinger:
    """One timer for all sockets of an event loop: it walks through them in slices, each once in ``LIMITS.ping``."""

    SLICES = 64
    _pingers: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Pinger]] = weakref.WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._slices: list[weakref.WeakSet[FramesProtocol]] = [weakref.WeakSet() for _ in range(self.SLICES)]
        self._next = 0
        self._step()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Pinger:
        """The loop's pinger."""
        if loop not in cls._pingers:
            cls._pingers[loop] = cls(loop)
        return cls._pingers[loop]

    def add(self, protocol: FramesProtocol) -> None:
        """Ping this socket from now on, for as long as it lives."""
        min(self._slices, key=len).add(protocol)

    def _step(self) -> None:
        self._next = (self._next + 1) % self.SLICES
        for protocol in list(self._slices[self._next]):
            protocol.ping()
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            loop.call_later(LIMITS.ping / self.SLICES, self._step)
