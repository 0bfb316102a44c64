"""Browser tests: the real server in a process of its own, and Chromium (its headless shell) driven by Playwright.

A page fails its test when the browser's console shows an error, a script throws, or the page could not go on and pulled
its document again, unless the test said beforehand which errors it means to cause (``expected_errors``).
``SCREENSHOTS=DIR`` keeps pictures of the pages (test_looks.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Frame, Page, expect, sync_playwright
from websockets.sync.client import connect

from tests.browser.producer import Producer
from tests.browser.server import Server
from tests.browser.team import Team

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP plots.test 127.0.0.1",
)
LOST = (r"WebSocket connection to .* failed", r"Failed to load resource: net::ERR_", r"status of 503")
"""What Chromium says, and no page can prevent, while a server is away."""
REMEMBER_SOCKETS = """
globalThis.sockets = [];
globalThis.WebSocket = class extends WebSocket {
  constructor(...all) { super(...all); sockets.push(this); }
};
"""
OpenPage = Callable[..., Page]

expect.set_options(timeout=20_000)  # a busy machine is no error


@pytest.fixture(scope="module")
def browser(shell_path: str) -> Iterator[Browser]:
    """One Chromium for the tests of a module: Playwright's event loop would be in the way of other modules' tests."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shell_path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers, each with a folder of its own: ``serve(*flags)``."""
    servers: list[Server] = []

    def start(*flags: str) -> Server:
        servers.append(Server(tmp_path / f"data {len(servers)}", *flags))
        return servers[-1]

    yield start
    for running in servers:
        running.stop()


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for all tests of a module."""
    running = Server(tmp_path_factory.mktemp("common") / "data")
    yield running
    running.stop()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """A running server of the test's own, or in common where the module is marked so: there each test has documents."""
    if request.node.get_closest_marker("common_server"):
        return cast(Server, request.getfixturevalue("common"))
    return cast(Server, request.getfixturevalue("serve")())


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """A server with accounts: ann, its administrator, bob, and eve."""
    running = Team(tmp_path / "team")
    running.populate("ann", "bob", "eve")
    yield running
    running.stop()


@pytest.fixture
def produce(server: Server) -> Iterator[Callable[..., Producer]]:
    """Connect a program to a document: ``produce(document, answers=False)``."""
    with ExitStack() as open_sockets:

        def join(document: str, *, answers: bool = False) -> Producer:
            socket = connect(server.socket(document), max_size=None, compression=None, close_timeout=1)
            return Producer(open_sockets.enter_context(socket), answers=answers)

        yield join


@pytest.fixture
def expected_errors() -> list[str]:
    """Regular expressions of the console errors that a test causes on purpose."""
    return []


def is_error(message: ConsoleMessage) -> bool:
    """Whether the console tells that something went wrong, in words of the browser, BokehJS or our own pages."""
    return message.type == "error" or "pulling the document again" in message.text


@pytest.fixture
def open_page(browser: Browser, expected_errors: list[str]) -> Iterator[OpenPage]:
    """Open pages, each with a profile of its own: ``open_page(url, **options of a browser context)``."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_one(url: str | None = None, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
        contexts.append(context)
        context.add_init_script(REMEMBER_SOCKETS)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if is_error(message) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if url is not None:
            page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    unexpected = [error for error in errors if not any(re.search(known, error) for known in expected_errors)]
    assert not unexpected, f"the browser's console has errors: {unexpected}"


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """One page."""
    return open_page()


T = TypeVar("T")


def until(look: Callable[[], T], wanted: Callable[[T], bool] = bool, *, seconds: float = 10.0) -> T:
    """Look until what is seen is wanted; what was seen last is in the failure. Works where pages forbid ``eval``."""
    end = time.monotonic() + seconds
    while not wanted(seen := look()):
        assert time.monotonic() < end, f"still {seen!r} after {seconds:g} s"
        time.sleep(0.05)
    return seen


class Screen:
    """A document as one page shows it."""

    def __init__(self, page: Page | Frame) -> None:
        self.page = page.page if isinstance(page, Frame) else page
        frame = page.locator("#frame").element_handle().content_frame()
        assert frame is not None
        self.frame: Frame = frame
        frame.wait_for_url("**/bokeh/frame/**")
        until(lambda: self.frame.evaluate("globalThis.Bokeh?.documents?.length === 1 && Bokeh.documents[0].is_idle"))

    def ask(self, expression: str, argument: object = None) -> Any:
        """The value of a JavaScript expression in the frame, where ``doc`` is the document and ``arg`` the argument."""
        return self.frame.evaluate(f"(arg) => {{ const doc = Bokeh.documents.at(-1); return {expression}; }}", argument)

    def do(self, statements: str, argument: object = None) -> None:
        """Run JavaScript statements in the frame, with ``doc`` and ``arg`` as in ``ask``."""
        self.frame.evaluate(f"(arg) => {{ const doc = Bokeh.documents.at(-1); {statements} }}", argument)

    def get(self, model: str, attribute: str) -> Any:
        """A property of a model."""
        return self.ask("doc.get_model_by_id(arg[0])?.[arg[1]]", [model, attribute])

    def set(self, model: str, attribute: str, value: object) -> None:
        """Set a property of a model, as a widget does."""
        self.do("doc.get_model_by_id(arg[0]).setv({[arg[1]]: arg[2]})", [model, attribute, value])

    def column(self, source: str, name: str) -> list[Any]:
        """A column of a source."""
        values = self.ask("Array.from(doc.get_model_by_id(arg[0]).get_column(arg[1]) ?? [])", [source, name])
        assert isinstance(values, list)
        return values

    def shows(self, model: str, attribute: str, value: object, *, seconds: float = 10.0) -> None:
        """Wait until the page has this value."""
        until(lambda: self.get(model, attribute), lambda seen: seen == value, seconds=seconds)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Without a connection while the block runs."""
        self.page.route("**/ticket", lambda route: route.abort())
        self.frame.evaluate("sockets.at(-1).close()")
        yield
        self.page.unroute("**/ticket")


@pytest.fixture
def watch(server: Server, open_page: OpenPage) -> Callable[..., Screen]:
    """Open a document: ``watch(document, **options of a browser context)``."""
    return lambda document, **options: Screen(open_page(server.link(document), **options))
