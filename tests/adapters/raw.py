"""A websocket client made of bytes: it can send what no library sends, and stop reading."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import orjson

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, mask: bool = True) -> bytes:
    """One frame as a client sends it."""
    size = len(payload)
    head = struct.pack("!B", opcode | (0x80 if fin else 0))
    bit = 0x80 if mask else 0
    if size < 126:
        head += struct.pack("!B", bit | size)
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    return head + b"\0\0\0\0" + payload if mask else head + payload  # a mask of zeros changes nothing


def message(msgtype: str, content: Any = None, msgid: str = "1", **more: Any) -> bytes:
    """The three frames of a message without buffers; bytes are content as it is."""
    header = {"msgid": msgid, "msgtype": msgtype, **more}
    last = content if isinstance(content, bytes) else orjson.dumps({} if content is None else content)
    return b"".join(map(frame, (orjson.dumps(header), b"{}", last)))


def change(value: object, model: str = "s1", attribute: str = "value") -> dict[str, Any]:
    """The content of a patch that sets one property."""
    return {"events": [{"kind": "ModelChanged", "model": {"id": model}, "attr": attribute, "new": value}]}


class Raw:
    """An open websocket on a document of a server at ``port``.

    ``buffer`` bytes wait for it in the kernel (None: its choice); ``early`` is sent before the handshake is answered;
    ``headers`` are more lines of the handshake. ``answer`` is the head of the answer to it.
    """

    def __init__(self, port: int, document: str, *headers: str, buffer: int | None = None, early: bytes = b"") -> None:
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            *(f"GET /bokeh/doc/{document}/ws HTTP/1.1", f"Host: localhost:{port}", "Upgrade: websocket"),
            *("Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers),
            *("", ""),
        )
        self.socket.sendall("\r\n".join(lines).encode())
        self._left = b""
        if early:
            time.sleep(0.1)
            self.socket.sendall(early)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        self.answer, _, self._left = answer.partition(b"\r\n\r\n")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def _receive(self) -> bytes:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        return data

    def _take(self, size: int) -> bytes:
        while len(self._left) < size:
            self._left += self._receive()
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def next(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame; ``EOFError`` when there is none."""
        first, second = self._take(2)
        size = second
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 15, self._take(size)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """All frames until the server ends the connection."""
        while True:
            try:
                yield self.next()
            except (EOFError, ConnectionError):
                return

    def message(self) -> tuple[dict[str, Any], Any]:
        """Header and content of the next message, pings aside."""
        parts: list[bytes] = []
        while len(parts) < 3:
            opcode, payload = self.next()
            assert opcode in (TEXT, BINARY, PING), (opcode, payload)
            if opcode != PING:
                parts.append(payload)
        header = json.loads(parts[0])
        for _ in range(2 * header.get("num_buffers", 0)):
            self.next()
        return header, json.loads(parts[2])

    def until(self, msgtype: str) -> tuple[dict[str, Any], Any]:
        """The next message of this type."""
        while True:
            header, content = self.message()
            if header["msgtype"] == msgtype:
                return header, content

    def pull(self) -> Any:
        """Ask for the document, and wait for it."""
        self.send(message("PULL-DOC-REQ"))
        return self.until("PULL-DOC-REPLY")[1]["doc"]

    def closed(self) -> tuple[int, str]:
        """Code and reason with which the server closes; answers, and nothing may follow the close frame."""
        last = None
        for opcode, payload in self.frames():
            assert last is None, "a frame after the close frame"
            if opcode == CLOSE:
                last = (struct.unpack("!H", payload[:2])[0], payload[2:].decode())
                with contextlib.suppress(OSError):
                    self.send(frame(payload, CLOSE))
        assert last is not None, "the connection ended without a close frame"
        return last
