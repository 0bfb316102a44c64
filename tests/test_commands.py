"""``bokeh-server login|user|token|doc|link …`` as people type them, against a server with accounts."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bokeh_server import cli
from tests.running import RunningServer
from tests.web.asking import ask, content
from tests.web.town import PASSWORD, Town

Run = Callable[..., str]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The server of this module; its administrator is root."""
    with RunningServer(tmp_path_factory.mktemp("commands") / "data", "-m") as server:
        yield Town(server)


@pytest.fixture
def run(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command, on a machine that keeps no key yet: ``run("user", "list", typed="", fails=False)``.

    What it prints; where it ``fails``, the one line on standard error.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BOKEH_SERVER_URL", town.server.url)
    monkeypatch.delenv("BOKEH_SERVER_TOKEN", raising=False)

    def typed_in(*words: str, typed: str = "", fails: bool = False) -> str:
        monkeypatch.setattr("sys.argv", ["bokeh-server", *words])
        monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        assert bool(ended.value.code) == fails, told
        assert (told.out if fails else told.err) == ""
        assert not fails or len(told.err.splitlines()) == 1
        return (told.err if fails else told.out).strip()

    return typed_in


@pytest.fixture
def logged_in(run: Run) -> Run:
    """As root."""
    assert run("login", "root", typed=PASSWORD).startswith("Logged in to http://localhost:")
    return run


def as_json(run: Run, *words: str, **more: Any) -> Any:
    """What a command prints with ``--json``."""
    return json.loads(run(*words, "--json", **more))


def test_nobody_is_logged_in_at_first(run: Run) -> None:
    assert run("user", "list", fails=True) == "bokeh-server: Log in first."
    assert "Nobody is logged in" in run("logout", fails=True)
    assert "is wrong" in run("login", "root", typed="guess", fails=True)


def test_a_key_that_has_ended_hinders_neither_log_in_nor_log_out(logged_in: Run, town: Town, tmp_path: Path) -> None:
    keys = tmp_path / ".bokeh" / "config.json"
    for again in (("login", "root"), ("logout",)):
        assert "root" in logged_in("user", "list")
        key = json.loads(keys.read_text())[f"{town.server.url}/"]["userapikey"]
        ended = ask(town.port, "DELETE", "/api/v1/account/login", [("Authorization", f"Bearer {key}")])
        assert ended.status == 204
        assert "not valid" in logged_in("user", "list", fails=True)
        logged_in(*again, typed=PASSWORD)
    assert json.loads(keys.read_text()) == {}
    assert "Log in first" in logged_in("user", "list", fails=True)


def test_users(logged_in: Run, town: Town) -> None:
    assert logged_in("user", "add", "carl", typed=PASSWORD) == "carl can log in now."
    assert "taken" in logged_in("user", "add", "carl", typed=PASSWORD, fails=True)
    assert re.search(r"^carl +no +no +0 +0", logged_in("user", "list"), re.MULTILINE)
    assert logged_in("user", "change", "carl", "--disable") == "carl: disabled."
    assert as_json(logged_in, "user", "change", "carl", "--enable", "--admin")["admin"] is True
    logged_in("user", "change", "carl", "--no-admin", "--new-password", typed="another password")
    town.program("carl", "another password")
    for name in ("not there", "änn", "?x"):
        assert "There is no user" in logged_in("user", "change", name, "--disable", fails=True)
    assert "canonical form" in logged_in("user", "change", "../users", "--disable", fails=True)
    key = as_json(logged_in, "user", "invite", "--admin")["url"].partition("#")[2]
    body = {"username": "dora", "password": PASSWORD, "invitation": key}
    assert town.nobody("POST", "/api/v1/register", body).status == 201


def test_tokens(logged_in: Run, town: Town) -> None:
    made = as_json(logged_in, "token", "add", "job", "--scope", "read", "--scope", "stream", "--days", "2")
    assert ask(town.port, "GET", "/api/v1/documents", [("Authorization", f"Bearer {made['token']}")]).status == 200
    listed = logged_in("token", "list")
    assert re.search(rf"^{re.escape(made['id'])} +job +read, stream +– +\d{{4}}-", listed, re.MULTILINE)
    assert logged_in("token", "revoke", made["id"]) == "Revoked."
    assert "no such token" in logged_in("token", "revoke", "änn", fails=True)
    for days in ("nan", "inf", "0", "-1"):
        told = logged_in("token", "add", "job", "--scope", "read", "--days", days, fails=True)
        assert "number of days" in told
    assert logged_in("token", "add", "job", "--scope", "read").startswith("bst_")


def test_documents(logged_in: Run, town: Town) -> None:
    town.person("eva")
    assert town.root("PUT", "/api/v1/documents/a%20b", content()).status == 201
    published = as_json(logged_in, "doc", "publish", "a b")["link"]
    assert ask(town.port, "GET", published.removeprefix(town.server.url)).status == 200
    logged_in("doc", "unpublish", "a b")
    assert ask(town.port, "GET", published.removeprefix(town.server.url)).status == 404
    assert logged_in("doc", "share", "a b", "eva", "--role", "editor") == "eva is an editor of it now."
    for name in ("ann smith", "änn", "a/b"):
        assert logged_in("doc", "unshare", "a b", name, fails=True)
    assert logged_in("doc", "unshare", "a b", "eva") == "It is no longer shared with eva."
    assert logged_in("doc", "rename", "a b", "c/d") == "It is called c/d now."
    documents = {found["title"]: found["id"] for found in as_json(logged_in, "doc", "list")}
    assert "a b" not in documents
    assert logged_in("doc", "delete", documents["c/d"], "--yes") == "Deleted."
    assert "There is no document" in logged_in("doc", "rename", "a b", "c", fails=True)


def test_links(logged_in: Run, town: Town) -> None:
    assert town.root("PUT", "/api/v1/documents/linked", content()).status == 201
    url = logged_in("link", "add", "linked", "--role", "editor", "--label", "review", "--days", "1", "--opens", "2")
    town.visitor(url.partition("#")[2])
    (link,) = as_json(logged_in, "link", "list", "linked")
    assert (link["name"], link["role"], link["opened"], link["most"]) == ("review", "editor", 1, 2)
    assert logged_in("link", "switch", "linked", link["id"], "--off").startswith("Off")
    assert town.nobody("POST", "/bokeh/link", {"key": url.partition("#")[2]}).status == 404
    assert logged_in("link", "switch", "linked", link["id"], "--on") == "On."
    assert logged_in("link", "remove", "linked", link["id"]) == "Removed."
    assert "number of days" in logged_in("link", "add", "linked", "--days", "nan", fails=True)
