"""A real server in a process of its own, as a user starts it, on a free port and a folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bokeh_server.web.schema import SCRIPT

HOSTED_BY = os.environ.get("SERVED_BY")
"""The host application that the server is within (``tests.hosts``); none: it runs by itself."""
START = 20.0
"""Seconds that a start may take on a busy machine."""


class RunningServer:
    """``bokeh-server`` on ``folder``. It keeps its port over ``kill`` and ``start``, so that links stay good."""

    program: tuple[str, ...] = ("-m", "tests.hosts", HOSTED_BY) if HOSTED_BY else ("-m", "bokeh_server")
    """What Python runs."""
    variables: Mapping[str, str] = MappingProxyType({})
    """More of its environment."""

    def __init__(self, folder: Path, *flags: str, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.log = folder.with_suffix(".log")
        self.invitation = ""
        """The key to make the first administrator's account, where the server has printed one (``-m``)."""
        self.token = ""
        """The token that it asks for, where it has printed one (``--token``)."""
        self.flags = flags
        """What it is started with; others take effect at the next start."""
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Like ``http://localhost:41234`` (no slash at the end)."""
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it and wait until it takes requests; the seconds that took."""
        assert self._process is None, "it runs"
        begin = time.monotonic()
        command = [sys.executable, *self.program, "--data", str(self.folder), "--port", str(self.port)]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [*command, *self.flags],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**environment(), **self.variables},
                start_new_session=HOSTED_BY is not None,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"at https?://(?:localhost:(\d+)/)?", line)
        assert found, f"the server did not start: {line!r}; {self.log.read_text()[-2000:]}"
        self.port = int(found[1] or self.port)
        if "-m" in self.flags and not self.invitation:
            self.invitation = self._process.stdout.readline().strip().partition("/bokeh/register#")[2]
        if "--token" in self.flags and "BOKEH_SERVER_TOKEN" not in self.variables:
            self.token = self._process.stdout.readline().strip().partition("/bokeh/login#")[2]
        taken = time.monotonic() - begin
        assert taken < START
        table = self.folder / f"models-{version('bokeh')}.json"
        if self.folder.is_dir() and not table.exists():
            table.write_bytes(models_of_bokeh())
        return taken

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """SIGTERM, as a user or an init system ends it, or another signal; its exit status."""
        return self._end(number)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if HOSTED_BY is not None and number is signal.SIGKILL:  # its workers, too
            os.killpg(process.pid, number)
        process.send_signal(number)
        assert process.stdout is not None
        with process.stdout:
            return process.wait(15)

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The JSON answer to a request of the REST interface; ``body`` is bytes, or a value for JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": content_type}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def refused(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The problem with which a request is refused."""
        try:
            answer = self.request(method, path, body, content_type)
        except urllib.error.HTTPError as error:
            with error:
                return json.loads(error.read())
        raise AssertionError(f"not refused: {answer!r}")

    def document(self, title: str, content: Any | None = None) -> Any:
        """Store a document (a bokeh ``Document``, or nothing) under a title; what lists say of it."""
        if content is None:
            return self.request("POST", "/api/v1/documents", {"title": title})
        return self.request("PUT", f"/api/v1/documents/{title}", content.to_json(deferred=False))

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()


@cache
def models_of_bokeh() -> bytes:
    """What each server would make for itself, in more than a second, where a document is stored by REST."""
    return subprocess.run([sys.executable, "-P", SCRIPT], capture_output=True, check=True).stdout


def environment() -> dict[str, str]:
    """The environment of programs that tests start: no browser, no settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BOKEH_")}
    return {**kept, "BOKEH_BROWSER": "none", "PYTHONUNBUFFERED": "1"}
