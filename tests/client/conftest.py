"""What the tests of the client share: one server for a module, sessions that are closed, and pages that look on."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import bokeh.io
import pytest
from bokeh.core.has_props import _default_resolver
from bokeh.document import Document

from bokeh_server.client import output
from bokeh_server.client.session import Session
from tests.client.pages import Page
from tests.running import RunningServer


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The server of this module. Documents of a test have its name."""
    with RunningServer(tmp_path_factory.mktemp("live") / "data") as server:
        yield server


@pytest.fixture
def title(request: pytest.FixtureRequest) -> str:
    """A title that no other test uses."""
    return re.sub(r"\W+", " ", request.node.name)[:150]


@pytest.fixture
def join(live: RunningServer, title: str) -> Iterator[Callable[..., Session]]:
    """``join()`` is another program on this test's document; ``join(document)`` the one that stores it."""
    sessions: list[Session] = []

    def make(document: Document | None = None) -> Session:
        session = Session(root_url=live.url)
        sessions.append(session)
        session.use_doc(title)
        if document is None:
            session.load_document(Document())
        else:
            session.store_document(document)
        return session

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def look(live: RunningServer) -> Iterator[Callable[[Session], Page]]:
    """``look(session)`` is a page that shows the session's document."""
    pages: list[Page] = []

    def make(session: Session) -> Page:
        pages.append(Page(live.port, str(session.docid)))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def classes() -> Iterator[None]:
    """Models that are defined in a test are forgotten: bokeh would write them into every document of this process."""
    resolver: Any = _default_resolver
    before = resolver.known_models
    yield
    resolver._known_models = before


def at_work() -> set[threading.Thread]:
    """The threads of sessions that are open."""
    return {thread for thread in threading.enumerate() if thread.name == "bokeh-server socket"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No browser, no settings of whoever runs the tests, no output of the test before; no session is left open."""
    before = at_work()
    monkeypatch.setenv("BOKEH_BROWSER", "none")
    for name in [name for name in os.environ if name.startswith("BOKEH_SERVER_")]:
        monkeypatch.delenv(name)
    yield
    if output.OUTPUT.session is not None:
        output.OUTPUT.session.close()
    output.OUTPUT.session, output.OUTPUT.sessions, output.OUTPUT.shown = None, frozenset(), frozenset()
    output.OUTPUT.notebook = None
    bokeh.io.reset_output()
    for thread in at_work() - before:
        thread.join(5)
    assert at_work() <= before
