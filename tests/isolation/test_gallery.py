"""Ordinary documents still work in the frame: drawn without a complaint, with their scripts, and without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bokeh.document import Document
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser.conftest import until
from tests.isolation.conftest import ALL
from tests.isolation.gallery import LOOKS, PLAIN, SCRIPTED, Make, Scripted, tick_labels
from tests.isolation.stage import Stage

READY = """globalThis.Bokeh?.documents[0]?.is_idle === true && Bokeh.documents[0].roots().length > 0"""
WORDS = """
  const named = (name) => Bokeh.documents[0].get_model_by_name(name);
  const found = (wanted, root = document) => [...root.querySelectorAll("*")].flatMap((element) => [
    ...(element.matches(wanted) ? [{textContent: text_of(element)}] : []),
    ...(element.shadowRoot ? found(wanted, element.shadowRoot) : [])]);
  const glyphs = () => [...Bokeh.documents[0].views_manager.query(({model}) => model.type === "GlyphRenderer")];
  const text_of = (node) => [...(node.shadowRoot ?? node).childNodes, ...(node.shadowRoot ? node.childNodes : [])]
    .filter(({localName}) => localName !== "style").map((part) => part.data ?? text_of(part)).join("").trim();
"""
DRAWN = """() => Bokeh.documents[0].roots().every((root) => {
  const {width, height} = Bokeh.documents[0].views_manager.get(root).el.getBoundingClientRect();
  return width > 20 && height > 5;
})"""


@pytest.fixture(scope="module")
def without(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server that runs no scripts of documents."""
    with Stage(chromium, tmp_path_factory.mktemp("off"), "--document-scripts", "off") as made:
        yield made


class Shown:
    """A document on a viewer's screen."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frame = page.frames[1]
        self.until(READY)

    def holds(self, expression: str) -> bool:
        """Whether an expression over the document is true in the frame."""
        return self.frame.evaluate(f"() => {{ {WORDS} return !!({expression}) }}") is True

    def until(self, expression: str) -> None:
        """Wait until it is."""
        until(lambda: self.holds(expression), seconds=20)

    def do(self, gesture: str | None) -> None:
        """Use the mouse."""
        match gesture:
            case "press":
                self.frame.get_by_role("button", name="press me").click()
            case "slide":
                self.frame.locator(".noUi-base").click()
            case "click":
                self.frame.get_by_text("sort me").click()
            case "hover":
                self._hover()

    def _hover(self) -> None:
        box = self.frame.locator(".bk-Canvas").first.bounding_box()
        assert box is not None
        for part in (0.5, 0.52, 0.5):  # the middle point is in the middle
            self.page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] * (1 - part))


@contextmanager
def shown(stage: Stage, make: Make) -> Iterator[Shown]:
    """Show a document; at the end nothing may have complained."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    name = getattr(make, "__name__", "made")
    document = Document(title=name)
    document.add_root(make())
    kept = stage.put(name, document)
    page = stage.context.new_page()
    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(stage.link(kept))
    yield Shown(page)
    page.close()
    assert complaints == []


def label(of: Callable[..., object] | Scripted) -> str:
    return (of.make if isinstance(of, Scripted) else of).__name__


@pytest.mark.parametrize("make", PLAIN if ALL else [make for make in PLAIN[:15] if make not in LOOKS], ids=label)
def test_an_ordinary_document_is_drawn_behind_the_wall(make: Make, stage: Stage) -> None:
    with shown(stage, make) as document:
        assert document.frame.evaluate(DRAWN)


@pytest.mark.parametrize("make", LOOKS, ids=label)
def test_what_an_ordinary_document_has_beyond_its_picture_is_there_too(make: Make, stage: Stage) -> None:
    gesture, there = LOOKS[make]
    with shown(stage, make) as document:
        document.do(gesture)
        document.until(there)


def test_the_gallery_is_large_enough() -> None:
    assert len(PLAIN) + len(SCRIPTED) >= 50
    assert len({*PLAIN[:15], *LOOKS}) + len(SCRIPTED) >= 40, "in every run of the suite"


@pytest.mark.parametrize("scripted", SCRIPTED, ids=label)
def test_a_script_that_belongs_to_a_document_does_its_work(scripted: Scripted, stage: Stage) -> None:
    with shown(stage, scripted.make) as document:
        assert document.frame.evaluate(DRAWN)
        document.do(scripted.gesture)
        document.until(scripted.ran)
        assert document.page.locator("#scripts").count() == 0


@pytest.mark.parametrize("scripted", SCRIPTED if ALL else SCRIPTED[::2], ids=label)
def test_without_scripts_none_runs_and_the_document_still_shows(scripted: Scripted, without: Stage) -> None:
    with shown(without, scripted.make) as document:
        assert document.frame.evaluate(DRAWN)
        document.do(scripted.gesture)
        document.until(scripted.without)
        expect(document.page.locator("#scripts")).to_have_text("· its scripts were not run")
        expect(document.page.locator("#scripts")).to_be_visible()


def test_without_scripts_a_document_that_has_none_says_nothing_of_them(without: Stage) -> None:
    with shown(without, PLAIN[0]) as document:
        expect(document.page.locator("#status")).to_have_text("Live")
        assert document.page.locator("#scripts").is_hidden()


def test_without_scripts_changes_of_a_model_that_carries_one_arrive(without: Stage, tmp_path: Path) -> None:
    """The model is what it was, to the server and to other pages; only its code does nothing."""
    with shown(without, tick_labels) as document, shown(without, PLAIN[0]):
        kept = document.page.url.rsplit("/", 1)[1]
        find = 'Bokeh.documents[0].get_model_by_name("axis").formatter'
        identity = document.frame.evaluate(find + ".id")
        path = f"/api/v1/documents/{kept}/models/{identity}/code"
        without.server.request("PUT", path, "globalThis.ran = true; return 'changed'")
        document.until(f"{find}.code.endsWith(\"'changed'\")")
        document.frame.evaluate(find + ".code = 'globalThis.ran = true; return 1'")
        until(lambda: without.server.request("GET", path), lambda code: code.endswith("return 1"))
        document.until("globalThis.ran === undefined")


def test_without_scripts_what_comes_by_a_patch_does_not_run_either(without: Stage) -> None:
    with shown(without, PLAIN[0]) as document:
        expect(document.page.locator("#status")).to_have_text("Live")
        assert document.page.locator("#scripts").is_hidden()
        kept = document.page.url.rsplit("/", 1)[1]
        axis = document.frame.evaluate("Bokeh.documents[0].roots()[0].below[0].id")
        code = {"code": "globalThis.ran = true; return 'x'"}
        formatter = {"type": "object", "name": "CustomJSTickFormatter", "id": "new", "attributes": code}
        without.server.request("PUT", f"/api/v1/documents/{kept}/models/{axis}/formatter", formatter)
        document.until("Bokeh.documents[0].get_model_by_id('new') !== null && globalThis.ran === undefined")
        expect(document.page.locator("#scripts")).to_be_visible()
