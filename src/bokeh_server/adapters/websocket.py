"""Our websocket protocol for uvicorn: prebuilt frames straight to the transport, fragments straight to the endpoint.

A subclass of uvicorn's sans-IO protocol, which does the handshake and parses frames (``websockets``' sans-IO core);
whole messages in one small frame, as nearly all are, do not pass that core, which took a fifth of what a patch costs.
It offers itself in ``scope["extensions"]["bokeh.frames"]``; an application that calls ``attach`` has from then on a
``Connection`` whose ``send`` writes bytes that were made once for all receivers, with no task, queue or encoding per
message, and that says when the socket is full and when it has drained. A peer that does not read is not read from
either. One timer pings all sockets of the process. Once the application has attached and returned, nothing is kept of
the handshake, the task and the queue: an open socket without traffic is mostly its transport.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from asyncio.transports import BaseTransport, Transport
from collections import deque
from enum import IntFlag, auto
from typing import Any, ClassVar, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode, apply_mask  # type: ignore[attr-defined]
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from bokeh_server.core.wire import Outgoing
from bokeh_server.limits import LIMITS
from bokeh_server.web.http import Endpoint

EXTENSION = "bokeh.frames"
UNSENT = 64 * 1024
"""Bytes in the kernel for one viewer that are not on their way: a slow one is then a second behind, not half a minute.
How many are on their way is TCP's business, so that a viewer far away gets what its network carries."""
LARGE = 256 * 1024
"""Bytes from which a message goes to the transport in pieces, instead of being copied into one."""
HIGH_WATER = 64 * 1024
FAREWELL = 2.0
"""Seconds for the peer to hear that the server ends."""
SMALL = 64 * 1024
"""Bytes of a message up to which it is taken out of what came as a whole."""
TEXT, BINARY = WHOLE = (0x81, 0x82)
"""The first byte of a message in one frame."""
NOT_TEXT = "text is not UTF-8"
MASKED = 0x80
SHORTEST = 6
"""Bytes of the head of a short frame with a mask."""
PONG = b"\x8a"
"""The first byte of a pong's frame."""


class Hold(IntFlag):
    """Why nothing is read from a socket just now. Each reason comes and goes on its own."""

    NONE = 0
    ROOM = auto()
    """Too much of what it sent waits for the store."""
    FULL = auto()
    """It does not read what we send: it must not ask for more."""


