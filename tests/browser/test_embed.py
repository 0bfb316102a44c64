"""A published document in a page of another site, by the tag that its owner copies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from bokeh.models.widgets import Slider
from playwright.sync_api import Frame, expect

from tests.browser.conftest import OpenPage, Screen, until
from tests.browser.team import Team


@pytest.fixture
def site() -> Iterator[Callable[[str], str]]:
    """Another site: ``site(html)`` serves this page and gives its address. "127.0.0.1" is not "localhost"."""
    pages: list[bytes] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(pages[-1] if self.path == "/" else b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def publish(html: str) -> str:
        pages.append(f"<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>{html}".encode())
        return f"http://127.0.0.1:{server.server_port}/"

    yield publish
    server.shutdown()
    server.server_close()


def test_the_tag_shows_the_document_live_and_its_guest_changes_nothing(
    team: Team, open_page: OpenPage, site: Callable[[str], str], expected_errors: list[str]
) -> None:
    expected_errors.append("status of 404")  # when it is published no longer
    slider = Slider(start=0, end=10, value=3, title="Speed")
    document = team.store("ann", 'Metrics "now" <b>', slider)
    owner = team.enter(open_page, "ann")
    owner.goto(team.link(document))
    owner.get_by_role("button", name="Share").click()
    dialog = owner.get_by_role("dialog")
    dialog.get_by_role("switch").check()
    tag = dialog.get_by_label("The tag to embed it").input_value()
    page = open_page(site(tag))
    screen = within(page.frames)
    with team.feed("ann", document) as program:
        program.set(slider.id, "value", 7)
        screen.shows(slider.id, "value", 7)
        screen.set(slider.id, "value", 5)
        page.wait_for_timeout(500)
        assert screen.get(slider.id, "value") == 5
    stored = team.call("ann", "GET", f"/api/v1/documents/{document}/models/{slider.id}/value")
    assert stored == 7
    outer = page.frame_locator("iframe")
    expect(outer.locator("#status")).to_have_text("Live")
    expect(outer.get_by_role("button", name="Share")).to_have_count(0)
    expect(outer.get_by_role("link", name="Log in")).to_be_hidden()
    dialog.get_by_role("switch").uncheck()
    expect(outer.get_by_text("You can't see this document any more.")).to_be_visible(timeout=1_000)


def within(frames: list[Frame]) -> Screen:
    """The document in the page in the page."""
    (outer,) = [frame for frame in frames if "/bokeh/embed/" in frame.url]
    return Screen(outer)


@pytest.mark.parametrize("place", ["doc/{}?public=true", "frame/{}?public=true&embedded=true", "doc/{}"])
def test_no_other_page_of_ours_shows_within_another(
    place: str, team: Team, open_page: OpenPage, site: Callable[[str], str], expected_errors: list[str]
) -> None:
    expected_errors += ["Refused to (frame|display)", "Framing", "status of 403", "X-Frame-Options", "frame-ancestors"]
    document = team.store("ann", "Metrics", Slider(start=0, end=10, value=3, title="Speed"))
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    page = open_page(site(f'<iframe src="{team.url}/bokeh/{place.format(document)}"></iframe>'))
    until(lambda: len(page.frames), lambda count: count == 2)
    page.wait_for_timeout(500)
    assert all("Speed" not in frame.locator("body").inner_text() for frame in page.frames)
    assert page.frames[1].locator("#frame").count() == 0


def test_who_looks_is_shown_by_name_to_those_who_may_change_it(team: Team, open_page: OpenPage) -> None:
    document = team.store("ann", "Metrics", Slider(start=0, end=10, value=3, title="Speed"))
    team.share(document, "bob")
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    owner, viewer = (team.enter(open_page, name) for name in ("ann", "bob"))
    for page in (owner, viewer):
        page.goto(team.link(document))
    guest = open_page(f"{team.link(document)}?public=true")
    for page in (owner, viewer, guest):
        expect(page.locator("#viewers")).to_have_text("3 viewing")
    owner.get_by_role("button", name="3 viewing").click()
    expect(owner.get_by_role("list", name="Looking now").locator("li")).to_have_text(
        ["ann (you)", "bob", "1 without an account"]
    )
    for page in (viewer, guest):
        expect(page.get_by_role("button", name="3 viewing")).to_have_count(0)
