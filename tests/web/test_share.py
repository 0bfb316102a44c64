"""Sharing over HTTP, on a real server: publish, grant, link; and what one may not see is not there, byte for byte."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import AbstractContextManager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bokeh_server.web.routes import ROUTES
from tests.web.asking import MARKUP, Answer, content, handshake, token
from tests.web.conftest import Shared
from tests.web.test_account import told
from tests.web.town import API, DOCUMENTS, Document, Person, Town, closed, cookie_of, key_of, numbers, receive, send

ROWS = {"t": 3.5, "n": 3, "who": "eva"}
PUBLIC = "?public=true"


def value(new: Any) -> dict[str, Any]:
    """A patch that sets the slider."""
    return {"events": [{"kind": "ModelChanged", "model": {"id": "s1"}, "attr": "value", "new": new}]}


def rows(**columns: Any) -> dict[str, Any]:
    """A patch that appends rows to the source."""
    data = {"type": "map", "entries": list(columns.items())}
    return {"events": [{"kind": "ColumnsStreamed", "model": {"id": "c1"}, "attr": "data", "data": data}]}


def share(owner: Person, document: Document, role: str, **more: Any) -> str:
    """The key of a new link."""
    made = owner("POST", f"{document.api}/links", {"role": role, **more})
    assert made.status == 201, made.body
    assert made.json["url"].startswith(f"http://localhost:{owner.port}/bokeh/link#bsk_")
    return key_of(made)


def grant(owner: Person, document: Document, user: Person, role: str) -> None:
    assert owner("PUT", f"{document.api}/grants/{user.name}", {"role": role}).status == 204


def role_of(person: Person, document: Document) -> str:
    """What somebody is to a document; "" for nothing."""
    answer = person("GET", f"{document.api}/info")
    return answer.json["role"] if answer.status == 200 else ""


def can(person: Person, document: Document) -> set[str]:
    """What somebody really can do with a document (that he may delete)."""
    asked = {
        "view": person("GET", document.api),
        "stream": person("POST", f"{document.api}/sources/readings/rows", ROWS),
        "edit": person("PUT", f"{document.api}/models/speed/value", 7),
        "rename": person("PATCH", document.api, {"title": f"renamed {next(numbers)}"}),
        "publish": person("PUT", f"{document.api}/published"),
        "unpublish": person("DELETE", f"{document.api}/published"),
        "share": person("POST", f"{document.api}/links", {}),
        "grants": person("GET", f"{document.api}/grants"),
        "ticket": person("POST", f"/bokeh/doc/{document.id}/ticket"),
        "delete": person("DELETE", document.api),
    }
    assert {answer.status for answer in asked.values()} <= {200, 201, 204, 401, 403, 404}
    return {name for name, answer in asked.items() if answer.status < 400}


SEE, WRITE = {"view", "ticket"}, {"stream", "edit"}
ALL = SEE | WRITE | {"rename", "publish", "unpublish", "share", "grants", "delete"}


# What one may not see


def bare(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """An answer without what differs between two answers to one question."""
    return answer.status, {name: each for name, each in answer.headers.items() if name != "date"}, answer.body


PARTS = {"source": "readings", "user": "root", "link": "x"}
BODIES: dict[str, Any] = {
    "": {"title": "x"},
    "/models/{model}/{property}": 1,
    "/sources/{source}/rows": ROWS,
    "/grants/{user}": {"role": "viewer"},
    "/links": {},
    "/links/{link}": {"enabled": True},
}


OWN = {("PUT", f"{DOCUMENTS}/{{name}}"), *((method, f"{DOCUMENTS}/{{name}}/rows") for method in ("POST", "WEBSOCKET"))}
"""What makes a document of one's own of this title, where one sees no other."""


def asked_of(person: Person, name: str) -> list[tuple[int, dict[str, str], bytes]]:
    """Every answer about a document of this name or id, in which the name stands as NAME."""
    asked = [
        (method, route.path.format(document=name, name=name, model="speed", property="value", **PARTS), body)
        for route in ROUTES
        if ("{document}" in route.path or "{name}" in route.path) and route.origin in ("link", "here", "embed")
        for method in (["GET", "HEAD"] if route.method == "GET" else [route.method])
        for body in [BODIES.get(route.path.rpartition("{name}")[2]) if method in ("PATCH", "PUT", "POST") else None]
        if (method, route.path) not in OWN
    ]
    asked += [(method, path + PUBLIC, body) for method, path, body in asked]
    answers = [bare(person(method, path, body)) for method, path, body in asked]
    frame = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"}
    answers.append(bare(person("GET", f"/bokeh/frame/{name}", None, **frame)))
    assert {status for status, _, _ in answers} <= {303, 404}
    return [
        (
            status,
            {key: each.replace(name, "NAME") for key, each in headers.items()},
            body.replace(name.encode(), b"NAME"),
        )
        for status, headers, body in answers
    ]


