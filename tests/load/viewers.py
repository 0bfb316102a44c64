"""Viewers as pages are: a ticket, a socket, RESUME, a copy where there is nothing to go on with; then every patch.

A viewer keeps what it was shown of one source, whose column ``n`` counts its rows 0, 1, 2, …, and checks that each
patch is the next one and each row, too. It repairs nothing: what the server gets wrong shows.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.load.sockets import Fragments, Socket, post, texts

SILENCE, PATIENCE = 25.0, 35.0
"""Seconds of silence after which a page asks whether the server is there, and gives the connection up."""
FIRST, LONGEST = 0.5, 15.0
"""Seconds between two attempts of a page: the first pause, doubled up to the longest, with jitter."""
Buffers = dict[str, bytes]
Rows = list[int] | np.ndarray[Any, Any]
Heard = Callable[[int, int, float], None]
"""Told of each patch: the rows there were before and are after it, and when it came."""


class Viewer:
    """Sees the source ``source`` of a document, over any number of connections.

    ``rows`` is the range of rows that its copy has: (first, next). Where the source keeps ``rollover`` rows, a message
    that stands for several patches may have let go of some. A program that ``skips`` never sends those that its own
    later rows cut off before it could; then ``rows`` is what its copy has since the last gap.
    """

    def __init__(
        self,
        port: int,
        document: str,
        name: str,
        *,
        host: str,
        rollover: int | None = None,
        skips: bool = False,
        heard: Heard | None = None,
    ) -> None:
        self.name = name.ljust(22, "_")
        self.seq: int | None = None
        self.epoch: int | None = None
        self.rows = (0, 0)
        self.copies = self.connections = self.messages = 0
        self.live = asyncio.Event()
        """Set while it has a copy, and gets what comes."""
        self._port = port
        self._document = document
        self._host = host
        self._rollover = rollover
        self._skips = skips
        self.gaps = 0
        """How often rows were left out that the program never sent."""
        self._heard = heard
        self.socket: Following | None = None
        self.reading = True
        """Whether it reads what comes."""
        self.silence, self.patience = SILENCE, PATIENCE
        self._wrong: list[AssertionError] = []

    async def open(self, *, receive_buffer: int | None = None) -> None:
        """Connect once; ``OSError`` where that can't be."""
        ticket = (await post(self._port, f"/bokeh/doc/{self._document}/ticket", self._host))["ticket"]
        token = base64.urlsafe_b64encode(json.dumps({"session_id": self._document, "ticket": ticket}).encode())
        opened = Following(self)
        more = f"Origin: null\r\nSec-WebSocket-Protocol: bokeh, {token.decode().rstrip('=')}\r\n"
        await opened.open(self._port, f"/bokeh/ws/{self._document}", self._host, more, receive_buffer)
        self.socket = opened
        self.connections += 1

    async def run(self, stop: asyncio.Event) -> None:
        """Be connected, again and again, until ``stop``."""
        pause = 0.0
        while not stop.is_set():
            pause = min(LONGEST, max(FIRST, 2 * pause))
            with contextlib.suppress(OSError):
                if self.socket is None or self.socket.ended.is_set():
                    await self.open()
                assert self.socket is not None
                await self._watch(self.socket, stop)
                pause = 0.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.01, pause * random.uniform(0.6, 1.0)))
        self.check()

    async def _watch(self, opened: Following, stop: asyncio.Event) -> None:
        """Ask for a sign of life after some silence; hang up where none comes."""
        while not opened.ended.is_set() and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(opened.ended.wait(), 0.25)
            silence = time.monotonic() - opened.last
            if self.reading and silence > self.patience:
                opened.cut()
            elif self.reading and silence > self.silence:
                opened.send(*texts("SERVER-INFO-REQ", "{}"))

    def check(self) -> None:
        """Fail where something was wrong with what came."""
        if self._wrong:
            raise self._wrong[0]

    def stall(self) -> None:
        """Read no more."""
        self.reading = False
        assert self.socket is not None
        self.socket.transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        self.reading = True
        if self.socket is not None and not self.socket.transport.is_closing():
            self.socket.last = time.monotonic()
            self.socket.transport.resume_reading()

    # What comes

    def take(self, header: dict[str, Any], fragments: Fragments) -> None:
        """A message came."""
        self.messages += 1
        try:
            self._take(header, fragments)
        except AssertionError as wrong:
            self._wrong.append(wrong)

    def _take(self, header: dict[str, Any], fragments: Fragments) -> None:
        assert self.socket is not None or header["msgtype"] == "ACK"
        match header["msgtype"]:
            case "RESUMED":
                content = json.loads(fragments[2])
                assert self.epoch in (None, content["epoch"]), "the life of the log changed"
                self.epoch = content["epoch"]
                if content["fresh"]:
                    self._pull()
                else:
                    self.live.set()
            case "PULL-DOC-REPLY":
                self._copy(header, json.loads(fragments[2])["doc"], buffers_of(fragments))
            case "PATCH-DOC":
                self._patch(header, json.loads(fragments[2])["events"], buffers_of(fragments))
            case "RESYNC":
                self._pull()
            case "ERROR":
                raise AssertionError(f"{self.name} was told {fragments[2]!r}")

    def resume(self) -> str:
        """The content of its RESUME."""
        said = {"client": self.name, "epoch": self.epoch, "seq": self.seq, "answers": False, "frames": True}
        return json.dumps(said)

    def _pull(self) -> None:
        self.seq = None
        assert self.socket is not None
        self.socket.send(*texts("PULL-DOC-REQ", "{}"))

    def _copy(self, header: dict[str, Any], document: dict[str, Any], buffers: Buffers) -> None:
        self.copies += 1
        self.seq = header["seq"]
        (entries,) = columns(document["roots"])
        self._replace(numbers(entries, buffers))
        self.live.set()

    def _replace(self, rows: Rows) -> None:
        assert_consecutive(rows)
        new = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        assert new[1] >= self.rows[1], "it was shown rows that the log has lost"
        self.rows = new

    def _patch(self, header: dict[str, Any], events: list[dict[str, Any]], buffers: Buffers) -> None:
        if self.seq is None:
            return  # the copy that is to come holds it
        assert header.get("since", header["seq"]) == self.seq + 1, "a patch is missing or comes twice"
        self.seq = header["seq"]
        before = self.rows[1]
        for event in events:
            if event["kind"] == "ColumnsStreamed":
                self._stream(numbers(event["data"]["entries"], buffers))
            elif event["kind"] in ("ModelChanged", "ColumnDataChanged") and event["attr"] == "data":
                self._replace(numbers((event.get("new") or event["data"])["entries"], buffers))
        if self._heard is not None:
            self._heard(before, self.rows[1], time.perf_counter())

    def _stream(self, rows: Rows) -> None:
        if self._skips:
            rows = self._after_gaps(rows)
        assert_consecutive(rows)
        first, following = self.rows
        start, end = int(rows[0]), int(rows[-1]) + 1
        cut = len(rows) == self._rollover and start > following
        assert cut or start == following, f"rows {start} to {end} come after {following} rows"
        kept = end - self._rollover if self._rollover is not None else 0
        self.rows = (max(first, kept, start if cut else 0), end)

    def _after_gaps(self, rows: Rows) -> Rows:
        """The rows since the last gap; what was there before it, or between two, does not count any more."""
        steps = np.diff(np.concatenate(([self.rows[1] - 1], rows)))
        assert bool(np.all(steps > 0)), "a row comes twice"
        gaps = np.flatnonzero(steps > 1)
        if not len(gaps):
            return rows
        self.gaps += len(gaps)
        start = int(rows[gaps[-1]])
        self.rows = (start, start)
        return rows[gaps[-1] :]


