"""A server without accounts that asks for a token: who shows it may do everything, who doesn't nothing."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bokeh_server.adapters.asgi import Application, make_site
from bokeh_server.config import Config
from bokeh_server.core.authorise import Action
from bokeh_server.web.routes import ROUTES, Route
from tests.running import RunningServer
from tests.web.asking import Answer, ask, call, content, handshake
from tests.web.people import JSON, bearer
from tests.web.town import Town, basic

TOKEN = "a token that somebody chose"
NOBODY = {
    f"{row['method']} {row['path']}": int(row["anonymous"])
    for row in csv.DictReader((Path(__file__).with_name("matrix.csv")).read_text().splitlines())
}
"""How the matrix answers somebody without a key."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that asks for a token, with the document "plain"."""
    with RunningServer(tmp_path_factory.mktemp("token") / "data", "--token") as made:
        assert len(made.token) > 20
        assert put(made.port, [bearer(made.token)]).status == 201
        yield made


def put(port: int, headers: list[tuple[str, str]]) -> Answer:
    return ask(port, "PUT", "/api/v1/documents/plain", headers, content())


def log_in(port: int, token: str, **more: str) -> Answer:
    body = json.dumps({"username": "defaultuser", "password": token}).encode()
    return ask(port, "POST", "/bokeh/login", [JSON, *more.items()], body)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_who_does_not_show_it_gets_what_is_for_everybody(server: RunningServer, route: Route) -> None:
    port = server.port
    if route.kind == "static" or (route.action is Action.PUBLIC and route.method != "GET"):
        return  # the same for all, or its own test
    place = route.path.replace("{name}", "plain").replace("{document}", "plain").replace("{", "").replace("}", "")
    for headers in ([], [("Cookie", f"bokeh-server-{port}=0000")]):
        if route.method == "WEBSOCKET":
            own = [("Origin", f"http://localhost:{port}")] if "board" in place else []
            assert handshake(port, place, [*headers, *own]) in (401, 404)
            continue
        wanted = [*headers, ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
        status = ask(port, route.method, place, wanted if route.kind == "frame" else headers).status
        accounts = route.action in (Action.ACCOUNT, Action.ADMINISTER)
        assert status == (403 if accounts else NOBODY[f"{route.method} {route.path}"])


@pytest.mark.parametrize("way", ["bearer", "basic"])
def test_who_shows_it_may_do_everything(server: RunningServer, way: str) -> None:
    port, basics = server.port, list(basic("defaultuser", server.token).items())
    headers = [bearer(server.token)] if way == "bearer" else basics
    stored = put(port, headers)
    assert stored.status == 200
    assert stored.json["owner"] == "defaultuser"
    place = f"/bokeh/doc/{stored.json['id']}"
    assert ask(port, "GET", place, headers).status == 200
    assert handshake(port, f"{place}/ws", headers) == 101


@pytest.mark.parametrize("change", [lambda token: "", lambda token: token[:-1], lambda token: token + "x", str.upper])
def test_another_token_is_refused_on_every_way(server: RunningServer, change: Callable[[str], str]) -> None:
    token = change(server.token)
    assert put(server.port, [bearer(token)]).status == 401
    assert log_in(server.port, token).status == 401


def test_a_browser_shows_it_once(server: RunningServer) -> None:
    port, token = server.port, server.token
    asked = ask(port, "GET", "/?x=1", [("Accept", "text/html")])
    assert (asked.status, asked.headers["location"]) == (303, "/bokeh/login?next=/%3Fx%3D1")
    page = ask(port, "GET", "/bokeh/login").body.decode()
    assert "Show the token" in page
    assert "User name" not in page
    done = log_in(port, token)
    assert done.status == 204
    assert "HttpOnly" in done.headers["set-cookie"]
    assert token not in done.headers["set-cookie"]
    cookie = ("Cookie", done.headers["set-cookie"].partition(";")[0])
    assert ask(port, "GET", "/", [cookie]).status == 200
    assert handshake(port, "/bokeh/board", [cookie, ("Origin", f"http://localhost:{port}")]) == 101
    assert put(port, [cookie, ("Origin", "https://example.org")]).status == 403


def test_a_page_of_another_site_can_not_log_in(server: RunningServer) -> None:
    assert log_in(server.port, server.token, Origin="https://example.org").status == 403


def test_a_link_shows_one_document_to_somebody_without_it(server: RunningServer) -> None:
    port, document = server.port, put(server.port, [bearer(server.token)]).json["id"]
    made = ask(port, "POST", f"/api/v1/documents/{document}/links", [bearer(server.token), JSON], b"{}").json
    key = json.dumps({"key": made["url"].partition("#")[2]}).encode()
    cookie = ("Cookie", ask(port, "POST", "/bokeh/link", [JSON], key).headers["set-cookie"].partition(";")[0])
    assert ask(port, "GET", f"/bokeh/doc/{document}", [cookie]).status == 200
    assert put(port, [cookie]).status == 401
    assert ask(port, "GET", "/", [cookie]).status == 303
    owners = ("Cookie", log_in(port, server.token).headers["set-cookie"].partition(";")[0])
    assert "set-cookie" not in ask(port, "POST", "/bokeh/link", [JSON, owners], key).headers
    assert ask(port, "GET", f"/bokeh/doc/{document}", [owners]).status == 200


def test_a_login_of_a_time_with_accounts_is_worth_nothing(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "-m") as server:
        root = Town(server).browser("root")
        assert root("GET", "/").status == 200
        server.kill()
        server.flags = ("--token",)
        server.start()
        assert root("GET", "/").status == 303
        assert root("GET", "/api/v1/account").status == root("GET", "/api/v1/documents").status == 401


def test_every_machine_may_come_with_it() -> None:
    app = Application(make_site(Config(token=TOKEN, address="0.0.0.0")))

    async def status(*headers: tuple[str, str]) -> int:
        host = ("host", "localhost:5006")
        answer = await call(app, "GET", "/api/v1/documents", headers=[host, *headers], client=("192.0.2.7", 50000))
        return answer.status

    async def both() -> tuple[int, int]:
        await app.site.hub.start()
        try:
            return await status(), await status(("authorization", f"Bearer {TOKEN}"))
        finally:
            await app.site.hub.stop()

    assert asyncio.run(both()) == (401, 200)


def test_a_name_that_the_server_does_not_know_is_told_how_to_make_it_known() -> None:
    app = Application(make_site(Config(token=TOKEN, address="0.0.0.0")))
    told = asyncio.run(call(app, "GET", "/", headers=[("host", "cellar.lan:5006")], client=("192.0.2.7", 50000)))
    assert told.status == 403
    assert b"use http://localhost:5006/; where that is its name, start it with --public-url http://cellar.lan:5006" in (
        told.body
    )
