"""Sharing in the browser: the owner's dialog, what others see by it, and that what is taken back is gone at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.models import CustomJS
from bokeh.models.widgets import Button, Slider
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import LOST, OpenPage, Screen, until
from tests.browser.server import Server
from tests.browser.team import Team
from tests.web.asking import ask
from tests.web.people import bearer

MARKUP = '<img src=x onerror=alert(1)> & "quoted"'
SOON = 1_000
"""Milliseconds in which a right that was taken back is gone everywhere."""
GONE = "You can't see this document any more."


@pytest.fixture(autouse=True)
def refusals(expected_errors: list[str]) -> None:
    """What is refused shows in the console, and that can't be helped."""
    expected_errors += [*LOST, "status of 40[0-9]"]


@pytest.fixture
def slider() -> Slider:
    return Slider(start=0, end=10, value=3, title="Speed")


@pytest.fixture
def document(team: Team, slider: Slider) -> str:
    """A document of ann's."""
    return team.store("ann", "Metrics", slider)


def visit(team: Team, open_page: Callable[..., Page], user: str, document: str, **options: Any) -> Screen:
    """The document on a user's screen ("": of somebody who is not logged in, in the public view)."""
    if user == "":
        return Screen(open_page(f"{team.link(document)}?public=true", **options))
    page = team.enter(open_page, user, **options)
    page.goto(team.link(document))
    return live(page)


def live(page: Page) -> Screen:
    """The document that a page shows, once it is live."""
    expect(page.locator("#status")).to_have_text("Live")
    return Screen(page)


def share(page: Page) -> Locator:
    """The dialog, open."""
    page.get_by_role("button", name="Share").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", level=2)).to_be_visible()
    return dialog


def turned_away(page: Page) -> None:
    """The page must lose the document now."""
    expect(page.get_by_text(GONE)).to_be_visible(timeout=SOON)
    expect(page.locator("iframe")).to_have_count(0)
    expect(page.locator("#status")).to_have_text("Ended")


def test_a_document_is_published_and_taken_back(team: Team, document: str, open_page: OpenPage) -> None:
    page = visit(team, open_page, "ann", document, permissions=["clipboard-write"]).page
    public = f"{team.link(document)}?public=true"
    before = open_page(public).locator("body").inner_text()
    dialog = share(page)
    expect(dialog.get_by_label("The public link")).to_be_hidden()
    dialog.get_by_role("switch").check()
    expect(dialog.get_by_label("The public link")).to_have_value(public)
    dialog.get_by_role("button", name="Copy the address").click()
    expect(page.locator("#toasts")).to_contain_text("Copied")
    dialog.get_by_label("User name").focus()
    page.keyboard.press("Control+V")
    expect(dialog.get_by_label("User name")).to_have_value(public[:64])
    guest = live(open_page(public)).page
    for name in ("Share", "Rename", "Delete"):
        expect(guest.get_by_role("button", name=name)).to_have_count(0)
    expect(guest.locator("#visit")).to_contain_text("You are visiting")
    expect(guest.get_by_role("link", name="Log in")).to_be_visible()
    here = open_page(team.link(document))
    expect(here.locator("#status")).to_have_text("Live")  # also without "?public=true"
    dialog.get_by_role("switch").uncheck()
    turned_away(guest)
    assert open_page(public).locator("body").inner_text() == before


def test_what_could_not_be_changed_is_told_in_the_dialog_and_shown_as_it_is(
    team: Team, document: str, open_page: OpenPage
) -> None:
    team.share(document, "bob")
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    page = visit(team, open_page, "ann", document).page
    dialog = share(page)
    switch, role = dialog.get_by_role("switch"), dialog.get_by_label("What bob may do")
    expect(switch).to_be_checked()
    expect(role).to_have_value("viewer")
    page.route(f"**/documents/{document}/**", lambda route: route.abort())
    switch.click()
    expect(dialog.get_by_text("The server can't be reached").first).to_be_in_viewport(ratio=1)
    expect(switch).to_be_checked()
    role.select_option("may change")
    expect(role).to_have_value("viewer")
    page.unroute(f"**/documents/{document}/**")
    role.select_option("may change")
    page.wait_for_timeout(500)
    expect(role).to_have_value("editor")
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#toasts p").last).to_be_in_viewport(ratio=1)


