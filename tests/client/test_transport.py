"""The socket: it comes back after anything, gives up only where the server says so, and carries any message whole."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from bokeh.document import Document
from bokeh.models.widgets.markups import Div
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Close

from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.client import transport
from bokeh_server.client.session import Session
from bokeh_server.client.transport import Transport, closed
from bokeh_server.core.wire import Assembler, Message, Outgoing, outgoing
from bokeh_server.errors import AccessRevoked, BokehServerError, Forbidden, NotFound, StoreFailed, Unauthorized
from bokeh_server.limits import Limits
from bokeh_server.web.pages import problem
from tests.adapters.hosting import hosted
from tests.client.pages import until
from tests.running import environment


class Talk:
    """Keeps what happens on a transport; sends what is put into ``out``."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.messages: list[Message] = []
        self.codes: list[int | None] = []
        self.out: deque[Outgoing] = deque()
        self.proven = False
        self.error: Exception | None = None

    def opened(self) -> None:
        self.happened.append("opened")

    def next(self) -> Outgoing | None:
        return self.out.popleft() if self.out else None

    def received(self, message: Message) -> None:
        if self.error is not None:
            raise self.error
        self.messages.append(message)

    def tick(self) -> None:
        self.happened.append("tick")

    def lost(self, reason: str, code: int | None) -> None:
        self.happened.append(f"lost: {reason}")
        self.codes.append(code)

    def gone(self, reason: str) -> None:
        self.happened.append(f"gone: {reason}")


Serve = Callable[[socket.socket], None]


