"""What browsers get besides documents: files of ours and of BokehJS, how the server is, and the keys to sockets."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from tests.running import RunningServer
from tests.web.asking import ask, handshake, new_ticket, token
from tests.web.conftest import Shared
from tests.web.test_embed import parameters

NULL = ("Origin", "null")


def test_the_ping_of_2015_and_the_questions_of_today_are_answered(shared: Shared) -> None:
    assert ask(shared.port, "GET", "/bokeh/ping").body == b"pong"
    assert ask(shared.port, "GET", "/healthz").json == {"status": "ok"}
    assert ask(shared.port, "GET", "/readyz").json == {"status": "ready"}
    told = ask(shared.port, "GET", "/version").json
    assert told["bokeh"] == version("bokeh")
    assert told["bokeh-server"] == version("bokeh-server")


def test_files_come_from_a_list_and_never_from_a_path(shared: Shared) -> None:
    page = ask(shared.port, "GET", "/").body.decode()
    found = re.search(r"(/static/app/\w+)/app\.css", page)
    assert found
    assert ask(shared.port, "GET", f"{found[1]}/app.css").status == 200
    for name in ("nothing.css", "../pages.py", "..%2Fpages.py", "%2e%2e/pages.py", "/etc/passwd", "templates/x.html"):
        assert ask(shared.port, "GET", f"{found[1]}/{name}").status in (400, 404)
    stale = ask(shared.port, "GET", "/static/app/000000000000/app.css")
    assert stale.status == 404
    assert b"load the page again" in stale.body
    assert ask(shared.port, "GET", "/static/bokeh/0.0.0/js/bokeh.min.js").status == 404


def test_a_document_that_is_not_there_has_no_page_no_frame_and_no_ticket(shared: Shared) -> None:
    framed = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
    for path in ("/bokeh/doc/nobody", "/bokeh/doc/nobody/m", "/bokeh/frame/nobody"):
        answer = ask(shared.port, "GET", path, framed)
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert ask(shared.port, "POST", "/bokeh/doc/nobody/ticket").status == 404
    assert handshake(shared.port, "/bokeh/doc/nobody/ws") == 404


@pytest.mark.parametrize(("path", "model"), [("", None), ("/p1", "p1"), ("/my%20pl%C3%B6t%3F", "my plöt?")])
def test_the_frame_is_told_which_model_to_draw_whatever_its_name(shared: Shared, path: str, model: str | None) -> None:
    framed = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
    page = parameters(ask(shared.port, "GET", f"/bokeh/doc/{shared.document}{path}").body)
    assert parameters(ask(shared.port, "GET", page["frame_url"], framed).body)["model"] == model


def test_a_ticket_opens_one_socket_of_its_document_once(shared: Shared) -> None:
    port, document = shared.port, shared.document
    other = ask(port, "POST", "/api/v1/documents", body=b'{"title": "other"}').json["id"]

    def come(at: str, ticket: str) -> int:
        return handshake(port, f"/bokeh/ws/{at}", [NULL, ("Sec-WebSocket-Protocol", f"bokeh, {token(at, ticket)}")])

    ticket = new_ticket(port, document)
    assert [come(document, ticket), come(document, ticket)] == [101, 401]
    ticket = new_ticket(port, document)
    assert [come(other, ticket), come(document, ticket)] == [401, 401]
    assert come(document, "guessed") == 401
    gone = ask(port, "POST", "/api/v1/documents", body=b'{"title": "gone"}').json["id"]
    ticket = new_ticket(port, gone)
    assert ask(port, "DELETE", f"/api/v1/documents/{gone}").status == 204
    assert come(gone, ticket) == 404


@pytest.mark.parametrize(
    "subprotocol",
    ["bokeh", "bokeh, ", "bokeh, x", "bokeh, %", "bokeh, e30", "bokeh, bnVsbA", "bokeh, " + "A" * 4000, "x, y, z"],
)
def test_a_token_that_holds_no_ticket_opens_nothing(shared: Shared, subprotocol: str) -> None:
    header = ("Sec-WebSocket-Protocol", subprotocol)
    assert handshake(shared.port, f"/bokeh/ws/{shared.document}", [NULL, header]) == 401


def test_the_ticket_of_a_page_is_no_key_to_anything_else(shared: Shared) -> None:
    ticket = new_ticket(shared.port, shared.document)
    subprotocols = ("Sec-WebSocket-Protocol", f"bokeh, {token(shared.document, ticket)}")
    assert handshake(shared.port, f"/bokeh/doc/{shared.document}/ws", [NULL, subprotocols]) == 403
    assert handshake(shared.port, "/bokeh/board", [NULL, subprotocols]) == 403


def test_below_a_prefix_everything_is_below_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    with RunningServer(tmp_path_factory.mktemp("prefix") / "data", "--prefix", "plots/a/") as server:
        port = server.port
        assert ask(port, "GET", "/plots/a/bokeh/ping").body == b"pong"
        assert ask(port, "GET", "/bokeh/ping").status == 404
        assert ask(port, "GET", "/plots/ab/bokeh/ping").status == 404
        assert ask(port, "GET", "/plots/a").status == 404
        made = ask(port, "POST", "/plots/a/api/v1/documents", body=b'{"title": "x"}').json
        assert made["link"] == f"http://localhost:{port}/plots/a/bokeh/doc/{made['id']}"
        page = ask(port, "GET", f"/plots/a/bokeh/doc/{made['id']}")
        assert f"http://localhost:{port}/plots/a/bokeh/frame/{made['id']}" in page.headers["content-security-policy"]
        framed = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]
        frame = ask(port, "GET", f"/plots/a/bokeh/frame/{made['id']}", framed)
        assert parameters(frame.body)["socket"] == f"ws://localhost:{port}/plots/a/bokeh/ws/{made['id']}"
        addresses = re.findall(r'(?:src|href)="(/[^"]*)"', page.body.decode() + frame.body.decode())
        assert all(address.startswith("/plots/a/") for address in addresses)
        assert {ask(port, "GET", address).status for address in addresses if "static" in address} == {200}
        assert handshake(port, f"/plots/a/bokeh/doc/{made['id']}/ws") == 101
        assert handshake(port, f"/bokeh/doc/{made['id']}/ws") == 404
