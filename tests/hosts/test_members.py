"""Sites with members of their own, who are the users of the server within: ``identify``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bokeh_server.accounts.hosted import DISABLED
from bokeh_server.web.account import BY_PASSWORD, HOSTED
from bokeh_server.web.routes import ROUTES
from tests.hosts.test_sites import AT, Site
from tests.web.asking import Answer, ask, content, token
from tests.web.people import JSON
from tests.web.town import closed, receive, send

COMMANDS = {
    "flask run": ["flask", "--app", "tests.hosts.flask_members", "run", "--port", "{port}"],
    "gunicorn": ["gunicorn", "--threads", "4", "--bind", "127.0.0.1:{port}", "tests.hosts.flask_members:app"],
    "uvicorn": ["uvicorn", "--port", "{port}", "tests.hosts.starlette_members:app"],
    "Django": ["uvicorn", "--port", "{port}", "tests.hosts.django_members:app"],
}
if os.environ.get("HOSTS") != "all":  # which is the same code
    del COMMANDS["flask run"]
DOCUMENTS = "/api/v1/documents"


class Member:
    """Somebody ("": a stranger) in a browser: what the site gave him as a cookie is all that he shows."""

    def __init__(self, site: Site, name: str = "") -> None:
        self.site = site
        self.headers: list[tuple[str, str]] = []
        if name:
            answer = ask(site.port, "POST", "/login", [FORM], f"name={name}".encode())
            self.headers = [("Cookie", answer.headers["set-cookie"].partition(";")[0])]

    def __call__(self, method: str, path: str, body: Any = None, *more: tuple[str, str]) -> Answer:
        """The answer to a request below where the server is."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.site.ask(method, path, headers=[*self.headers, JSON, *more], body=raw)

    def store(self, title: str) -> str:
        """A new document of his; its id."""
        made = self("PUT", f"{DOCUMENTS}/{title}", content())
        assert made.status in (200, 201), made
        return str(made.json["id"])

    @contextmanager
    def look(self, document: str) -> Iterator[ClientConnection]:
        """An open page on a document, as a browser has it."""
        ticket = self("POST", f"/bokeh/doc/{document}/ticket").json["ticket"]
        protocols = [Subprotocol("bokeh"), Subprotocol(token(document, ticket))]
        url = f"ws://localhost:{self.site.port}{AT}/bokeh/ws/{document}"
        with connect(url, origin=Origin("null"), subprotocols=protocols, compression=None) as opened:
            send(opened, "PULL-DOC-REQ")
            receive(opened, "PULL-DOC-REPLY")
            yield opened


FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture(params=COMMANDS, scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Each kind of site."""
    made = Site(tmp_path_factory.mktemp("members") / "data", COMMANDS[request.param])
    yield made
    made.stop()


def test_who_has_not_logged_in_at_the_site_is_shown_the_way(site: Site) -> None:
    stranger = Member(site)
    page = stranger("GET", "/?a=b")
    assert (page.status, page.headers["location"]) == (303, f"/login?by=name&next={AT}/%3Fa%3Db")
    assert stranger("GET", DOCUMENTS).status == 401
    assert stranger("GET", "/healthz").status == 200
    for asked, back in (
        (f"?next={AT}/bokeh/doc/x", f"{AT}/bokeh/doc/x"),
        ("", f"{AT}/"),
        ("?next=https://evil.example/", f"{AT}/"),
        ("?next=//evil.example/", f"{AT}/"),
        (f"?next={AT}//evil.example/", f"{AT}/"),
        (f"?next={AT}/%5Cevil.example/", f"{AT}/"),
        (f"?next={AT}/a%0D%0AX: y", f"{AT}/"),
    ):
        for place in ("login", "register"):
            answer = stranger("GET", f"/bokeh/{place}{asked.replace(' ', '%20')}")
            assert answer.headers["location"] == f"/login?by=name&next={back}"
    forged = Member(site)
    forged.headers = [("Cookie", "session=eyJfdXNlcl9pZCI6ImFubiJ9.nothing.nothing")]
    assert forged("GET", DOCUMENTS).status == 401


def test_a_member_is_a_user_from_his_first_request_on(site: Site) -> None:
    ann, ben = Member(site, "ann"), Member(site, "ben@example.org")
    document = ann.store("mine")
    assert ann("GET", "/api/v1/account").json["username"] == "ann"
    assert ann("GET", f"{DOCUMENTS}/{document}/info").json["owner"] == "ann"
    assert ben("GET", f"{DOCUMENTS}/{document}/info").status == 404
    assert ann("PUT", f"{DOCUMENTS}/{document}/grants/nobody", {"role": "viewer"}).status == 404
    assert ann("PUT", f"{DOCUMENTS}/{document}/grants/ben@example.org", {"role": "viewer"}).status == 204
    assert ben("GET", f"{DOCUMENTS}/{document}/info").json["role"] == "viewer"
    board, account = (ann("GET", path).body.decode() for path in ("/", "/bokeh/account"))
    assert "ann: account" in board
    for page in (board, account):
        assert 'id="log-out"' not in page
    assert "Password" not in account
    assert "Logins" not in account


def test_programs_come_with_a_token_of_a_members(site: Site) -> None:
    ann = Member(site, "ann")
    document = ann.store("programs")
    made = ann("POST", "/api/v1/account/tokens", {"name": "job", "scopes": ["read"]})
    assert made.status == 201
    program = Member(site)
    program.headers = [("Authorization", f"Bearer {made.json['token']}")]
    assert program("GET", "/api/v1/account").json["username"] == "ann"
    with connect(
        f"ws://localhost:{site.port}{AT}/bokeh/doc/{document}/ws", additional_headers=dict(program.headers)
    ) as opened:
        send(opened, "PULL-DOC-REQ")
        receive(opened, "PULL-DOC-REPLY")
        assert ann("DELETE", f"/api/v1/account/tokens/{made.json['id']}").status == 204
        assert closed(opened)[0] == 1008
    assert program("GET", "/api/v1/account").status == 401


def test_who_logs_out_at_the_site_is_gone_within_a_second(site: Site) -> None:
    ann, again = Member(site, "ann"), Member(site, "cleo")
    document = ann.store("watched")
    again("GET", DOCUMENTS)
    ann("PUT", f"{DOCUMENTS}/{document}/grants/cleo", {"role": "viewer"})
    with ann.look(document) as hers, again.look(document) as other:
        assert ask(site.port, "POST", "/logout", ann.headers, b"").status == 200
        assert closed(hers, 1)[0] == 1008
        send(other, "PULL-DOC-REQ")
        receive(other, "PULL-DOC-REPLY")


def test_an_administrator_by_the_sites_word_may_disable_a_member(site: Site) -> None:
    root, dan = Member(site, "root"), Member(site, "dan")
    document = dan.store("his")
    assert dan("GET", "/api/v1/users").status == 403
    page = root("GET", "/bokeh/users")
    assert page.status == 200
    assert "Registration is closed" not in page.body.decode()
    assert "dan" in [user["name"] for user in root("GET", "/api/v1/users").json]
    with dan.look(document) as opened:
        assert root("PATCH", "/api/v1/users/dan", {"disabled": True}).status == 200
        assert closed(opened, 1)[0] == 1008
    told = dan("GET", DOCUMENTS)
    assert (told.status, told.json["detail"]) == (403, DISABLED)
    assert dan("GET", "/", None, ("Accept", "text/html")).status == 403, "no way to log in, or he would go in circles"
    assert root("PATCH", "/api/v1/users/dan", {"disabled": False}).status == 200
    assert dan("GET", DOCUMENTS).status == 200
    assert root("PATCH", "/api/v1/users/dan", {"password": "three words enough"}).json["detail"] == HOSTED


def test_there_is_no_password_and_no_other_way_in(site: Site) -> None:
    root = Member(site, "root")
    root("GET", DOCUMENTS)
    asked = [route for route in ROUTES if route.handler in BY_PASSWORD]
    assert len(asked) == len(BY_PASSWORD)
    for route in asked:
        path = route.path.format(login="x", invitation="x")
        answer = root(route.method, path, {"username": "root", "password": ""} if route.method != "GET" else None)
        assert (answer.status, answer.json["detail"]) == (403, HOSTED), path
    stranger = Member(site)
    for path in ("/api/v1/login", "/bokeh/login"):
        assert stranger("POST", path, {"username": "root", "password": ""}).status == 403


def test_the_sites_cookie_counts_for_our_own_pages_requests_alone(site: Site) -> None:
    ann = Member(site, "ann")
    here = f"http://localhost:{site.port}"
    for origin, fetched, status in (
        (here, "same-origin", 201),
        ("http://evil.example", "cross-site", 403),
        ("null", "cross-site", 403),
        (f"http://other.localhost:{site.port}", "same-site", 403),
    ):
        asked = ann("POST", DOCUMENTS, {"title": f"by {origin}"}, ("Origin", origin), ("Sec-Fetch-Site", fetched))
        assert asked.status == status
    document = ann.store("sockets")
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://localhost:{site.port}{AT}/bokeh/doc/{document}/ws",
            additional_headers={**dict(ann.headers), "Origin": here},
        )
    assert refused.value.response.status_code == 403


def test_what_can_be_no_name_is_said_to_who_made_the_site(site: Site) -> None:
    for name in ("Ann", "ann smith", "defaultuser", "x" * 65):
        told = Member(site, name.replace(" ", "%20"))("GET", DOCUMENTS)
        assert told.status == 500
        assert "identify() named" in told.json["detail"]


def test_a_member_who_opens_a_link_keeps_it_beside_his_own_rights(site: Site) -> None:
    ann, eva = Member(site, "ann"), Member(site, "eva")
    document = ann.store("linked")
    key = ann("POST", f"{DOCUMENTS}/{document}/links", {}).json["url"].partition("#")[2]
    opened = eva("POST", "/bokeh/link", {"key": key})
    assert opened.status == 200
    cookie = opened.headers["set-cookie"].partition(";")[0]
    eva.headers = [("Cookie", f"{eva.headers[0][1]}; {cookie}")]
    assert eva("GET", f"{DOCUMENTS}/{document}/info").json["role"] == "viewer"
    assert eva("GET", "/api/v1/account").json["username"] == "eva"
    assert eva.store("hers")
