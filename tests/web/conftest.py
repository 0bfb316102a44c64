"""One server for all tests of a module that leave it as they found it, with one document in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.running import RunningServer
from tests.web.asking import ask, content
from tests.web.people import World, peopled
from tests.web.town import Town


@dataclass(frozen=True)
class Shared:
    """A running server and the id of a document in it."""

    server: RunningServer
    document: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The server of this module."""
    with RunningServer(tmp_path_factory.mktemp("shared") / "data") as server:
        stored = ask(server.port, "PUT", "/api/v1/documents/plain", body=content())
        yield Shared(server, stored.json["id"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A multi-user server of this module, with a few people on it."""
    with peopled(tmp_path_factory.mktemp("people") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A server with accounts for all tests of a module; each test makes what it changes."""
    with RunningServer(tmp_path_factory.mktemp("town") / "data", "-m", "--registration", "invitation") as server:
        yield Town(server)
