"""One document on a server, for each way to run the server: ours, and two that other people run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.running import RunningServer
from tests.web.asking import ask, content


@dataclass(frozen=True)
class Place:
    """A document on a running server."""

    port: int
    document: str

    def put(self, value: object) -> None:
        """Set the slider over HTTP."""
        body = str(value).encode()
        answer = ask(self.port, "PUT", f"/api/v1/documents/{self.document}/models/speed/value", body=body)
        assert answer.status == 200, answer.body

    def value(self) -> object:
        """The slider's value."""
        return ask(self.port, "GET", f"/api/v1/documents/{self.document}/models/speed/value").json


def store(port: int, title: str = "plain") -> Place:
    """Store the document of ``tests.web.asking``."""
    answer = ask(port, "PUT", f"/api/v1/documents/{title}", body=content())
    assert answer.status in (200, 201), answer.body
    return Place(port, answer.json["id"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Our server, shared by a module."""
    with RunningServer(tmp_path_factory.mktemp("running") / "data") as server:
        yield server


@pytest.fixture
def place(running: RunningServer, request: pytest.FixtureRequest) -> Place:
    """A document of this test's own."""
    return store(running.port, f"t{abs(hash(request.node.name))}")