def test_what_is_not_published_looks_as_if_it_were_not_there(team: Team, document: str, open_page: OpenPage) -> None:
    missing = "a" * 26
    for user in ("", "eve"):
        page = team.enter(open_page, user) if user else open_page()
        seen = []
        for name in (document, missing):
            for query in ("?public=true", "") if user else ("?public=true",):
                answer = page.goto(team.link(name) + query)
                assert answer is not None
                seen.append((answer.status, page.content().replace(name, "…"), "?" in query))
        assert {status for status, _, _ in seen} == {404}
        assert len({content for _, content, _ in seen}) == 1


def test_a_published_document_leads_the_visitor_in_and_back(team: Team, document: str, open_page: OpenPage) -> None:
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    page = visit(team, open_page, "", document).page
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password", exact=True).fill("three words enough")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    page.goto(f"{team.link(document)}?public=true")
    expect(page.locator("#status")).to_have_text("Live")
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)


def test_a_user_is_named_made_an_editor_and_removed(
    team: Team, document: str, slider: Slider, open_page: OpenPage
) -> None:
    board = team.enter(open_page, "bob")
    dialog = share(visit(team, open_page, "ann", document).page)
    field = dialog.get_by_label("User name")
    field.fill("nobody")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("alert").filter(has_text="nobody")).to_have_text("There is no user 'nobody'.")
    field.fill(" Bob ")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.locator("#grants > li")).to_contain_text(["bob"])
    row = board.locator(".row")
    expect(row).to_contain_text("by ann")
    expect(row).to_contain_text("Shared with you")
    row.get_by_role("link").click()
    screen = live(board)
    expect(board.locator("#visit")).to_be_visible()
    dialog.get_by_label("What bob may do").select_option("may change")
    expect(board.locator("#visit")).to_be_hidden()
    for name in ("Share", "Rename", "Delete"):
        expect(board.get_by_role("button", name=name)).to_have_count(0)
    expect(board.locator("#status")).to_have_text("Live")
    until(lambda: edited(team, screen, document, slider))
    dialog.get_by_role("button", name="Share with bob no longer").click()
    turned_away(board)
    board.get_by_role("main").get_by_role("link", name="All documents").click()
    expect(board.get_by_role("heading", name="Two lines")).to_be_visible()


def edited(team: Team, screen: Screen, document: str, slider: Slider) -> bool:
    """Whether what is set in the page is stored."""
    screen.set(slider.id, "value", 7)
    screen.page.wait_for_timeout(200)
    return bool(team.call("ann", "GET", f"/api/v1/documents/{document}/models/{slider.id}/value") == 7)


def test_who_loses_the_right_to_edit_goes_on_as_a_visitor(
    team: Team, document: str, slider: Slider, open_page: OpenPage
) -> None:
    team.share(document, "bob", "editor")
    screen = visit(team, open_page, "bob", document)
    expect(screen.page.locator("#visit")).to_be_hidden()
    team.share(document, "bob", "viewer")
    expect(screen.page.locator("#visit")).to_be_visible()
    expect(screen.page.locator("#status")).to_have_text("Live")
    screen.set(slider.id, "value", 9)
    screen.page.wait_for_timeout(500)
    assert team.call("ann", "GET", f"/api/v1/documents/{document}/models/{slider.id}/value") == 3
    assert screen.get(slider.id, "value") == 9


def test_a_link_opens_is_counted_turned_off_and_removed(team: Team, document: str, open_page: OpenPage) -> None:
    page = visit(team, open_page, "ann", document).page
    dialog = share(page)
    form = dialog.locator("#new-link")
    form.get_by_label("What it is for").fill(MARKUP)
    form.get_by_label("Good for").select_option("1 day")
    form.get_by_label("How often it opens").select_option("5 times")
    form.get_by_role("button", name="Make a link").click()
    expect(dialog.get_by_label("The new link")).to_have_value(re.compile("#bsk_"))
    link = dialog.get_by_label("The new link").input_value()
    assert link.startswith(f"{team.url}/bokeh/link#bsk_")
    entry = dialog.locator("#links > li")
    expect(entry.locator("b")).to_have_text(MARKUP)
    expect(entry.locator(".meta")).to_contain_text("may lookopened 0 of 5 ×until ")
    guest = open_page(link)
    live(guest)
    assert guest.url == team.link(document), "the key is not in the address"
    expect(guest.locator("#visit")).to_be_visible()
    dialog.get_by_role("button", name=f"Turn “{MARKUP}” off").click()
    turned_away(guest)
    expect(entry.locator(".meta")).to_contain_text("opened 1 of 5 ×")
    expect(entry.locator(".tag")).to_have_text("off")
    guest.goto(link)
    expect(guest.get_by_role("heading", level=1)).to_have_text("This link has ended")
    assert "#" not in guest.url
    dialog.get_by_role("button", name=f"Turn “{MARKUP}” on").click()
    expect(entry.locator(".tag")).to_be_hidden()
    guest.goto(team.link(document))
    live(guest)
    dialog.get_by_role("button", name=f"Remove “{MARKUP}”").click()
    turned_away(guest)
    expect(entry).to_have_count(0)
    page.reload()
    expect(share(page).get_by_label("The new link")).to_be_hidden()