def test_what_one_may_not_see_is_answered_like_what_is_not_there_byte_for_byte(town: Town) -> None:
    owner, stranger = town.person(), town.person()
    hidden = owner.store().id
    missing = hidden[:-2] + ("aa" if hidden[-2:] != "aa" else "bb")
    limited = owner.token("read", "write", "stream", "manage", document=owner.store().id)
    for person in (stranger, town.browser(stranger.name), stranger.token("stream"), limited, town.nobody):
        assert asked_of(person, hidden) == asked_of(person, missing)
        for path in ("/bokeh/doc/{}/ws", "/bokeh/ws/{}"):
            assert person.handshake(path.format(hidden)) == person.handshake(path.format(missing))
    assert asked_of(stranger.token("read"), hidden)[0][0] == 404
    assert can(owner, Document(hidden, "")) == ALL


@pytest.mark.parametrize("word", ["True", "TRUE", "1", "", "true%20"])
def test_a_public_view_that_is_misspelt_is_none_of_the_owners(town: Town, word: str) -> None:
    owner = town.person()
    document = owner.store()
    for path in (document.api, f"/bokeh/doc/{document.id}"):
        answer = owner("GET", f"{path}?public={word}")
        assert answer.status == 400
        assert b"true or false" in answer.body
    assert owner("GET", f"{document.api}?public=false").status == 200


def test_an_id_of_anothers_document_can_be_the_title_of_ones_own(town: Town) -> None:
    owner, stranger = town.person(), town.person()
    hidden = owner.store()
    mine = stranger.store(hidden.id)
    assert mine.id != hidden.id
    assert stranger("GET", f"{hidden.api}/info").json["id"] == mine.id
    assert owner("GET", f"{hidden.api}/info").json["id"] == hidden.id
    assert stranger("DELETE", hidden.api).status == 204
    assert role_of(owner, hidden) == "owner"


def test_two_owners_have_documents_of_one_title_and_neither_reaches_the_others(town: Town) -> None:
    anna, ben = town.person(), town.person()
    first, second = anna.store("line"), ben.store("line")
    assert first.id != second.id
    assert anna("PUT", f"{DOCUMENTS}/line/models/speed/value", 1).status == 200
    assert ben("PUT", f"{DOCUMENTS}/line", content(value=9)).json["id"] == second.id
    assert [person("GET", f"{DOCUMENTS}/line/models/speed/value").json for person in (anna, ben)] == [1, 9]
    assert [each["id"] for each in anna("GET", f"{DOCUMENTS}?title=line").json] == [first.id]
    assert ben("DELETE", f"{DOCUMENTS}/line").status == 204
    assert role_of(anna, first) == "owner"


# Grants


def test_a_viewer_sees_and_an_editor_changes_and_neither_shares_nor_deletes(town: Town) -> None:
    owner, viewer, editor, stranger = (town.person() for _ in range(4))
    document = owner.store()
    grant(owner, document, viewer, "viewer")
    grant(owner, document, editor, "editor")
    listed = owner("GET", f"{document.api}/grants").json
    assert sorted(listed, key=lambda each: each["role"]) == [
        {"user": editor.name, "role": "editor"},
        {"user": viewer.name, "role": "viewer"},
    ]
    assert (can(viewer, document), can(editor, document)) == (SEE, SEE | WRITE)
    assert [role_of(each, document) for each in (owner, viewer, editor, stranger)] == ["owner", "viewer", "editor", ""]
    assert document.id in {each["id"] for each in viewer("GET", DOCUMENTS).json}
    assert document.id not in {each["id"] for each in stranger("GET", DOCUMENTS).json}
    assert told(editor("DELETE", document.api), 403) == "Only the owner may do this."
    assert told(viewer("PUT", document.api, content()), 403) == "You may see this document, not change it."
    assert editor("PUT", document.api, content(value=3)).status == 200
    assert can(owner, document) == ALL


