"""The server's process: its sockets on both addresses of localhost, and an end within 5 s whatever goes on."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bokeh_server.adapters import process
from bokeh_server.adapters.process import bind
from bokeh_server.errors import BadSetting
from tests.adapters.conftest import Place, store
from tests.adapters.raw import CLOSE, TEXT, Raw, change, message
from tests.running import RunningServer
from tests.web.asking import ask


@contextmanager
def taken(address: str, port: int = 0) -> Iterator[int]:
    """Another program that listens there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as other:
        if address == "::":
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind((address, port))
        other.listen()
        yield other.getsockname()[1]


def has_ipv6() -> bool:
    """Whether this machine has ::1 (some containers have not)."""
    try:
        with taken("::1"):
            return True
    except OSError:
        return False


OURS = ["127.0.0.1", *(["::1"] if has_ipv6() else [])]
OTHERS = ["127.0.0.1", "0.0.0.0", *(["::1", "::"] if has_ipv6() else [])]


def close(sockets: list[socket.socket]) -> list[str]:
    """Their addresses, and done."""
    addresses: list[str] = [found.getsockname()[0] for found in sockets]
    for found in sockets:
        found.close()
    return addresses


def test_localhost_is_both_of_its_addresses_on_one_port() -> None:
    sockets = bind("localhost", 0)
    assert len({found.getsockname()[1] for found in sockets}) == 1
    assert close(sockets) == OURS


@pytest.mark.parametrize("address", OTHERS)
def test_a_port_that_another_program_has_on_either_address_is_in_use(address: str) -> None:
    with taken(address) as port, pytest.raises(BadSetting, match=f"Port {port} is in use"):
        close(bind("localhost", port))


def test_a_free_port_is_free_on_both_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's choice for 127.0.0.1 may be taken on ::1: then another one is tried."""
    real = process.listen
    with taken(OURS[-1]) as port:
        asked: list[int] = []

        def unlucky(address: str, wanted: int) -> socket.socket:
            asked.append(wanted)
            if len(asked) == 2:  # the same port on the other address
                return real(OURS[-1], port)
            return real(address, wanted)

        monkeypatch.setattr(process, "listen", unlucky)
        sockets = bind("localhost", 0)
        assert sockets[0].getsockname()[1] != port
        assert close(sockets) == OURS


@pytest.mark.parametrize("number", sorted(process.NO_IPV6))
def test_without_ipv6_the_other_address_is_enough(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = process.listen

    def without(address: str, port: int) -> socket.socket:
        if ":" in address:
            raise OSError(number, "no IPv6 here")
        return real(address, port)

    monkeypatch.setattr(process, "listen", without)
    assert close(bind("localhost", 0)) == ["127.0.0.1"]


def test_an_address_that_this_machine_has_not_is_told() -> None:
    with pytest.raises(BadSetting, match=r"Can't listen on 192\.0\.2\.1"):
        bind("192.0.2.1", 0)


class Load:
    """Programs and viewers that do not stop by themselves."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.ends: list[tuple[int, str]] = []
        self.threads = [threading.Thread(target=work) for work in [self.program] * 3 + [self.viewer] * 5 + [self.rest]]
        self.ready = threading.Semaphore(0)
        for thread in self.threads:
            thread.start()
        for _ in self.threads:
            assert self.ready.acquire(timeout=10)

    def program(self) -> None:
        """Sends patches as fast as it can, and reads what it gets."""
        with Raw(self.place.port, self.place.document) as client:
            reader = threading.Thread(target=lambda: self.ends.append(client.closed()))
            client.pull()
            reader.start()
            self.ready.release()
            patch = message("PATCH-DOC", change(7))
            try:
                while not self.ends:
                    client.send(patch * 20)
                    time.sleep(0.01)
            except OSError:
                pass
            reader.join(10)

    def viewer(self) -> None:
        """Reads what it gets."""
        with Raw(self.place.port, self.place.document) as client:
            client.pull()
            self.ready.release()
            self.ends.append(client.closed())

    def rest(self) -> None:
        """Asks over HTTP, one request after the other."""
        self.ready.release()
        try:
            while True:
                self.place.value()
        except (OSError, ValueError, EOFError):
            return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_under_load_ends_within_5_seconds_and_tells_everybody(tmp_path: Path, number: signal.Signals) -> None:
    with RunningServer(tmp_path / "data") as server:
        load = Load(store(server.port))
        time.sleep(0.5)
        begin = time.monotonic()
        assert server._end(number) == 0
        assert time.monotonic() - begin < 5
        for thread in load.threads:
            thread.join(10)
            assert not thread.is_alive()
        assert load.ends == [(1012, "restart")] * 8
        assert server.log.read_text() == ""


def test_peers_that_do_not_answer_hold_up_the_end_for_a_moment_only(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server, ExitStack() as stack:
        place = store(server.port)
        ask(place.port, "PUT", f"/api/v1/documents/{place.document}/models/speed/title", body=b'"%s"' % (b"x" * 2**22))
        deaf = [stack.enter_context(Raw(place.port, place.document, buffer=8192)) for _ in range(3)]
        for client in deaf:
            client.send(message("PULL-DOC-REQ"))
        silent = stack.enter_context(Raw(place.port, place.document))
        half = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        half.sendall(b"PUT /api/v1/documents/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < 5
        assert [opcode for opcode, _ in silent.frames() if opcode != TEXT] == [CLOSE]


def test_what_was_acknowledged_before_the_end_is_there_after_the_next_start(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        place = store(server.port)
        with Raw(place.port, place.document) as client:
            client.send(message("RESUME", {"client": "the-program"}))
            client.pull()
            for number in range(1, 501):
                client.send(message("PATCH-DOC", change(number), number=number))
            server_ended = threading.Thread(target=server.stop)
            acknowledged = 0
            try:
                while True:
                    header, _ = client.message()
                    if header["msgtype"] == "OK":
                        acknowledged = max(acknowledged, header["number"])
                        if acknowledged == 50:
                            server_ended.start()
            except (AssertionError, EOFError, OSError):
                pass
        server_ended.join(10)
        assert acknowledged >= 50
        server.start()
        value = place.value()
        assert isinstance(value, int)
        assert value >= acknowledged


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        place = store(server.port)
        with Raw(place.port, place.document):
            pid = server.pid
            threading.Timer(0.2, lambda: os.kill(pid, signal.SIGINT)).start()
            begin = time.monotonic()
            assert server._end(signal.SIGINT) == 0
            assert time.monotonic() - begin < 3
