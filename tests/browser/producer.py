"""A program on a document's socket in its shortest form: it sends patches and waits until they are acknowledged."""

from __future__ import annotations

import json
import secrets
from typing import Any

from websockets.sync.client import ClientConnection


class Refused(Exception):
    """The server did not take a patch."""


class Producer:
    """``answers``: whether it says that it has callbacks."""

    def __init__(self, socket: ClientConnection, *, answers: bool = False) -> None:
        self._socket = socket
        self._number = 0
        self.messages: list[tuple[dict[str, Any], Any]] = []
        """Header and content of everything that came and was no answer, oldest first."""
        self._await("ACK")
        client = secrets.token_urlsafe(16)
        self._send("RESUME", {"client": client, "epoch": None, "seq": None, "kind": "program", "answers": answers})
        self._await("RESUMED")
        self._send("PULL-DOC-REQ", {})
        self._await("PULL-DOC-REPLY")

    def patch(self, *events: dict[str, Any]) -> int:
        """Send a patch; returns its seq once it is durable."""
        self._number += 1
        self._send("PATCH-DOC", {"events": events}, number=self._number)
        header, content = self._await("OK", "ERROR")
        if header["msgtype"] == "ERROR":
            raise Refused(content["text"])
        return int(header.get("seq", 0))

    def set(self, model: str, attribute: str, value: object) -> int:
        """Set a property."""
        return self.patch({"kind": "ModelChanged", "model": {"id": model}, "attr": attribute, "new": value})

    def stream(self, source: str, columns: dict[str, list[Any]], rollover: int | None = None) -> int:
        """Append rows to a source."""
        data = {"type": "map", "entries": list(columns.items())}
        event = {"kind": "ColumnsStreamed", "model": {"id": source}, "attr": "data", "data": data, "rollover": rollover}
        return self.patch(event)

    def receive(self, *, seconds: float = 10.0) -> tuple[dict[str, Any], Any]:
        """The next message that is no answer."""
        if not self.messages:
            self.messages.append(self._read(seconds))
        return self.messages.pop(0)

    def _send(self, msgtype: str, content: object, **more: object) -> None:
        for part in ({"msgid": secrets.token_hex(8), "msgtype": msgtype, **more}, {}, content):
            self._socket.send(json.dumps(part))

    def _await(self, *msgtypes: str) -> tuple[dict[str, Any], Any]:
        while True:
            header, content = self._read(20.0)
            if header["msgtype"] in msgtypes:
                return header, content
            self.messages.append((header, content))

    def _read(self, seconds: float) -> tuple[dict[str, Any], Any]:
        header, _, content = (json.loads(self._socket.recv(seconds)) for _ in range(3))
        for _ in range(2 * header.get("num_buffers", 0)):
            self._socket.recv(seconds)
        return header, content