class Listener:
    """Hands each connection to the next of some functions; the last one takes all others."""

    def __init__(self, *serve: Serve, port: int = 0) -> None:
        self._serve = list(serve)
        self._socket = socket.create_server(("localhost", port))
        self.port: int = self._socket.getsockname()[1]
        self.count = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                serve = self._serve[min(self.count, len(self._serve) - 1)]
                self.count += 1
                with connection, suppress(OSError):
                    serve(connection)

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def answer(status: str, body: bytes = b"<h1>Sorry</h1>") -> Serve:
    """Refuse the handshake with this status line, as a proxy does, or as what has such a body."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return serve


def shake(connection: socket.socket, then: bytes = b"") -> str:
    """Accept the handshake, and send something in the same breath; the request."""
    request = connection.recv(65536).decode()
    key = request.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Protocol: bokeh",
    )
    connection.sendall("\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode() + then)
    return request


def frames(*messages: Outgoing) -> bytes:
    """Messages as a server sends them."""
    return b"".join(message.frames for message in messages)


ACK = outgoing("ACK", b"{}", msgid="1")


@pytest.fixture
def talk() -> Talk:
    """What a transport carries."""
    return Talk()


@pytest.fixture
def connect(talk: Talk) -> Iterator[Callable[..., Listener]]:
    """``connect(serve, …)`` starts a transport to a listener that serves so."""
    made: list[tuple[Transport, Listener]] = []

    def make(*serve: Serve, **headers: str) -> Listener:
        listener = Listener(*serve)
        made.append((Transport(f"ws://localhost:{listener.port}/there?x=1", talk, headers), listener))
        made[-1][0].start()
        return listener

    make.transport = lambda: made[-1][0]  # type: ignore[attr-defined]
    yield make
    for transport_, listener in made:
        transport_.stop(5)
        listener.close()


Connect = Callable[..., Listener]


def test_it_shakes_hands_as_a_program_and_hears_what_comes_with_the_answer(talk: Talk, connect: Connect) -> None:
    requests: list[str] = []

    def serve(connection: socket.socket) -> None:
        requests.append(shake(connection, frames(ACK)))
        connection.recv(1)

    connect(serve, Authorization="Bearer key")
    until(lambda: talk.messages)
    assert talk.messages[0].header.msgtype == "ACK"
    assert requests[0].startswith("GET /there?x=1 HTTP/1.1\r\n")
    assert "Authorization: Bearer key" in requests[0]
    assert "Sec-WebSocket-Protocol: bokeh\r\n" in requests[0]
    assert "origin:" not in requests[0].lower()


def test_it_tries_again_until_a_server_takes_it(talk: Talk, connect: Connect) -> None:
    def serve(connection: socket.socket) -> None:
        shake(connection, frames(ACK))
        connection.recv(1)

    connect(lambda connection: None, answer("503 Busy"), answer("200 OK"), lambda c: c.sendall(b"SSH-2.0\r\n"), serve)
    until(lambda: talk.messages)
    assert [line[:5] for line in talk.happened if line != "tick"] == ["lost:"] * 4 + ["opene"]


@pytest.mark.parametrize("error", [Unauthorized, Forbidden, AccessRevoked, NotFound])
def test_it_gives_up_where_the_server_says_so(talk: Talk, connect: Connect, error: type[BokehServerError]) -> None:
    listener = connect(answer(f"{error.status} No", problem(error()).body))
    until(lambda: talk.happened)
    time.sleep(0.5)
    assert [line[:5] for line in talk.happened] == ["gone:"]
    assert listener.count == 1


@pytest.mark.parametrize("ws", [FramesProtocol, WebSocketsSansIOProtocol])
def test_it_gives_up_where_a_real_server_has_no_such_document(talk: Talk, ws: object) -> None:
    with hosted(ws=ws) as port:
        transport_ = Transport(f"ws://localhost:{port}/bokeh/doc/nothing/ws", talk)
        transport_.start()
        until(lambda: talk.happened)
        transport_.stop(5)
    assert talk.happened == ["gone: it is not there"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, b"<h1>Sorry</h1>") for status in (401, 403, 404, 410, 502)),
        (404, b""),
        (403, b'{"code": "forbidden", "message": "no route matched"}'),
        (404, b'{"type": "", "title": "", "status": 404, "detail": "", "code": 404}'),
        (503, problem(StoreFailed()).body),
    ],
)
def test_it_tries_again_where_something_else_answers_in_the_place_of_the_server(
    talk: Talk, connect: Connect, status: int, body: bytes
) -> None:
    def serve(connection: socket.socket) -> None:
        shake(connection, frames(ACK))
        connection.recv(1)

    connect(answer(f"{status} No", body), serve)
    until(lambda: talk.messages)
    assert talk.happened[0] == f"lost: what answers there says HTTP {status}"
    assert talk.codes[0] == status


def test_a_close_frame_tells_why(talk: Talk, connect: Connect) -> None:
    def serve(connection: socket.socket) -> None:
        shake(connection, b"\x88\x08\x03\xf4away!!")  # 1012
        connection.recv(65536)

    connect(serve)
    until(lambda: talk.codes)
    assert talk.codes[0] == 1012
    assert talk.happened[1] == "lost: the server closed the connection (1012, away!!)"


@pytest.mark.parametrize(
    ("close", "words"),
    [
        (None, "None"),
        (Close(1013, ""), "1013"),
        (Close(1013, "store-full"), "1013, The disk is full; nothing was acknowledged, free some space and try again"),
        (Close(1013, "client-error"), "1013, The request can't be carried out as it was sent"),
        (Close(1013, "unheard-of"), "1013, unheard-of"),
    ],
)
def test_what_a_close_frame_says_is_put_into_words(close: Close | None, words: str) -> None:
    assert str(closed(close)) == f"the server closed the connection ({words})"


def test_what_a_server_says_before_it_hangs_up_on_a_program_that_is_writing_is_heard(
    talk: Talk, connect: Connect
) -> None:
    def serve(connection: socket.socket) -> None:
        shake(connection)
        connection.recv(1)  # and leaves the rest unread: what the program writes from now on meets a broken pipe
        connection.sendall(frames(ACK) + b"\x88\x02\x03\xf1")  # 1009

    talk.out.extend(outgoing("X", b" " * 100_000, msgid="1") for _ in range(100))
    connect(serve)
    until(lambda: talk.codes)
    assert talk.codes[0] == 1009
    assert [message.header.msgtype for message in talk.messages][:1] == ["ACK"]


def test_frames_in_parts_and_pings_make_one_message(talk: Talk, connect: Connect) -> None:
    message = outgoing("X", b'{"a":"\xc3\xa9"}', msgid="1", buffers=(("b", b"\x00\x01"),))

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # no byte waits for the one before
        shake(connection)
        parts = [part.encode() if isinstance(part, str) else bytes(part) for part in message.parts]
        for part, opcode in zip(parts, (1, 1, 1, 1, 2), strict=True):
            half = len(part) // 2
            for data, first in ((part[:half], opcode), (part[half:], 0x80)):
                for byte in bytes([first, len(data)]) + data:  # one byte at a time
                    connection.sendall(bytes([byte]))
                if first == opcode:
                    connection.sendall(b"\x89\x00")
        connection.recv(65536)

    connect(serve)
    until(lambda: talk.messages)
    assert talk.messages[0].content == b'{"a":"\xc3\xa9"}'
    assert talk.messages[0].buffers == (("b", b"\x00\x01"),)


def test_what_makes_no_sense_ends_the_connection_not_the_thread(talk: Talk, connect: Connect) -> None:
    def serve(connection: socket.socket) -> None:
        shake(connection, frames(ACK))
        connection.recv(1)

    def garbage(connection: socket.socket) -> None:
        shake(connection, b"\x81\x03{{{")
        connection.recv(65536)

    def nonsense(connection: socket.socket) -> None:
        shake(connection, b"\xff\xff\xff")
        connection.recv(65536)

    connect(garbage, nonsense, serve)
    until(lambda: talk.messages)
    assert len(talk.codes) == 2


def test_an_error_in_the_talk_is_logged_and_the_socket_comes_back(
    talk: Talk, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def serve(connection: socket.socket) -> None:
        shake(connection, frames(ACK))
        connection.recv(1)

    talk.error = KeyError("a bug")
    connect(serve)
    until(lambda: talk.codes)
    talk.error = None
    until(lambda: talk.messages)
    assert "a bug" in caplog.text


def test_a_large_message_passes_whatever_the_network_takes_at_once(talk: Talk, connect: Connect) -> None:
    large = outgoing("X", b"{}", msgid="1", buffers=(("b", bytes(range(256)) * 40_000),))
    received = bytearray()

    def serve(connection: socket.socket) -> None:
        shake(connection)
        time.sleep(0.3)  # until nothing more fits into the socket
        while data := connection.recv(65536):
            received.extend(data)

    talk.out.extend([large, large])
    connect(serve)
    until(lambda: len(received) > 2 * 256 * 40_000, timeout=40)


def test_a_document_may_have_grown_past_what_a_program_may_send(
    talk: Talk, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Limits(message=1000, buffers=2)
    monkeypatch.setattr(transport, "LIMITS", small)
    monkeypatch.setattr(Assembler.__init__, "__defaults__", (small,))
    grown = outgoing("X", b"{}", msgid="1", buffers=tuple((str(at), bytes(2000)) for at in range(3)))

    def serve(connection: socket.socket) -> None:
        shake(connection, frames(grown))
        connection.recv(1)

    connect(serve)
    until(lambda: talk.messages)
    assert len(talk.messages[0].buffers) == 3


def test_a_silent_server_is_asked_and_then_given_up(
    talk: Talk, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TICK", 0.05), ("PING", 0.1), ("SILENCE", 0.6)):
        monkeypatch.setattr(transport, name, value)
    pings: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        shake(connection)
        while data := connection.recv(65536):
            pings.append(data)

    connect(serve)
    until(lambda: talk.codes)
    assert pings
    assert pings[0][0] == 0x89
    assert "no sign of life" in talk.happened[-1]


def test_a_slow_upload_is_a_sign_of_life(talk: Talk, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TICK", 0.05), ("PING", 0.2), ("SILENCE", 1.5)):
        monkeypatch.setattr(transport, name, value)
    large = outgoing("PATCH-DOC", b'"' + b"x" * 20_000_000 + b'"', msgid="1")
    read: list[int] = []

    def serve(connection: socket.socket) -> None:
        shake(connection)
        while sum(read) < large.size and (data := connection.recv(262_144)):
            read.append(len(data))
            time.sleep(0.05)  # in all, at least twice as long as the silence

    talk.out.append(large)
    connect(serve)
    until(lambda: sum(read) >= large.size or talk.codes, timeout=30)
    assert sum(read) >= large.size, talk.happened[-1]


def test_it_says_goodbye(talk: Talk) -> None:
    received = bytearray()

    def serve(connection: socket.socket) -> None:
        shake(connection)
        while data := connection.recv(65536):
            received.extend(data)

    listener = Listener(serve)
    socket_ = Transport(f"ws://localhost:{listener.port}/", talk)
    socket_.wake()  # before it starts: nothing to wake
    socket_.start()
    until(lambda: "opened" in talk.happened)
    talk.out.append(ACK)
    socket_.wake()
    until(lambda: received)
    socket_.stop(5)
    until(lambda: received[-8:-6] == b"\x88\x82")  # a close frame with a code, masked
    socket_.wake()  # after it has ended
    listener.close()


class Ending(Transport):
    """Its thread ends just when somebody is about to wake it."""

    @property
    def _woken(self) -> bool:
        return False

    @_woken.setter
    def _woken(self, woken: bool) -> None:
        if woken:
            self._bell = None


def test_it_may_be_woken_while_it_ends(talk: Talk) -> None:
    here, there = socket.socketpair()
    with here, there:
        ending = Ending("ws://localhost/", talk)
        ending._bell = here
        ending.wake()
        assert there.recv(1) == b"!"


def test_it_speaks_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    flags = ["--port", "0", "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key), "--backend", "memory"]
    command = [sys.executable, "-m", "bokeh_server", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as server:
        assert server.stdout is not None
        found = re.search(r"https://localhost:\d+", server.stdout.readline())
        assert found
        document = Document()
        document.add_root(Div(text="x" * 3_000_000))
        with Session(root_url=found[0]) as session:
            session.use_doc("secret")
            session.store_document(document)
            document.title = "over TLS"
            assert session.flush()
            session.load_document(document)
        server.terminate()
