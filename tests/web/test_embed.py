"""Documents in pages elsewhere: nobody is asked who he is, all get what is published, or what a link's key leads to."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.web.asking import Answer, ask, handshake, token
from tests.web.people import JSON, World, bearer

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
    assert directives(frame.headers)["frame-ancestors"] == f"http://localhost:{world.port} *"


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


SITE = "https://intranet.example"


def key_shown(world: World, link: str, key: str, **headers: str) -> Answer:
    """The answer to our script in the page of a link, which shows the key."""
    given = [JSON, *((name.replace("_", "-"), value) for name, value in headers.items())]
    return ask(world.port, "POST", f"/bokeh/linked/{link}", given, json.dumps({"key": key}).encode())


@pytest.fixture
def private(world: World) -> str:
    """A document of anna's that is not published."""
    return world.new_document()


def test_a_link_for_a_site_shows_a_private_document_in_its_pages_alone(world: World, private: str) -> None:
    key, link = world.new_link(private, SITE, "http://other.example:8080")
    answer = ask(world.port, "GET", f"/bokeh/linked/{link}/s1", WITHIN)
    assert answer.status == 200
    assert directives(answer.headers)["frame-ancestors"] == f"http://other.example:8080 {SITE}"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    frame = ask(world.port, "GET", parameters(answer.body)["frame_url"], FRAMED)
    assert directives(frame.headers)["frame-ancestors"] == (
        f"http://localhost:{world.port} http://other.example:8080 {SITE}"
    )
    told = key_shown(world, link, key).json
    assert {name for name, on in told["may"].items() if on} == {"view"}
    assert told["title"] == world.call("anna", "GET", f"/api/v1/documents/{private}/info")["title"]
    protocols = ("Sec-WebSocket-Protocol", f"bokeh, {token(private, told['ticket'])}")
    assert handshake(world.port, f"/bokeh/ws/{private}", [("Origin", "null"), protocols]) == 101


def test_a_link_for_every_page_is_barred_from_none(world: World, private: str) -> None:
    """Also of those that ``*`` leaves out: of a scheme of its own (VS Code), of a file, or sandboxed."""
    key, link = world.new_link(private, "*")
    answer = ask(world.port, "GET", f"/bokeh/linked/{link}", WITHIN)
    frame = ask(world.port, "GET", parameters(answer.body)["frame_url"], FRAMED)
    for page in (answer, frame):
        assert page.status == 200
        assert "frame-ancestors" not in directives(page.headers)
        assert "x-frame-options" not in page.headers
    assert directives(frame.headers)["sandbox"] == "allow-scripts allow-downloads"
    assert key_shown(world, link, key).status == 200
    assert [made["embed"] for made in world.call("anna", "GET", f"/api/v1/documents/{private}/links")] == [["*"]]


def test_before_the_key_is_shown_the_pages_tell_nothing(world: World, private: str) -> None:
    key, link = world.new_link(private, SITE)
    title = world.call("anna", "GET", f"/api/v1/documents/{private}/info")["title"]
    page = ask(world.port, "GET", f"/bokeh/linked/{link}", WITHIN)
    frame = ask(world.port, "GET", parameters(page.body)["frame_url"], FRAMED)
    for answer in (page, frame):
        text = answer.body.decode() + str(answer.headers)
        assert title not in text
        assert "anna" not in text
        assert key not in text
    for other in (world.new_link(private)[1], "0123456789ab"):  # no link for pages, none at all
        there = ask(world.port, "GET", f"/bokeh/linked/{other}", WITHIN)
        assert there.status == 200
        assert there.body.replace(other.encode(), b"") == page.body.replace(link.encode(), b"")


def test_no_cookie_and_no_token_makes_more_of_who_shows_a_key(world: World, private: str) -> None:
    key, link = world.new_link(private, SITE)
    (_, cookie), *_ = world.headers("browser")
    for more in ({"Authorization": f"Bearer {world.keys['anna']}"}, {"Cookie": cookie}):
        told = key_shown(world, link, key, **more).json
        assert {name for name, on in told["may"].items() if on} == {"view"}


def test_a_key_opens_its_own_page_as_long_as_it_holds(world: World, private: str) -> None:
    key, link = world.new_link(private, SITE)
    other_key, other = world.new_link(private, SITE)
    plain_key, plain = world.new_link(private)
    wrong = [(link, other_key), (other, key), (plain, plain_key), (link, ""), (link, key + "x"), ("none", key)]
    assert {key_shown(world, *pair).status for pair in wrong} == {404}
    assert len({key_shown(world, *pair).json["detail"] for pair in wrong}) == 1
    place = f"/api/v1/documents/{private}/links/{link}"
    for method, body, status in (
        ("PATCH", {"enabled": False}, 404),
        ("PATCH", {"enabled": True}, 200),
        ("DELETE", None, 404),
    ):
        world.call("anna", method, place, body)
        assert key_shown(world, link, key).status == status


