"""A published document in a page elsewhere: nobody is asked who he is, all get the public view."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.web.asking import ask
from tests.web.people import World, bearer

WITHIN = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "cross-site")]
FRAMED = [("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")]


@pytest.fixture
def document(world: World) -> str:
    """A published document of anna's."""
    made = world.new_document()
    world.call("anna", "PUT", f"/api/v1/documents/{made}/published")
    return made


def directives(headers: dict[str, str]) -> dict[str, str]:
    """The parts of a Content-Security-Policy."""
    return dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))


def parameters(page: bytes) -> Any:
    """What the page's script is told."""
    found = re.search(rb'id="parameters">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_any_page_may_have_it_within(world: World, document: str) -> None:
    answer = ask(world.port, "GET", f"/bokeh/embed/{document}", WITHIN)
    assert answer.status == 200
    assert directives(answer.headers)["frame-ancestors"] == "*"
    assert "x-frame-options" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    frame = ask(world.port, "GET", parameters(answer.body)["frame_url"], FRAMED)
    assert frame.status == 200
    assert directives(frame.headers)["frame-ancestors"] == "*"


def test_the_owner_himself_is_nobody_there(world: World, document: str) -> None:
    told = parameters(ask(world.port, "GET", f"/bokeh/embed/{document}", [bearer(world.keys["anna"]), *WITHIN]).body)
    assert told["user"] == ""
    assert told["public"] is True
    assert {name for name, on in told["may"].items() if on} == {"view"}


def test_what_is_not_published_is_not_there(world: World, document: str) -> None:
    world.call("anna", "DELETE", f"/api/v1/documents/{document}/published")
    for headers in (WITHIN, [bearer(world.keys["anna"])], [bearer("bst_nothing")]):
        assert ask(world.port, "GET", f"/bokeh/embed/{document}", headers).status == 404


@pytest.mark.parametrize("query", ["?embedded=true", "?public=true", "?public=false&embedded=true", ""])
def test_only_the_public_view_leaves_our_own_pages(world: World, document: str, query: str) -> None:
    frame = ask(world.port, "GET", f"/bokeh/frame/{document}{query}", [bearer(world.keys["anna"]), *FRAMED])
    assert directives(frame.headers)["frame-ancestors"] == f"http://localhost:{world.port}"


def test_a_page_elsewhere_can_not_have_the_bare_frame(world: World, document: str) -> None:
    assert ask(world.port, "GET", f"/bokeh/frame/{document}?public=true&embedded=true", WITHIN).status == 403


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize(
    ("site", "referer", "runs"),
    [
        ("same-origin", "{ours}/", True),
        (None, "{ours}/", True),  # without TLS
        ("same-origin", None, False),  # a link in the document, which our page opens for it
        ("cross-site", None, False),
        ("none", None, False),
        (None, None, False),
        ("cross-site", "{ours}/", False),
        ("same-origin", "http://evil.example/", False),
        (None, "{ours}/bokeh/doc/x", False),
    ],
)
def test_a_link_can_not_make_an_administrator_run_a_strangers_scripts(
    world: World, document: str, site: str | None, referer: str | None, runs: bool, published: bool
) -> None:
    if not published:
        world.call("anna", "DELETE", f"/api/v1/documents/{document}/published")
    given = {"Sec-Fetch-Site": site, "Referer": referer and referer.format(ours=f"http://localhost:{world.port}")}
    headers = [bearer(world.keys["root"]), *((name, value) for name, value in given.items() if value is not None)]
    told = parameters(ask(world.port, "GET", f"/bokeh/doc/{document}?scripts=true", headers).body)
    assert ("scripts=true" in told["frame_url"]) is runs
    assert told["supervised"]


@pytest.mark.parametrize(("user", "query"), [("anna", ""), ("eva", ""), ("root", "?public=true")])
def test_only_an_administrator_among_documents_of_others_is_asked_first(
    world: World, document: str, user: str, query: str
) -> None:
    page = ask(world.port, "GET", f"/bokeh/doc/{document}{query}", [bearer(world.keys[user])])
    assert not parameters(page.body)["supervised"]


def test_who_looks_is_told_to_those_who_may_change_it(world: World, document: str) -> None:
    assert world.call("eva", "GET", f"/api/v1/documents/{document}/viewers") == {"users": [], "others": 0}
