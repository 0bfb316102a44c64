"""One websocket that comes back by itself, in one daemon thread: fragments out, messages in, nothing about documents.

The protocol is the sans-IO ``ClientProtocol`` of ``websockets``; the socket is ours, so that one thread reads, writes,
pings and waits for a wake-up from other threads. After a cut it tries again for ever, 0.2 to 5 s apart with jitter
(the pause grows until a connection has proven to be a good one), until the server says that it never will. Only the
server's own word counts: a proxy that answers in its place while it is away may say 404 or 403 as well. Nothing here
blocks the threads of the program.
"""

from __future__ import annotations

import logging
import random
import selectors
import socket
import ssl
import sys
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Protocol

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from bokeh_server.client.rest import error_of, problem_in
from bokeh_server.core.wire import Assembler, Message, Outgoing
from bokeh_server.errors import BadMessage
from bokeh_server.limits import LIMITS

log = logging.getLogger("bokeh_server.client")
frames = logging.getLogger("bokeh_server.client.frames")
frames.setLevel(logging.INFO)  # below it the protocol would log every header, keys among them

CONNECT = 5.0
"""Seconds for one attempt to connect."""
FIRST, LONGEST = 0.2, 5.0
"""Seconds between two attempts: the first pause, doubled up to the longest."""
JITTER = random.Random()  # noqa: S311 - no secret
"""Keeps programs from coming back all at once. It is our own: a program that sets a seed gets its numbers."""
SEND_BUFFER = 256 * 1024
"""Bytes in the kernel: a slow network has them in less than ``SILENCE``."""
PING, SILENCE = 20.0, 45.0
"""Seconds of silence after which the server is asked for a sign of life, and given up."""
BUFFERED = 1024 * 1024
"""Bytes that are framed ahead of the network; the rest stays where it can still be merged."""
TICK = 1.0
"""Seconds between two looks at what gives no signal."""


FINAL = {
    "unauthorized": "log in first",
    "forbidden": "you have no right to it",
    "revoked": "you have no right to it any more",
    "not-found": "it is not there",
}
"""Codes of the server's problems after which another try is useless."""


class Cut(Exception):
    """The connection is gone; the text says why. ``code`` is the close code of the server, or the HTTP status of what
    answered in the place of a handshake, if there was one."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class Gone(Exception):
    """The server will not have us, now or later; the text says why."""


class Talk(Protocol):
    """What a transport carries. All is called in the transport's thread."""

    def opened(self) -> None: ...
    def next(self) -> Outgoing | None: ...
    def received(self, message: Message) -> None: ...
    def tick(self) -> None: ...
    def lost(self, reason: str, code: int | None) -> None: ...
    def gone(self, reason: str) -> None: ...

    @property
    def proven(self) -> bool: ...


