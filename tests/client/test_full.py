"""A server that is away for so long that not everything can wait: what is left is the same here and there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.sliders import Slider

from bokeh_server.client.bounds import LEAST, LEAST_ON_DISK, WhenFull
from bokeh_server.client.session import Session
from tests.client.pages import until
from tests.client.test_outages import stored
from tests.running import RunningServer

CALL = 1000
"""Rows of one call."""


@contextmanager
def program(server: RunningServer, **bounds: Any) -> Iterator[tuple[Session, ColumnDataSource, Slider]]:
    """A program with as little room as can be, and its server, which is away just now."""
    source, slider, document = ColumnDataSource({"x": []}, name="points"), Slider(start=0, end=9, value=0), Document()
    for root in (source, slider):
        document.add_root(root)
    with Session(root_url=server.url, memory=LEAST, **bounds) as session:
        session.use_doc("full")
        session.store_document(document)
        server.kill()
        until(lambda: not session.connected)
        yield session, source, slider


def stream(source: ColumnDataSource, calls: int, has_room: Callable[[], bool] = lambda: True) -> list[float]:
    """Rows of so many calls, 0, 1, 2, …, each when there is room; gives them all."""
    for call in range(calls):
        until(has_room)
        source.stream({"x": list(range(call * CALL, (call + 1) * CALL))})
        time.sleep(0.001)
    return list(range(calls * CALL))


def test_what_waits_on_disk_arrives_in_order_once_and_leaves_no_file(server: RunningServer) -> None:
    with program(server, spool=64 * LEAST_ON_DISK) as (session, source, slider):
        assert session._connection is not None
        outbox = session._connection.outbox
        slider.value = 3
        # no faster than the disk, or else rows give way
        rows = stream(source, 200, lambda: outbox.backlog._waiting.memory <= LEAST)
        slider.value = 4
        until(lambda: outbox.memory < 16 * LEAST)
        assert outbox.on_disk > 0
        assert session.waiting > 0
        server.start()
        until(lambda: session.connected)
        server.kill()  # in the middle of it, perhaps
        server.start()
        assert session.flush(60)
        assert stored(server, session) == rows == source.data["x"]
        assert (session.waiting, session.dropped, outbox.on_disk) == (0, 0, 0)
        assert session.pull(objid=slider.id)["attributes"]["value"] == 4


@pytest.mark.parametrize("when_full", ["oldest", "newest"])
def test_rows_that_gave_way_are_gone_on_both_sides_and_two_lines_say_so(
    server: RunningServer, when_full: WhenFull, caplog: pytest.LogCaptureFixture
) -> None:
    with program(server, spool=LEAST_ON_DISK, when_full=when_full) as (session, source, slider):
        slider.value = 3
        rows = stream(source, 600)
        slider.value = 4
        until(lambda: f"the {when_full} rows give way" in caplog.text)
        dropped = session.dropped
        assert dropped > 0
        server.start()
        assert session.flush(60)
        until(lambda: stored(server, session) == source.data["x"])
        left = list(source.data["x"])
        assert len(left) == len(rows) - session.dropped
        assert left == sorted(set(left))
        if when_full == "oldest":
            assert left[-1] == rows[-1]
        else:
            assert left[0] == rows[0]
        assert session.pull(objid=slider.id)["attributes"]["value"] == slider.value == 4
        until(lambda: "rows gave way and were not sent" in caplog.text)
        source.stream({"x": [-1]})
        assert session.flush(30)
        assert stored(server, session) == [*left, -1] == source.data["x"]
    assert caplog.text.count("rows give way") == caplog.text.count("rows gave way") == 1
    assert f"{dropped} rows gave way" in caplog.text


def test_a_program_that_chose_so_waits_until_there_is_room_and_loses_nothing(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    with program(server, spool=0, when_full="block") as (session, source, _):
        ended = threading.Event()

        def work() -> None:
            stream(source, 30)
            ended.set()

        threading.Thread(target=work, daemon=True).start()
        assert not ended.wait(0.5)
        assert "the program waits, too" in caplog.text
        server.start()
        assert ended.wait(60)
        assert session.flush(60)
        assert stored(server, session) == list(range(30 * CALL))
        assert session.dropped == 0
    assert caplog.text.count("the program waits, too") == 1


def test_what_rolls_over_gives_way_to_nothing_and_needs_no_disk(server: RunningServer) -> None:
    with program(server, spool=LEAST_ON_DISK) as (session, source, _):
        for call in range(2000):
            source.stream({"x": list(range(call * 100, (call + 1) * 100))}, rollover=500)
        assert session._connection is not None
        assert session._connection.outbox.on_disk == 0
        server.start()
        assert session.flush(30)
        assert stored(server, session) == list(range(199_500, 200_000)) == source.data["x"]
        assert session.dropped == 0
