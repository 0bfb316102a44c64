"""One live document between its program and the room, where either of them is not at its best."""

from __future__ import annotations

import threading

from bokeh.models import ColumnDataSource

from tests.client.test_sync import pair


def test_what_was_thrown_away_when_the_document_went_was_not_stored() -> None:
    source = ColumnDataSource({"x": [1]})
    _, one, other = pair(source)
    one.cut()
    source.stream({"x": [2]})
    for program in (one, other):
        program.connection.gone("it is not there")
    assert not one.connection.close(1)
    assert other.connection.close(1)


def test_what_is_thrown_away_while_somebody_waits_for_it_was_not_stored() -> None:
    source = ColumnDataSource({"x": [1]})
    _, one, _ = pair(source)
    one.cut()
    source.stream({"x": [2]})
    timer = threading.Timer(0.1, one.connection.gone, ["it is not there"])
    timer.start()
    assert not one.connection.close(10)
    timer.join()