class Transport:
    """Keeps one websocket to ``url`` (``ws:`` or ``wss:``) open for ``talk``, sending ``headers`` when it connects."""

    def __init__(self, url: str, talk: Talk, headers: dict[str, str] | None = None) -> None:
        self._uri = parse_uri(url)
        self._talk = talk
        self._headers = headers or {}
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._woken = False
        self._ear: socket.socket | None = None
        self._bell: socket.socket | None = None
        self._link: Link | None = None
        self._thread = threading.Thread(target=self._run, name="bokeh-server socket", daemon=True)

    def start(self) -> None:
        """Connect, and stay connected."""
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._thread.start()

    def wake(self) -> None:
        """There is something to send (any thread)."""
        bell = self._bell  # the thread may end meanwhile
        if not self._woken and bell is not None:
            self._woken = True
            try:
                bell.send(b"!")
            except OSError:
                pass  # the bell is full of rings, or the transport has stopped: nothing to wake

    def hurry(self) -> None:
        """Try to connect now, without waiting out the pause."""
        self._hurry.set()

    def stop(self, timeout: float) -> None:
        """Say goodbye and let go, in at most ``timeout`` seconds."""
        self._stopping.set()
        self._hurry.set()
        self._woken = False
        self.wake()
        if self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join(timeout)

    def abandon(self) -> None:
        """Close the copies of the sockets that a forked process has, without a word: they are the parent's."""
        if self._link is not None:
            self._link.close()
        for end in (self._ear, self._bell):
            if end is not None:
                end.close()
        self._bell = None

    def _run(self) -> None:
        pause, ear = FIRST, self._ear
        assert ear is not None
        try:
            while not self._stopping.is_set():
                try:
                    self._connected(Link.connect(self._uri, self._headers, ear))
                except Gone as error:
                    self._talk.gone(str(error))
                    return
                except (Cut, OSError, WebSocketException, BadMessage) as error:
                    pause = FIRST if self._talk.proven else pause
                    self._talk.lost(str(error) or type(error).__name__, getattr(error, "code", None))
                except Exception as error:  # what the server sent makes no sense: say so, and start afresh
                    log.exception("Error in the talk with the server")
                    self._talk.lost(str(error), None)
                self._hurry.wait(pause * JITTER.uniform(0.5, 1.0))
                if not self._stopping.is_set():
                    self._hurry.clear()
                pause = min(2 * pause, LONGEST)
        finally:
            bell, self._bell = self._bell, None
            ear.close()
            if bell is not None:
                bell.close()

    def _connected(self, link: Link) -> None:
        assembler = Assembler(replace(LIMITS, message=sys.maxsize, buffers=sys.maxsize))  # a document grows past them
        tick = time.monotonic()
        self._link = link
        self._talk.opened()
        with link:
            while True:
                self._woken = False
                self._fill(link)
                if self._stopping.is_set():
                    link.say_goodbye()
                    return
                for fragment in link.wait(TICK):
                    if (message := assembler.receive(fragment)) is not None:
                        self._talk.received(message)
                if link.cut is not None:
                    raise link.cut
                if time.monotonic() - tick >= TICK:
                    tick = time.monotonic()
                    self._talk.tick()
                    link.check()

    def _fill(self, link: Link) -> None:
        while link.buffered < BUFFERED and (message := self._talk.next()) is not None:
            link.send(message)


