"""Our HTTP protocol for uvicorn: bounds on a request that is not there yet.

A subclass of uvicorn's, which has none: it would keep the headers of a request for as long as more of them come, and
wait for the rest of one for ever. Who sends a head (or trailers) without end is told 431; who sends nothing of use
for a while is cut off. While the server itself holds a request up, no time passes.
"""

from __future__ import annotations

import asyncio
from asyncio.transports import Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bokeh_server.limits import LIMITS

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class RequestProtocol(HttpToolsProtocol):
    """One connection, until it becomes a websocket."""

    _useless = 0
    """Bytes that came since the last head was complete, or the last part of a body came."""
    _late = 0
    """Bytes of bodies that came after their answers."""
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A request is expected."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._useless += len(data)
        if self._timer is None:
            self._expect()
        super().data_received(data)
        if self._useless > LIMITS.head and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A head is complete."""
        super().on_headers_complete()
        self._useless = 0
        self._expect()

    def on_body(self, body: bytes) -> None:
        """A part of a body came."""
        super().on_body(body)
        self._useless = 0
        self._expect()
        if self.cycle.response_complete:  # it was refused, and goes on: nobody reads that
            self._late += len(body)
            ends = any(name == b"content-length" for name, _ in self.headers)  # then the answer is read behind it
            if self._late > (LIMITS.body if ends else LIMITS.table):
                self.transport.close()

    def on_message_complete(self) -> None:
        """A request is complete: the next move is ours."""
        super().on_message_complete()
        self._useless = 0
        self._expect_nothing()

    def handle_websocket_upgrade(self) -> None:
        """It becomes a websocket."""
        self._expect_nothing()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect(self) -> None:
        """Something of use must come within ``LIMITS.request`` seconds."""
        self._expect_nothing()
        self._timer = self.loop.call_later(LIMITS.request, self._give_up)

    def _expect_nothing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.transport.is_reading():
            self.transport.close()
        else:
            self._expect()
