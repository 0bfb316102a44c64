"""What a change becomes on the wire, and what a patch does to a document; with the real room, message by message."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from bokeh.core.serialization import SerializationError
from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJS, DataRange1d
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider
from bokeh.plotting import figure

from bokeh_server.client import connection
from bokeh_server.errors import BadMessage, ClientError, TooLarge
from bokeh_server.limits import LIMITS
from tests.client.rig import Program, Rig
from tests.client.test_convergence import differences
from tests.model.canonical import server_flat


def document_of(*roots: Any) -> Document:
    """A document with these roots."""
    document = Document()
    for root in roots:
        document.add_root(root)
    return document


def pair(*roots: Any) -> tuple[Rig, Program, Program]:
    """Two programs on a document with these roots; the first has stored it."""
    rig = Rig()
    return rig, rig.program(document_of(*roots), push=True), rig.program(Document())


def events(program: Program) -> list[dict[str, Any]]:
    """The events of all patches that a program has sent."""
    return [event for sent in program.sent if sent["type"] == "PATCH-DOC" for event in sent["content"]["events"]]


def there(program: Program, model: Any) -> Any:
    """The same model in another program."""
    return program.document.get_model_by_id(model.id)


def agree(rig: Rig, *programs: Program) -> None:
    """Everything has arrived, and all have the same document."""
    rig.settle()
    server = server_flat(rig.room.document)
    for program in programs:
        assert differences(server, program.document) == []


def test_a_model_is_written_in_full_once_and_again_when_it_comes_back() -> None:
    layout, div = column(), Div(text="x")
    rig, one, other = pair(layout)
    layout.children.append(div)
    layout.children.append(Div(text="y"))
    layout.children.remove(div)
    layout.children.append(div)
    agree(rig, one, other)
    forms = [[child.get("type", "ref") for child in event["new"]] for event in events(one)]
    assert forms == [["object"], ["ref", "object"], ["ref"], ["ref", "object"]]


def test_a_change_of_a_model_that_is_not_there_is_no_news() -> None:
    layout, div = column(), Div(text="x")
    rig, one, other = pair(layout)
    one.document.hold("collect")
    layout.children.append(div)
    div.text = "y"
    one.document.unhold()
    div.text = "z"
    agree(rig, one, other)
    assert [event["attr"] for event in events(one)] == ["children", "text"]
    assert there(other, div).text == "z"


def test_a_default_inside_a_default_is_brought_with_what_holds_it() -> None:
    rig = Rig()
    rig.say([{"kind": "RootAdded", "model": {"type": "object", "name": "Plot", "id": "plot"}}], "program")
    one, other = rig.program(Document()), rig.program(Document())
    plot: Any = one.document.get_model_by_id("plot")  # type: ignore[arg-type]
    plot.toolbar.active_drag = None
    plot.x_range = DataRange1d()
    plot.x_range.start = 5
    rig.settle()
    assert there(other, plot).toolbar.active_drag is None
    assert there(other, plot.x_range).start == 5


def test_an_own_change_on_its_way_is_not_overwritten_by_an_older_one() -> None:
    slider = Slider(start=0, end=10, value=0)
    rig, one, other = pair(slider)
    there(other, slider).value = 1
    other.send()
    slider.value = 2  # made before 1 has arrived, and sent after it
    one.read()
    one.jobs.work()
    assert slider.value == 2
    agree(rig, one, other)
    assert slider.value == there(other, slider).value == 2


def test_a_change_that_came_before_the_acknowledgement_but_is_applied_after_it_is_still_older() -> None:
    slider = Slider(start=0, end=10, value=0)
    rig, one, other = pair(slider)
    there(other, slider).value = 1
    other.send()
    slider.value = 2
    one.send()
    one.read()  # the patch with 1 and the acknowledgement of 2
    one.jobs.work()
    assert slider.value == 2
    there(other, slider).value = 3
    agree(rig, one, other)
    assert slider.value == 3


def test_two_programs_that_stream_into_one_source_end_with_one_order() -> None:
    source = ColumnDataSource({"x": [0]})
    rig, one, other = pair(source)
    for number in range(1, 4):
        source.stream({"x": [number]})
        there(other, source).stream({"x": [number * 10]})
    one.send(1)
    other.send(2)
    agree(rig, one, other)
    assert sorted(source.data["x"]) == [0, 1, 2, 3, 10, 20, 30]


def test_roots_added_at_once_end_in_one_order() -> None:
    rig, one, other = pair(Div())
    one.document.add_root(Div(text="one"))
    other.document.add_root(Div(text="other"))
    one.document.title, other.document.title = "one", "other"
    agree(rig, one, other)
    assert len(one.document.roots) == 3


def test_a_part_of_the_columns_leaves_the_others() -> None:
    source = ColumnDataSource({"x": [1], "y": [2]})
    rig, one, other = pair(source)
    source.data["y"] = [3]
    source.data.update(y=[4], z=[5])
    agree(rig, one, other)
    assert there(other, source).data == {"x": [1], "y": [4], "z": [5]}


def test_rows_for_a_part_of_the_columns_are_taken() -> None:
    source = ColumnDataSource({"x": [1], "y": [2]})
    rig, one, other = pair(source)
    data = {"type": "map", "entries": [["x", [7]]]}
    rig.say([{"kind": "ColumnsStreamed", "model": source.ref, "attr": "data", "data": data}], "program")
    with pytest.warns(UserWarning, match="must be of the same length"):
        agree(rig, one, other)
    assert source.data == {"x": [1, 7], "y": [2]}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_numbers_streamed_behind_text_stay_numbers() -> None:
    source = ColumnDataSource({"x": ["a", "b"]})
    rig, one, other = pair(source)
    source.stream({"x": np.array([1, 2])})
    agree(rig, one, other)
    assert list(source.data["x"]) == ["a", "b", 1, 2]


def test_a_source_without_columns_takes_its_first() -> None:
    source = ColumnDataSource()
    rig, one, other = pair(source)
    data = {"type": "map", "entries": [["x", [7]]]}
    rig.say([{"kind": "ColumnsStreamed", "model": source.ref, "attr": "data", "data": data}], "program")
    source.stream({"x": [8]}) if source.data else None
    agree(rig, one, other)
    assert source.data == {"x": [7]}


def test_a_patch_that_names_an_unknown_model_has_the_document_pulled() -> None:
    div = Div(text="x")
    rig, one, other = pair(div)
    one.document.remove_root(div)
    there(other, div).text = "y"
    other.send()
    one.read()
    one.jobs.work()
    agree(rig, one, other)


def test_a_refused_change_is_taken_back_and_the_others_stay(caplog: pytest.LogCaptureFixture) -> None:
    source, div = ColumnDataSource({"x": [1, 2]}), Div(text="")
    rig, one, other = pair(source, div)
    there(other, source).data = {"z": [1]}
    other.send()
    source.stream({"x": [3]})  # there is no x any more
    div.text = "stays"
    agree(rig, one, other)
    assert "the server refused a change" in caplog.text
    assert source.data == {"z": [1]}
    assert there(other, div).text == "stays"
    last = one.connection.outbox.last
    assert [one.connection.settled(last, 0) for _ in range(2)] == [False, True]
    assert other.connection.settled(other.connection.outbox.last, 0)


def test_who_stores_hears_what_the_server_did_not_take() -> None:
    source = ColumnDataSource({"x": [1, 2]})
    rig, one, other = pair(source)
    there(other, source).data = {"z": [1]}
    other.send()
    source.stream({"x": [3]})
    agree(rig, one, other)
    with pytest.raises(ClientError, match="no column 'x'"):
        one.connection.stored(one.connection.outbox.last)
    one.connection.stored(one.connection.outbox.last)


def test_a_document_that_the_server_refuses_raises_what_it_says() -> None:
    rig = Rig()
    program = Program(rig, document_of(Div()))
    program.connection.start(push=True)
    number = program.connection.outbox.put("PUSH-DOC", b'{"doc": 3}')
    program.open()
    for _ in range(3):
        program.read()
        program.send()
    with pytest.raises(ClientError, match="document"):
        program.connection.settled(number, 1)


def test_what_a_server_closes_the_socket_for_is_not_sent_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    div = Div(text="x")
    rig, one, other = pair(div)
    div.text = "poison"
    for _ in range(connection.TRIES):
        assert one.connection.outbox.take() is not None
        one.connection.lost("the server closed the connection (1009)", 1009)
        one.cut()
        one.open()
    assert "a change is not sent any more" in caplog.text
    agree(rig, one, other)
    assert div.text == "x"


def test_what_is_too_large_is_refused_where_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    div = Div(text="x")
    _, one, _ = pair(div)
    monkeypatch.setattr(connection, "LIMITS", type(LIMITS)(message=1000, buffers=2))
    with pytest.raises(TooLarge, match="send it in parts"):
        div.text = "x" * 1000
    with pytest.raises(TooLarge, match="arrays"):
        div.tags = [np.array([1.0])] * 3
    assert one.connection.outbox.last == 1


def test_what_was_refused_where_it_is_made_is_taken_back() -> None:
    source = ColumnDataSource({"x": [1]})
    rig, one, other = pair(source)
    with pytest.raises(SerializationError):
        source.stream({"x": [object()]})
    with pytest.raises(SerializationError):
        source.tags = [object()]
    with pytest.raises(TypeError):
        source.data = {"x": np.ma.array([1, 2], mask=[False, True])}
    one.send()
    source.stream({"x": [2]})
    agree(rig, one, other)
    assert list(source.data["x"]) == [1, 2]
    assert source.tags == []


def test_text_that_is_not_unicode_is_refused_where_it_is_made() -> None:
    div = Div(text="x")
    pair(div)
    with pytest.raises(BadMessage):
        div.text = "\ud800"


def test_what_is_settled_is_forgotten_where_it_becomes_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REMEMBERED", 5)
    layout, slider = column(), Slider(start=0, end=10, value=0)
    rig, one, other = pair(layout, slider)
    for _ in range(10):
        layout.children = [Div()]
    rig.settle()
    slider.value = 1
    there(other, slider).value = 2
    other.send()
    one.connection.tick()
    one.read()
    one.jobs.work()
    assert list(one.connection.replica.own) == [(slider.id, "value")]
    agree(rig, one, other)
    assert slider.value == 1


def test_callbacks_run_after_the_whole_patch_is_in() -> None:
    one_slider, other_slider = Slider(start=0, end=10, value=0), Slider(start=0, end=10, value=0)
    rig, one, _ = pair(one_slider, other_slider)
    seen: list[Any] = []
    one_slider.on_change("value", lambda attr, old, new: seen.append((old, new, other_slider.value)))
    changes = [{"kind": "ModelChanged", "model": s.ref, "attr": "value", "new": 5} for s in (one_slider, other_slider)]
    rig.say(changes)
    one.read()
    one.jobs.work()
    assert seen == [(0, 5, 5)]


def test_callbacks_of_the_document_and_messages_run_too() -> None:
    div = Div()
    rig, one, _ = pair(div)
    seen: list[Any] = []
    one.document.on_change(lambda event: seen.append(type(event).__name__))
    one.document.on_event(DocumentReady, lambda event: seen.append(event.event_name))
    one.document.on_message("mine", seen.append)
    assert one.connection.replica.answers
    ready = {"type": "event", "name": "document_ready", "values": {"type": "map"}}
    rig.say([
        {"kind": "ModelChanged", "model": div.ref, "attr": "text", "new": "x"},
        {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": ready},
        {"kind": "MessageSent", "msg_type": "mine", "msg_data": 5},
    ])  # fmt: skip
    one.read()
    one.jobs.work()
    assert seen == ["ModelChangedEvent", "document_ready", 5]


def test_a_plot_without_callbacks_does_not_answer() -> None:
    p = figure()
    p.line([1, 2], [1, 2])
    _, one, _ = pair(p)
    assert not one.connection.replica.answers
    p.x_range.on_change("start", lambda attr, old, new: None)
    assert one.connection.replica.answers


def test_what_comes_in_does_not_go_out_again() -> None:
    circle = figure()
    renderer = circle.circle([1], [1], radius=1)
    rig, one, other = pair(circle)
    glyph = there(other, renderer.glyph)
    glyph.radius = 2
    agree(rig, one, other)
    assert events(one) == []


def test_two_threads_that_set_one_value_leave_the_same_everywhere() -> None:
    slider = Slider(start=0, end=10_000, value=0)
    rig, one, other = pair(slider)

    def work(first: int) -> None:
        for number in range(first, 2000, 2):
            slider.value = number

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agree(rig, one, other)
    assert there(other, slider).value == slider.value


def test_in_place_changes_of_a_source_go_with_store() -> None:
    source, div = ColumnDataSource({"x": [1, 2]}), Div()
    rig, one, other = pair(source, div)
    data: Any = source.data
    data["x"][0] = 5
    one.connection.replica.store([div])
    assert one.connection.outbox.last == 1
    one.connection.replica.store([source, div])
    agree(rig, one, other)
    assert there(other, source).data == {"x": [5, 2]}


def test_a_model_that_was_dropped_keeps_its_handle_and_its_callbacks_when_it_comes_back() -> None:
    slider = Slider(start=0, end=10, value=0)
    rig, one, other = pair(slider, Div())
    seen: list[Any] = []
    slider.on_change("value", lambda attr, old, new: seen.append(new))
    copy = there(other, slider)
    other.document.remove_root(copy)
    rig.settle()
    assert slider not in one.document.roots
    copy.value = 3
    other.document.add_root(copy)
    agree(rig, one, other)
    assert slider.document is one.document
    assert (slider.value, seen) == (3, [])
    copy.value = 4
    agree(rig, one, other)
    assert seen == [4]


def test_a_copy_changes_only_what_differs_and_keeps_the_models() -> None:
    slider, source = (
        Slider(start=0, end=10, value=0),
        ColumnDataSource({"x": np.arange(3), "d": [1.5, float("nan"), 2]}),
    )
    rig, one, _ = pair(slider, source)
    seen: list[Any] = []
    one.document.on_change(seen.append)
    column_ = source.data["x"]
    one.connection.pull()
    rig.settle()
    assert one.connection.merged == 1
    assert seen == []
    assert source.data["x"] is column_


def test_what_a_copy_does_not_have_goes_back_to_its_default() -> None:
    div = Div(text="x", width=100)
    rig, one, _ = pair(div)
    model = rig.room.document.models[div.id]
    del model.attributes["width"]
    model.template = None
    seen: list[Any] = []
    div.on_change("width", lambda attr, old, new: seen.append((old, new)))
    one.connection.pull()
    rig.room._whole = None
    rig.settle()
    assert div.width is None
    assert seen == [(100, None)]


def test_a_copy_that_bokeh_can_not_build_is_logged_and_the_program_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    div = Div(text="x")
    rig, one, _ = pair(div)
    rig.say([{"kind": "RootAdded", "model": {"type": "object", "name": "my.own.Widget", "id": "w1"}}], "program")
    one.connection.pull()
    rig.settle()
    found = [record for record in caplog.records if "can't be taken over" in record.getMessage()]
    assert {(record.levelname, record.exc_info) for record in found} == {("ERROR", None)}
    assert "can't be taken over: can't resolve type 'my.own.Widget'" in caplog.text
    div.text = "goes on"
    rig.settle()
    assert rig.room.document.models[div.id].attributes["text"] == "goes on"


def test_the_documents_own_scripts_come_with_a_copy() -> None:
    document = document_of(Div())
    document.js_on_event(DocumentReady, CustomJS(code="1"))
    rig = Rig()
    rig.program(document, push=True)
    other = rig.program(Document())
    (callback,) = other.document.callbacks.js_event_callbacks["document_ready"]
    assert isinstance(callback, CustomJS)
    assert callback.code == "1"