class Core(ServerProtocol):
    """websockets' core, where a peer may close in the middle of a message, as RFC 6455 (5.4) lets it: the core itself
    calls that a mistake."""

    def recv_frame(self, frame: Frame) -> None:
        """A frame came; with a close frame the message that has begun is none any more."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)

    def send_frame(self, frame: Frame) -> None:
        """Line a frame up. None may leave before the handshake is answered, as would the pong of too early a ping."""
        if self.state is not State.CONNECTING:
            super().send_frame(frame)


class FramesProtocol(WebSocketsSansIOProtocol):
    """One websocket."""

    endpoint: Endpoint | None = None
    connection: FramesConnection
    heard = True
    """Whether anything came since the last ping."""
    held = Hold.NONE
    waiting: deque[Any] | None = None
    """Events that came before it was held, and are not handled yet; None where there are none."""
    failed = False
    aligned = False
    """Whether the core has had the handshake and then whole frames only: what comes next begins a frame."""
    passing = 0
    """Bytes of a frame that are still to come, and are the core's."""
    rest = b""
    """The beginning of a small frame."""
    pings = 0
    """Pings that are handled, and whose pongs may still be lined up."""
    farewell = 10.0
    """Seconds for the peer to read our close frame and to answer it."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = Core(
            extensions=self.conn.available_extensions, max_size=config.ws_max_size, logger=self.conn.logger
        )

    def connection_made(self, transport: BaseTransport) -> None:
        """Keep little in the kernel and in the transport, so that back-pressure is felt early."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
            else:  # Windows
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)
        cast(Transport, transport).set_write_buffer_limits(high=HIGH_WATER)

    async def run_asgi(self) -> None:
        """Offer the extension, and run the application; one that attaches an endpoint need not stay."""
        extensions = cast(dict[str, Any], self.scope["extensions"])
        extensions[EXTENSION] = self
        application = self.app

        async def run(scope: Any, receive: Any, send: Any) -> None:
            await application(scope, receive, send)
            if self.endpoint is not None:
                self.forget_handshake(self.endpoint)
                self.close_timer = self.close_timer or STAYS

        self.app = run
        await super().run_asgi()
        self.app = application
        if self.close_timer is STAYS:
            self.close_timer = None

    def forget_handshake(self, endpoint: Endpoint) -> None:
        """Let go of what only the application needed. Who hears of the end now is the endpoint itself."""
        early, door = self.queue, Door(self.loop, endpoint)
        self.scope = self.request = self.response = cast(Any, None)
        self.queue = cast(Any, door)
        self.writable = OPEN
        while not early.empty():
            door.put_nowait(early.get_nowait())

    def attach(self, endpoint: Endpoint) -> None:
        """From now on this endpoint gets what comes; to be called right after the accept.

        The application may return then. The endpoint hears of the end by ``disconnected``, maybe more than once.
        """
        early = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        self.endpoint = endpoint
        self.conn.max_message_size = endpoint.most
        self.connection = FramesConnection(self)
        Pinger.of(self.loop).add(self)
        endpoint.connected(self.connection)
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()
        for event in early:  # sent before the handshake was over
            if event["type"] == "websocket.receive":
                fragment = event.get("text")
                endpoint.received(fragment if fragment is not None else cast(bytes, event.get("bytes")))
            else:
                self.queue.put_nowait(event)

    # What comes

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.heard = True
        if self.aligned and self.endpoint is not None:
            self.split(data)
            return
        asked = self.handshake_initiated
        self.pass_on(data)
        self.aligned = self.handshake_initiated and not asked and data.endswith(b"\r\n\r\n")

    def pass_on(self, data: bytes) -> None:
        """Let the core have bytes."""
        self.conn.receive_data(data)
        self.handle_events()

    def split(self, data: bytes) -> None:
        """Take whole messages in one small frame out; the core gets everything else."""
        if self.rest:
            data, self.rest = self.rest + data, b""
        at, end, most = 0, len(data), self.most
        taken: list[str | bytes] = []
        while at < end:
            if self.passing:
                until = min(end, at + self.passing)
                self.passing -= until - at
                self.pass_on(data[at:until])
                at, most = until, self.most
                continue
            first = data[at]
            if end - at > SHORTEST and MASKED <= (head := data[at + 1]) < MASKED + 126:
                start = at + SHORTEST
                stop = start + head - MASKED
            else:
                start, stop = frame_at(data, at)
            if start and not (first in WHOLE and data[at + 1] >= MASKED and stop - start <= most):
                self.passing = stop - at
                taken = self.hand_over(taken)
            elif not start or stop > end:
                self.rest = data[at:]
                break
            else:
                at = stop
                payload = apply_mask(data[start:stop], data[start - 4 : start])
                try:
                    taken.append(payload if first == BINARY else str(payload, "utf-8"))
                except UnicodeDecodeError:
                    taken = self.hand_over(taken)
                    self.connection.close(1007, NOT_TEXT)
                    most = self.most
        self.hand_over(taken)

    @property
    def most(self) -> int:
        """Bytes of a message that can be handled now without the core, as nothing is before it; -1 where none can."""
        conn = self.conn
        if self.frames or self.waiting or self.held or self.close_sent or conn.state is not State.OPEN:
            return -1
        return min(SMALL, conn.max_message_size or 0)

    def handle_events(self) -> None:
        """First what the bytes complete counts, as far as nothing holds it up, then what is wrong with the rest."""
        waiting = self.waiting = self.waiting or deque()
        waiting.extend(self.conn.events_received())
        while waiting and not self.held:
            self.handle_event(waiting.popleft())
        if waiting:
            return
        self.waiting = None
        if self.conn.parser_exc is not None and not self.failed:
            self.failed = True
            self.handle_parser_exception()
        elif self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.refuse_handshake(self.conn.handshake_exc)
        elif self.conn.writes and self.handshake_complete:
            self.transport.write(b"".join(self.conn.data_to_send()))

    def refuse_handshake(self, error: Exception) -> None:
        """What came can't be read as a handshake, as where its cookies are longer than a line may be: say so."""
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        answer = self.conn.reject(400, f"This is no handshake of a websocket: {error}.\n")
        self.transport.write(b"".join(self.conn.data_to_send()) or answer.serialize())
        self.transport.close()

    def handle_event(self, event: Any) -> None:
        """The handshake, or one frame."""
        if isinstance(event, Request):
            self.handle_connect(event)
            return
        if event.opcode is Opcode.PING:
            self.pings += 1
            return
        if self.pings:
            self.answer_pings()
        match event.opcode:
            case Opcode.TEXT:
                self.handle_text(event)
            case Opcode.BINARY:
                self.handle_bytes(event)
            case Opcode.CONT:
                self.handle_cont(event)
            case Opcode.CLOSE:
                self.handle_close(event)
            case _:
                """A pong: any bytes show that the peer is alive."""

    def answer_pings(self) -> None:
        """Send the pongs of what is handled. More may be lined up: pongs, and the answer to a close that came later."""
        pongs = [written for written in self.conn.writes[: self.pings] if written[:1] == PONG]
        self.pings = 0
        if pongs and self.handshake_complete:
            del self.conn.writes[: len(pongs)]
            self.transport.write(b"".join(pongs))

    def send_receive_event_to_app(self) -> None:
        """A whole message is here: hand it to the endpoint at once."""
        if self.endpoint is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        try:
            self.hand_over([bytes(data) if self.curr_msg_data_type == "bytes" else str(data, "utf-8")])
        except UnicodeDecodeError:
            self.connection.close(1007, NOT_TEXT)

    def hand_over(self, messages: list[str | bytes]) -> list[str | bytes]:
        """Let the endpoint have messages, after pongs for what came before them. Returns an empty list."""
        if messages:
            if self.pings:
                self.answer_pings()
            if self.endpoint is not None and not self.close_sent:
                self.endpoint.received(*messages)
        return []

    def handle_close(self, event: Frame) -> None:
        """The peer closes: answer, and do not wait for ever until it has read that."""
        super().handle_close(event)
        self.end_within(self.farewell)

    def handle_parser_exception(self) -> None:
        """Say why, and go on reading (and dropping) for a while: a reset would overtake the close frame."""
        close = self.conn.close_sent
        code, reason = (close.code, close.reason) if close is not None else (1006, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        if not self.handshake_complete:
            self.transport.close()
            return
        self.hold(self.held, False)
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.end_within(self.farewell)

    def eof_received(self) -> None:
        """The peer says no more: nor do we."""
        self.close_sent = True
        self.end_within(self.farewell)

    # What goes

    async def send(self, message: Any) -> None:
        """Send an event of the application; one that has answered with an HTTP status has completed the handshake."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or message["type"] == "websocket.http.response.body"

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        if self.endpoint is None:
            super().pause_writing()
        else:
            self.hold(Hold.FULL, True)
            self.endpoint.paused()

    def resume_writing(self) -> None:
        """The transport takes more."""
        super().resume_writing()
        if self.endpoint is not None:
            self.hold(Hold.FULL, False)
            self.endpoint.resumed()

    def hold(self, reason: Hold, on: bool) -> None:
        """Read no more for this reason, or no longer not. After our close frame all is read: its answer must come."""
        before = self.held
        self.held = before | reason if on and not self.close_sent else before & ~reason
        if self.held and not before and not self.transport.is_closing():
            self.transport.pause_reading()
        elif before and not self.held:
            self.heard = True
            self.loop.call_soon(self.go_on)  # not now: the room may be in the middle of telling others something

    def go_on(self) -> None:
        """Take up what waited, and then read again."""
        if self.held or self.disconnected:
            return
        self.handle_events()
        if not self.held and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        super().connection_lost(exc)
        if self.endpoint is not None:
            self.endpoint.disconnected()

    def shutdown(self) -> None:
        """The server ends: say so, and give the peer a moment to hear it."""
        if self.endpoint is None:
            super().shutdown()
        else:
            self.connection.close(1012, "restart")
            self.end_within(FAREWELL)

    def end_within(self, seconds: float) -> None:
        """Cut the socket off then, if the peer has not closed it before."""
        if self.close_timer is not None:
            self.close_timer.cancel()
        if not self.disconnected:
            self.close_timer = self.loop.call_later(seconds, self.transport.abort)

    def ping(self) -> None:
        """Send a ping; cut off who has been silent since the last one, unless we would not have heard it."""
        if self.close_sent or self.transport.is_closing() or self.held or self.conn.state is not State.OPEN:
            return
        if not self.heard:
            self.transport.abort()
            return
        self.heard = False
        self.conn.send_ping(b"")
        self.transport.write(b"".join(self.conn.data_to_send()))


OPEN = asyncio.Event()
"""In the place of a socket's own, where nobody waits until it can be written to."""
OPEN.set()
STAYS: Final = cast(asyncio.TimerHandle, object())
"""In the place of the timer that closes a socket: when an application returns, uvicorn closes one that has none.
Nothing else runs before it is taken away again."""


class Door:
    """In the place of a queue of events, where nobody waits for them: the endpoint hears of the end."""

    __slots__ = ("_endpoint", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint) -> None:
        self._loop = loop
        self._endpoint = endpoint

    def put_nowait(self, event: Any) -> None:
        """The socket closes, or is closed."""
        if event["type"] == "websocket.disconnect":
            self._loop.call_soon(self._endpoint.disconnected)


class FramesConnection:
    """The endpoint's ``hub.Connection``: its messages go to the transport as they are."""

    __slots__ = ("_protocol", "_transport")

    def __init__(self, protocol: FramesProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport

    @property
    def unsent(self) -> int:
        """What the transport holds."""
        return self._transport.get_write_buffer_size()

    def send(self, message: Outgoing) -> None:
        """Write a message's frames; none follows the close frame."""
        transport = self._transport
        if self._protocol.close_sent or transport.is_closing():
            return
        if message.size < LARGE:
            transport.write(message.frames)
        else:
            transport.writelines(message.pieces)

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        protocol = self._protocol
        if protocol.close_sent or self._transport.is_closing():
            return
        protocol.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        try:
            protocol.conn.send_close(code, shortened(reason))
        except InvalidState:  # the peer is closing just now
            return
        protocol.close_sent = True
        protocol.hold(protocol.held, False)
        self._transport.write(b"".join(protocol.conn.data_to_send()))
        protocol.end_within(protocol.farewell)

    def pause_reading(self) -> None:
        """Let the sender wait."""
        self._protocol.hold(Hold.ROOM, True)

    def resume_reading(self) -> None:
        """Read again."""
        self._protocol.hold(Hold.ROOM, False)


def frame_at(data: bytes, at: int) -> tuple[int, int]:
    """Where the payload of the frame at ``at`` starts and stops (RFC 6455, section 5.2); 0 and 0 if not all of its head
    is there."""
    end = len(data)
    if end - at < 2:
        return 0, 0
    size, start = data[at + 1] & 0x7F, at + 2
    if size > 125:
        width = 2 if size == 126 else 8
        size, start = int.from_bytes(data[start : start + width]), start + width
    start += 4 if data[at + 1] & MASKED else 0
    return (start, start + size) if start <= end else (0, 0)


def shortened(reason: str) -> str:
    """What fits into a close frame: 123 bytes."""
    return reason.encode()[:123].decode(errors="ignore")


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
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            loop.call_later(LIMITS.ping / self.SLICES, self._step)
        self._next = (self._next + 1) % self.SLICES
        for protocol in list(self._slices[self._next]):
            protocol.ping()
