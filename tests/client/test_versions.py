"""A server of another version is named in one line; something else that answers is no server at all."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bokeh_server.client.rest import Rest
from bokeh_server.client.session import Session
from bokeh_server.errors import ServerAway
from tests.running import RunningServer


@contextmanager
def answering(answer: Any) -> Iterator[str]:
    """An HTTP server that answers everything with ``answer``; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_another_version_is_named_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    versions = {"bokeh": "4.1.0", "bokeh-server": "7.0.0"}
    with answering(versions) as url, caplog.at_level(logging.WARNING):
        Rest(url, {}).check()
    told = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in told] == [f"{url} has bokeh 4.1.0", f"{url} has bokeh-server 7.0.0"]
    assert all("install the same version" in line for line in told)


@pytest.mark.parametrize("answer", [{}, [], "hello", {"bokeh": 3}])
def test_what_is_no_bokeh_server_is_said_to_be_none(answer: Any) -> None:
    with answering(answer) as url, pytest.raises(ServerAway, match="no bokeh-server"):
        Rest(url, {}).check()


def test_the_same_version_is_no_news(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), Session(root_url=server.url) as session:
        session.use_doc("versions")
    assert caplog.records == []
