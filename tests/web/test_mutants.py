"""The tests of rights can fail: each finds out a server that breaks its promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.web import test_guard, test_matrix, test_revoked
from tests.web.asking import ask, content
from tests.web.conftest import Shared
from tests.web.people import World, peopled

MUTANTS = str(Path(__file__).with_name("mutants.py"))


def mutant_of(name: str) -> type[RunningServer]:
    """A server with this fault."""
    return type("Mutant", (RunningServer,), {"program": (MUTANTS, name)})


def row(method: str, path: str) -> Callable[[World], None]:
    """The test of one row of the matrix."""
    (found,) = [row for row in test_matrix.ROWS if (row["method"], row["path"]) == (method, path)]
    return lambda world: test_matrix.test_the_matrix(world, found)


FINDERS: dict[str, list[Callable[[World], None]]] = {
    "deaf": [test_revoked.test_a_token_that_is_revoked, test_revoked.test_a_grant_that_is_taken_back],
    "slow": [test_revoked.test_a_disabled_user],
    "unguarded": [row("DELETE", "/api/v1/documents/{name}"), row("PUT", "/api/v1/documents/{name}/published")],
    "telling": [row("GET", "/api/v1/documents/{name}"), row("GET", "/bokeh/doc/{document}")],
}


@pytest.mark.parametrize("name", FINDERS)
def test_a_server_that_breaks_a_promise_is_found_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_revoked, "PATIENCE", 3)
    with peopled(tmp_path / "data", mutant_of(name)) as world:
        for test in FINDERS[name]:
            with pytest.raises((AssertionError, TimeoutError)):
                test(world)


def test_a_server_that_believes_origins_that_begin_as_ours_is_found_out(tmp_path: Path) -> None:
    with mutant_of("prefix")(tmp_path / "data") as server:
        id = ask(server.port, "PUT", "/api/v1/documents/plain", body=content()).json["id"]
        for origin in ("http://localhost:{port}.evil.example", "http://localhost:{port}@evil.example"):
            with pytest.raises(AssertionError):
                test_guard.test_an_origin_that_is_not_exactly_ours_changes_nothing_and_opens_no_socket(
                    Shared(server, id), origin
                )
