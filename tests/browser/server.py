"""A bokeh-server in a process of its own, to be killed and started again on the same port and folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bokeh.document import Document
from bokeh.model import Model


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


class Server:
    """``folder`` holds all its data; the port is chosen once, so that open pages find it again."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._flags = flags
        self._prefix = flags[flags.index("--prefix") + 1] if "--prefix" in flags else ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}{self._prefix}"

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        command = [sys.executable, "-m", "bokeh_server", "--port", str(self.port), "--data", str(self.folder)]
        self._process = subprocess.Popen([*command, *self._flags], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert str(self.port) in line, f"the server did not start: {line!r}"

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        os.kill(process.pid, how)
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()

    def put(self, title: str, *roots: Model) -> str:
        """Store a document with these roots under a title, new or in place of the old one; returns its id."""
        document = Document()
        for root in roots:
            document.add_root(root)
        content = document.to_json(deferred=False)
        document.clear()  # so that the models can be stored again
        return self.put_json(title, content)

    def put_json(self, title: str, document: object) -> str:
        """Store a document's JSON under a title; returns its id."""
        answer = self.request("PUT", f"/api/v1/documents/{quote(title, safe='')}", document)
        assert isinstance(answer["id"], str)
        return answer["id"]

    def request(self, method: str, path: str, body: object = None) -> Any:
        """The JSON answer to a request with a JSON body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or "null")

    def link(self, document: str) -> str:
        """The page of a document."""
        return f"{self.url}/bokeh/doc/{document}"

    def socket(self, document: str) -> str:
        """The socket of a document for programs."""
        return f"ws{self.url.removeprefix('http')}/bokeh/doc/{document}/ws"
