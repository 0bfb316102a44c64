"""Documents in pages of other sites, by the tag that their owner copies: published ones, and private ones by a link."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bokeh.core.types import ID
from bokeh.embed import server_document, server_session
from bokeh.models.widgets import Slider, Toggle
from bokeh.plotting import figure
from playwright.sync_api import Frame, Locator, expect

from tests.browser.conftest import OpenPage, Screen, until
from tests.browser.team import Team
from tests.deploy.proxies import make_certificate
from tests.documented import blocks
from tests.running import environment


@pytest.fixture
def site() -> Iterator[Callable[..., str]]:
    """Another site: ``site(html)`` serves this page, with the policy that is named, and gives its address."""
    with elsewhere() as publish:
        yield publish


@contextmanager
def elsewhere(certificate: tuple[Path, Path] | None = None) -> Iterator[Callable[..., str]]:
    """Another site, over TLS with a certificate and its key: "127.0.0.1" is not "localhost"."""
    pages: list[tuple[bytes, str | None]] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            page, policy = pages[-1]
            if policy is not None:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(page if self.path == "/" else b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def publish(html: str, policy: str | None = None) -> str:
        start = "" if html.startswith("<!doctype") else "<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>"
        pages.append((f"{start}{html}".encode(), policy))
        return f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}/"

    yield publish
    server.shutdown()
    server.server_close()


def test_the_tag_shows_the_document_live_and_its_guest_changes_nothing(
    team: Team, open_page: OpenPage, site: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("status of 404")  # when it is published no longer
    slider = Slider(start=0, end=10, value=3, title="Speed")
    document = team.store("ann", 'Metrics "now" <b>', slider)
    owner = team.enter(open_page, "ann")
    owner.goto(team.link(document))
    owner.get_by_role("button", name="Share").click()
    dialog = owner.get_by_role("dialog")
    dialog.get_by_role("switch").check()
    tag = dialog.get_by_label("The tag to embed it")
    expect(tag).to_be_visible()  # it is published
    page = open_page(site(tag.input_value()))
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


def within(frames: list[Frame], place: str = "/bokeh/embed/") -> Screen:
    """The document in the page in the page."""
    (outer,) = until(lambda: [frame for frame in frames if place in frame.url], lambda found: len(found) == 1)
    return Screen(outer)


def share_with(team: Team, document: str, site: str, **more: Any) -> dict[str, Any]:
    """A link to ann's document for pages of a site."""
    body = {"embed": [site], **more}
    return dict(team.call("ann", "POST", f"/api/v1/documents/{document}/links", body))


