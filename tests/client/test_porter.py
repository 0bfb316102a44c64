"""Who looks after what waits: the socket is woken once a frame, by no thread of the program."""

from __future__ import annotations

import logging
import sys
import threading
import time
from types import FrameType
from typing import Any

import pytest
from bokeh.models import ColumnDataSource

from bokeh_server.client.bounds import LEAST, Bounds
from bokeh_server.client.outbox import Outbox
from bokeh_server.client.porter import Porter
from bokeh_server.client.rows import Rows, Values
from tests.client.pages import until
from tests.client.test_session import Join, document_of
from tests.running import RunningServer


def test_the_socket_is_woken_when_something_waits_and_in_a_frame_once() -> None:
    box, woken = Outbox(frame=0.3), list[float]()
    porter = Porter(box, lambda: woken.append(time.monotonic()), lambda: None)
    porter.start()
    box.put("PATCH-DOC", b"1")
    porter.call()
    until(lambda: woken)
    assert box.take() is not None
    assert box.take() is None  # the frame begins
    for _ in range(100):
        box.put("PATCH-DOC", b"2")
        porter.call()
        assert box.take() is None
    until(lambda: len(woken) == 2)
    assert woken[1] - woken[0] >= 0.2
    assert box.take() is not None
    porter.stop()


def test_who_waits_for_the_server_waits_for_no_frame() -> None:
    box = Outbox(frame=100)
    box.put("PATCH-DOC", b"1")
    assert box.take() is not None
    assert box.take() is None
    number = box.put("PATCH-DOC", b"2")
    assert box.take() is None
    waits = threading.Thread(target=box.wait, args=(number, 10))
    waits.start()
    until(lambda: box.rest == 0)
    assert box.take() is not None
    box.acknowledge(number)
    waits.join(10)
    assert not waits.is_alive()


def test_that_rows_gave_way_is_told_though_nothing_is_sent() -> None:
    box, told = Outbox(Bounds(memory=LEAST, spool=0)), list[int]()
    porter = Porter(box, lambda: None, lambda: told.append(box.dropped))
    porter.start()
    for _ in range(20):
        rows = Rows("s", None, {"x": Values([0] * 2000, {int})}, 2000)
        box.put("PATCH-DOC", keys=frozenset({("s", "data")}), rows=rows, reach="part")
    porter.call()
    until(lambda: told)
    assert told[0] > 0
    porter.stop()


def test_an_error_of_the_disk_stops_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    box, woken = Outbox(), list[int]()
    monkeypatch.setattr(box, "shift", lambda: 1 / 0)
    porter = Porter(box, lambda: woken.append(1), lambda: None)
    porter.start()
    for count in (1, 2):
        porter.call()
        until(lambda count=count: len(woken) == count)  # type: ignore[misc]
    porter.stop()
    assert {record.levelno for record in caplog.records} <= {logging.ERROR}


def test_streaming_asks_nothing_of_the_system_whatever_the_network_does(join: Join, live: RunningServer) -> None:
    source = ColumnDataSource({"x": [0], "y": [0.5]})
    session = join(document_of(source))
    assert session.flush()
    called: list[str] = []

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            called.append(f"{getattr(arg, '__module__', '')}.{arg.__qualname__}")

    for number in range(100):
        sys.setprofile(profile)
        try:
            source.stream({"x": [number], "y": [number / 2]}, rollover=50)
        finally:
            sys.setprofile(None)
        time.sleep(0.001)
    assert len(called) > 1000
    asked = {name for name in called if any(word in name for word in ("socket", "posix", "select", "io.", "sleep"))}
    assert asked == set()
