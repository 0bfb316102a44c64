"""Somebody else's machine: a listener that writes down everything that reaches it, and lets everybody in.

It answers any request with what an attacker would (open CORS, a script, a picture, a websocket), so that an attack that
gets through goes on. A connection without a request counts too: a browser that only connects has told where it is.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import socketserver
import threading
from typing import Self

NAME = "outside.test"
"""Its host name; the browser is told that it is this machine (``RESOLVE``)."""
RESOLVE = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
LOOPBACK = "--allow-loopback-in-peer-connection"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BODIES = {
    "css": ("text/css", "body { color: red }"),
    "js": ("text/javascript", "globalThis.outside = true; globalThis.leaked?.('a script from outside ran');"),
    "html": ("text/html", "<!doctype html><title>outside</title><script>parent.postMessage('outside', '*')</script>"),
    "svg": ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg' id='a' width='9' height='9'/>"),
}


class Outside:
    """The listener, for TCP and (where WebRTC asks for its own address) for UDP."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        """First lines of requests; "" for a connection without one; "udp" for a packet."""
        self.page = ""
        """What is at ``/elsewhere.html``, a page that is open when an attack begins."""
        self._lock = threading.Lock()
        outside = self

        class Visit(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outside.answer(self.request)

        class Packet(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outside.heard[outside._note()] = "udp"

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

        self._tcp = Listener(("127.0.0.1", 0), Visit)
        self.port: int = self._tcp.server_address[1]
        self._udp = socketserver.UDPServer(("127.0.0.1", self.port), Packet)
        for server in (self._tcp, self._udp):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address by the name that only the browser knows."""
        return f"http://{NAME}:{self.port}"

    def about(self, name: str, since: int) -> list[str]:
        """What it heard of one attack: requests that name it, and from ``since`` on everything that names nobody."""
        named = [line for line in self.heard if f"/{name}/" in line]
        return named + [line for line in self.heard[since:] if "/" not in line]

    def answer(self, peer: socket.socket) -> None:
        """Write down one request and answer it."""
        peer.settimeout(10)
        place = self._note()
        asked = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in asked and (more := peer.recv(65536)):
                asked += more
        text = asked.decode("latin-1")
        self.heard[place] = text.split("\r\n")[0]
        with contextlib.suppress(OSError):
            peer.sendall(reply(text, self.page))

    def _note(self) -> int:
        """Where in ``heard`` this connection is."""
        with self._lock:
            self.heard.append("")
            return len(self.heard) - 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for server in (self._tcp, self._udp):
            server.shutdown()
            server.server_close()


def reply(asked: str, page: str = "") -> bytes:
    """The answer to a request: a websocket's handshake, the page, or a body that goes with the path."""
    key = re.search(r"(?i)^sec-websocket-key: *(\S+)", asked, re.MULTILINE)
    if key:
        accept = base64.b64encode(hashlib.sha1(f"{key[1]}{GUID}".encode()).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode()
    ending = re.match(r"\S+ \S+?\.(\w+)[ ?#]", asked)
    kind, body = BODIES.get(ending[1] if ending else "html", BODIES["html"])
    body = page if asked.startswith("GET /elsewhere.html") else body
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    cors = ["Access-Control-Allow-Origin: *", "Access-Control-Allow-Headers: *", "Access-Control-Allow-Methods: *"]
    return "\r\n".join([*lines, *cors, "Access-Control-Allow-Private-Network: true", "", body]).encode()
