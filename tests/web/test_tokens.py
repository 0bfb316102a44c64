"""Tokens over HTTP: told once, good for what they say and no more, and gone when they are revoked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.asking import content
from tests.web.test_account import NOT_VALID, told
from tests.web.town import API, DOCUMENTS, PASSWORD, Town, closed


def test_a_token_is_told_once_listed_and_revoked(town: Town) -> None:
    person, other = town.person(), town.person()
    made = person("POST", f"{API}/account/tokens", {"name": "a job", "scopes": ["read", "write"], "seconds": 60})
    assert made.status == 201
    text = made.json["token"]
    assert text.startswith("bst_")
    job = person.by(text)
    document = job.store()
    listed = person("GET", f"{API}/account/tokens")
    [token] = [each for each in listed.json if each["name"] == "a job"]
    assert token["scopes"] == ["read", "write"]
    assert token["until"] == pytest.approx(token["created"] + 60)
    assert token["used"] is not None
    assert text.encode() not in listed.body
    told(other("DELETE", f"{API}/account/tokens/{token['id']}"), 404)
    with job.socket(document) as socket:
        assert person("DELETE", f"{API}/account/tokens/{token['id']}").status == 204
        assert closed(socket) == (1008, "revoked")
    assert told(job("GET", f"{API}/account"), 401) == NOT_VALID


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "scopes": ["read"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["all"]},
        {"name": "x", "scopes": ["read"], "seconds": 0},
        {"name": "x", "scopes": ["read"], "more": 1},
    ],
)
def test_a_token_that_can_not_be_is_refused(town: Town, body: Any) -> None:
    told(town.root("POST", f"{API}/account/tokens", body), 400)


def test_a_token_makes_no_token_that_is_good_for_more_or_for_longer(town: Town) -> None:
    person = town.person()
    manager = person.token("manage")
    refused = manager("POST", f"{API}/account/tokens", {"name": "x", "scopes": ["manage", "write"]})
    assert told(refused, 403) == "A token gives nobody more than it has itself: this would be good for more than that."
    manager.token("manage")
    short = person.token("manage", "read", seconds=60)
    for life in ({}, {"seconds": 70}):
        refused = short("POST", f"{API}/account/tokens", {"name": "x", "scopes": ["read"], **life})
        assert (
            told(refused, 403) == "A token gives nobody more than it has itself: it ends, and this would not so soon."
        )
    short.token("read", seconds=50)
    for scopes in (("read",), ("read", "stream", "write")):
        told(person.token(*scopes)("POST", f"{API}/account/tokens", {"name": "x", "scopes": ["read"]}), 403)


def test_a_token_turns_no_link_on_that_is_good_for_more_or_for_longer(town: Town) -> None:
    person = town.person()
    document = person.store()

    def made(**link: Any) -> str:
        return f"{document.api}/links/{person('POST', f'{document.api}/links', link).json['id']}"

    seeing, writing, short = made(), made(role="editor"), made(seconds=30)
    for token, refused in (
        (person.token("manage"), [writing]),
        (person.token("manage", "write", seconds=60), [seeing, writing]),
        (person.token("manage", "write"), []),
    ):
        for link in (seeing, writing, short):
            assert token("PATCH", link, {"enabled": False}).status == 204
            switched = token("PATCH", link, {"enabled": True})
            if link in refused:
                assert "gives nobody more than it has itself" in told(switched, 403)
            else:
                assert switched.status == 204
        told(token("PATCH", f"{document.api}/links/none", {"enabled": True}), 404)


def test_a_token_of_an_administrator_makes_nothing_that_outlives_it_or_is_good_for_more(town: Town) -> None:
    town.person("marked")
    admin = town.person("chief", admin=True)
    someone = {"username": "for-ever", "password": PASSWORD}
    asked = [
        ("POST", f"{API}/users", {**someone, "admin": True}),
        ("POST", f"{API}/users", someone),
        ("POST", f"{API}/invitations", {}),
        ("PATCH", f"{API}/users/marked", {"password": PASSWORD}),
        ("PATCH", f"{API}/users/marked", {"admin": True}),
    ]
    for token in (admin.token("manage"), admin.token("read", "stream", "write", "manage", seconds=60)):
        for request in asked:
            assert "gives nobody more than it has itself" in told(token(*request), 403)
        assert token("PATCH", f"{API}/users/marked", {"disabled": True}).status == 200, "that gives nobody anything"
        assert token("PATCH", f"{API}/users/marked", {"disabled": False}).status == 200
    whole = admin.token("read", "stream", "write", "manage")
    assert [whole(*request).status for request in asked] == [201, 409, 201, 200, 200]


def test_a_token_for_one_document_is_good_for_no_other_and_for_no_account(town: Town) -> None:
    person = town.person()
    mine, other = person.store(), person.store()
    limited = person.token("read", "write", "manage", document=mine.title)
    assert [each["document"] for each in person("GET", f"{API}/account/tokens").json][:1] == [mine.id]
    assert limited("GET", mine.api).status == 200
    told(limited("GET", other.api), 404)
    told(limited("GET", f"{DOCUMENTS}/{other.title.replace(' ', '%20')}"), 404)
    assert [each["id"] for each in limited("GET", DOCUMENTS).json] == [mine.id]
    told(limited("POST", DOCUMENTS, {"title": "more"}), 403)
    assert limited("PUT", mine.api, content()).status == 200
    assert limited("PUT", f"{DOCUMENTS}/{mine.title.replace(' ', '%20')}", content()).status == 200
    for name in (other.id, other.title.replace(" ", "%20"), "none"):
        told(limited("PUT", f"{DOCUMENTS}/{name}", content()), 403)
    assert len(person("GET", DOCUMENTS).json) == 2
    told(limited("GET", f"{API}/account/tokens"), 403)
    assert limited.handshake(f"/bokeh/doc/{other.id}/ws") == 404


def test_a_token_can_not_be_made_for_a_document_that_one_may_not_see(town: Town) -> None:
    person, other = town.person(), town.person()
    hidden = other.store().id
    asked = [
        person("POST", f"{API}/account/tokens", {"name": "x", "scopes": ["read"], "document": name})
        for name in (hidden, hidden[:-1] + ("a" if hidden[-1] != "a" else "b"))
    ]
    assert [told(answer, 404)[:22] for answer in asked] == ["There is no document '"] * 2
