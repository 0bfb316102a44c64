"""``bokeh-server login|account|user|token|doc|link …`` as people type them, against a server with accounts."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from bokeh_server import cli, commands
from bokeh_server.client.session import Session
from bokeh_server.errors import BadSetting
from bokeh_server.recovery import user_reset
from tests.running import RunningServer
from tests.web.asking import ask, content, token
from tests.web.town import PASSWORD, Person, Town, receive, send

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
    assert "asks who you are: log in once (`bokeh-server login`" in run("user", "list", fails=True)
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
    assert "asks who you are" in logged_in("user", "list", fails=True)


def test_users(logged_in: Run, town: Town) -> None:
    assert logged_in("user", "add", "carl", typed=PASSWORD) == "carl can log in now."
    assert "taken" in logged_in("user", "add", "carl", typed=PASSWORD, fails=True)
    assert re.search(r"^carl +no +no +0 +0", logged_in("user", "list"), re.MULTILINE)
    assert logged_in("user", "change", "carl", "--disable") == "carl: disabled."
    assert as_json(logged_in, "user", "change", "carl", "--enable", "--admin")["admin"] is True
    logged_in("user", "change", "carl", "--no-admin", "--new-password", typed="another password")
    town.program("carl", "another password")
    for name in ("not there", "änn", "?x", "../users"):
        assert "There is no user" in logged_in("user", "change", name, "--disable", fails=True)
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
    assert logged_in("doc", "rename", "c/d", "e") == "It is called e now."
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
    tag = logged_in("link", "add", "linked", "--embed", "https://a.example", "--embed", "https://b.example")
    assert re.fullmatch(rf'<script src="{town.server.url}/bokeh/autoload.js\?link=\w+#bsk_[\w-]+"></script>', tag)
    assert "https://a.example, https://b.example" in logged_in("link", "list", "linked")


def test_invitations_are_listed_and_taken_back(logged_in: Run, town: Town) -> None:
    kept, gone = (as_json(logged_in, "user", "invite", *flags)["url"].partition("#")[2] for flags in ((), ("--admin",)))
    (id,) = [made["id"] for made in as_json(logged_in, "user", "invitations") if made["admin"]]
    assert re.search(rf"^{re.escape(id)} +root +yes +\d{{4}}-", logged_in("user", "invitations"), re.MULTILINE)
    assert logged_in("user", "uninvite", id) == "Taken back."
    assert "no such invitation" in logged_in("user", "uninvite", id, fails=True)
    assert "There is no invitation" in logged_in("user", "uninvite", "../x", fails=True)
    body = {"username": "fred", "password": PASSWORD}
    assert town.nobody("POST", "/api/v1/register", {**body, "invitation": gone}).status == 403
    assert town.nobody("POST", "/api/v1/register", {**body, "invitation": kept}).status == 201


def test_what_one_user_stores(logged_in: Run, town: Town) -> None:
    gina = town.person("gina")
    stored = gina.store("hers")
    assert re.search(
        rf"^hers +1 widget +\d+ +\d{{4}}-.* +{stored.id}$", logged_in("user", "documents", "gina"), re.MULTILINE
    )
    (found,) = as_json(logged_in, "user", "documents", "gina")
    assert (found["id"], found["title"]) == (stored.id, "hers")
    assert "There is no user" in logged_in("user", "documents", "nobody", fails=True)


def test_one_document_and_who_looks_at_it(logged_in: Run, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    henry, iris = town.person("henry"), town.person("iris")
    stored = town.root.store("watched")
    assert re.search(r"^shared with +nobody\nlooking +nobody$", logged_in("doc", "show", "watched"), re.MULTILINE)
    logged_in("doc", "share", "watched", "henry")
    logged_in("doc", "share", "watched", "iris", "--role", "editor")
    with looking(town, henry, stored.id):
        told = logged_in("doc", "show", "watched")
        found = as_json(logged_in, "doc", "show", stored.id)
    assert re.search(r"^shared with +henry \(viewer\), iris \(editor\)\nlooking +henry$", told, re.MULTILINE)
    assert re.search(rf"^title +watched\nid +{stored.id}\nowner +root$", told, re.MULTILINE)
    assert found["grants"] == [{"user": "henry", "role": "viewer"}, {"user": "iris", "role": "editor"}]
    assert (found["title"], found["looking"]) == ("watched", {"users": ["henry"], "others": 0})
    for person, sees in ((iris, True), (henry, False)):
        monkeypatch.setenv("BOKEH_SERVER_TOKEN", person.key)
        found = as_json(logged_in, "doc", "show", stored.id)
        assert (found["grants"], found["looking"] is not None) == (None, sees)
        assert "shared with" not in logged_in("doc", "show", stored.id)


@contextmanager
def looking(town: Town, person: Person, document: str) -> Iterator[None]:
    """A page of somebody on a document."""
    ticket = person("POST", f"/bokeh/doc/{document}/ticket").json["ticket"]
    protocols = [Subprotocol("bokeh"), Subprotocol(token(document, ticket))]
    url = f"ws://localhost:{town.port}/bokeh/ws/{document}"
    with connect(url, origin=Origin("null"), subprotocols=protocols) as socket:
        send(socket, "RESUME", {"client": "page" * 5, "epoch": None, "seq": None, "kind": "viewer"})
        receive(socket, "RESUMED")
        yield


def test_the_tag_of_a_published_document(logged_in: Run, town: Town) -> None:
    stored = town.root.store('<"tag">')
    assert "publish it first" in logged_in("doc", "embed", stored.id, fails=True)
    logged_in("doc", "publish", stored.id)
    found = as_json(logged_in, "doc", "embed", stored.id)
    assert found["url"] == f"{town.server.url}/bokeh/embed/{stored.id}"
    assert (
        logged_in("doc", "embed", stored.id)
        == found["tag"]
        == f'<script src="{town.server.url}/bokeh/autoload.js?document={stored.id}&amp;public=true"></script>'
    )
    assert town.nobody("GET", f"/bokeh/embed/{stored.id}", Sec_Fetch_Dest="iframe").status == 200


def test_ones_own_account(run: Run, town: Town, tmp_path: Path) -> None:
    town.person("jane")
    assert as_json(run, "login", "jane", typed=PASSWORD) == {"username": "jane", "url": f"{town.server.url}/"}
    shown = run("account", "show")
    assert re.fullmatch(r"username +jane\nadmin +no\nscopes +manage, read, stream, watch, write", shown)
    assert as_json(run, "account", "show")["username"] == "jane"
    job, browser = town.program("jane").token("read"), town.browser("jane", User_Agent="Fire\x9bfox")
    other = town.browser("jane")
    (id,) = [login["id"] for login in as_json(run, "account", "logins") if login["agent"]]
    assert re.search(rf"^{re.escape(id)} +Fire.?\?fox +\d{{4}}-", run("account", "logins"), re.MULTILINE)
    assert run("account", "end-login", id) == "Logged out there."
    assert "no such login" in run("account", "end-login", id, fails=True)
    assert [person("GET", "/api/v1/account").status for person in (job, browser, other)] == [200, 401, 200]
    assert "old password is wrong" in run("account", "password", typed=f"guess\n{PASSWORD}", fails=True)
    assert "8 to 1000" in run("account", "password", typed=f"{PASSWORD}\nshort", fails=True)
    assert "logins of jane have ended" in run("account", "password", typed=f"{PASSWORD}\nanother password")
    assert "jane" in run("account", "show"), "the key that is kept is a new one"
    assert [person("GET", "/api/v1/account").status for person in (job, other)] == [200, 401]
    again = town.browser("jane", "another password")
    assert run("logout", "--everywhere") == f"Logged out of {town.server.url}/ everywhere."
    assert [person("GET", "/api/v1/account").status for person in (job, again)] == [200, 401]
    assert json.loads((tmp_path / ".bokeh" / "config.json").read_text()) == {}


def test_a_token_of_the_environment_that_is_not_good_is_named(
    run: Run, town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    town.person("nils")
    monkeypatch.setenv("BOKEH_SERVER_TOKEN", "bst_wrong")
    assert "It is the one in BOKEH_SERVER_TOKEN: set that anew, or unset it." in run("doc", "list", fails=True)
    run("login", "nils", typed=PASSWORD)
    assert "BOKEH_SERVER_TOKEN is set: the next session takes that" in caplog.text


def test_who_has_closed_standard_input_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(BadSetting, match="nobody to ask"):
        commands.asked("Password")


def test_a_password_is_changed_with_a_token_of_the_environment(
    run: Run, town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOKEH_SERVER_TOKEN", town.person("kate").token("manage").key)
    as_json(run, "account", "password", typed=f"{PASSWORD}\nanother password")
    assert "kate" in run("account", "show")
    assert not (tmp_path / ".bokeh").exists()
    town.program("kate", "another password")


def test_logging_out_ends_the_key_that_is_kept_and_not_the_token_of_the_environment(
    run: Run, town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = town.person("mona").token("read", "manage")
    run("login", "mona", typed=PASSWORD)
    kept = job.by(json.loads((tmp_path / ".bokeh" / "config.json").read_text())[f"{town.server.url}/"]["userapikey"])
    monkeypatch.setenv("BOKEH_SERVER_TOKEN", job.key)
    assert run("logout") == f"Logged out of {town.server.url}/."
    assert caplog.messages == ["The token in BOKEH_SERVER_TOKEN was left alone; it is still in force."]
    assert [person("GET", "/api/v1/account").status for person in (kept, job)] == [401, 200]
    assert json.loads((tmp_path / ".bokeh" / "config.json").read_text()) == {}
    assert "Nobody is logged in" in run("logout", fails=True)
    assert "mona" in run("account", "show")


def test_a_session_that_logs_out_ends_its_own_key_and_the_one_that_is_kept(
    run: Run, town: Town, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    person = town.person("nick")
    own = Session(town.server.url, "nick", person.key, configdir=tmp_path)
    other = Session(town.server.url, configdir=tmp_path)
    other.login("nick", PASSWORD)
    kept = person.by(other.userapikey)
    own.logout()
    assert [each("GET", "/api/v1/account").status for each in (person, kept)] == [401, 401]
    assert (own.userapikey, Session(town.server.url, configdir=tmp_path).userapikey) == ("nokey", "nokey")
    assert caplog.messages == []


def test_register(logged_in: Run, run: Run, town: Town) -> None:
    link = logged_in("user", "invite")
    run("logout")
    assert "Registration is by invitation" in run("register", "liam", typed=PASSWORD, fails=True)
    assert "is not valid" in run("register", "liam", "--invited", typed=f"guess\n{PASSWORD}", fails=True)
    made = as_json(run, "register", "Liam", "--invited", typed=f"{link}\n{PASSWORD}")
    assert made == {"username": "liam", "url": f"{town.server.url}/"}
    assert "liam" in run("account", "show")


def test_every_command_that_asks_the_server_prints_json() -> None:
    found = [command for group in commands.COMMANDS for command in getattr(group, "commands", {"": group}).values()]
    assert len(found) > 25
    for command in found:
        where = "data" if command is user_reset else "url"
        assert {"as_json", where} <= {parameter.name for parameter in command.params}, command.name