class Link:
    """One open websocket: framed bytes on a socket that does not block."""

    def __init__(self, sock: socket.socket, protocol: ClientProtocol, ear: socket.socket) -> None:
        self._socket = sock
        self._protocol = protocol
        self._ear = ear
        self._out: deque[memoryview] = deque()
        self.buffered = 0
        """Bytes that wait for the network."""
        self.cut: Cut | None = None
        """Why the connection is over; what came before that has been returned."""
        self._parts: list[bytes] = []
        self._text = False
        self._full = False
        """Whether the network took no more when we last wrote."""
        self._heard = self._asked = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(ear, selectors.EVENT_READ)

    @classmethod
    def connect(cls, uri: WebSocketURI, headers: dict[str, str], ear: socket.socket) -> Link:
        """Open a socket and shake hands. ``Gone`` where the server refuses for good, ``OSError`` or ``Cut`` else."""
        sock = socket.create_connection((uri.host, uri.port), CONNECT)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if uri.secure:
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=uri.host)
            protocol = ClientProtocol(uri, subprotocols=[Subprotocol("bokeh")], max_size=None, logger=frames)
            shake_hands(sock, protocol, headers)
            sock.setblocking(False)
            return cls(sock, protocol, ear)
        except BaseException:
            sock.close()
            raise

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket."""
        self._selector.close()
        self._socket.close()

    def send(self, message: Outgoing) -> None:
        """Frame a message; it leaves with the next ``wait``."""
        for part in message.parts:
            if isinstance(part, str):
                self._protocol.send_text(part.encode())
            else:
                self._protocol.send_binary(part)
        self._collect()

    def wait(self, timeout: float) -> list[str | bytes]:
        """Read and write what can be, or wait for it, or for a wake-up, at most ``timeout`` seconds.

        Returns the fragments that came. Where the connection is over after them, ``cut`` says why.
        """
        self._write()
        interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        self._selector.modify(self._socket, interest)
        fragments: list[str | bytes] = []
        self._take(fragments)
        for key, _ in self._selector.select(0.0 if fragments or self._pending() else timeout):
            if key.fileobj is self._ear:
                drain(self._ear)
        self._read(fragments)
        self._write()
        return fragments

    def check(self) -> None:
        """Ask a silent server for a sign of life; ``Cut`` where it gives none."""
        now = time.monotonic()
        if now - self._heard > SILENCE:
            raise Cut(f"no sign of life for {SILENCE:.0f} s")
        if now - max(self._heard, self._asked) > PING:
            self._asked = now
            self._protocol.send_ping(b"")
            self._collect()

    def say_goodbye(self) -> None:
        """Send what is framed and a close frame, as far as the network takes it within a second."""
        self._protocol.send_close(1000)
        self._collect()
        self._socket.setblocking(True)
        self._socket.settimeout(1.0)
        while self._out:
            self._socket.sendall(self._out.popleft())

    def _pending(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _collect(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._out.append(memoryview(data))
                self.buffered += len(data)

    def _write(self) -> None:
        while self._out:
            try:
                sent = self._socket.send(self._out[0])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._full = True
                return
            except OSError:  # it is over; what the server said before that is still to be read, and then the end
                self._out.clear()
                self.buffered = 0
                return
            if self._full:  # and no more: the server reads, though our question may still be far behind
                self._full, self._heard = False, time.monotonic()
            self.buffered -= sent
            if sent == len(self._out[0]):
                self._out.popleft()
            else:
                self._out[0] = self._out[0][sent:]

    def _read(self, fragments: list[str | bytes]) -> None:
        try:
            data = self._socket.recv(256 * 1024)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self.cut = Cut(str(error))
            return
        self._heard = time.monotonic()
        if not data:
            self.cut = Cut("the server closed the connection")
            return
        self._protocol.receive_data(data)
        self._take(fragments)
        if self._protocol.parser_exc is not None:
            self.cut = Cut(str(self._protocol.parser_exc))

    def _take(self, fragments: list[str | bytes]) -> None:
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            self._frame(event, fragments)
        self._collect()

    def _frame(self, frame: Frame, fragments: list[str | bytes]) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.cut = closed(self._protocol.close_rcvd)
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            fragments.append(whole.decode() if self._text else whole)


def shake_hands(sock: socket.socket, protocol: ClientProtocol, headers: dict[str, str]) -> None:
    """The opening handshake of RFC 6455 on a blocking socket."""
    request = protocol.connect()
    request.headers.update(headers)
    protocol.send_request(request)
    sock.sendall(b"".join(protocol.data_to_send()))
    while not (events := protocol.events_received()):
        data = sock.recv(64 * 1024)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        if protocol.handshake_exc is not None:
            raise refusal(protocol.handshake_exc)
    if protocol.handshake_exc is not None:
        raise refusal(protocol.handshake_exc)
    assert isinstance(events[0], Response)
    protocol.events[:0] = events[1:]  # frames that came together with the response


def refusal(error: Exception) -> Exception:
    """What a failed handshake means: ``Gone`` where the server itself says so that another try is useless."""
    if not isinstance(error, InvalidStatus):
        return Cut(str(error))
    status, told = error.response.status_code, problem_in(bytes(error.response.body))
    if told is not None and told["code"] in FINAL:
        return Gone(FINAL[told["code"]])
    return Cut(f"what answers there says HTTP {status}", status)


def closed(close: Close | None) -> Cut:
    """What a close frame says; in words, where its reason is the code of an error."""
    code, reason = (close.code, close.reason) if close is not None else (None, "")
    error = error_of(reason, "")
    words = str(error).rstrip(".") if error.code == reason else reason
    return Cut(f"the server closed the connection ({code}{f', {words}' if words else ''})", code)


def drain(sock: socket.socket) -> None:
    """Read away all wake-ups."""
    try:
        while sock.recv(4096):
            pass
    except OSError:
        return