def test_a_grant_that_is_taken_back_closes_sockets_and_the_document_is_gone(town: Town) -> None:
    owner, editor = town.person(), town.person()
    document = owner.store()
    grant(owner, document, editor, "editor")
    with editor.socket(document) as socket:
        send(socket, "PULL-DOC-REQ")
        receive(socket, "PULL-DOC-REPLY")
        grant(owner, document, editor, "viewer")
        assert closed(socket) == (1012, "rights")
    with editor.socket(document) as socket:
        send(socket, "PATCH-DOC", value(9))
        assert receive(socket, "ERROR")["code"] == "forbidden"
        assert owner("DELETE", f"{document.api}/grants/{editor.name.upper()}").status == 204
        assert closed(socket) == (1008, "revoked")
    assert role_of(editor, document) == ""
    told(owner("DELETE", f"{document.api}/grants/{editor.name}"), 404)


def test_what_can_not_be_granted_is_refused(town: Town) -> None:
    owner = town.person()
    document = owner.store()
    assert told(owner("PUT", f"{document.api}/grants/nobody-here", {"role": "viewer"}), 404).startswith(
        "There is no user"
    )
    for body in ({"role": "owner"}, {"role": ""}, {}, {"role": "viewer", "more": 1}):
        told(owner("PUT", f"{document.api}/grants/root", body), 400)


def test_an_administrator_may_look_and_take_away_and_nothing_else(town: Town) -> None:
    owner = town.person()
    document = owner.store()
    assert document.id not in {each["id"] for each in town.root("GET", DOCUMENTS).json}
    assert can(town.root, document) == SEE | {"delete"}
    assert role_of(owner, document) == ""


# Links


def test_a_link_lets_a_browser_in_that_opens_it_and_no_other(town: Town) -> None:
    owner, stranger = town.person(), town.person()
    document = owner.store()
    seeing, writing = share(owner, document, "viewer"), share(owner, document, "editor", name="for the lab")
    answer = town.nobody("POST", "/bokeh/link", {"key": seeing})
    assert answer.json == {"location": f"/bokeh/doc/{document.id}"}
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    viewer, editor = town.visitor(seeing), town.visitor(writing)
    assert (can(viewer, document), can(editor, document)) == (SEE, SEE | WRITE)
    assert role_of(stranger, document) == role_of(town.nobody, document) == ""
    browser = town.browser(stranger.name)
    opened = browser("POST", "/bokeh/link", {"key": writing})
    assert (opened.status, "set-cookie" in opened.headers) == (200, False)
    assert role_of(browser, document) == "editor"
    assert role_of(stranger, document) == "", "it is this browser's, not the user's"
    told(viewer("GET", DOCUMENTS), 401)
    assert viewer("GET", f"/bokeh/doc/{document.id}").status == 200


def test_links_that_were_opened_come_along_when_the_visitor_logs_in(town: Town) -> None:
    owner, person = town.person(), town.person()
    document = owner.store()
    visitor = town.visitor(share(owner, document, "viewer"))
    browser = town.browser(person.name, Cookie=visitor.headers[0][1])
    assert role_of(browser, document) == "viewer"
    assert role_of(visitor, document) == "", "the key from before the log-in is worth nothing"


def test_a_link_is_listed_switched_and_removed_and_the_doors_close(town: Town) -> None:
    owner = town.person()
    document = owner.store()
    key = share(owner, document, "viewer", name="wall", most=2, seconds=3600)
    visitor = town.visitor(key)
    listed = owner("GET", f"{document.api}/links")
    [link] = listed.json
    assert (link["name"], link["role"], link["enabled"], link["opened"], link["most"]) == ("wall", "viewer", True, 1, 2)
    assert key.encode() not in listed.body
    path = f"{document.api}/links/{link['id']}"
    with visitor.socket(document) as socket:
        assert owner("PATCH", path, {"enabled": False}).status == 204
        assert closed(socket) == (1008, "revoked")
    assert role_of(visitor, document) == ""
    refused = told(town.nobody("POST", "/bokeh/link", {"key": key}), 404)
    assert refused == "This link is not valid, or not any more; ask for a new one."
    assert owner("PATCH", path, {"enabled": True}).status == 204
    assert role_of(visitor, document) == "viewer"
    with visitor.socket(document) as socket:
        assert owner("DELETE", path).status == 204
        assert closed(socket) == (1008, "revoked")
    assert role_of(visitor, document) == ""
    told(owner("DELETE", path), 404)
    told(owner("PATCH", path, {"enabled": True}), 404)


