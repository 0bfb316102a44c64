"""``bokeh.client`` as it is, against a document's URL: what scripts that were written for ``bokeh serve`` do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bokeh.client import ClientSession, pull_session, push_session
from bokeh.core.types import ID
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models.sources import ColumnDataSource
from bokeh.models.widgets import Button, Slider
from bokeh.plotting import figure

from tests.running import RunningServer

ANY = ID("any")
"""A session id: our URLs name the document, so it does not matter."""
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def plot() -> tuple[Document, ColumnDataSource, Slider]:
    """A line, a slider and a button."""
    source = ColumnDataSource({"x": [1.0, 2.0], "y": np.array([3.0, 4.0])}, name="readings")
    p = figure(width=300, height=200)
    p.line("x", "y", source=source)
    slider = Slider(start=0, end=10, value=5, name="speed")
    document = Document()
    document.add_root(column(p, slider, Button(label="go", name="go")))
    return document, source, slider


def until(session: ClientSession, holds: Callable[[], Any]) -> None:
    """Run the session's own loop until ``holds()``; it moves only then."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        loop = session._connection._loop
        loop.call_later(0.05, loop.stop)
        session._connection._loop.add_callback(session._connection._next)
        loop.start()


def url(info: dict[str, Any]) -> str:
    """Where ``bokeh.client`` finds a document: its link."""
    link: str = info["link"]
    return link


def test_push_session_stores_the_document_and_what_it_changes_later(server: RunningServer) -> None:
    info = server.document("pushed")
    document, source, slider = plot()
    session = push_session(document, session_id=ANY, url=url(info))
    slider.value = 7
    source.stream({"x": [3.0], "y": [5.0]}, rollover=2)
    session.force_roundtrip()
    assert server.request("GET", "/api/v1/documents/pushed/models/speed/value") == 7
    data = server.request("GET", "/api/v1/documents/pushed/models/readings/data")
    assert data["entries"][0] == ["x", [2.0, 3.0]]
    session.close()


def test_a_document_that_was_never_stored_whole_is_pulled_empty_and_as_it_grew(server: RunningServer) -> None:
    info = server.document("grows")
    for title in ("", "grown"):
        session = pull_session(session_id=ANY, url=url(info))
        assert session.document.title == title
        session.document.title = "grown"
        session.document.add_root(Slider(start=0, end=10, value=5, name="speed"))
        session.force_roundtrip()
        session.close()
    assert len(server.request("GET", "/api/v1/documents/grows")["roots"]) == 2


def test_pull_session_gets_what_another_program_stored(server: RunningServer) -> None:
    document, _, _ = plot()
    info = server.document("stored", document)
    session = pull_session(session_id=ANY, url=url(info))
    source = session.document.get_model_by_name("readings")
    assert isinstance(source, ColumnDataSource)
    assert list(source.data["x"]) == [1.0, 2.0]
    assert np.array_equal(source.data["y"], [3.0, 4.0])
    session.document.get_model_by_name("speed").value = 2  # type: ignore[union-attr]
    session.force_roundtrip()
    assert server.request("GET", "/api/v1/documents/stored/models/speed/value") == 2
    session.close()


def test_two_stock_programs_see_each_others_changes_and_keep_all_columns(server: RunningServer) -> None:
    document, _, _ = plot()
    info = server.document("shared", document)
    one, two = (pull_session(session_id=ANY, url=url(info)) for _ in range(2))
    here, there = (session.document.get_model_by_name("readings") for session in (one, two))
    assert isinstance(here, ColumnDataSource)
    assert isinstance(there, ColumnDataSource)
    here.data["x"] = [8.0, 9.0]
    one.force_roundtrip()
    until(two, lambda: list(there.data["x"]) == [8.0, 9.0])
    assert np.array_equal(there.data["y"], [3.0, 4.0])
    one.close()
    two.close()


def test_a_stock_program_gets_the_first_rows_of_a_source_that_curl_sends(server: RunningServer) -> None:
    document = Document()
    document.add_root(ColumnDataSource(name="readings"))
    session = pull_session(session_id=ANY, url=url(server.document("empty", document)))
    there = session.document.get_model_by_name("readings")
    assert isinstance(there, ColumnDataSource)
    for row in ({"t": 1, "flag": True}, {"t": 2, "flag": False}):
        server.request("POST", "/api/v1/documents/empty/sources/readings/rows", row)
    until(session, lambda: there.data == {"t": [1, 2], "flag": [True, False]})
    session.close()


def test_a_stock_program_whose_document_was_replaced_is_cut_off_and_changes_nothing(server: RunningServer) -> None:
    document, _, slider = plot()
    info = server.document("safe", document)
    session = push_session(document, session_id=ANY, url=url(info))
    server.document("safe", plot()[0])  # another program replaces it: the first one's models are gone or others
    slider.value = 1
    with pytest.raises(RuntimeError, match="disconnect"):
        session.force_roundtrip()
    assert server.request("GET", "/api/v1/documents/safe/models/speed/value") == 5


def test_an_unknown_document_is_refused(server: RunningServer) -> None:
    with pytest.raises(OSError, match="Check your application path"):  # its words for a 404
        pull_session(session_id=ANY, url=f"{server.url}/bokeh/doc/none")
