"""How far a page is behind its server: it says so, whatever its clock says, and through a slow network as well."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bokeh.models import ColumnDataSource
from bokeh.models.widgets import Div
from bokeh.plotting import figure
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from tests.browser.conftest import OpenPage, Screen, until
from tests.browser.narrow import Narrow
from tests.browser.producer import Producer
from tests.browser.server import Server
from tests.deploy.proxies import free_port

AN_HOUR_AHEAD = """
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...all) { super(...(all.length > 0 ? all : [Real.now() + 3_600_000])); }
  static now() { return Real.now() + 3_600_000; }
};
"""
BEHIND = re.compile(r"^\d+ s behind$")
WORDS = re.compile(r"^(\d+) ms behind the server$|^([\d.]+) s behind the server$")


def lag(page: Page) -> float | None:
    """The seconds in the badge's tooltip; None where it says nothing."""
    found = WORDS.match(page.locator("#status").get_attribute("title") or "")
    return None if found is None else float(found[1]) / 1000 if found[1] else float(found[2])


@contextmanager
def streaming(server: Server, document: str, text: Div, size: int) -> Iterator[None]:
    """A program that sets a text of so many characters twenty times a second."""
    done = threading.Event()

    def run() -> None:
        with connect(server.socket(document), max_size=None, compression=None) as socket:
            program = Producer(socket)
            for number in range(100_000):
                if done.wait(0.05):
                    return
                program.set(text.id, "text", f"{number} " + "x" * size)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def narrow() -> Iterator[Narrow]:
    with Narrow() as line:
        yield line


def behind(narrow: Narrow, serve: Callable[..., Server]) -> Server:
    """A server that browsers reach by a narrow line, and programs directly."""
    narrow.target = free_port()
    server = serve("--port", str(narrow.target), "--public-url", f"http://localhost:{narrow.port}")
    server.port = narrow.target  # it has printed its public address
    return server


def through(narrow: Narrow, serve: Callable[..., Server]) -> tuple[Server, str, Div]:
    """A server that browsers reach by a narrow line, and a document with a text in it."""
    server, text = behind(narrow, serve), Div(text="first")
    return server, server.put("slow", text), text


def test_a_page_is_told_in_its_badge_how_far_it_is_behind(serve: Callable[..., Server], open_page: OpenPage) -> None:
    server = serve()
    text = Div(text="first")
    document = server.put("quick", text)
    page = open_page(server.link(document))
    expect(page.locator("#status")).to_have_text("Live")
    with streaming(server, document, text, 10):
        first = until(lambda: lag(page), lambda seen: seen is not None and seen < 1, seconds=30)
        until(lambda: lag(page), lambda seen: seen not in (None, first), seconds=30)
        expect(page.locator("#status")).to_have_text("Live")


def test_a_wrong_clock_deceives_nobody(serve: Callable[..., Server], open_page: OpenPage) -> None:
    server = serve()
    text = Div(text="first")
    document = server.put("clock", text)
    page = open_page()
    page.context.add_init_script(AN_HOUR_AHEAD)
    page.goto(server.link(document))
    expect(page.locator("#status")).to_have_text("Live")
    assert abs(page.evaluate("Date.now()") / 1000 - time.time() - 3600) < 60
    screen = Screen(page)
    assert abs(screen.ask("Date.now()") / 1000 - time.time() - 3600) < 60
    with streaming(server, document, text, 10):
        first = until(lambda: lag(page), lambda seen: seen is not None)
        second = until(lambda: lag(page), lambda seen: seen not in (None, first), seconds=30)
        assert second is not None
        assert second < 60
        until(lambda: lag(page), lambda seen: seen is not None and seen < 1, seconds=30)


def test_behind_a_slow_network_a_page_says_so_until_it_has_caught_up(
    narrow: Narrow, serve: Callable[..., Server], open_page: OpenPage
) -> None:
    server, document, text = through(narrow, serve)
    page = open_page(f"http://localhost:{narrow.port}/bokeh/doc/{document}")
    status = page.locator("#status")
    expect(status).to_have_text("Live")
    screen = Screen(page)
    until(lambda: lag(page), lambda seen: seen is not None and seen < 1, seconds=30)
    with streaming(server, document, text, 20_000):
        narrow.rate = 40_000
        expect(status).to_have_text(BEHIND, timeout=40_000)
        assert re.search(r"\bwaiting\b", status.get_attribute("class") or "")
        told = lag(page)
        assert told is not None
        assert told >= 1
    narrow.rate = None
    expect(status).to_have_text("Live", timeout=40_000)
    until(lambda: lag(page), lambda seen: seen is not None and seen < 1, seconds=30)
    until(lambda: str(screen.get(text.id, "text")), lambda seen: not seen.startswith("first"))


def test_a_page_says_how_far_it_is_behind_while_nothing_comes_at_all(
    narrow: Narrow, serve: Callable[..., Server], open_page: OpenPage
) -> None:
    server, document, text = through(narrow, serve)
    page = open_page(f"http://localhost:{narrow.port}/bokeh/doc/{document}")
    status = page.locator("#status")
    expect(status).to_have_text("Live")
    with streaming(server, document, text, 10):
        until(lambda: lag(page), lambda seen: seen is not None and seen < 1, seconds=30)
        until(lambda: Screen(page).get(text.id, "text"), lambda seen: seen != "first")
        narrow.rate = 1.0
        expect(status).to_have_text(BEHIND, timeout=30_000)
        first = lag(page)
        assert first is not None
        until(lambda: lag(page), lambda seen: seen is not None and seen > first + 2, seconds=30)
        expect(status).to_have_text(BEHIND)
        narrow.rate = None


def test_what_is_told_is_how_old_it_is_what_one_sees(
    narrow: Narrow, serve: Callable[..., Server], open_page: OpenPage
) -> None:
    """The server and this test have one clock: what the page shows says when it was sent."""
    server = behind(narrow, serve)
    source = ColumnDataSource({"at": [0.0], "x": ["x" * 8_000]})
    plot = figure(width=200, height=200)
    plot.scatter("at", "at", source=source)
    document = server.put("aged", plot)
    page = open_page(f"http://localhost:{narrow.port}/bokeh/doc/{document}")
    expect(page.locator("#status")).to_have_text("Live")
    screen = Screen(page)
    done = threading.Event()

    def run() -> None:
        with connect(server.socket(document), max_size=None, compression=None) as socket:
            program = Producer(socket)
            while not done.wait(0.1):
                program.stream(source.id, {"at": [time.time()], "x": ["x" * 8_000]}, 5)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        narrow.rate = 40_000
        pairs: list[tuple[float, float]] = []
        end = time.monotonic() + 40
        while len(pairs) < 5 and time.monotonic() < end:
            told, newest = lag(page), max(screen.column(source.id, "at"))
            age = time.time() - newest
            if told is not None and told >= 1 and newest:
                pairs.append((told, age))
            page.wait_for_timeout(700)
    finally:
        done.set()
        thread.join()
    assert len(pairs) == 5
    ratio = sorted(told / age for told, age in pairs)[2]
    assert 0.3 < ratio < 3, f"told and true ages: {pairs}"
