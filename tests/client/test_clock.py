"""Periodic callbacks, timeouts and next ticks of a live document, in the thread of its other callbacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from bokeh.document import Document
from bokeh.io import curdoc
from bokeh.models.widgets.sliders import Slider

from bokeh_server.client.session import Session
from tests.client.pages import until


@pytest.fixture
def document() -> Document:
    """A document that can be live."""
    document = Document()
    document.add_root(Slider(start=0, end=1000, value=0, name="slider"))
    return document


def value(session: Session) -> float:
    """What the slider of a session has."""
    assert session.document is not None
    return float(session.document.roots[0].value)  # type: ignore[attr-defined]


def test_what_a_periodic_callback_changes_is_seen_until_it_is_removed(
    join: Callable[..., Session], document: Document
) -> None:
    def move() -> None:
        document.roots[0].value += 1  # type: ignore[attr-defined]

    periodic = document.add_periodic_callback(move, 10)  # before the document is live
    session = join(document)
    other = join()
    until(lambda: value(other) >= 5)
    document.remove_periodic_callback(periodic)
    time.sleep(0.05)
    last = value(session)
    time.sleep(0.1)
    assert value(session) == last


def test_a_timeout_and_the_next_tick_run_once_in_the_callback_thread_with_their_document(
    join: Callable[..., Session], document: Document
) -> None:
    join(document)
    ran: list[tuple[str, str, bool]] = []

    def note(what: str) -> None:
        ran.append((what, threading.current_thread().name, curdoc() is document))

    async def slowly() -> None:
        note("slowly")

    document.add_timeout_callback(lambda: note("timeout"), 100)
    document.add_next_tick_callback(lambda: note("tick"))
    document.add_next_tick_callback(slowly)  # type: ignore[arg-type] # bokeh takes it, its types do not say so
    until(lambda: len(ran) == 3)
    time.sleep(0.15)
    assert [what for what, *_ in ran] == ["tick", "slowly", "timeout"]
    assert {thread for _, thread, _ in ran} == {"bokeh-server callbacks"}
    assert ran[0][2]
    assert ran[2][2]
    assert document.session_callbacks == []


def test_a_periodic_callback_that_raises_is_called_again(
    join: Callable[..., Session], document: Document, caplog: pytest.LogCaptureFixture
) -> None:
    join(document)
    ran: list[bool] = []

    def fail() -> None:
        ran.append(curdoc() is document)
        raise ValueError("no luck")

    document.add_periodic_callback(fail, 10)
    until(lambda: len(ran) >= 3)
    assert all(ran)
    assert "no luck" in caplog.text
    assert curdoc() is not document


def test_a_closed_session_calls_nothing_and_the_next_one_goes_on(
    join: Callable[..., Session], document: Document
) -> None:
    ran: list[float] = []
    document.add_periodic_callback(lambda: ran.append(time.monotonic()), 10)
    session = join(document)
    until(lambda: ran)
    session.close()
    time.sleep(0.05)
    count = len(ran)
    time.sleep(0.1)
    assert len(ran) == count
    join(document)
    until(lambda: len(ran) > count)