def test_a_link_for_one_opens_once_and_may_let_change(
    team: Team, document: str, slider: Slider, open_page: OpenPage
) -> None:
    dialog = share(visit(team, open_page, "ann", document).page)
    form = dialog.locator("#new-link")
    form.get_by_label("Who opens it").select_option("may change")
    form.get_by_label("How often it opens").select_option("once")
    form.get_by_role("button", name="Make a link").click()
    expect(dialog.get_by_label("The new link")).to_have_value(re.compile("#bsk_"))
    link = dialog.get_by_label("The new link").input_value()
    guest = open_page(link)
    screen = live(guest)
    expect(guest.locator("#visit")).to_be_hidden()
    for name in ("Share", "Rename", "Delete"):
        expect(guest.get_by_role("button", name=name)).to_have_count(0)
    assert until(lambda: edited(team, screen, document, slider))
    other = open_page(link)
    expect(other.get_by_role("heading", level=1)).to_have_text("This link has ended")
    expect(open_page(f"{team.url}/bokeh/link").get_by_text("This link is not complete")).to_be_visible()


def test_a_link_that_was_opened_stays_open_for_who_then_logs_in(team: Team, document: str, open_page: OpenPage) -> None:
    made = team.call("ann", "POST", f"/api/v1/documents/{document}/links", {"role": "viewer", "most": 1})
    page = open_page(made["url"])
    live(page)
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("User name").fill("bob")
    page.get_by_label("Password", exact=True).fill("three words enough")
    page.get_by_role("button", name="Log in").click()
    live(page)
    expect(page.locator(".who")).to_have_text("bob")


def test_a_proxy_that_finds_no_server_behind_it_ends_nothing(team: Team, document: str, open_page: OpenPage) -> None:
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    screen = visit(team, open_page, "", document)
    page = screen.page

    def answer(route: Route) -> None:
        route.fulfill(status=404, content_type="text/html", body="<h1>404 page not found</h1>")

    page.route("**/ticket*", answer)
    screen.frame.evaluate("sockets.at(-1).close()")
    expect(page.locator("#status")).to_have_text("Reconnecting")
    page.wait_for_timeout(1_500)
    page.unroute("**/ticket*")
    expect(page.locator("#status")).to_have_text("Live")
    link = str(team.call("ann", "POST", f"/api/v1/documents/{document}/links", {"role": "viewer"})["url"])
    guest = open_page()
    guest.route("**/bokeh/link", lambda route: answer(route) if route.request.method == "POST" else route.continue_())
    guest.goto(link)
    expect(guest.get_by_role("heading", level=1)).to_have_text("This did not work")
    guest.unroute("**/bokeh/link")
    guest.get_by_role("button").click()
    live(guest)


def test_the_board_shows_mine_what_is_shared_with_me_and_what_is_published(
    team: Team, slider: Slider, open_page: OpenPage
) -> None:
    documents = {title: team.store("ann", title, slider) for title in ("private", MARKUP, "open", "both")}
    team.store("bob", "own", slider)
    for title in (MARKUP, "both"):
        team.share(documents[title], "bob", "editor" if title == "both" else "viewer")
    for title in ("open", "both"):
        team.call("ann", "PUT", f"/api/v1/documents/{documents[title]}/published")
    page = team.enter(open_page, "bob")
    names = page.locator(".row:not([hidden]) a.name")
    expect(names).to_have_text(["own", "both", "open", MARKUP])
    groups = {"Mine": ["own"], "Shared with me": ["both", MARKUP], "Published": ["both", "open"]}
    for group, titles in groups.items():
        page.get_by_role("radio", name=group).check()
        expect(names).to_have_text(titles)
    expect(page.locator("#count")).to_have_text("2 of 4")
    page.get_by_role("radio", name="All").check()
    page.get_by_role("searchbox").fill("ann")
    expect(names).to_have_text(["both", "open", MARKUP])
    page.get_by_role("searchbox").fill("")
    for title in ("both", "open", MARKUP):
        row = page.locator(".row").filter(has=page.get_by_role("link", name=title, exact=True))
        expect(row.locator(".owner")).to_have_text("by ann")
        expect(row.get_by_role("button")).to_have_count(0)
    both = page.locator(".row").filter(has=page.get_by_role("link", name="both", exact=True))
    expect(both.locator(".marks span:visible")).to_have_text(["Published", "You may change it"])
    both.get_by_role("link").focus()
    page.keyboard.press("F2")
    page.keyboard.press("Delete")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("input.name")).to_have_count(0)
    own = page.locator(".row").filter(has=page.get_by_role("link", name="own", exact=True))
    expect(own.get_by_role("button")).to_have_count(2)
    mine = team.enter(open_page, "ann")
    marks = mine.locator(".row", has=mine.get_by_role("link", name="both", exact=True)).locator(".marks span:visible")
    expect(marks).to_have_text(["Published", "Shared"])


