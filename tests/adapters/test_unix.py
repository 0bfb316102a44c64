"""A server on a unix socket: who may connect, what is left behind, and that it is one server's."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bokeh_server.adapters.unix import listening
from bokeh_server.config import Config
from bokeh_server.errors import BadSetting
from tests.running import environment


class OverUnix(http.client.HTTPConnection):
    """A connection of HTTP by a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


def asked(path: Path, at: str = "/api/v1/documents", **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    connection = OverUnix(path)
    try:
        connection.request("GET", at, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextmanager
def started(path: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``bokeh-server`` on a unix socket, and the line that it prints."""
    command = [sys.executable, "-m", "bokeh_server", "--backend", "memory", "--unix-socket", str(path), *flags]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline()
        finally:
            server.kill()


def mode_of(path: Path) -> int:
    """The mode of a socket's file."""
    found = path.lstat().st_mode
    assert stat.S_ISSOCK(found)
    return stat.S_IMODE(found)


def test_a_server_listens_on_a_socket_that_only_its_owner_may_use_and_takes_it_away_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "plots.sock"
    with started(path) as (server, line):
        assert f"at http://localhost:80/ by the unix socket {path}" in line
        assert mode_of(path) == 0o600
        assert asked(path) == (200, [])
        assert asked(path, X_Forwarded_For="203.0.113.9")[0] == 403
        assert asked(path, Host="evil.example")[0] == 403
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    assert not path.exists()


def test_what_a_killed_server_left_is_taken_away_and_a_second_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plots.sock"
    flags = ("-m", "--unix-socket-mode", "660", "--trusted-proxy", "unix")
    with started(path, *flags) as (server, _):
        server.kill()
        server.wait(10)
    assert path.is_socket()
    with started(path, *flags) as (server, line):
        assert "at http://localhost" in line
        assert mode_of(path) == 0o660
        with started(path, *flags) as (second, nothing):
            assert nothing == ""
            assert second.wait(10) == 2
            assert second.stderr is not None
            assert "Another server listens on" in second.stderr.read()
        assert asked(path, "/healthz")[0] == 200


def test_of_many_that_start_at_once_on_a_stale_socket_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "plots.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    won, lost, done = [], [], threading.Event()
    counted = threading.Semaphore(0)

    def start() -> None:
        try:
            with listening(path, 0o600, 10) as found:
                won.append(found)
                counted.release()
                done.wait(20)
                found.close()
        except BadSetting:
            lost.append(path)
            counted.release()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert counted.acquire(timeout=20)
    assert (len(won), len(lost)) == (1, 7)
    assert path.is_socket()
    done.set()
    for thread in threads:
        thread.join(20)
    assert not path.exists()


def test_a_socket_that_another_has_put_there_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "plots.sock"
    with listening(path, 0o600, 10) as found:
        found.close()
        path.rename(tmp_path / "kept.sock")
        path.touch()
    assert path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "plots.sock"
    if kind == "file":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path)
    with pytest.raises(BadSetting, match="is there and no socket"), listening(path, 0o600, 10):
        pass
    assert os.path.lexists(path)


@pytest.mark.parametrize("place", ["missing/plots.sock", "x" * 120, "y/../" + "z" * 300])
def test_where_no_socket_can_be_is_told_in_a_line(tmp_path: Path, place: str) -> None:
    with pytest.raises(BadSetting, match="Can't listen on"), listening(tmp_path / place, 0o600, 10):
        pass


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": "127.0.0.1"}, "leave --address out"),
        ({"unix_socket_mode": 0o1777}, "one of a file"),
        ({"unix_socket_mode": 0o660}, "leave --unix-socket-mode at 600"),
    ],
)
def test_settings_that_do_not_go_with_a_socket_say_why(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        Config(unix_socket=Path("plots.sock"), **settings)
    Config(unix_socket=Path("plots.sock"), unix_socket_mode=0o660, multi_user=True)