def test_a_link_opens_so_often(town: Town) -> None:
    owner = town.person()
    document = owner.store()
    key = share(owner, document, "viewer", most=1)
    visitor = town.visitor(key)
    told(town.nobody("POST", "/bokeh/link", {"key": key}), 404)
    assert role_of(visitor, document) == "viewer"


def test_a_link_that_does_not_open_is_not_used_up(town: Town) -> None:
    owner = town.person()
    key, user = share(owner, owner.store(), "viewer", most=1), f"{API}/users/{owner.name}"
    assert town.root("PATCH", user, {"disabled": True}).status == 200
    told(town.nobody("POST", "/bokeh/link", {"key": key}), 404)
    assert town.root("PATCH", user, {"disabled": False}).status == 200
    assert town.nobody("POST", "/bokeh/link", {"key": key}).status == 200


def listed(person: Person, document: Document) -> tuple[str, bool] | None:
    """What somebody's list says that he is to a document, and whether it is shared; None where it is not there."""
    found = [each for each in person("GET", DOCUMENTS).json if each["id"] == document.id]
    return (found[0]["role"], found[0]["shared"]) if found else None


def test_who_has_opened_a_link_finds_its_document_in_his_list_as_long_as_it_holds(town: Town) -> None:
    owner, person = town.person(), town.person()
    document, short = owner.store(), owner.store()
    browser, other = town.browser(person.name), town.browser(person.name)
    for shared, life in ((document, {}), (short, {"seconds": 1.5})):
        assert browser("POST", "/bokeh/link", {"key": share(owner, shared, "editor", **life)}).status == 200
    assert listed(browser, document) == listed(browser, short) == ("editor", True)
    assert listed(other, document) is listed(person, document) is None, "it is this browser's, not the user's"
    assert document.id not in {each["id"] for each in browser("GET", f"{DOCUMENTS}{PUBLIC}").json}
    [link] = owner("GET", f"{document.api}/links").json
    path = f"{document.api}/links/{link['id']}"
    for enabled, shown in ((False, None), (True, ("editor", True))):
        assert owner("PATCH", path, {"enabled": enabled}).status == 204
        assert listed(browser, document) == shown
    assert owner("DELETE", path).status == 204
    assert listed(browser, document) is None
    time.sleep(1.6)
    assert listed(browser, short) is None


def test_the_board_of_a_stranger_hears_nothing_of_a_private_document(town: Town) -> None:
    owner, friend, stranger = town.person(), town.person(), town.person()
    with owner.board() as his, friend.board() as other, stranger.board() as third:
        drain(third, 1.5)  # of what other tests have published
        document = owner.store()
        his.recv(5)
        grant(owner, document, friend, "viewer")
        other.recv(5)
        for _ in range(2):
            with owner.socket(document) as socket:
                send(socket, "PULL-DOC-REQ")
                receive(socket, "PULL-DOC-REPLY")
        owner("PATCH", document.api, {"title": f"renamed {next(numbers)}"})
        drain(other, 1.5)
        assert owner("DELETE", f"{document.api}/grants/{friend.name}").status == 204
        other.recv(1)
        assert owner("DELETE", document.api).status == 204
        assert drain(third, 0.5) == 0


def drain(board: ClientConnection, seconds: float) -> int:
    """Read what a board is told until it has been silent for some seconds; how much that was."""
    for many in itertools.count():
        try:
            board.recv(seconds)
        except TimeoutError:
            return many
    raise AssertionError("it never ends")


@pytest.mark.parametrize("known", [True, False])
def test_a_browser_opens_again_what_it_has_open_and_no_other_does(town: Town, known: bool) -> None:
    owner, person = town.person(), town.person()
    document = owner.store()
    opening = {"key": share(owner, document, "viewer", most=1)}
    browser = town.browser(person.name) if known else town.nobody
    first = browser("POST", "/bokeh/link", opening)
    browser = browser if known else Person(town.port, "", (("Cookie", cookie_of(first)),))
    for _ in range(2):
        again = browser("POST", "/bokeh/link", opening)
        assert (again.json, "set-cookie" in again.headers) == (first.json, False)
    [link] = owner("GET", f"{document.api}/links").json
    assert link["opened"] == 1
    for other in (town.nobody, town.browser(person.name), town.browser(owner.name)):
        told(other("POST", "/bokeh/link", opening), 404)
    path = f"{document.api}/links/{link['id']}"
    assert owner("PATCH", path, {"enabled": False}).status == 204
    told(browser("POST", "/bokeh/link", opening), 404)
    assert owner("PATCH", path, {"enabled": True}).status == 204
    assert browser("POST", "/bokeh/link", opening).status == 200


