"""The same exchange under our protocol and under servers that know nothing of it; and the writer for those."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import numpy as np
import orjson
import pytest
from bokeh.client import pull_session, push_session
from bokeh.core.types import ID
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bokeh_server import create_app
from bokeh_server.adapters import asgi
from bokeh_server.adapters.asgi import Application, Writer, make_site
from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.config import Config
from bokeh_server.core.wire import outgoing
from bokeh_server.errors import BadSetting
from bokeh_server.seat import Connection
from tests.adapters.conftest import Place, store
from tests.adapters.hosting import hosted
from tests.adapters.raw import CLOSE, Raw, change, frame, message
from tests.web.asking import ask, call


@contextmanager
def hypercorned() -> Iterator[int]:
    """The application on hypercorn."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    loops: list[asyncio.AbstractEventLoop] = []
    ends: list[asyncio.Event] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())

        ends.append(asyncio.Event())
        app: Any = create_app(port=port)
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=ends[0].wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    try:
        yield port
    finally:
        loops[0].call_soon_threadsafe(ends[0].set)
        thread.join(10)
        assert not thread.is_alive()


SERVERS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "our protocol": lambda: hosted(ws=FramesProtocol),
    "uvicorn's websockets-sansio": lambda: hosted(ws=WebSocketsSansIOProtocol),
    "uvicorn's websockets": lambda: hosted(ws="websockets-sansio"),
    "hypercorn": hypercorned,
}


@pytest.fixture(params=list(SERVERS), scope="module")
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Each server."""
    with SERVERS[request.param]() as port:
        yield port


@pytest.fixture
def place(port: int, request: pytest.FixtureRequest) -> Place:
    """A document of this test's own under each server."""
    return store(port, f"t{abs(hash(request.node.name))}")


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_a_program_and_a_viewer_exchange_patches_under_every_server(place: Place) -> None:
    with Raw(place.port, place.document) as one, Raw(place.port, place.document) as two:
        for at, client in enumerate((one, two)):
            client.send(message("RESUME", {"client": f"client-{at}"}))
            assert client.until("RESUMED")[1]["fresh"]
            assert client.pull()["roots"][0]["id"] == "s1"
        for number in range(1, 31):
            one.send(message("PATCH-DOC", change(number), number=number))
        assert [one.until("OK")[0]["number"] for _ in range(30)] == list(range(1, 31))
        seen = [two.until("PATCH-DOC") for _ in range(30)]
        assert [content["events"][0]["new"] for _, content in seen] == list(range(1, 31))
        seqs = [header["seq"] for header, _ in seen]
        assert seqs == list(range(seqs[0], seqs[0] + 30))
        two.send(frame(b"{"))
        assert two.until("ERROR")[1]["code"] == "bad-message"
        assert two.closed()[0] == 1002
        place.put(3)
        assert one.until("PATCH-DOC")[1]["events"][0]["new"] == 3


def test_a_stock_program_works_under_every_server(place: Place) -> None:
    place.put(5)
    session = pull_session(session_id=ID("any"), url=f"http://localhost:{place.port}/bokeh/doc/{place.document}")
    session.document.get_model_by_name("speed").value = 2  # type: ignore[union-attr]
    session.force_roundtrip()
    assert place.value() == 2
    session.close()


def test_a_document_with_arrays_goes_out_and_comes_in_under_every_server(place: Place) -> None:
    made = ask(place.port, "POST", "/api/v1/documents", body=orjson.dumps({"title": f"arrays {time.time()}"})).json
    url = f"http://localhost:{place.port}/bokeh/doc/{made['id']}"
    document = Document()
    source = ColumnDataSource({"x": np.arange(100_000.0)}, name="big")
    document.add_root(source)
    session = push_session(document, session_id=ID("any"), url=url)
    source.stream({"x": np.arange(3.0)}, rollover=1000)
    session.force_roundtrip()
    again = pull_session(session_id=ID("any"), url=url)
    got = again.document.get_model_by_name("big")
    assert isinstance(got, ColumnDataSource)
    assert np.array_equal(got.data["x"], np.r_[np.arange(99_003.0, 100_000.0), np.arange(3.0)])
    session.close()
    again.close()


def test_a_refused_handshake_is_an_answer_under_every_server(place: Place) -> None:
    with pytest.raises(AssertionError, match=r"HTTP/1\.1 (404|403)"):
        Raw(place.port, "nobody")


def test_a_peer_that_reads_nothing_is_not_read_from_under_every_server(place: Place) -> None:
    text = "x" * 1_000_000
    ask(place.port, "PUT", f"/api/v1/documents/{place.document}/models/speed/title", body=orjson.dumps(text))
    with Raw(place.port, place.document, buffer=8192) as client:
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            client.send(message("PULL-DOC-REQ") * 1_000_000)
        place.put(6)


