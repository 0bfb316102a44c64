"""Who is slow on purpose, or loud: refused by a limit, while others notice nothing and all descriptors come back.

Every attack goes to each server whose sockets are ours: by itself, and within Flask under gunicorn, where a connection
is ours from the end of its handshake. Under an ASGI server of somebody else (hypercorn here) frames, pings and
compression are that server's: there it counts that others notice nothing and that nothing stays with us. Heads of
requests that never end are ours only where no host reads them.
"""

from __future__ import annotations

import os
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.adapters.conftest import Place, store
from tests.adapters.raw import BINARY, CLOSE, PING, TEXT, Raw, change, frame, message
from tests.hosts.test_sites import Site
from tests.running import RunningServer
from tests.web.asking import ask, handshake
from tests.web.town import receive, send

APP = "tests.hosts.impatient"
COMMANDS = {
    "by itself": None,
    "gunicorn": ["gunicorn", "--threads", "4", "--bind", "127.0.0.1:{port}", f"{APP}:wsgi"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", f"{APP}:asgi"],
}
if os.environ.get("HOSTS") != "all":  # most of it is hypercorn's own
    del COMMANDS["hypercorn"]
MANY = 1_000
PATIENCE = 5.0
"""Seconds within which others see a change, also while the server is attacked on a busy machine."""
SPARE = 5
"""Descriptors that a server may have more than before: a file of the store, a worker's pipe."""
MEMORY = 100 * 2**20
"""Bytes that it may grow by."""


class Alone(RunningServer):
    """Our server as it runs by itself."""

    program = ("-m", APP)


class Target:
    """A server under attack, and two who use it meanwhile."""

    def __init__(self, name: str, running: RunningServer | Site) -> None:
        self._running = running
        self.name = name
        self.ours = name != "hypercorn"
        """Whether frames and pings are."""
        self.place: Place = store(running.port)
        self.usual = 0
        """Descriptors that it has open when nobody attacks it."""
        self._count = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._running.port

    def processes(self) -> list[psutil.Process]:
        """All of the server's."""
        running = self._running
        first = psutil.Process(running.pid if isinstance(running, RunningServer) else running.process.pid)
        return [first, *first.children(recursive=True)]

    def descriptors(self) -> int:
        """Those that it has open."""
        return sum(process.num_fds() for process in self.processes())

    def memory(self) -> int:
        """Its bytes."""
        return sum(process.memory_info().rss for process in self.processes())

    def connection(self) -> ClientConnection:
        """A program's socket that keeps to the rules."""
        return connect(f"ws://localhost:{self.port}/bokeh/doc/{self.place.document}/ws", compression=None)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """One who looks on and one who changes, before, while and after the block runs."""
        with self.connection() as self.looks, self.connection() as self.changes:
            send(self.looks, "PULL-DOC-REQ")
            receive(self.looks, "PULL-DOC-REPLY")
            self.beat()
            self.usual = self.descriptors()
            yield
            self.beat()

    def beat(self) -> None:
        """A change is seen at once."""
        self._count += 1
        begin = time.monotonic()
        send(self.changes, "PATCH-DOC", change(self._count))
        seen = receive(self.looks, "PATCH-DOC")["events"][0]["new"]
        assert (seen, time.monotonic() - begin < PATIENCE) == (self._count, True)

    def settles(self, within: float = 15) -> None:
        """Soon no more descriptors are open than before the attack."""
        deadline = time.monotonic() + within
        while (count := self.descriptors()) > self.usual + SPARE:
            assert time.monotonic() < deadline, f"{count} descriptors, before: {self.usual}"
            time.sleep(0.05)


@contextmanager
def attacked(name: str, folder: Path) -> Iterator[Target]:
    """A server while the block runs. No attack may be an exception to it."""
    command = COMMANDS[name]
    running = Alone(folder) if command is None else Site(folder, command)
    try:
        target = Target(name, running)
        with target.in_use():  # whatever it opens once is open
            pass
        yield target
    finally:
        running.stop()
    log = running.log.read_text()
    assert "/bokeh_server/" not in log, log


@pytest.fixture(params=COMMANDS, scope="module")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Each server, for all attacks one after the other."""
    with attacked(request.param, tmp_path_factory.mktemp("target") / "data") as made:
        yield made


def code(one: Raw) -> int | None:
    """With which the server closes; None: without a word."""
    return next((struct.unpack("!H", payload[:2])[0] for opcode, payload in one.frames() if opcode == CLOSE), None)


def silent(target: Target, opened: ExitStack) -> None:
    """Open a thousand sockets and say no word, nor answer a ping."""
    sockets = [opened.enter_context(Raw(target.port, target.place.document)) for _ in range(MANY)]
    target.beat()
    if target.ours:
        for one in sockets:
            assert list(one.frames()), "it was asked whether it is there, and is cut off now"
            if one is sockets[MANY // 2]:
                target.beat()
        target.settles()


def gone(target: Target, opened: ExitStack) -> None:
    """Send handshakes, and reset the connection before they are answered."""
    lines = f"GET /bokeh/doc/{target.place.document}/ws HTTP/1.1|Host: localhost:{target.port}|Upgrade: websocket|"
    lines += "Connection: Upgrade|Sec-WebSocket-Version: 13|Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==||"
    for number in range(MANY // 2):
        with socket.create_connection(("127.0.0.1", target.port)) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.sendall(lines.replace("|", "\r\n").encode())
            time.sleep(number % 10 / 5000)  # some are gone before they are read, some just after
    target.beat()


def refused(target: Target, opened: ExitStack) -> None:
    """Ask for sockets that there are not."""
    for _ in range(MANY // 5):
        assert handshake(target.port, "/bokeh/doc/nobody/ws") in (403, 404)  # some can't say but 403
    target.beat()


def dribbled(target: Target, opened: ExitStack) -> None:
    """Send a message a byte at a time."""
    sockets = [opened.enter_context(Raw(target.port, target.place.document)) for _ in range(50)]
    begin = time.monotonic()
    for letter in message("SERVER-INFO-REQ"):
        for one in sockets:
            one.send(bytes([letter]))
    target.beat()
    for one in sockets:
        one.until("SERVER-INFO-REPLY")
    assert time.monotonic() - begin < 30


def flooded(target: Target, opened: ExitStack) -> None:
    """Send pings without end, and read no pong."""
    burst = frame(b"x" * 125, PING) * 1000
    for _ in range(3):
        one = opened.enter_context(Raw(target.port, target.place.document, buffer=8192))
        one.socket.settimeout(0.5)
        sent = 0
        with suppress(TimeoutError):
            while sent < MEMORY:
                sent += one.socket.send(burst)
        assert sent < MEMORY, "it reads no more of them"
        target.beat()


def loud(target: Target, opened: ExitStack) -> None:
    """Send pings without end, and read all pongs."""
    one = opened.enter_context(Raw(target.port, target.place.document))
    burst = frame(b"", PING) * 1000
    end = time.monotonic() + 3
    while time.monotonic() < end:
        one.send(burst)
        for _ in range(1000):
            one.next()
        target.beat()


def broken(target: Target, opened: ExitStack) -> None:
    """Send what is no frame, and stay."""
    for _ in range(MANY // 5):
        one = opened.enter_context(Raw(target.port, target.place.document))
        one.send(bytes([0x83, 0x80]) + os.urandom(1000))
        assert code(one) == 1002 or not target.ours
    target.beat()
    target.settles()


def packed(target: Target, opened: ExitStack) -> None:
    """Send 256 MiB of zeros in 256 KiB."""
    squeeze = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(squeeze.compress(bytes(2**20)) for _ in range(256)) + squeeze.flush(zlib.Z_SYNC_FLUSH)[:-4]
    one = opened.enter_context(Raw(target.port, target.place.document, "Sec-WebSocket-Extensions: permessage-deflate"))
    if target.ours:
        assert b"permessage-deflate" not in one.answer
    data = frame(bomb, TEXT)
    with suppress(OSError):
        one.send(bytes([data[0] | 0x40]) + data[1:])
    assert code(one) == (1002 if target.ours else 1009)


def announced(target: Target, opened: ExitStack) -> None:
    """Announce large frames, and send nothing of them."""
    for _ in range(50):
        one = opened.enter_context(Raw(target.port, target.place.document))
        one.send(frame(b"", BINARY)[:1] + b"\xff" + (200 * 2**20).to_bytes(8, "big") + b"\0\0\0\0")
    target.beat()


ATTACKS: tuple[Callable[[Target, ExitStack], None], ...] = (
    *(silent, gone, refused, dribbled, flooded, loud, broken, packed, announced),
)


KNOWN = [("hypercorn", packed)]
"""Where it grows, and others wait: hypercorn unpacks a frame whole before it finds it too large (1009)."""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_costs_only_the_one_whose_it_is(target: Target, attack: Callable[[Target, ExitStack], None]) -> None:
    memory = target.memory()
    with target.in_use():
        with ExitStack() as opened:
            attack(target, opened)
            assert target.memory() - memory < MEMORY or (target.name, attack) in KNOWN
        target.settles()


def test_heads_that_never_end_hold_nobody_up_where_no_host_reads_them(tmp_path: Path) -> None:
    with attacked("by itself", tmp_path / "data") as target, target.in_use(), ExitStack() as opened:
        sockets = [
            opened.enter_context(socket.create_connection(("127.0.0.1", target.port), timeout=20)) for _ in range(MANY)
        ]
        for one in sockets:
            one.sendall(b"GET /bokeh/ping HTTP/1.1\r\nHost: loc")
        target.beat()
        assert ask(target.port, "GET", "/bokeh/ping").status == 200
        for one in sockets:
            assert one.recv(1) == b"", "closed"
        target.settles()