def test_a_private_document_shows_in_the_page_it_has_a_link_for_until_that_ends(
    team: Team, open_page: OpenPage, site: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("status of 404")  # when the link has ended
    slider = Slider(start=0, end=10, value=3, title="Speed")
    document = team.store("ann", "Private metrics", slider)
    link = share_with(team, document, site(""), name="intranet")
    page = open_page(site(link["tag"]))
    screen = within(page.frames, "/bokeh/linked/")
    with team.feed("ann", document) as program:
        program.set(slider.id, "value", 7)
        screen.shows(slider.id, "value", 7)
        screen.set(slider.id, "value", 5)
        page.wait_for_timeout(500)
    assert team.call("ann", "GET", f"/api/v1/documents/{document}/models/{slider.id}/value") == 7
    outer = page.frame_locator("iframe")
    expect(outer.locator("#status")).to_have_text("Live")
    assert page.frames[1].title() == "Private metrics · bokeh-server"
    assert not page.context.cookies()
    team.call("ann", "DELETE", f"/api/v1/documents/{document}/links/{link['id']}")
    expect(outer.get_by_text("You can't see this document any more.")).to_be_visible(timeout=1_000)
    page.reload()
    expect(outer.get_by_text("You can't see this document any more.")).to_be_visible()


def test_an_editor_by_a_links_page_changes_the_document(
    team: Team, open_page: OpenPage, site: Callable[..., str]
) -> None:
    slider = Slider(start=0, end=10, value=3, title="Speed")
    document = team.store("ann", "Control", slider)
    page = open_page(site(share_with(team, document, site(""), role="editor")["tag"]))
    screen = within(page.frames, "/bokeh/linked/")
    screen.shows(slider.id, "value", 3)
    screen.set(slider.id, "value", 5)
    stored = f"/api/v1/documents/{document}/models/{slider.id}/value"
    until(lambda: team.call("ann", "GET", stored), lambda value: value == 5)


def test_a_page_of_a_site_that_the_link_is_not_for_shows_nothing(
    team: Team, open_page: OpenPage, site: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors += ["Refused to (frame|display)", "Framing", "frame-ancestors"]
    document = team.store("ann", "Private", Slider(start=0, end=10, value=3, title="Speed"))
    page = open_page(site(share_with(team, document, "https://intranet.example")["tag"]))
    until(lambda: len(page.frames), lambda count: count == 2)
    page.wait_for_timeout(500)
    assert all("Speed" not in frame.locator("body").inner_text() for frame in page.frames)
    assert page.frames[1].locator("#frame").count() == 0


def height(frame: Locator) -> float:
    """How tall an iframe is, in pixels."""
    box = frame.bounding_box()
    assert box is not None
    return box["height"]


def test_several_in_a_page_with_a_strict_policy_each_as_tall_as_its_plot(
    team: Team, open_page: OpenPage, site: Callable[..., str]
) -> None:
    small, tall = figure(width=300, height=150), figure(width=300, height=700)
    for plot in (small, tall):
        plot.line([1, 2, 3], [3, 1, 2])
    both = team.store("ann", "Two plots", small, tall)
    slider = Slider(start=0, end=10, value=3, title="Speed")
    other = team.store("ann", "One", slider)
    team.call("ann", "PUT", f"/api/v1/documents/{other}/published")
    link = share_with(team, both, site(""))
    tags = [
        *(link["tag"].replace("#", f"&amp;model={plot.id}#") for plot in (small, tall)),
        f'<script src="{team.url}/bokeh/autoload.js?document={other}&amp;public=true"></script>',
    ]
    policy = f"default-src 'none'; script-src {team.url}; frame-src {team.url}"
    page = open_page(site("<hr>".join(tags), policy), viewport={"width": 390, "height": 844})
    frames = page.locator("iframe")
    expect(frames).to_have_count(3)
    for number in range(3):
        expect(frames.nth(number).content_frame.locator("#status")).to_have_text("Live")
    heights = [until(partial(height, frames.nth(number)), lambda found: found != 500) for number in range(3)]
    assert 150 < heights[0] < 350
    assert 700 < heights[1] < 900
    assert heights[2] < 200
    expect(page.frame_locator("iframe >> nth=0").get_by_role("link", name="Whole document")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


class Secure(Team):
    """A server with accounts that ends TLS itself."""

    @property
    def url(self) -> str:
        """``https``."""
        return super().url.replace("http", "https", 1)


def test_over_https_with_a_strict_policy_on_a_phone(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = certificate, key = make_certificate(tmp_path, name="localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure = Secure(tmp_path / "team", "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
    phone = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 3, "is_mobile": True, "has_touch": True}
    with secure, elsewhere(pair) as site:
        secure.populate("ann")
        toggle = Toggle(label="Lamp", width=200)
        plot = figure(sizing_mode="stretch_width", height=250)
        plot.line([1, 2, 3], [3, 1, 2])
        document = secure.store("ann", "At home", toggle, plot)
        tag = share_with(secure, document, site(""), role="editor")["tag"]
        policy = f"default-src 'none'; script-src {secure.url}; frame-src {secure.url}"
        head = "<!doctype html><meta name=viewport content='width=device-width'><h1>Elsewhere</h1>"
        page = open_page(site(head + tag, policy), ignore_https_errors=True, **phone)
        outer = page.frame_locator("iframe")
        expect(outer.locator("#status")).to_have_text("Live")
        assert page.evaluate("[isSecureContext, document.documentElement.scrollWidth]") == [True, 390]
        inner = outer.frame_locator("#frame")
        drawn = inner.locator(".bk-Figure").bounding_box()
        assert drawn is not None
        assert 250 < drawn["width"] <= 390
        inner.get_by_role("button", name="Lamp").tap()
        stored = f"/api/v1/documents/{document}/models/{toggle.id}/active"
        until(lambda: secure.call("ann", "GET", stored), lambda value: value is True)
        with secure.feed("ann", document) as program:
            program.set(toggle.id, "label", "Light")
            expect(inner.get_by_role("button", name="Light")).to_be_visible()
        page.goto("about:blank")  # or it would miss its server


def test_a_private_document_without_a_link_says_so_in_another_sites_page(
    team: Team, open_page: OpenPage, site: Callable[..., str]
) -> None:
    document = team.store("ann", "Private", Slider(start=0, end=10, value=3, title="Speed"))
    page = open_page(site(f'<script src="{team.url}/bokeh/autoload.js?document={document}"></script>'))
    expect(page.get_by_text("This plot is private: publish it, or make a link for this site")).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)


def test_a_tag_in_the_head_puts_the_plot_into_the_page(
    team: Team, open_page: OpenPage, site: Callable[..., str]
) -> None:
    document = team.store("ann", "Head", Slider(start=0, end=10, value=3, title="Speed"))
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    tag = f'<script src="{team.url}/bokeh/autoload.js?document={document}&amp;public=true"></script>'
    page = open_page(site(f"<!doctype html><html><head><title>x</title>{tag}</head><body><p>text</p></body></html>"))
    expect(page.frame_locator("body > iframe").locator("#status")).to_have_text("Live")


@pytest.mark.parametrize("place", ["doc/{}?public=true", "frame/{}?public=true&embedded=true", "doc/{}"])
def test_no_other_page_of_ours_shows_within_another(
    place: str, team: Team, open_page: OpenPage, site: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors += ["Refused to (frame|display)", "Framing", "status of 403", "X-Frame-Options", "frame-ancestors"]
    document = team.store("ann", "Metrics", Slider(start=0, end=10, value=3, title="Speed"))
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    page = open_page(site(f'<iframe src="{team.url}/bokeh/{place.format(document)}"></iframe>'))
    until(lambda: len(page.frames), lambda count: count == 2)
    page.wait_for_timeout(500)
    assert all("Speed" not in frame.locator("body").inner_text() for frame in page.frames)
    assert page.frames[1].locator("#frame").count() == 0


def test_pages_that_were_made_for_bokeh_serve_show_what_is_published(
    team: Team, open_page: OpenPage, site: Callable[..., str]
) -> None:
    slider = Slider(start=0, end=10, value=3, title="Speed")
    document = team.store("ann", "For bokeh's tags", slider)
    team.call("ann", "PUT", f"/api/v1/documents/{document}/published")
    tags = [
        server_document(team.link(document), arguments={"a": "b"}, resources=None),
        server_session(slider, session_id=ID("some-session"), url=team.link(document)),
    ]
    page = open_page(site("<hr>".join(tags)))
    expect(page.locator("iframe")).to_have_count(2)
    for number in range(2):
        expect(page.locator("iframe").nth(number).content_frame.locator("#status")).to_have_text("Live")
    screen = Screen(next(frame for frame in page.frames if "/bokeh/embed/" in frame.url))
    with team.feed("ann", document) as program:
        program.set(slider.id, "value", 7)
        screen.shows(slider.id, "value", 7)


def test_what_the_page_about_embedding_says_works(
    team: Team, open_page: OpenPage, site: Callable[..., str], tmp_path: Path
) -> None:
    public, private = blocks("docs/howto/embed.md", "python")
    url = site("")
    script = public + private.replace("https://intranet.example", url)
    known = {"BOKEH_SERVER_URL": team.url, "BOKEH_SERVER_TOKEN": team.tokens["ann"], "BOKEH_BROWSER": "none"}
    told = subprocess.run(
        [sys.executable, "-c", script], env={**environment(), **known}, capture_output=True, text=True, check=True
    )
    *_, published, linked = told.stdout.splitlines()
    page = open_page(site(f"{published}<hr>{linked}"))
    expect(page.locator("iframe")).to_have_count(2)
    for number in range(2):
        expect(page.locator("iframe").nth(number).content_frame.locator("#status")).to_have_text("Live")
    assert len([frame for frame in page.frames if "/bokeh/linked/" in frame.url]) == 1


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
