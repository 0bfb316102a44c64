"""Starts and stops the servers that are compared, each in a process of its own, pinned to the first core.

The benchmark itself and its load client are pinned to the second. Where ``taskset`` is missing or there is one core
only, nothing is pinned, and the results say so.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from bokeh.core.types import ID
from bokeh.util.token import generate_jwt_token

from bench.client import Address, Client
from bench.material import Fragments

ROOT = Path(__file__).parent.parent
WSLOAD = ROOT / "bench" / "wsload"
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
PINNED = len(CORES) > 1 and shutil.which("taskset") is not None
READY = 60.0  # seconds a server may take to start


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether anybody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def pin_this_process() -> None:
    """The benchmark stays off the servers' core."""
    if PINNED:
        os.sched_setaffinity(0, {CORES[1]})


class Server:
    """One running server; a context manager that ends it."""

    name: str
    suffix = ""
    """What stands behind a work where it is done by a server of the same name in another way."""
    path: str
    """Answers GET with a status below 500 when the server is ready."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.folder = Path(self._folder.name)

    def start(self) -> None:
        """Start the process and wait until it is ready; ``started`` is how many seconds that took."""
        command = [*(["taskset", "-c", str(CORES[0])] if PINNED else []), *self.command()]
        begin = time.perf_counter()
        variables = {**os.environ, "DATA": str(self.folder / "data")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while not self.ready():
            if self.process.poll() is not None or time.perf_counter() - begin > READY:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.005)
        self.started = time.perf_counter() - begin

    def stop(self) -> None:
        """End the process; its data stay until the server is left."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        self._folder.cleanup()

    def command(self) -> list[str]:
        """The command line."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return self.request("GET", self.path)[0] < 400
        except OSError:
            return False

    def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One HTTP request: the status and the body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self.process.pid

    @property
    def rss_mb(self) -> float:
        """Resident memory of the process and its children, in MB (10^6 bytes)."""
        pids = [self.process.pid, *children(self.process.pid)]
        return sum(_rss_kb(pid) for pid in pids) * 1024 / 1e6

    @property
    def cpu_s(self) -> float:
        """Processor seconds of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def address(self, title: str) -> Address:
        """The socket of a new, empty document."""
        raise NotImplementedError

    def put(self, title: str, push: Fragments) -> Address:
        """A new document with this content. No client stays on it: bokeh counts each one as a viewer."""
        address = self.address(title)
        with Client(address) as client:
            header, answer = client.answer(push)
        if header["msgtype"] != "OK":
            raise RuntimeError(f"{self.name} refused the document: {answer!r:.300}")
        return address


class Ours(Server):
    """This project's server with its defaults: SQLite, durability=disk."""

    name = "bokeh-server"
    path = "/readyz"

    def command(self) -> list[str]:
        script = Path(sys.executable).with_name("bokeh-server")
        return [str(script), "--port", str(self.port), "--data", str(self.folder / "data")]

    def address(self, title: str) -> Address:
        status, answer = self.request("POST", "/api/v1/documents", {"title": title})
        if status >= 300:
            raise RuntimeError(f"no new document: {status} {answer!r:.300}")
        key = json.loads(answer)["id"]
        return Address(self.port, f"/bokeh/doc/{key}/ws", generate_jwt_token(ID(key)))


class Alone(Ours):
    """The same, as what it is compared with where it runs otherwise."""

    name = "by itself"


class Hosted(Ours):
    """This project's server within a Flask application, under gunicorn."""

    def command(self) -> list[str]:
        script = Path(sys.executable).with_name("gunicorn")
        return [str(script), "--threads", "8", "--bind", f"127.0.0.1:{self.port}", "bench.site:app"]

    @property
    def pid(self) -> int:
        (worker,) = children(self.process.pid)
        return worker


class Bokeh(Server):
    """bokeh's own server."""

    name = "bokeh serve"
    path = "/static/js/bokeh.min.js"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "bench.peer", str(self.port)]

    def address(self, title: str) -> Address:
        return Address(self.port, "/ws", generate_jwt_token(ID(title)))


class Floor(Server):
    """The least a broadcast server can do, in C: all patches of one read leave in one send per viewer."""

    name = "C floor"

    def command(self) -> list[str]:
        return [str(WSLOAD / "floor"), str(self.port), "1"]

    def ready(self) -> bool:
        return listens(self.port)

    def address(self, title: str) -> Address:
        return Address(self.port, "/v", "none")


def children(pid: int) -> list[int]:
    """The processes below ``pid``."""
    try:
        direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*direct, *(below for child in direct for below in children(child))]


def _rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