class Following(Socket):
    """One connection of a viewer."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.last = time.monotonic()
        """When something came."""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.last = time.monotonic()
        super().data_received(data)

    def message(self, header: dict[str, Any], fragments: Fragments) -> None:
        """A message came; the first is the server's ACK."""
        if header["msgtype"] == "ACK":
            self._viewer.socket = self
            self.send(*texts("RESUME", self._viewer.resume()))
        elif self._viewer.socket is self:
            self._viewer.take(header, fragments)

    def lost(self) -> None:
        """It is closed."""
        if self._viewer.socket is self:
            self._viewer.live.clear()
        self.ended.set()


def buffers_of(fragments: Fragments) -> Buffers:
    """The binary buffers of a message by their ids."""
    return {json.loads(name)["id"]: payload for name, payload in zip(fragments[3::2], fragments[4::2], strict=True)}


def numbers(entries: list[Any], buffers: Buffers) -> Rows:
    """The values of the column ``n``."""
    given = dict(entries)["n"]
    if isinstance(given, list):
        return given
    return np.frombuffer(buffers[given["array"]["data"]["id"]], given["dtype"])


def assert_consecutive(rows: Rows) -> None:
    """Each row is the one after the row before it."""
    if isinstance(rows, list):
        assert not rows or rows == list(range(rows[0], rows[0] + len(rows))), "a row is missing or comes twice"
    else:
        assert bool(np.all(np.diff(rows) == 1)), "a row is missing or comes twice"


def columns(value: Any) -> list[Any]:
    """The entries of each ``data`` that has a column ``n``, of all models in a document's JSON."""
    if isinstance(value, list):
        return [found for item in value for found in columns(item)]
    if not isinstance(value, dict):
        return []
    entries = value.get("entries")
    if value.get("type") == "map" and entries and any(entry[0] == "n" for entry in entries):
        return [entries]
    return [found for item in value.values() for found in columns(item)]
