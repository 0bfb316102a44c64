"""A narrow line between browsers and a server: a TCP proxy on this machine that lets through so many bytes a second."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

PIECE = 2_048
BUFFER = 16 * 1024
"""Bytes that wait in the proxy's own sockets; the rest waits at the server."""


class Narrow:
    """The proxy. ``rate`` is in bytes a second towards the browser (None: as it comes), and may change meanwhile."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self.target = 0
        """The server's port."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for found in self._sockets:
            with suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
            found.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                server = socket.socket()
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
                browser.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
                server.connect(("127.0.0.1", self.target))
                self._sockets += [browser, server]
                threading.Thread(target=self._pass_on, args=(browser, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, browser, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket, narrow: bool) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE):
                if narrow and self.rate is not None:
                    time.sleep(len(data) / self.rate)
                to.sendall(data)
        with suppress(OSError):
            to.shutdown(socket.SHUT_WR)
