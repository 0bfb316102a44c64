"""Messages in one small frame do not pass the websocket core; whatever comes, in whatever pieces, nobody can tell."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState
from websockets.frames import apply_mask  # type: ignore[attr-defined]

from bokeh_server.adapters import websocket
from bokeh_server.adapters.asgi import drive
from bokeh_server.adapters.background import nothing
from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.core.wire import Outgoing
from bokeh_server.seat import Connection
from tests.adapters.raw import BINARY, CLOSE, PING, PONG, TEXT

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
SETTINGS = uvicorn.Config(nothing, log_config=None, ws_per_message_deflate=False)
CONT = 0
MASK = b"\x37\xfa\x21\x3d"  # that of RFC 6455, section 5.7


def frame(first: int, payload: bytes, *, masked: bool = True, width: int = 0) -> bytes:
    """A frame with a mask; ``width`` is how many bytes its length has at least."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126 and width < 2:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536 and width < 8:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if not masked:
        return head + payload
    return head + MASK + apply_mask(payload, MASK)


class Endpoint:
    """Takes notes of what it hears; it answers, holds its sender up, and closes, where a message says so."""

    subprotocol = None
    most = 100_000

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.closed = False
        self.ready = asyncio.Event()
        self.connection: Connection

    def connected(self, connection: Connection) -> None:
        """From now on."""
        self.connection = connection
        self.ready.set()

    def received(self, *fragments: str | bytes) -> None:
        """Messages."""
        for fragment in fragments:
            if self.closed:
                break
            self.heard.append(fragment)
            match fragment:
                case "answer":
                    self.connection.send(Outgoing((b"an answer",)))
                case "close":
                    self.closed = True
                    self.connection.close(4000, "asked for")
                case "hold":
                    self.connection.pause_reading()
                    asyncio.get_running_loop().call_soon(self.connection.resume_reading)

    def paused(self) -> None:
        """Nothing here is large."""

    def resumed(self) -> None:
        """See ``paused``."""

    def disconnected(self) -> None:
        """Notes stay."""


@asynccontextmanager
async def opened(endpoint: Endpoint, early: bytes = b"") -> AsyncIterator[tuple[FramesProtocol, socket.socket]]:
    """A protocol whose handshake is answered, after ``early`` came behind it, and the peer's end of its connection."""
    loop = asyncio.get_running_loop()
    protocol = FramesProtocol(SETTINGS, ServerState(), {}, loop)
    protocol.app = partial(drive, endpoint)
    here, there = socket.socketpair()
    here.setblocking(False)
    with there:
        await loop.connect_accepted_socket(lambda: protocol, here)
        protocol.data_received(HANDSHAKE)
        if early:
            protocol.data_received(early)
        await endpoint.ready.wait()
        yield protocol, there


async def outcome(pieces: list[bytes], *, by_core: bool) -> tuple[list[str | bytes], list[bytes], list[bytes]]:
    """What an endpoint hears of these bytes, the frames that go back, and the pongs among them; by the core, or not.

    The core answers a ping that comes together with a message before that is handled, and so also before our close.
    """
    endpoint = Endpoint()
    async with opened(endpoint) as (protocol, there):
        if by_core:
            protocol.aligned = False
        assert protocol.aligned is not by_core
        for piece in pieces:
            protocol.data_received(piece)
            await asyncio.sleep(0)
        await turns()
        protocol.transport.abort()
        await turns()
        there.settimeout(5)
        sent = b""
        while data := there.recv(1 << 16):
            sent += data
    frames = list(frames_of(sent.partition(b"\r\n\r\n")[2]))
    pongs = [one for one in frames if one[0] == 0x80 | PONG]
    return endpoint.heard, [one for one in frames if one not in pongs], pongs


def frames_of(data: bytes) -> Iterator[bytes]:
    """The frames of a server; all are short."""
    while data:
        size = 2 + data[1]
        yield data[:size]
        data = data[size:]


async def turns() -> None:
    """Let the event loop do what is due."""
    for _ in range(5):
        await asyncio.sleep(0)


