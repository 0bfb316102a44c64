"""Where the corpus is played: a real server, a browser with something to steal, and a listener outside.

``Stage.play`` opens one hostile document in our page, waits until it has told what it tried, and returns what it got:
an empty list where the wall holds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from bokeh.document import Document
from playwright.sync_api import Browser, Dialog, FrameLocator, Page

from tests.isolation.attacks import CANARY, Place
from tests.isolation.outside import Outside
from tests.running import RunningServer

MUTANTS = str(Path(__file__).with_name("mutants.py"))
PATIENCE = 25.0
"""Seconds for a document to say that it is done; it takes about one."""
LEFT = '{"tried": ["leaving"], "leaks": [], "done": true}'
"""The report of a document that left its frame before anybody could read what it said."""
PLANT = """async (canary) => {
  localStorage.setItem("canary", canary);
  sessionStorage.setItem("canary", canary);
  await (await caches.open("canary")).put("/canary", new Response(canary));
  await new Promise((resolve) => { indexedDB.open("canary").onsuccess = resolve; });
}"""
SHELL = """() => [...document.querySelectorAll("*")]
  .filter((element) => !element.closest("#toasts, .state, dialog"))
  .map((element) => {
    const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
    return [element.localName, element.id, own, element.getAttribute("src"), element.getAttribute("onclick")].join("|");
  })"""
"""The shell, but for what it shows of its state and of what it asks."""


@dataclass(frozen=True)
class Case:
    """A hostile document: ``make`` gets where it is; ``gesture`` is what the mouse must do for its code to run."""

    name: str
    make: Callable[[Place], Document] = field(repr=False)
    gesture: str | None = None
    expects: str = ""
    """What its report must say that it tried."""


@dataclass
class Played:
    """What a document tried, by its own report, and what came out of it."""

    tried: list[str]
    leaks: list[str] = field(default_factory=list)


class Stage:
    """One server and one profile of the browser for many documents. ``mutant`` names a server without a wall."""

    def __init__(self, browser: Browser, folder: Path, *flags: str, mutant: str | None = None) -> None:
        self.outside = Outside()
        self.server: Any = self.serve(folder / "data", flags, mutant)
        self.context = browser.new_context(viewport={"width": 1000, "height": 700}, accept_downloads=True)
        self.context.add_init_script("globalThis.pristine = globalThis.RTCPeerConnection")
        self.settle()
        self.victim = self.put("victim", Document(title="victim"))
        self._plant()
        self.held = self.cookies()
        self.kept = self.others()
        self.since = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()
        self.server.stop()
        self.outside.__exit__()

    def serve(self, data: Path, flags: tuple[str, ...], mutant: str | None) -> Any:
        """A server with its data in this folder, or what else has a ``url`` and can ``stop``."""

        class Server(RunningServer):
            program = ("-m", "bokeh_server") if mutant is None else (MUTANTS, mutant)

        return Server(data, *flags)

    def settle(self) -> None:
        """Make the people of the server, where it has some."""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request by whoever may do it."""
        return self.server.request(method, path, body)

    @property
    def place(self) -> Place:
        """Where this is, for the documents."""
        return Place(self.server.url, self.outside.url, self.victim)

    def put(self, name: str, document: Document) -> str:
        """Store a document; its id."""
        content = document.to_json(deferred=False)
        return str(self.call("PUT", f"/api/v1/documents/{quote(name, safe='')}", content)["id"])

    def link(self, document: str) -> str:
        """The page of a document."""
        return f"{self.server.url}/bokeh/doc/{document}"

    def play(self, case: Case) -> Played:
        """Show the document until it is done; what it did."""
        document = self.put(case.name, case.make(self.place))
        self.since = len(self.outside.heard)
        page = self.page()
        try:
            return self._play(case, document, page)
        finally:
            page.close()
            self.call("DELETE", f"/api/v1/documents/{document}")

    def page(self) -> Page:
        """A new page, of which it is known where its frames have been."""
        page = self.context.new_page()
        self.navigated: list[str] = []
        page.on("framenavigated", lambda frame: self.navigated.append(frame.url))
        return page

    def open(self, page: Page, document: str) -> None:
        """Show the document."""
        page.goto(self.link(document))

    def _play(self, case: Case, document: str, page: Page) -> Played:
        surprises: list[str] = []
        page.goto(f"{self.server.url}/")  # so that there is somewhere to go back to
        watch_dialogs(page, surprises)
        self.open(page, document)
        shell = self.shell(page)
        if case.gesture is not None:
            self._gesture(case.gesture, page)
        report = self.report(page, document, case)
        played = Played(report["tried"])
        leaks = [*report["leaks"], *surprises]
        leaks += [f"reported: {kept}" for kept in self.held if kept in json.dumps(report)]
        leaks += [f"outside: {line or 'a connection'}" for line in self.outside.about(case.name, self.since)]
        leaks += self._changes(page, document, shell)
        if leaks:
            self._repair(document)
        played.leaks = leaks
        return played

    def _repair(self, document: str) -> None:
        """As if nothing had got out, for the next document."""
        self.context.clear_cookies()
        self._cookie()
        self.victim = self.put("victim", Document(title="victim"))
        self.kept = self.others(document)

    def cookies(self) -> list[str]:
        """The values of the browser's cookies."""
        return sorted(cookie.get("value", "") for cookie in self.context.cookies())

    def _cookie(self) -> None:
        self.context.add_cookies([{"name": "canary", "value": CANARY, "url": self.server.url}])

    def _plant(self) -> None:
        self._cookie()
        page = self.context.new_page()
        page.goto(f"{self.server.url}/")
        page.evaluate(PLANT, CANARY)
        page.close()

    def _gesture(self, gesture: str, page: Page) -> None:
        frame = self.around(page).frame_locator("#frame")
        if gesture == "click":
            frame.get_by_text("sort me").click()
        else:
            box = frame.locator(".bk-Canvas").first.bounding_box()
            assert box is not None
            for part in (0.5, 0.52):  # the middle point is in the middle
                page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] * (1 - part))

    def report(self, page: Page, document: str, case: Case) -> dict[str, Any]:
        """What the document says of itself, by way of the server; a document that leaves its frame stops half way."""
        deadline = time.monotonic() + PATIENCE
        report: dict[str, Any] = {"tried": [], "leaks": [], "done": False}
        while not report["done"]:
            page.wait_for_timeout(40)
            left = self._left(page, document)
            if said := self.said(page, document) or (LEFT if left else ""):
                report = json.loads(said)
                report["done"] = report["done"] or left
            assert time.monotonic() < deadline, f"{case.name} did not finish: {report}"
        return report

    def said(self, page: Page, document: str) -> str:
        """The document's report so far."""
        return self.marker(document)

    def shell(self, page: Page) -> list[str]:
        """What there is in our page around the frame."""
        return list(self.around(page).locator(":root").evaluate(SHELL))

    def around(self, page: Page) -> Page | FrameLocator:
        """Our page around the frame."""
        return page

    def marker(self, document: str) -> str:
        """What the server has of the document's report."""
        stored = self.call("GET", f"/api/v1/documents/{document}")
        for root in stored["roots"]:
            attributes = root.get("attributes", {})
            if attributes.get("name") == "marker":
                return str(attributes.get("text", ""))
        return ""

    def _left(self, page: Page, document: str) -> bool:
        """Whether the document was in its frame, which shows something else by now."""
        place = f"/bokeh/frame/{document}"
        return any(place in url for url in self.navigated) and all(place not in frame.url for frame in page.frames)

    def _changes(self, page: Page, document: str, shell: list[str]) -> list[str]:
        changes = []
        if page.url != self.link(document):
            return [f"the page is at {page.url}"]
        if (now := self.shell(page)) != shell:
            changes.append(f"the shell has changed: {sorted(set(now) ^ set(shell))}")
        if len(self.context.pages) > 1:
            changes.append(f"windows: {[other.url for other in self.context.pages]}")
            for other in self.context.pages:
                if other is not page:
                    other.close()
        changes += [f"a frame is at {inner.url}" for inner in page.frames[1:] if self.outside.url in inner.url]
        if self.cookies() != self.held:
            changes.append(f"cookies: {self.context.cookies()}")
        if (kept := self.others(document)) != self.kept:
            changes.append(f"other documents: {kept}")
        return changes

    def others(self, besides: str | None = None) -> list[tuple[str, str]]:
        """The other documents, by id and title."""
        listed = self.call("GET", "/api/v1/documents")
        return sorted((one["id"], one["title"]) for one in listed if one["id"] != besides)


def watch_dialogs(page: Page, told: list[str]) -> None:
    """Note what a page asks the viewer by the browser, and say no."""

    def dismiss(dialog: Dialog) -> None:
        told.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
