"""Clients of a server that is killed again and again: they speak the wire by hand, and remember what they were told.

A ``Writer`` streams the numbers 0, 1, 2, … into a source of its own, numbers its patches, keeps what is not
acknowledged, and sends it again after a cut. A ``Viewer`` takes in every patch, in order, and goes on where it was.
Neither repairs anything: what the server gets wrong shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

WINDOW = 32
"""Patches that a writer has on their way at a time."""


class Client:
    """One client of one document, over any number of connections."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url.replace("http:", "ws:") + "/ws"
        self.name = name.ljust(22, "_")
        self.epoch: int | None = None
        self.seq: int | None = None
        self._socket: ClientConnection | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Be connected, again and again, until ``stop``."""
        while not stop.is_set():
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                async with connect(self.url, max_size=None, compression=None, proxy=None) as self._socket:
                    while not stop.is_set():
                        header, _, content = [json.loads(await self._socket.recv()) for _ in range(3)]
                        await self.take(header["msgtype"], header, content)
            await asyncio.sleep(0.01)

    async def take(self, msgtype: str, header: dict[str, Any], content: dict[str, Any]) -> None:
        """A message came."""
        if msgtype == "ACK":
            resume = {"client": self.name, "epoch": self.epoch, "seq": self.seq, "answers": False}
            await self.send("RESUME", resume)
        elif msgtype == "RESUMED":
            assert self.epoch in (None, content["epoch"]), "the life of the log changed"
            self.epoch = content["epoch"]
        elif msgtype in ("ERROR", "RESYNC"):
            raise AssertionError(f"{self.name} was told {msgtype}: {content}")

    async def send(self, msgtype: str, content: Any, **more: Any) -> None:
        """Send a message without buffers."""
        assert self._socket is not None
        for part in ({"msgid": "m", "msgtype": msgtype, **more}, {}, content):
            await self._socket.send(json.dumps(part))


class Writer(Client):
    """Streams into the source ``source``; ``acknowledged`` is how many rows it was promised."""

    def __init__(self, url: str, name: str, source: str) -> None:
        super().__init__(url, name)
        self.acknowledged = 0
        self.source = source
        self._made = 0
        self._pending: deque[int] = deque()

    async def take(self, msgtype: str, header: dict[str, Any], content: dict[str, Any]) -> None:
        """Send on whatever is acknowledged."""
        await super().take(msgtype, header, content)
        if msgtype == "RESUMED":
            self._settle(content["number"])
            for row in self._pending:
                await self._stream(row)
        elif msgtype == "OK":
            self._settle(header["number"])
        else:
            return
        while len(self._pending) < WINDOW:
            self._pending.append(self._made)
            self._made += 1
            await self._stream(self._pending[-1])

    def _settle(self, number: int) -> None:
        while self._pending and self._pending[0] < number:
            self.acknowledged = self._pending.popleft() + 1

    async def _stream(self, row: int) -> None:
        data = {"type": "map", "entries": [["n", [row]]]}
        event = {"kind": "ColumnsStreamed", "model": {"id": self.source}, "attr": "data", "data": data}
        await self.send("PATCH-DOC", {"events": [{**event, "rollover": None}]}, number=row + 1)


class Viewer(Client):
    """Sees everything; ``seen`` maps a source to the rows that it was shown since its last copy of the document."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, name)
        self.seen: dict[str, int] = {}

    async def take(self, msgtype: str, header: dict[str, Any], content: dict[str, Any]) -> None:
        """Every row is the next one of its source, every patch the next one of the document."""
        await super().take(msgtype, header, content)
        if msgtype == "RESUMED" and content["fresh"]:
            await self.send("PULL-DOC-REQ", {})
        elif msgtype == "PULL-DOC-REPLY":
            self.seq = header["seq"]
            for source in content["doc"]["roots"]:
                assert self.seen.get(source["id"], 0) <= count(source), "it was shown rows that the log has lost"
                self.seen[source["id"]] = count(source)
        elif msgtype == "PATCH-DOC":
            assert self.seq is not None, "it was shown a patch before it had a copy"
            since = header.get("since", header["seq"])
            assert since == self.seq + 1, "a patch is missing or comes twice"
            self.seq = header["seq"]
            missing = self.seq - since + 1  # a row for each patch that the message stands for
            for event in content["events"]:
                source, rows = event["model"]["id"], event["data"]["entries"][0][1]
                seen = self.seen[source]
                assert rows == list(range(seen, seen + len(rows))), "a row is missing or comes twice"
                self.seen[source] += len(rows)
                missing -= len(rows)
            assert missing == 0, "a message holds fewer rows than the patches it stands for, or more"


def count(source: dict[str, Any]) -> int:
    """The rows of a source in a document's JSON, which must be 0, 1, 2, … without a gap or a repeat."""
    ((name, rows),) = source["attributes"]["data"]["entries"]
    assert name == "n"
    assert rows == list(range(len(rows)))
    return len(rows)