def test_a_link_ends_in_time_and_so_do_its_sockets(town: Town) -> None:
    owner = town.person()
    document = owner.store()
    visitor = town.visitor(share(owner, document, "viewer", seconds=1.5))
    with visitor.socket(document) as socket:
        assert closed(socket, 10) == (1008, "revoked")
    assert role_of(visitor, document) == ""


@pytest.mark.parametrize(
    "body", [{"role": "owner"}, {"name": "x" * 101}, {"seconds": 0}, {"most": 0}, {"most": 1.5}, {"more": 1}]
)
def test_a_link_that_can_not_be_is_refused(town: Town, body: Any) -> None:
    owner = town.person()
    told(owner("POST", f"{owner.store().api}/links", body), 400)


@pytest.mark.parametrize("key", ["", "x", "bsk_" + "A" * 27])
def test_a_guess_opens_no_link_and_leaves_no_cookie(town: Town, key: str) -> None:
    answer = town.nobody("POST", "/bokeh/link", {"key": key})
    told(answer, 404)
    assert "set-cookie" not in answer.headers


# Publishing


def test_what_is_published_everybody_sees_and_nobody_changes(town: Town) -> None:
    owner, stranger = town.person(), town.person()
    document = owner.store()
    assert role_of(town.nobody, document) == ""
    assert owner("PUT", f"{document.api}/published").status == 204
    assert owner("GET", f"{document.api}/info").json["published"] is True
    assert (can(stranger, document), can(town.nobody, document)) == (SEE, SEE)
    assert document.id in {each["id"] for each in stranger("GET", DOCUMENTS).json}
    assert town.nobody("GET", f"/bokeh/doc/{document.id}").status == 200
    with town.nobody.socket(document) as socket, stranger.socket(document) as other, owner.socket(document) as left:
        send(socket, "PATCH-DOC", value(9))
        assert receive(socket, "ERROR")["code"] == "forbidden"
        assert owner("DELETE", f"{document.api}/published").status == 204
        assert closed(socket) == closed(other) == (1008, "revoked")
        left.ping().wait(5)
    assert role_of(town.nobody, document) == role_of(stranger, document) == ""


def test_in_the_public_view_everybody_is_a_visitor_and_what_is_not_published_is_not_there(town: Town) -> None:
    owner = town.person()
    document, browser = owner.store(), town.browser(owner.name)
    for person in (owner, browser, town.root, town.nobody):
        assert person("GET", f"/bokeh/doc/{document.id}{PUBLIC}").status == 404
        assert person("GET", f"{document.api}{PUBLIC}").status == 404
        assert person("POST", f"/bokeh/doc/{document.id}/ticket{PUBLIC}").status == 404
    assert owner("PUT", f"{document.api}/published").status == 204
    for person in (owner, browser, town.root, town.nobody):
        page = person("GET", f"/bokeh/doc/{document.id}/s1{PUBLIC}")
        assert page.status == 200
        assert MARKUP.encode() not in page.body
        assert told(person("PUT", f"{document.api}/models/speed/value{PUBLIC}", 9), 401 if not person.name else 403)
        assert told(person("DELETE", f"{document.api}{PUBLIC}"), 401 if not person.name else 403)
    assert browser("GET", f"{document.api}/info?public=false").json["role"] == "owner"


def test_a_ticket_of_the_public_view_lets_nobody_write_not_even_the_owner(town: Town) -> None:
    owner = town.person()
    document = owner.store()
    owner("PUT", f"{document.api}/published")
    for query, code in ((PUBLIC, "forbidden"), ("", None)):
        ticket = owner("POST", f"/bokeh/doc/{document.id}/ticket{query}").json["ticket"]
        with frame(document, ticket, town.port) as page:
            receive(page, "ACK")
            send(page, "PATCH-DOC", value(4))
            if code is None:  # whoever is refused is cut off behind his answer
                send(page, "SERVER-INFO-REQ")
            _, _, body = (json.loads(page.recv(5)) for _ in range(3))
            assert body.get("code") == code


def frame(document: Document, ticket: str, port: int) -> AbstractContextManager[ClientConnection]:
    """The socket of a sandboxed frame."""
    pair = [Subprotocol("bokeh"), Subprotocol(token(document.id, ticket))]
    url = f"ws://localhost:{port}/bokeh/ws/{document.id}"
    return connect(url, origin=Origin("null"), subprotocols=pair, compression=None)