def test_only_our_own_page_may_show_a_key(world: World, private: str) -> None:
    key, link = world.new_link(private, SITE)
    assert (
        key_shown(world, link, key, Origin=f"http://localhost:{world.port}", Sec_Fetch_Site="same-origin").status == 200
    )
    for origin, site in ((SITE, "cross-site"), ("null", "cross-site"), (f"http://localhost:{world.port}", "same-site")):
        assert key_shown(world, link, key, Origin=origin, Sec_Fetch_Site=site).status == 403


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"embed": ["intranet.example/path"]}, "A site is named like https://intranet.example"),
        ({"embed": ["https://*.example"]}, "A site is named like"),
        ({"embed": ["https://a.example; script-src *"]}, "A site is named like"),
        ({"embed": ["javascript:alert(1)"]}, "A site is named like"),
        ({"embed": [SITE, "*"]}, "a link has '*' alone"),
        ({"embed": ["*"], "most": 5}, "has no count"),
        ({"embed": [SITE], "most": 5}, "has no count"),
        ({"embed": [f"https://s{number}.example" for number in range(21)]}, "at most 20 sites"),
    ],
)
def test_a_link_for_no_site_is_refused(world: World, private: str, body: dict[str, Any], words: str) -> None:
    place = f"/api/v1/documents/{private}/links"
    answer = ask(world.port, "POST", place, [bearer(world.keys["anna"]), JSON], json.dumps(body).encode())
    assert answer.status == 400
    assert words in answer.json["detail"]


def test_lists_say_which_sites_a_link_is_for(world: World, private: str) -> None:
    place = f"/api/v1/documents/{private}/links"
    made = world.call("anna", "POST", place, {"embed": ["https://B.example", "a.example:443", "b.example"]})
    assert made["embed"] == ["https://a.example", "https://b.example"]
    root, _, key = made["url"].partition("#")
    assert root == f"http://localhost:{world.port}/bokeh/linked/{made['id']}"
    assert (
        made["tag"]
        == f'<script src="http://localhost:{world.port}/bokeh/autoload.js?link={made["id"]}#{key}"></script>'
    )
    world.new_link(private)
    assert [link["embed"] for link in world.call("anna", "GET", place)] == [[], made["embed"]]


def test_the_page_for_ones_own_pages_shows_within_this_origin_alone(world: World, private: str) -> None:
    for query, ancestors, options in (("", "'none'", "DENY"), ("?embedded=true", "'self'", "SAMEORIGIN")):
        page = ask(world.port, "GET", f"/bokeh/doc/{private}{query}", [bearer(world.keys["anna"])])
        assert directives(page.headers)["frame-ancestors"] == ancestors
        assert page.headers["x-frame-options"] == options
        assert page.headers["cross-origin-resource-policy"] == "same-origin"
        missing = ask(world.port, "GET", f"/bokeh/doc/nothing{query}", [bearer(world.keys["anna"])])
        assert (missing.status, directives(missing.headers)["frame-ancestors"]) == (404, ancestors)


def test_the_script_of_the_tag_is_the_same_for_everybody(world: World, private: str) -> None:
    _, link = world.new_link(private, SITE)
    plain = ask(world.port, "GET", "/bokeh/autoload.js")
    asked = ask(world.port, "GET", f"/bokeh/autoload.js?link={link}", [bearer(world.keys["anna"])])
    assert plain.body == asked.body
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert plain.headers["cross-origin-resource-policy"] == "cross-origin"


def test_bokehs_own_tags_get_a_script_for_what_is_published(world: World, document: str) -> None:
    place = f"/bokeh/doc/{document}/autoload.js"
    asked = f"{place}?bokeh-autoload-element=p1001&bokeh-app-path=/x&bokeh-absolute-url=http://x/y"
    for headers in ([], [bearer(world.keys["anna"])], [("Origin", "https://anywhere.example")]):
        answer = ask(world.port, "GET", asked, headers)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        said, _, script = answer.body.decode().partition(";\n")
        assert json.loads(said.partition("=")[2]) == {
            "element": "p1001",
            "src": f"http://localhost:{world.port}/bokeh/autoload.js?document={document}&public=true",
        }
        assert script.encode() == ask(world.port, "GET", "/bokeh/autoload.js").body
    for element in ("", "%22;alert(1)", "a%0Ab", "1a", "a" * 101):
        assert ask(world.port, "GET", f"{place}?bokeh-autoload-element={element}").status == 400
    preflight = ask(world.port, "OPTIONS", place, [("Origin", "https://anywhere.example")])
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-headers"] == preflight.headers["access-control-allow-origin"] == "*"
    world.call("anna", "DELETE", f"/api/v1/documents/{document}/published")
    assert ask(world.port, "GET", asked, [bearer(world.keys["anna"])]).status == 404


def test_who_looks_is_told_to_those_who_may_change_it(world: World, document: str) -> None:
    assert world.call("eva", "GET", f"/api/v1/documents/{document}/viewers") == {"users": [], "others": 0}
