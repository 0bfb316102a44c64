"""A websocket client that costs next to nothing, so that thousands of viewers fit into the process of a test.

It speaks the wire by hand: its frames are masked with the key 0, those of the server come whole and unmasked. It hands
on one whole message at a time, answers pings, and refuses everything that no server of ours sends.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar, TypeVar, cast

from bokeh_server.limits import KIB

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)
PATIENCE = 20.0
"""Seconds for a handshake, or an answer."""
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
Fragments = list[bytes]
T = TypeVar("T")


class Refused(OSError):
    """The handshake was answered by something else than a websocket."""


class Socket(asyncio.Protocol):
    """One websocket. What comes is taken by ``message`` and ``lost``; a class of its own says what to do with it."""

    transport: asyncio.Transport
    connected: ClassVar[set[Socket]] = set()

    def __init__(self) -> None:
        self._upgraded: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self._data = b""
        self._fragments: Fragments = []
        self._missing = 3

    def message(self, header: dict[str, Any], fragments: Fragments) -> None:
        """A whole message came: its header, and all its fragments."""

    def lost(self) -> None:
        """The socket is closed, by whomever."""

    async def open(self, port: int, path: str, host: str, more: str = "", receive_buffer: int | None = None) -> None:
        """Connect to a port of this machine and do the handshake; ``Refused`` where it is none, or ``OSError``."""
        raw = socket.socket()
        raw.setblocking(False)
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        upgraded = self._upgraded
        assert upgraded is not None
        try:
            async with asyncio.timeout(PATIENCE):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(raw, ("127.0.0.1", port))
                await loop.create_connection(lambda: self, sock=raw)
                self.transport.write(HANDSHAKE.format(path=path, host=host, more=more).encode())
                await upgraded
        except BaseException:
            raw.close()
            if hasattr(self, "transport"):
                self.transport.abort()
            raise

    def send(self, *fragments: str) -> None:
        """Send one message of text fragments."""
        parts = [part.encode() for part in fragments]
        self.transport.write(b"".join([piece for part in parts for piece in (head(TEXT, len(part)), part)]))

    def leave(self) -> None:
        """Close the websocket as a page does that is closed."""
        self.transport.write(head(CLOSE, 2) + (1001).to_bytes(2))

    def cut(self) -> None:
        """Let go of the socket at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected."""
        self.transport = cast(asyncio.Transport, transport)
        self.connected.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self.connected.discard(self)
        if self._upgraded is not None:
            if not self._upgraded.done():
                self._upgraded.set_exception(Refused("closed in the middle of the handshake"))
        else:
            self.lost()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._data = self._data + data if self._data else data
        if self._upgraded is not None and not self._upgrade(self._upgraded):
            return
        at = self._take_frames()
        self._data = self._data[at:] if at < len(self._data) else b""

    def _upgrade(self, upgraded: asyncio.Future[None]) -> bool:
        headers, end, rest = self._data.partition(b"\r\n\r\n")
        if not end or upgraded.done():
            return False
        if not headers.startswith(b"HTTP/1.1 101 "):
            upgraded.set_exception(Refused(headers.partition(b"\r\n")[0].decode("latin-1")))
            return False
        self._data, self._upgraded = rest, None
        upgraded.set_result(None)
        return True

    def _take_frames(self) -> int:
        data, at, end = self._data, 0, len(self._data)
        while end - at >= 2:
            first, size, start = data[at], data[at + 1], at + 2
            if size > 125:
                width = 2 if size == 126 else 8
                size, start = int.from_bytes(data[start : start + width]), start + width
            if start + size > end:
                break
            at = start + size
            self._take(first, data[start:at])
        return at

    def _take(self, first: int, payload: bytes) -> None:
        if first == PING:
            self.transport.write(head(PONG, len(payload)) + payload)
        elif first == CLOSE:
            self.transport.write(head(CLOSE, len(payload)) + payload)  # or it is the answer to ours: too late for any
            self.transport.close()
        else:
            assert first in (TEXT, BINARY), f"a frame that starts with {first:#x}"
            self._fragments.append(payload)
            if len(self._fragments) == 1:
                self._missing = 3 + 2 * json.loads(payload).get("num_buffers", 0)
            if len(self._fragments) == self._missing:
                fragments, self._fragments = self._fragments, []
                self.message(json.loads(fragments[0]), fragments)


def play(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; then all sockets are cut, as if the machine of the viewers had vanished."""

    async def run() -> T:
        try:
            return await work
        finally:
            while Socket.connected:
                for there in list(Socket.connected):
                    there.cut()
                await asyncio.sleep(0.01)

    return asyncio.run(run())


async def post(port: int, path: str, host: str) -> Any:
    """The JSON answer to a POST without a body; ``OSError`` where there is none in time."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            request = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            answer = await reader.read(64 * KIB)
            while (more := await reader.read(64 * KIB)) != b"":
                answer += more
        finally:
            writer.close()
    line, _, rest = answer.partition(b"\r\n")
    if b" 200 " not in line:
        raise Refused(line.decode("latin-1"))
    try:
        return json.loads(rest.partition(b"\r\n\r\n")[2])
    except ValueError as error:
        raise Refused("the answer was cut short") from error


def head(first: int, size: int) -> bytes:
    """The head of a client's frame: masked, with the key 0."""
    if size < 126:
        return struct.pack("!BBI", first, 0x80 | size, 0)
    if size < 1 << 16:
        return struct.pack("!BBHI", first, 0x80 | 126, size, 0)
    return struct.pack("!BBQI", first, 0x80 | 127, size, 0)


def texts(msgtype: str, content: str, **more: object) -> Sequence[str]:
    """The fragments of a message without buffers; ``content`` is JSON."""
    return json.dumps({"msgid": "m", "msgtype": msgtype, **more}), "{}", content
