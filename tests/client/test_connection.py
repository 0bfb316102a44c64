"""One live document between its program and the room, where either of them is not at its best."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider

from bokeh_server.client import backlog, connection, waiting
from bokeh_server.client.bounds import LEAST, Bounds
from bokeh_server.client.dialogue import Pulled
from bokeh_server.client.outbox import Outbox
from bokeh_server.errors import ServerAway
from bokeh_server.limits import LIMITS
from tests.client.rig import Program, Rig
from tests.client.test_sync import agree, pair, there


class Recorder:
    """Counts the calls of a function."""

    def __init__(self, function: Callable[[], int]) -> None:
        self.function = function
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.function()


def copies_in_memory() -> int:
    """How many copies of documents there are, in whatever connection."""
    gc.collect()
    return sum(isinstance(thing, Pulled) for thing in gc.get_objects())


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


def test_a_proxy_that_wants_a_login_for_good_is_named_once_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    source = ColumnDataSource({"x": [1]})
    rig, one, other = pair(source)
    one.cut()
    source.stream({"x": [2]})
    for _ in range(3):
        one.connection.lost("what answers there says HTTP 403", 403)
        one.connection.lost("connection refused", None)
    assert caplog.text.count("no touch") == 2
    assert caplog.text.count("what answers there says HTTP 403") == 1
    one.open()
    agree(rig, one, other)
    assert there(other, source).data["x"] == [1, 2]
    assert "in touch with the server again" in caplog.text


def test_who_waits_for_a_server_that_does_not_come_is_told_what_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.1)
    _, one, _ = pair(ColumnDataSource({"x": [1]}))
    one.cut()
    one.connection.lost("what answers there says HTTP 403", 403)
    with pytest.raises(ServerAway, match="HTTP 403"):
        one.connection.stored(one.connection.replica.push())


def test_a_document_that_is_too_large_to_be_sent_whole_waits_as_its_changes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = ColumnDataSource({"x": [0.5] * 2000})
    rig, one, other = pair(source)
    one.connection.outbox.backlog.bounds = Bounds(memory=LEAST, spool=0)
    monkeypatch.setattr(connection, "LIMITS", replace(LIMITS, message=5_000))
    push = Recorder(one.connection.replica.push)
    monkeypatch.setattr(one.connection.replica, "push", push)
    for _ in range(2):
        one.cut()
        for number in range(1400):
            source.patch({"x": [(number, 0.25)]})  # patches never give way
        one.open()
        agree(rig, one, other)
    assert there(other, source).data["x"] == [0.25] * 1400 + [0.5] * 600
    assert push.calls == caplog.text.count("much waits for the server") == 2


def test_a_doubt_that_comes_while_another_is_resolved_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    _, one, _ = pair(ColumnDataSource({"x": [1]}))
    newer = threading.Thread(target=one.connection._doubted, args=(0,))

    class Time:
        """Time passes while a doubt is resolved."""

        def monotonic(self) -> float:
            if not newer.ident:
                newer.start()
                newer.join(0.1)
            return time.monotonic()

    one.connection._doubted(0)
    monkeypatch.setattr(connection, "time", Time())
    one.send()
    newer.join(10)
    assert one.connection.dialogue.pulling
    assert one.connection._doubt == 0


def test_behind_a_callback_that_runs_long_no_more_than_one_copy_waits() -> None:
    source = ColumnDataSource({"x": [1]})
    rig, one, other = pair(source)
    before = copies_in_memory()
    for number in range(5):
        source.stream({"x": [number]})
        one.connection.pull()
        one.send()
        one.read()
    assert copies_in_memory() - before == 1
    assert len(one.connection.outbox.after(0)) == 1
    source.stream({"x": [5]})
    there(other, source).stream({"x": [6]})
    agree(rig, one, other)
    assert one.connection.merged == 1
    assert sorted(source.data["x"]) == [0, 1, 1, 2, 3, 4, 5, 6]


def test_what_is_kept_for_a_copy_behind_a_callback_that_runs_long_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEPT", 20_000)
    source = ColumnDataSource({"x": [1]})
    rig, one, other = pair(source)
    one.connection.pull()
    one.send()
    one.read()
    for number in range(100):
        source.stream({"x": [number]}, rollover=10)
        one.send()
        one.read()
        assert one.connection.outbox.kept <= 21_000
    assert one.connection.outbox.after(0) == []
    assert one.connection.merged == 0
    agree(rig, one, other)
    assert one.connection.merged == 1


def test_a_program_that_waits_for_a_copy_gets_one_though_a_whole_document_of_its_own_was_on_its_way() -> None:
    rig, one, _ = pair(ColumnDataSource({"x": [1]}))
    one.connection.replica.push()
    one.connection.pull()
    rig.settle()
    assert one.connection.merged == 1
    one.connection.pull()
    one.send()
    one.connection.replica.push()  # before the copy has come
    rig.settle()
    assert one.connection.merged == 2


def test_a_program_that_stores_a_document_while_it_loads_one_does_not_wait_for_ever() -> None:
    rig = Rig()
    document = Document()
    program = Program(rig, document)
    program.connection.start(push=False)
    program.connection.replica.push()
    program.open()
    rig.settle()
    assert program.connection.merged == 1


def test_a_copy_that_comes_while_much_waits_on_disk_changes_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    source, slider = ColumnDataSource({"x": [0]}), Slider(start=0, end=9, value=0)
    rig, one, other = pair(source, slider)
    object.__setattr__(one.connection.outbox.backlog.bounds, "memory", LEAST)
    for module in (backlog, waiting):
        monkeypatch.setattr(module, "BATCH", LEAST // 4)
    source.stream({"x": [1]})
    one.connection.next()  # it is on its way when the connection is cut
    one.cut()
    for number in range(400):
        source.stream({"x": [number] * 100})
    assert one.connection.outbox.on_disk
    there(other, slider).value = 5
    other.send()
    one.open()
    while not one.jobs.jobs:
        one.read()
        one.send(1)
    assert one.connection.outbox.on_disk
    one.jobs.work(1)
    assert slider.value == 5
    assert len(source.data["x"]) == 2 + 400 * 100
    agree(rig, one, other)
    assert source.data == there(other, source).data
    assert len(source.data["x"]) == 2 + 400 * 100


def test_a_copy_that_comes_while_a_new_root_waits_on_disk_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source, div = ColumnDataSource({"x": [0]}), Div(text="new")
    rig, one, other = pair(source)
    object.__setattr__(one.connection.outbox.backlog.bounds, "memory", 0)
    for module in (backlog, waiting):
        monkeypatch.setattr(module, "BATCH", 100)
    monkeypatch.setattr(Outbox, "overflows", False)
    one.connection.pull()
    one.send()
    one.document.title = "a title that comes back from disk first" * 5
    one.document.add_root(div)
    for number in range(5):
        source.stream({"x": [number]})
        one.document.title = f"title {number}"
    assert one.connection.outbox.on_disk
    one.read()
    one.jobs.work()
    assert one.document.roots == [source, div]
    agree(rig, one, other)
    assert [root.id for root in other.document.roots] == [source.id, div.id]
