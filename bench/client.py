"""A blocking websocket client that costs next to nothing, to time a server and not the client.

Its frames are masked with the key 0, so that 8 MB leave without a pass over them; frames from the server are read
whole into memory. It answers pings and refuses fragmented frames (no server here sends them). For loopback only.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bench.material import Fragments

TIMEOUT = 120.0  # seconds; bokeh takes several for a big document


@dataclass(frozen=True, slots=True)
class Address:
    """Where a document's socket is."""

    port: int
    path: str
    token: str

    @property
    def headers(self) -> str:
        """The header lines beyond the usual, each ended by CRLF."""
        return f"Sec-WebSocket-Protocol: bokeh, {self.token}\r\n"


class Client:
    """One open socket of a document; the server's ACK has been read."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection(("127.0.0.1", address.port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", 1 << 20)
        self._socket.sendall(
            f"GET {address.path} HTTP/1.1\r\nHost: 127.0.0.1:{address.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"{address.headers}\r\n".encode()
        )
        status = self._file.readline()
        if b" 101 " not in status:
            raise ConnectionError(f"no websocket at {address.path}: {status!r}")
        while self._file.readline() not in (b"\r\n", b""):
            pass
        self.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()
        self._socket.close()

    def send(self, fragments: Fragments) -> None:
        """Send one Bokeh message."""
        parts: list[bytes] = []
        for fragment in fragments:
            payload = fragment.encode() if isinstance(fragment, str) else fragment
            parts += (_head(0x81 if isinstance(fragment, str) else 0x82, len(payload)), payload)
        for part in _joined(parts):
            self._socket.sendall(part)

    def receive(self) -> tuple[dict[str, Any], list[bytes]]:
        """The next Bokeh message: its header, and all its fragments."""
        fragments = [self._frame() for _ in range(3)]
        header: dict[str, Any] = json.loads(fragments[0])
        fragments += [self._frame() for _ in range(2 * header.get("num_buffers", 0))]
        return header, fragments

    def answer(self, fragments: Fragments) -> tuple[dict[str, Any], list[bytes]]:
        """Send a message and wait for the one that answers it."""
        msgid = json.loads(fragments[0])["msgid"]
        self.send(fragments)
        while True:
            header, answer = self.receive()
            if header.get("reqid") == msgid:
                return header, answer

    def _frame(self) -> bytes:
        while True:
            first, size = self._read(2)
            if size == 126:
                (size,) = struct.unpack("!H", self._read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._read(8))
            payload = self._read(size)
            match first:
                case 0x81 | 0x82:
                    return payload
                case 0x89:
                    self._socket.sendall(_head(0x8A, len(payload)) + payload)
                case 0x88:
                    raise ConnectionError(f"the server closed the socket: {payload!r}")
                case _:
                    raise ConnectionError(f"a frame that starts with {first:#x}")

    def _read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        if len(data) < size:
            raise ConnectionError("the server cut the connection")
        return data


def _head(first: int, size: int) -> bytes:
    """The head of a client's frame: masked, with the key 0."""
    if size < 126:
        return struct.pack("!BBI", first, 0x80 | size, 0)
    if size < 1 << 16:
        return struct.pack("!BBHI", first, 0x80 | 126, size, 0)
    return struct.pack("!BBQI", first, 0x80 | 127, size, 0)


def _joined(parts: Sequence[bytes]) -> list[bytes]:
    """Small parts in one piece, so that a message of three short fragments leaves in one packet."""
    joined = [b""]
    for part in parts:
        if len(joined[-1]) + len(part) < 1 << 16:
            joined[-1] += part
        else:
            joined.append(part)
    return joined
