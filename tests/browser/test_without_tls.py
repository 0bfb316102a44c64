"""Without TLS, under a name that is not only this machine's: browsers call nothing secure there, and leave out
``Sec-Fetch-…``. So it is on every plain server in a local network."""

from __future__ import annotations

import pytest
from bokeh.models import CustomJS
from bokeh.models.widgets import Button, Div, Slider
from playwright.sync_api import Page, expect

from tests.browser.conftest import LOST, OpenPage, Screen
from tests.browser.team import Team, log_in


@pytest.fixture(autouse=True)
def refusals(expected_errors: list[str]) -> None:
    """What is refused, and what a browser does only with TLS, shows in the console, and that can't be helped."""
    expected_errors += [*LOST, "status of 40[0-9]", "Content Security Policy"]
    expected_errors += ["Cross-Origin-Opener-Policy header has been ignored"]


@pytest.fixture
def named(team: Team) -> Team:
    """The server with accounts, started again under a name that the browser finds (``conftest.FLAGS``)."""
    team.stop()
    team.flags = (*team.flags, "--public-url", f"http://plots.test:{team.port}")
    team.start()
    return team


def visit(team: Team, open_page: OpenPage, user: str, document: str) -> Page:
    """The document's page as a user sees it under that name."""
    page = open_page(f"http://plots.test:{team.port}/bokeh/login?next=/bokeh/doc/{document}")
    log_in(page, user)
    live(page)
    assert not page.evaluate("isSecureContext")
    return page


def live(page: Page) -> Screen:
    """The document that a page shows, once it is live."""
    expect(page.locator("#status")).to_have_text("Live")
    return Screen(page)


def test_a_document_shows_and_what_one_does_reaches_the_others(named: Team, open_page: OpenPage) -> None:
    slider = Slider(start=0, end=10, value=3)
    document = named.store("bob", "Metrics", slider)
    named.share(document, "eve")
    mine, theirs = (Screen(visit(named, open_page, user, document)) for user in ("bob", "eve"))
    mine.set(slider.id, "value", 7)
    theirs.shows(slider.id, "value", 7)
    assert named.call("bob", "GET", f"/api/v1/documents/{document}/info")["link"] == mine.page.url


def test_its_frame_is_no_page_of_its_own_there_either(named: Team, open_page: OpenPage) -> None:
    document = named.store("bob", "Metrics", Slider(start=0, end=10, value=3))
    page = visit(named, open_page, "bob", document)
    frame = Screen(page).frame.url
    answer = page.goto(frame)
    assert answer is not None
    assert answer.status == 403
    page.goto(f"http://plots.test:{named.port}/")
    page.evaluate("(url) => { location.href = url; }", frame)
    expect(page.get_by_text("shown only inside its page")).to_be_visible()


@pytest.mark.parametrize(("plain", "role"), [(True, "editor"), (False, None)], ids=["plain", "this machine"])
def test_no_link_but_ours_makes_an_administrator_run_anothers_scripts(
    request: pytest.FixtureRequest, open_page: OpenPage, plain: bool, role: str | None
) -> None:
    team: Team = request.getfixturevalue("named" if plain else "team")
    host = f"http://{'plots.test' if plain else 'localhost'}:{team.port}"
    button, trap = Button(label="Go"), Div(name="trap")
    button.js_on_event("button_click", CustomJS(args={"button": button}, code="button.label = 'It ran'"))
    document = team.store("bob", "Theirs", button, trap)
    way = f"<a href={host}/bokeh/doc/{document}?scripts=true>a way</a>"
    team.call("bob", "PUT", f"/api/v1/documents/{document}/models/trap/text", way)
    if role:
        team.share(document, "ann", role)
    page = open_page(f"{host}/bokeh/login?next=/bokeh/doc/{document}")
    log_in(page, "ann")
    live(page)
    expect(page.locator("#visit")).to_have_text("You look as administrator")
    page.frame_locator("#frame").get_by_role("link", name="a way").click()
    with page.context.expect_page() as opened:
        page.get_by_role("dialog").get_by_role("button", name="Open in a new tab").click()
    for shown in (page, opened.value):
        live(shown)
        shown.frame_locator("#frame").get_by_role("button", name="Go").click()
        shown.wait_for_timeout(300)
        expect(shown.frame_locator("#frame").get_by_role("button", name="Go")).to_be_visible()
    page.locator("#visit").click()
    page.get_by_role("link", name="Show it with its scripts").click()
    live(page)
    page.frame_locator("#frame").get_by_role("button", name="Go").click()
    expect(page.frame_locator("#frame").get_by_role("button", name="It ran")).to_be_visible()
