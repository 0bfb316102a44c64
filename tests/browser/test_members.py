"""A Flask site with members, in their browsers: its users are the server's, and its pages show what they may see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from bokeh.document import Document
from bokeh.models.widgets import Slider
from playwright.sync_api import Page, expect

from bokeh_server import Session, autoload_server
from tests.browser.conftest import OpenPage, Screen, until
from tests.hosts.test_members import COMMANDS, Member
from tests.hosts.test_sites import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, under gunicorn."""
    made = Site(tmp_path_factory.mktemp("members") / "data", COMMANDS["gunicorn"])
    yield made
    made.stop()


def log_in(page: Page, name: str) -> None:
    """Fill in the site's own form."""
    page.locator("[name=name]").fill(name)
    page.get_by_role("button", name="Log in").click()


@contextmanager
def anns(site: Site, title: str, folder: Path) -> Iterator[tuple[Session, Slider]]:
    """A document of the member ann's, live in her program, which comes by a token of hers."""
    token = Member(site, "ann")("POST", "/api/v1/account/tokens", {"name": "t", "scopes": ["read", "write", "manage"]})
    document, slider = Document(), Slider(start=0, end=10, value=3, title="Speed")
    document.add_root(slider)
    with Session(root_url=site.url, userapikey=token.json["token"], configdir=folder) as session:
        session.use_doc(title)
        session.store_document(document)
        yield session, slider


def test_a_member_comes_by_the_sites_login_and_leaves_by_it(
    site: Site, open_page: OpenPage, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["status of 401", "status of 404"]  # once logged out; the site has no icon
    with anns(site, "Metrics", tmp_path) as (session, slider):
        page = open_page(session.link)
        log_in(page, "ann")
        expect(page.locator("#status")).to_have_text("Live")
        screen = Screen(page)
        screen.set(slider.id, "value", 6)
        until(lambda: slider.value, lambda value: value == 6)
        page.get_by_role("button", name="ann").click()
        expect(page.get_by_role("button", name="Log out")).to_have_count(0)
        page.get_by_role("link", name="Account").click()
        expect(page.get_by_role("heading", name="Tokens")).to_be_visible()
        expect(page.get_by_role("heading", name="Password")).to_have_count(0)
        page.goto(session.link)
        expect(page.locator("#status")).to_have_text("Live")
        page.evaluate("fetch('/logout', {method: 'POST'})")
        expect(page.get_by_text("You are logged out.")).to_be_visible(timeout=3_000)
        page.get_by_role("link", name="Log in again").click()
        log_in(page, "ann")
        expect(page.locator("#status")).to_have_text("Live")


def test_the_tag_in_a_page_of_the_site_shows_each_member_what_he_may_see(
    site: Site, open_page: OpenPage, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("status of 404")
    with anns(site, "In the page", tmp_path) as (session, slider):
        Member(site, "ben")("GET", "/api/v1/account")
        session.share("ben")
        by_program = f"/page?tag={quote(autoload_server(slider, session), safe='')}"
        by_site = f"/page?document={session.docid}"
        for name, text, place in (
            ("ann", "Live", by_site),
            ("ben", "Live", by_program),
            ("ben", "Live", by_site),
            ("eva", None, by_site),
        ):
            page = open_page(f"http://localhost:{site.port}/login?next={quote(place, safe='')}")
            log_in(page, name)
            expect(page.get_by_role("heading", name="The site's own page")).to_be_visible()
            frame = page.frame_locator("iframe")
            if text is None:
                expect(frame.get_by_text("There is no document")).to_be_visible()
            else:
                expect(frame.locator("#status")).to_have_text(text)
                expect(frame.get_by_role("button", name="Share")).to_be_hidden()


def test_where_the_host_carries_no_sockets_the_page_says_what_to_use(
    open_page: OpenPage, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("status of 503")
    site = Site(tmp_path / "data", ["waitress-serve", "--listen", "127.0.0.1:{port}", "tests.hosts.flask_site:app"])
    try:
        document = site.ask("POST", "/api/v1/documents", body=b'{"title": "still"}').json["id"]
        page = open_page(f"{site.url}bokeh/doc/{document}")
        expect(page.get_by_text("This WSGI server can't carry websockets")).to_be_visible()
    finally:
        site.stop()