def cut(data: bytes, seed: int, most: int) -> list[bytes]:
    """The bytes in pieces of random sizes."""
    dice = random.Random(seed)
    places = [0]
    while places[-1] < len(data):
        places.append(min(len(data), places[-1] + dice.randint(1, most)))
    return [data[a:b] for a, b in pairwise(places)]


sizes = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000, 100_000])
texts = st.sampled_from([b"answer", b"hold", "häh".encode(), b"x" * 126, b""])
short = texts.filter(lambda text: len(text) < 126)
good = st.one_of(
    st.builds(frame, st.just(0x80 | TEXT), texts),
    st.builds(lambda size: frame(0x80 | BINARY, random.Random(size).randbytes(size)), sizes),
    st.builds(lambda text: frame(0x80 | PING, text), short),
    st.builds(lambda text: frame(0x80 | PONG, text), short),
    st.builds(lambda a, b: frame(TEXT, a) + frame(0x80 | PING, b"p") + frame(0x80 | CONT, b), texts, texts),
    st.builds(lambda text, width: frame(0x80 | TEXT, text, width=width), texts, st.sampled_from([2, 8])),
)
last = st.one_of(
    st.just(b""),
    st.just(frame(0x80 | TEXT, b"close")),
    st.just(frame(0x80 | CLOSE, b"\x03\xe8")),
    st.just(frame(0x80 | TEXT, b"\xff\xfe")),
    st.just(frame(0x80 | TEXT, b"unmasked", masked=False)),
    st.just(frame(0xC0 | TEXT, b"compressed?")),
    st.just(frame(0x80 | CONT, b"of nothing")),
    st.just(frame(TEXT, b"one") + frame(0x80 | TEXT, b"within it")),
    st.just(frame(0x80 | BINARY, bytes(100_001))),
)
tails = st.sampled_from([b"", b"\x81", b"\x83", frame(0x80 | TEXT, b"answer")[:9]])


steps = st.sampled_from([3, 40, 10**6])


@settings(max_examples=400, deadline=None)
@given(st.lists(good, max_size=8), last, st.lists(good, max_size=2), tails, st.integers(0, 2**32), steps)
def test_it_is_the_same_with_the_core_and_without(
    frames: list[bytes], end: bytes, after: list[bytes], tail: bytes, seed: int, most: int
) -> None:
    data = b"".join([*frames, end, *after, tail])
    pieces = cut(data, seed, most if len(data) < 5000 else max(most, 5000))
    by_core = asyncio.run(outcome(pieces, by_core=True))
    assert asyncio.run(outcome(pieces, by_core=False)) == by_core


def test_small_messages_do_not_pass_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[bytes] = []
    pass_on = FramesProtocol.pass_on

    def noted(self: Any, data: bytes) -> None:
        passed.append(bytes(data))
        pass_on(self, data)

    monkeypatch.setattr(FramesProtocol, "pass_on", noted)
    small, large = frame(0x80 | TEXT, b"small"), frame(0x80 | BINARY, bytes(websocket.SMALL + 1))
    ping, half = frame(0x80 | PING, b"ping"), frame(TEXT, b"half")
    pieces = [small + small + large + small[:4], small[4:] + ping + half]
    heard, _, pongs = asyncio.run(outcome(pieces, by_core=False))
    assert heard == ["small", "small", bytes(websocket.SMALL + 1), "small"]
    assert passed == [HANDSHAKE, large, ping, half]
    assert pongs == [b"\x8a\x04ping"]


@pytest.mark.parametrize("early", [b"\x81", frame(0x80 | TEXT, b"early")], ids=["a byte", "a message"])
def test_who_does_not_wait_for_the_answer_to_his_handshake_stays_with_the_core(early: bytes) -> None:
    async def told() -> tuple[bool, list[str | bytes]]:
        endpoint = Endpoint()
        async with opened(endpoint, early) as (protocol, _):
            rest = frame(0x80 | TEXT, b"more")
            protocol.data_received(rest[1:] if early == b"\x81" else rest)
            protocol.transport.abort()
            await turns()
        return protocol.aligned, endpoint.heard

    assert asyncio.run(told()) == (False, ["more"] if early == b"\x81" else ["early", "more"])