def test_a_document_deleted_by_its_owner_is_not_told_apart_by_others(
    team: Team, document: str, open_page: OpenPage
) -> None:
    team.share(document, "bob")
    guest, other = visit(team, open_page, "bob", document).page, visit(team, open_page, "ann", document).page
    team.call("ann", "DELETE", f"/api/v1/documents/{document}")
    turned_away(guest)
    expect(other.get_by_text("This document was deleted.")).to_be_visible()


def test_titles_and_names_are_text_wherever_they_show(team: Team, slider: Slider, open_page: OpenPage) -> None:
    document = team.store("ann", MARKUP, slider)
    page = visit(team, open_page, "ann", document).page
    expect(share(page).get_by_role("heading", level=2)).to_have_text(f"Share “{MARKUP}”")
    assert team.status("ann", "POST", "/api/v1/users", {"username": "<b>x", "password": "three words"}) == 400
    guest = open_page(f"{team.url}/bokeh/login?next={MARKUP}#{MARKUP}")
    expect(guest.get_by_role("heading", level=1)).to_have_text("Log in")
    for shown in (page, guest):
        expect(shown.locator("img")).to_have_count(0)


def test_an_administrator_looks_at_what_others_store_without_its_scripts_until_he_asks(
    team: Team, open_page: OpenPage, expected_errors: list[str]
) -> None:
    expected_errors.append("Content Security Policy")
    button = Button(label="Go")
    button.js_on_event("button_click", CustomJS(args={"button": button}, code="button.label = 'It ran'"))
    document = team.store("bob", "Theirs", button)
    screen = visit(team, open_page, "ann", document)
    page = screen.page
    expect(page.locator("#visit")).to_have_text("You look as administrator")
    expect(page.get_by_role("button", name="Rename")).to_have_count(0)
    page.frame_locator("#frame").get_by_role("button", name="Go").click()
    page.wait_for_timeout(500)
    assert screen.get(button.id, "label") == "Go"
    page.locator("#visit").click()
    page.get_by_role("link", name="Show it with its scripts").click()
    live(page)
    page.frame_locator("#frame").get_by_role("button", name="Go").click()
    expect(page.frame_locator("#frame").get_by_role("button", name="It ran")).to_be_visible()


def test_one_token_for_all_is_no_hindrance_to_publish_and_to_make_links(
    serve: Callable[..., Server], open_page: OpenPage, slider: Slider
) -> None:
    server, plain = serve("--token"), Document()
    plain.add_root(slider)
    body = json.dumps(plain.to_json(deferred=False)).encode()
    stored = ask(server.port, "PUT", "/api/v1/documents/plain", [bearer(server.token)], body)
    page = open_page(f"{server.url}/bokeh/login#{server.token}")
    held: list[Route] = []
    page.route("**/share.js", lambda route: held.append(route))
    page.get_by_role("link", name="plain").first.click()
    live(page)
    expect(page.get_by_role("button", name="Share")).to_be_disabled()  # a click before its script is there is lost
    held[0].continue_()
    dialog = share(page)
    expect(dialog.get_by_text("People", exact=True)).to_have_count(0)
    dialog.get_by_role("switch").check()
    address = dialog.get_by_label("The public link")
    expect(address).to_have_value(f"{server.link(stored.json['id'])}?public=true")
    guest = open_page(address.input_value())
    live(guest)
    expect(guest.get_by_role("button", name="Share")).to_have_count(0)
    dialog.get_by_role("button", name="Make a link").click()
    link = dialog.get_by_label("The new link")
    expect(link).to_have_value(re.compile("bsk_"))
    linked = open_page(link.input_value())
    live(linked)
    dialog.get_by_role("switch").uncheck()
    expect(guest.get_by_text(GONE)).to_be_visible(timeout=SOON)
    dialog.get_by_role("button", name="Turn “Link without a name” off").click()
    expect(linked.get_by_text(GONE)).to_be_visible(timeout=SOON)
