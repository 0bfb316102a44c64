"""Our HTTP protocol: what never becomes a request costs little memory and little time, and nobody else anything."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from bokeh_server.adapters import requests
from bokeh_server.limits import LIMITS, Limits
from tests.adapters.conftest import store
from tests.adapters.hosting import hosted
from tests.adapters.raw import Raw
from tests.web.asking import ask

LINES = "GET /healthz HTTP/1.1\r\nHost: localhost:{}\r\n"
ROWS = (
    "POST /api/v1/documents/plain/sources/readings/rows HTTP/1.1\r\nHost: localhost:{}\r\n"
    "Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that waits half a second."""
    monkeypatch.setattr(requests, "LIMITS", Limits(request=0.5))
    with hosted() as found:
        yield found


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    connection.settimeout(5)
    data = b""
    try:
        while part := connection.recv(1 << 16):
            data += part
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", b"a" * 1000),
        (LINES.encode() + b"X: ", b"a" * 1000),
        (LINES.encode(), b"a: b\r\n" * 100),
        (ROWS.encode() + b"0\r\n", b"a: b\r\n" * 100),
        (ROWS.encode() + b"1;", b"a" * 1000),
    ],
    ids=["line", "header", "headers", "trailers", "extension"],
)
def test_a_head_without_end_is_refused(port: int, start: bytes, more: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(start.replace(b"{}", str(port).encode()))
        sent = 0
        try:
            while sent < 100 * LIMITS.head:
                connection.sendall(more)
                sent += len(more)
        except OSError:  # it was cut off
            pass
        assert sent < 100 * LIMITS.head
    assert ask(port, "GET", "/healthz").status == 200


def test_who_sends_a_head_that_is_too_large_is_told(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(LINES.format(port).encode() + b"X: " + b"a" * LIMITS.head)
        assert answer(connection).startswith(b"HTTP/1.1 431 ")
    assert ask(port, "GET", "/healthz", [("X", "a" * (LIMITS.head - 1000))]).status == 200


@pytest.mark.parametrize("start", ["", "GET /hea", LINES, ROWS, ROWS + "5\r\nt,n"], ids=str)
def test_who_sends_nothing_more_is_cut_off(port: int, start: str) -> None:
    store(port)
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(start.format(port).encode())
        assert answer(connection) == b""
    assert 0.4 < time.monotonic() - begin < 3


@pytest.mark.parametrize("slowly", ["\r\n", LINES + "X-Y: " + "z" * 100], ids=["nothing", "something"])
def test_a_head_that_comes_byte_by_byte_is_cut_off(port: int, slowly: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.03)
        for letter in slowly * 50:
            try:
                connection.sendall(letter.encode())
                assert connection.recv(100) == b""
            except TimeoutError:
                continue
            except OSError:
                pass
            return
        raise AssertionError("it waits for ever")


def test_a_body_may_take_its_time_as_long_as_some_of_it_comes(port: int) -> None:
    store(port)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(ROWS.format(port).encode())
        for part in ("t,n", ",wh", "o\n1", ",2,", "x\n"):
            time.sleep(0.3)
            connection.sendall(f"{len(part)}\r\n{part}\r\n".encode())
        connection.sendall(b"0\r\n\r\n")
        connection.settimeout(5)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_websocket_may_be_silent(port: int) -> None:
    with Raw(port, store(port).document) as client:
        client.pull()
        time.sleep(1)
        client.pull()