def test_a_ticket_of_one_document_opens_no_other(town: Town) -> None:
    owner = town.person()
    mine, other = owner.store(), owner.store()
    ticket = owner("POST", f"/bokeh/doc/{mine.id}/ticket").json["ticket"]
    pair = ("Sec-WebSocket-Protocol", f"bokeh, {token(other.id, ticket)}")
    assert handshake(town.port, f"/bokeh/ws/{other.id}", [("Origin", "null"), pair]) == 401
    pair = ("Sec-WebSocket-Protocol", f"bokeh, {token(mine.id, ticket)}")
    assert handshake(town.port, f"/bokeh/ws/{mine.id}", [("Origin", "null"), pair]) == 401, "it is spent"


def test_a_ticket_is_worth_nothing_once_its_holder_has_logged_out(town: Town) -> None:
    person = town.person()
    document, browser = person.store(), town.browser(person.name)
    ticket = browser("POST", f"/bokeh/doc/{document.id}/ticket").json["ticket"]
    assert browser("DELETE", f"{API}/account/login").status == 204
    with frame(document, ticket, town.port) as page:
        assert closed(page) == (1008, "revoked")
    with person.socket(document) as left:
        left.ping().wait(5)


# Tokens that stream


def test_a_token_that_streams_appends_rows_and_does_nothing_else(town: Town) -> None:
    person = town.person()
    document = person.store()
    streamer = person.token("stream")
    assert can(streamer, document) == {"stream"}
    assert streamer.handshake(f"/bokeh/doc/{document.id}/ws") == 403
    told(streamer("GET", DOCUMENTS), 403)
    told(streamer("PUT", document.api, content()), 403)
    told(streamer("GET", f"{API}/account"), 403)
    limited = person.token("stream", document=document.id)
    other = person.store()
    assert can(limited, document) == {"stream"}
    assert can(limited, other) == set()


def test_over_the_socket_a_token_that_streams_sends_plain_rows_only(town: Town) -> None:
    person = town.person()
    document = person.store()
    script = {"type": "object", "name": "CustomJS", "id": "x1", "attributes": {"code": "alert(1)"}}
    with person.token("read", "stream").socket(document) as socket:
        send(socket, "PULL-DOC-REQ")
        receive(socket, "PULL-DOC-REPLY")
        send(socket, "PATCH-DOC", rows(t=[3.5], n=[3], who=["eva"]))
        refused: list[Any] = [
            value(9),
            rows(t=[script], n=[3], who=["eva"]),
            {"events": [*rows(t=[1.5], n=[3], who=["x"])["events"], *value(9)["events"]]},
            {"events": [{"kind": "TitleChanged", "title": "x"}]},
            {"events": [{"kind": "RootAdded", "model": script}]},
            {"events": []},
        ]
        for patch in refused:
            send(socket, "PATCH-DOC", patch)
            assert receive(socket, "ERROR")["code"] == "forbidden"
        send(socket, "PUSH-DOC", {"doc": json.loads(content())})
        assert receive(socket, "ERROR")["code"] == "forbidden"
    columns = dict(person("GET", f"{document.api}/models/readings/data").json["entries"])
    assert columns["who"] == ["ann", "bob", "eva"]
    assert person("GET", f"{document.api}/models/speed/value").json == 5


def test_scopes_of_a_token_are_what_it_can_do(town: Town) -> None:
    person = town.person()
    found = {scope: can(person.token(scope), person.store()) for scope in ("read", "write", "manage")}
    assert found == {"read": SEE, "write": SEE | WRITE, "manage": ALL - WRITE}


# Without accounts


def test_without_accounts_a_document_can_be_published_and_not_granted(shared: Shared) -> None:
    everybody = Person(shared.port)
    document = Document(shared.document, "plain")
    assert everybody("GET", f"/bokeh/doc/{document.id}{PUBLIC}").status == 404
    assert everybody("PUT", f"{document.api}/published").status == 204
    assert everybody("GET", f"/bokeh/doc/{document.id}{PUBLIC}").status == 200
    told(everybody("PUT", f"{document.api}/models/speed/value{PUBLIC}", 9), 403)
    assert everybody("DELETE", f"{document.api}/published").status == 204
    answer = everybody("PUT", f"{document.api}/grants/anna", {"role": "viewer"})
    assert told(answer, 403) == "There are no users to share with on this server; start it with -m."
