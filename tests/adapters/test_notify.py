"""An init system that asks for it is told when the server is ready, and when it ends."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from bokeh_server.adapters.notify import READY, STOPPING, notify
from tests.running import RunningServer
from tests.web.asking import ask


@contextmanager
def told(address: str) -> Iterator[socket.socket]:
    """The init system's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        found.settimeout(10)
        yield found


class Unit(RunningServer):
    """A server that an init system has started."""

    def __init__(self, folder: Path, address: str) -> None:
        self.variables = MappingProxyType({"NOTIFY_SOCKET": address})
        super().__init__(folder)


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_server_says_that_it_is_ready_when_it_is_and_that_it_stops_when_it_does(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@bokeh-server-{os.getpid()}"
    with told(address) as system, Unit(tmp_path / "data", address) as server:
        assert system.recv(100) == READY.encode()
        assert ask(server.port, "GET", "/readyz").status == 200
        os.kill(server.pid, signal.SIGTERM)
        assert system.recv(100) == STOPPING.encode()
        assert server.stop() == 0


def test_nobody_is_told_who_has_not_asked(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY)
    assert capfd.readouterr() == ("", "")


def test_an_init_system_that_does_not_listen_is_named_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify(READY)
    assert "could not be told" in capfd.readouterr().out