def test_a_peer_that_closes_leaves_its_seat_under_every_server(place: Place) -> None:
    with Raw(place.port, place.document) as client:
        client.pull()
        assert ask(place.port, "GET", f"/api/v1/documents/{place.document}/info").json["programs"] == 1
        client.send(frame(b"\x03\xe8", CLOSE))
        assert list(client.frames())[-1][0] == CLOSE
    deadline = time.monotonic() + 5
    while ask(place.port, "GET", f"/api/v1/documents/{place.document}/info").json["programs"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# The writer


class Line:
    """An endpoint that remembers what happened to it."""

    subprotocol = None
    most = 1_000_000

    def __init__(self) -> None:
        self.happened: list[Any] = []
        self.connection: Connection | None = None

    def connected(self, connection: Connection) -> None:
        self.connection = connection

    def received(self, *fragments: str | bytes) -> None:
        self.happened += fragments

    def paused(self) -> None:
        self.happened.append("paused")

    def resumed(self) -> None:
        self.happened.append("resumed")

    def disconnected(self) -> None:
        self.happened.append("disconnected")


class Server:
    """An ASGI server's side of one socket: what it has for ``receive``, and a gate in front of ``send``."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.sent: list[Any] = []
        self.broken = False
        self.line = Line()
        self.task = asyncio.create_task(Writer(self.line, self.send).run(self.events.get))

    async def send(self, event: Any) -> None:
        await self.gate.wait()
        if self.broken:
            raise OSError("the socket is gone")
        self.sent.append(event)

    def come(self, text: str) -> None:
        self.events.put_nowait({"type": "websocket.receive", "text": text})

    @property
    def connection(self) -> Connection:
        assert self.line.connection is not None
        return self.line.connection


LARGE = outgoing("PATCH-DOC", b"x" * asgi.HIGH_WATER, msgid="1")
SMALL = outgoing("OK", b"{}", msgid="1")


def with_server(test: Any) -> None:
    async def main() -> None:
        server = Server()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await test(server)
        server.task.cancel()

    asyncio.run(main())


async def turn() -> None:
    """Let everything happen that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_is_sent_leaves_in_order_and_what_comes_arrives() -> None:
    async def test(server: Server) -> None:
        server.connection.send(SMALL)
        server.come("a")
        await turn()
        assert [event["text"] for event in server.sent] == list(SMALL.parts)
        assert server.line.happened == ["a"]
        server.events.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(server.task, 1)

    with_server(test)


def test_while_much_waits_to_be_sent_nothing_is_read() -> None:
    async def test(server: Server) -> None:
        server.gate.clear()
        server.connection.send(LARGE)
        server.come("first")
        server.come("second")
        await turn()
        assert server.line.happened in (["paused"], ["paused", "first"])  # one may have been under way
        server.gate.set()
        await turn()
        assert server.line.happened[-1] == "second"
        assert "resumed" in server.line.happened

    with_server(test)


def test_the_room_may_stop_the_reading_for_its_own_reasons() -> None:
    async def test(server: Server) -> None:
        server.come("first")
        await turn()
        server.connection.pause_reading()
        server.gate.clear()
        server.connection.send(LARGE)
        server.come("second")
        server.come("third")
        await turn()
        server.gate.set()
        await turn()
        assert "third" not in server.line.happened, "the room still wants none"
        server.connection.resume_reading()
        await turn()
        assert server.line.happened[-1] == "third"

    with_server(test)


def test_a_send_that_fails_ends_the_connection() -> None:
    async def test(server: Server) -> None:
        server.broken = True
        server.connection.send(SMALL)
        await asyncio.wait_for(server.task, 1)

    with_server(test)


def test_a_close_leaves_after_what_waits_and_nothing_after_it() -> None:
    async def test(server: Server) -> None:
        server.connection.send(SMALL)
        server.connection.close(1012, "x" * 200)
        server.connection.send(SMALL)
        server.connection.close(1000, "again")
        await asyncio.wait_for(server.task, 1)
        assert [event["type"] for event in server.sent] == ["websocket.send"] * 3 + ["websocket.close"]
        assert (server.sent[-1]["code"], len(server.sent[-1]["reason"])) == (1012, 123)

    with_server(test)


def test_a_peer_that_does_not_take_the_close_in_time_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "FAREWELL", 0.05)

    async def test(server: Server) -> None:
        server.gate.clear()
        server.connection.send(LARGE)
        server.connection.close(1013, "too slow")
        await asyncio.wait_for(server.task, 2)

    with_server(test)


# The application


def test_a_store_that_can_not_be_opened_is_told_to_the_server_that_asks(tmp_path: Path) -> None:
    (tmp_path / "documents.sqlite").write_bytes(b"no database" * 1000)

    async def main() -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "lifespan.startup"}

        async def send(event: Any) -> None:
            sent.append(event)

        await create_app(tmp_path)({"type": "lifespan"}, receive, send)
        return sent

    (told,) = asyncio.run(main())
    assert told["type"] == "lifespan.startup.failed"
    assert "damaged" in told["message"]


def test_an_application_that_is_not_yet_open_takes_no_document(tmp_path: Path) -> None:
    answer = asyncio.run(call(Application(make_site(Config(data=tmp_path / "data"))), "GET", "/readyz"))
    assert answer.status == 503


def test_settings_that_can_not_be_used_are_refused_at_once() -> None:
    with pytest.raises(BadSetting):
        create_app(address="0.0.0.0")
    assert isinstance(create_app(prefix="plots"), Application)
