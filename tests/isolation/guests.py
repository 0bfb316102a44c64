"""The stage on a server with accounts: the viewer has logged in, and the hostile document is somebody else's.

``Shared``: its owner lets him change it. ``Embedded``: it is published, and he meets it in a page of another site.
``Hosted``: the server is a part of a site in Flask, where he has logged in, and which has cookies of its own.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, FrameLocator, Page

from tests.hosts.test_members import COMMANDS, Member
from tests.hosts.test_sites import Site
from tests.isolation.stage import Stage
from tests.running import RunningServer
from tests.web.town import Person, Town

EMBED = '<!doctype html><title>elsewhere</title><p>elsewhere</p><iframe src="{}" width="900" height="600"></iframe>'

MARKER = "globalThis.Bokeh?.documents.at(-1)?.get_model_by_name('marker')?.text ?? ''"


class Shared(Stage):
    """The documents are mallory's; anna looks at them, and has one of her own for them to go for."""

    anna: Person | Member
    mallory: Person | Member

    def __init__(self, browser: Browser, *more: Any) -> None:
        super().__init__(browser, *more, "-m")

    def settle(self) -> None:
        """Make the two; anna logs in."""
        assert isinstance(self.server, RunningServer)
        town = Town(self.server)
        self.anna, self.mallory = town.person("anna"), town.person("mallory")
        (cookie,) = dict(town.browser("anna").headers).values()
        name, _, value = cookie.partition("=")
        self.context.add_cookies(
            [{"name": name, "value": value, "url": self.server.url, "httpOnly": True, "sameSite": "Lax"}]
        )

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Anna reads, and stores what is to be hers; mallory does everything else."""
        person = self.anna if method == "GET" or path.endswith("/victim") else self.mallory
        return answer(person, method, path, body)

    def put(self, name: str, document: Any) -> str:
        """Store a document, and let anna have it."""
        id = super().put(name, document)
        if name != "victim":
            self.offer(id)
        return id

    def offer(self, id: str) -> None:
        """Let anna change it."""
        answer(self.mallory, "PUT", f"/api/v1/documents/{id}/grants/anna", {"role": "editor"})


class Embedded(Shared):
    """The documents are published, and within a page of the outside; what they tell stays in that page."""

    def offer(self, id: str) -> None:
        """Let everybody see it."""
        answer(self.mallory, "PUT", f"/api/v1/documents/{id}/published")

    def link(self, document: str) -> str:
        """The other site's page."""
        return f"{self.outside.url}/elsewhere.html?{document}"

    def open(self, page: Page, document: str) -> None:
        """Show the other site's page."""
        self.told = ""
        self.outside.page = EMBED.format(f"{self.server.url}/bokeh/embed/{document}")
        super().open(page, document)

    def around(self, page: Page) -> FrameLocator:
        """Our page around the frame."""
        return page.frame_locator("iframe")

    def said(self, page: Page, document: str) -> str:
        """The document's report so far: a guest's changes never reach the server."""
        assert self.marker(document) == ""
        frames = [frame for frame in page.frames if f"/bokeh/frame/{document}" in frame.url]
        with suppress(Error):  # it is leaving
            self.told = str(frames[0].evaluate(MARKER)) if frames else self.told
        return self.told


class Members:
    """The site with members, as a stage has a server."""

    def __init__(self, data: Path) -> None:
        self.site = Site(data, COMMANDS["gunicorn"])
        self.url = self.site.url.rstrip("/")

    def stop(self) -> None:
        """End it."""
        self.site.stop()


class Hosted(Shared):
    """The documents are mallory's; anna is a member of the site, whose session is in a cookie of its own."""

    def serve(self, data: Path, flags: tuple[str, ...], mutant: str | None) -> Members:
        """The site."""
        assert mutant is None
        return Members(data)

    def settle(self) -> None:
        """Both log in at the site, anna by a browser."""
        assert isinstance(self.server, Members)
        self.anna, self.mallory = Member(self.server.site, "anna"), Member(self.server.site, "mallory")
        self.anna("GET", "/api/v1/account")  # from now on she is known, and things can be shared with her
        name, _, value = self.anna.headers[0][1].partition("=")
        self.context.add_cookies([{"name": name, "value": value, "url": self.server.url, "httpOnly": True}])


def answer(person: Person | Member, method: str, path: str, body: Any = None) -> Any:
    """What comes of a request that must work."""
    if isinstance(person, Member):
        got = person(method, path, body)
    else:
        got = person(method, path, body, **({} if body is None else {"Content_Type": "application/json"}))
    assert got.status < 300, got
    return got.json if got.body else None
