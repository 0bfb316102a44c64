"""A live document in two programs and a page: what one does the others see, and callbacks run where they belong."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bokeh.core.properties import Int
from bokeh.document import Document
from bokeh.events import ButtonClick, Tap
from bokeh.layouts import column
from bokeh.model import DataModel
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.buttons import Button
from bokeh.models.widgets.inputs import FileInput, TextInput
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider
from bokeh.models.widgets.tables import DataTable, TableColumn
from bokeh.plotting import figure

from bokeh_server.client import connection
from bokeh_server.client.session import Session, root_of
from bokeh_server.errors import BadSetting, ClientError, NotFound, ServerAway
from tests.client.pages import Page, until
from tests.running import RunningServer

Join = Callable[..., Session]
Look = Callable[[Session], Page]


def document_of(*roots: Any) -> Document:
    """A document with these roots."""
    document = Document()
    for root in roots:
        document.add_root(root)
    return document


def twin(session: Session, model: Any) -> Any:
    """The model of another program that is the same as ``model``."""
    assert session.document is not None
    found = session.document.get_model_by_id(model.id)
    assert found is not None
    assert found is not model
    return found


def test_a_stored_document_is_what_another_program_loads(join: Join) -> None:
    source = ColumnDataSource({"x": [1, 2, 3], "y": np.array([1.5, float("nan"), 2.5])})
    p = figure(title="Stored")
    p.line("x", "y", source=source)
    document = document_of(p)
    join(document)
    other = join()
    assert other.document is not None
    assert [root.id for root in other.document.roots] == [p.id]
    assert twin(other, p).title.text == "Stored"
    np.testing.assert_array_equal(twin(other, source).data["y"], source.data["y"])
    assert {model.id for model in other.document.models} == {model.id for model in document.models}


def test_streams_patches_and_whole_columns_reach_the_other_program(join: Join) -> None:
    source = ColumnDataSource({"x": [1], "y": [1.0]})
    join(document_of(source))
    there = twin(join(), source)
    source.stream({"x": [2, 3], "y": [2.0, 3.0]}, rollover=2)
    until(lambda: there.data == {"x": [2, 3], "y": [2.0, 3.0]})
    source.patch({"y": [(0, 20.0), (slice(1, 2), [30.0])]})
    until(lambda: there.data["y"] == [20.0, 30.0])
    source.data["y"] = [5.0, 6.0]
    until(lambda: there.data["y"] == [5.0, 6.0])
    assert there.data["x"] == [2, 3]
    source.data = {"z": np.arange(4.0)}
    until(lambda: list(there.data) == ["z"])
    np.testing.assert_array_equal(there.data["z"], np.arange(4.0))


def test_changes_go_both_ways(join: Join) -> None:
    slider = Slider(start=0, end=10, value=1)
    join(document_of(slider))
    there = twin(join(), slider)
    slider.value = 4
    until(lambda: there.value == 4)
    there.value = 7
    until(lambda: slider.value == 7)
    there.document.title = "Renamed"
    until(lambda: slider.document is not None and slider.document.title == "Renamed")


def test_models_and_roots_come_and_go_and_come_back(join: Join) -> None:
    layout = column(Div(text="first"))
    document = document_of(layout)
    join(document)
    other = join()
    assert other.document is not None
    there = twin(other, layout)
    second = Div(text="second")
    layout.children.append(second)
    until(lambda: len(there.children) == 2)
    second.text = "changed"
    until(lambda: there.children[1].text == "changed")
    layout.children.remove(second)
    until(lambda: len(there.children) == 1)
    second.text = "changed while away"
    layout.children.append(second)
    until(lambda: len(there.children) == 2 and there.children[1].text == "changed while away")
    document.add_root(Slider(start=0, end=1, value=0))
    until(lambda: other.document is not None and len(other.document.roots) == 2)
    document.remove_root(layout)
    until(lambda: other.document is not None and len(other.document.roots) == 1)


def test_a_model_that_is_only_a_default_is_brought_when_it_is_changed(join: Join, live: RunningServer) -> None:
    session = Session(root_url=live.url)
    live.request("PUT", "/api/v1/documents/by-hand", by_hand())
    session.use_doc("by-hand")
    with session:
        document = Document()
        session.load_document(document)
        plot: Any = document.roots[0]
        plot.title.text = "Set in Python"
        assert session.flush()
    stored = Session(root_url=live.url)
    stored.use_doc("by-hand")
    assert stored.pull("Title")[0]["attributes"]["text"] == "Set in Python"


def by_hand() -> dict[str, Any]:
    """A document as another language would write it, with no attribute more than it needs."""
    plot = {"type": "object", "name": "Plot", "id": "plot", "attributes": {"width": 300}}
    return {"version": "3.9.2", "title": "By hand", "roots": [plot]}


def test_on_change_runs_in_a_thread_of_the_session_with_old_and_new(join: Join) -> None:
    slider = Slider(start=0, end=10, value=1)
    join(document_of(slider))
    there = twin(join(), slider)
    calls: list[Any] = []
    slider.on_change("value", lambda attr, old, new: calls.append((attr, old, new, threading.current_thread())))
    there.value = 5
    attr, old, new, thread = until(lambda: calls)[0]
    assert (attr, old, new) == ("value", 1, 5)
    assert thread is not threading.main_thread()
    assert thread.daemon


def test_clicks_and_taps_fire_though_registered_after_the_document_was_stored(join: Join, look: Look) -> None:
    button, plot = Button(label="Go"), figure()
    session = join(document_of(button, plot))
    calls: list[Any] = []
    button.on_click(lambda: calls.append("click"))
    plot.on_event(Tap, lambda event: calls.append((event.x, event.y)))
    assert session.flush()
    page = look(session)
    assert ["button_click"] in [
        root["attributes"].get("subscribed_events", {}).get("entries") for root in page.doc["roots"]
    ]
    page.happen("button_click", button)
    page.happen("tap", plot, sx=1, sy=2, x=0.5, y=0.25, modifiers=None)
    assert until(lambda: len(calls) == 2 and calls) == ["click", (0.5, 0.25)]


def test_events_of_a_loaded_document_fire_too(join: Join, look: Look) -> None:
    button = Button(label="Go")
    join(document_of(button))
    session = join()
    calls: list[str] = []
    twin(session, button).on_event(ButtonClick, lambda: calls.append("click"))
    assert session.flush()
    look(session).happen("button_click", button)
    assert until(lambda: calls) == ["click"]


def test_selections_table_edits_text_and_files_of_a_page_arrive(join: Join, look: Look) -> None:
    source = ColumnDataSource({"name": ["a", "b"], "n": [1, 2]})
    table = DataTable(source=source, columns=[TableColumn(field="name")], editable=True)
    text, file = TextInput(value=""), FileInput()
    session = join(document_of(table, text, file))
    calls: list[Any] = []
    source.selected.on_change("indices", lambda attr, old, new: calls.append(list(new)))
    source.on_change("data", lambda attr, old, new: calls.append(list(new["name"])))
    text.on_change("value", lambda attr, old, new: calls.append(new))
    file.on_change("filename", lambda attr, old, new: calls.append(new))
    page = look(session)
    page.change(source.selected, "indices", [1])
    patches = {"type": "map", "entries": [["name", [[1, "edited"]]]]}
    page.send(
        "PATCH-DOC", {"events": [{"kind": "ColumnsPatched", "model": source.ref, "attr": "data", "patches": patches}]}
    )
    page.change(text, "value", "typed")
    page.change(file, "filename", "data.csv")
    assert until(lambda: len(calls) == 4 and calls) == [[1], ["a", "edited"], "typed", "data.csv"]


def test_what_a_callback_changes_reaches_the_page_in_that_order(join: Join, look: Look) -> None:
    slider, div = Slider(start=0, end=10, value=0), Div(text="")
    session = join(document_of(slider, div))

    def limit(attr: str, old: float, new: float) -> None:
        div.text = f"{new}"
        if new > 5:
            slider.value = 5

    slider.on_change("value", limit)
    page = look(session)
    page.change(slider, "value", 9)
    until(lambda: len(page.events) >= 3)
    assert [(event["model"]["id"], event["new"]) for event in page.events] == [
        (div.id, "9"), (slider.id, 5), (div.id, "5"),
    ]  # fmt: skip
    assert slider.value == 5


def test_a_change_made_here_is_sent_before_what_its_callbacks_change(join: Join, look: Look) -> None:
    slider = Slider(start=0, end=10, value=0)
    session = join(document_of(slider))
    page = look(session)
    slider.on_change("value", lambda attr, old, new: setattr(slider, "value", min(new, 5)))
    slider.value = 9
    until(lambda: len(page.events) == 2)
    assert [event["new"] for event in page.events] == [9, 5]


def test_an_error_in_a_callback_is_logged_and_breaks_nothing(
    join: Join, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    slider = Slider(start=0, end=10, value=0)
    session = join(document_of(slider))
    calls: list[float] = []

    def fail(attr: str, old: float, new: float) -> None:
        calls.append(new)
        raise ZeroDivisionError("mine")

    slider.on_change("value", fail)
    page = look(session)
    page.change(slider, "value", 1)
    page.change(slider, "value", 2)
    until(lambda: calls == [1, 2])
    slider.end = 20
    assert session.flush()
    (first, *_) = [record for record in caplog.records if record.exc_info]
    assert "ZeroDivisionError: mine" in str(first.exc_text or caplog.text)
    from bokeh.io import curdoc

    assert curdoc() is not slider.document


def test_a_slow_callback_stops_neither_acknowledgements_nor_the_program(join: Join, look: Look) -> None:
    slider, source = Slider(start=0, end=10, value=0), ColumnDataSource({"x": [0]})
    session = join(document_of(slider, source))
    entered, leave = threading.Event(), threading.Event()

    def wait(attr: str, old: float, new: float) -> None:
        entered.set()
        leave.wait(15)

    slider.on_change("value", wait)
    look(session).change(slider, "value", 1)
    assert entered.wait(10)
    began = time.monotonic()
    for number in range(100):
        source.stream({"x": [number]})
    assert session.flush(10)
    assert time.monotonic() - began < 5
    leave.set()


def test_a_callback_may_flush_pull_and_load(join: Join) -> None:
    slider, div = Slider(start=0, end=10, value=0), Div(text="")
    session = join(document_of(slider, div))
    seen: list[Any] = []

    def callback(attr: str, old: float, new: float) -> None:
        div.text = "flushed"
        seen.append(session.flush(10))
        seen.append(session.pull("Div")[0]["attributes"]["text"])
        session.load_document(session.document or Document())
        seen.append(div.text)

    slider.on_change("value", callback)
    twin(join(), slider).value = 3
    assert until(lambda: len(seen) == 3 and seen) == [True, "flushed", "flushed"]


def test_the_server_knows_whether_the_program_answers(join: Join, look: Look) -> None:
    slider = Slider(start=0, end=10, value=0)
    session = join(document_of(slider))
    page = look(session)
    until(lambda: page.presence.get("programs") == 1 and page.presence["answering"] == 0)
    slider.on_change("value", lambda attr, old, new: None)
    until(lambda: page.presence["answering"] == 1)
    session.close()
    until(lambda: page.presence["programs"] == 0)


def test_storing_again_replaces_the_document_in_one_step_for_those_who_see_it(
    join: Join, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    first = Slider(start=0, end=1, value=0)
    older = join(document_of(first))
    second = Slider(start=0, end=2, value=0)
    newer = join(document_of(second))
    assert newer.docid == older.docid
    assert older.document is not None
    until(lambda: older.document is not None and [root.id for root in older.document.roots] == [second.id])
    assert "another program has replaced the document" in caplog.text
    second.value = 2
    there = older.document.roots[0]
    until(lambda: there.value == 2)  # type: ignore[attr-defined]
    first.value = 1  # it is in no document any more: nothing happens


def test_store_objects_sends_data_that_was_changed_in_place(join: Join) -> None:
    source = ColumnDataSource({"x": [1, 2], "y": np.array([1.0, 2.0])})
    p = figure()
    p.line("x", "y", source=source)
    session = join(document_of(p))
    there = twin(join(), source)
    data: Any = source.data
    data["x"][0] = 10
    data["y"][1] = 20.0
    session.store_objects(p)
    until(lambda: list(there.data["x"]) == [10, 2])
    assert list(there.data["y"]) == [1.0, 20.0]
    with pytest.raises(ClientError, match="not part of the stored document"):
        session.store_objects(ColumnDataSource())


def test_pull_gives_the_stored_models_as_json(join: Join) -> None:
    slider = Slider(start=0, end=1, value=0)
    session = join(document_of(slider, Div(text="x")))
    assert {model["type"] for model in session.pull()} >= {"Slider", "Div"}
    assert session.pull("Slider", slider.id)["attributes"]["end"] == 1
    assert session.pull(objid=slider.id)["type"] == "Slider"
    with pytest.raises(NotFound, match="no Div"):
        session.pull("Div", slider.id)


def test_loading_keeps_the_roots_that_a_document_has(join: Join, live: RunningServer, title: str) -> None:
    stored = Slider(start=0, end=1, value=0)
    join(document_of(stored))
    mine = Div(text="mine")
    document = document_of(mine)
    with Session(root_url=live.url) as session:
        session.use_doc(title)
        session.load_document(document)
        assert [root.id for root in document.roots] == [stored.id, mine.id]
        assert session.flush()
        assert {model["id"] for model in session.pull()} >= {stored.id, mine.id}
        session.load_document(document)
        assert [root.id for root in document.roots] == [stored.id, mine.id]


def test_polling_runs_callbacks_until_it_is_interrupted(join: Join) -> None:
    slider = Slider(start=0, end=10, value=0)
    session = join(document_of(slider))
    there = twin(join(), slider)
    assert session.document is not None

    def stop(attr: str, old: float, new: float) -> None:
        session.close()

    slider.on_change("value", stop)
    threading.Timer(0.2, setattr, (there, "value", 3)).start()
    session.poll_document(session.document, 0.05)
    assert slider.value == 3


def test_polling_ends_with_ctrl_c_without_a_traceback(join: Join) -> None:
    document = document_of(Slider(start=0, end=10, value=0))
    session = join(document)
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    session.poll_document(document, 0.05)
    assert session.connected
    assert session.flush(None)


def test_a_server_that_goes_away_meanwhile_is_said(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    session = Session(root_url=server.url)
    session.use_doc("gone")
    server.kill()
    with pytest.raises(ServerAway, match="refused"):
        session.store_document(Document())
    with pytest.raises(ServerAway, match="refused"):
        session.load_document(Document())
    assert session.document is None
    session.close()


def test_a_document_that_bokeh_can_not_build_is_not_loaded(
    live: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    document = Document()
    widget = {"type": "object", "name": "my.own.Widget", "id": "w1"}
    with Session(root_url=live.url) as session:
        session.use_doc("own-widget")
        session.store_document(document)
        own = {"version": "3.9.2", "title": "x", "roots": [widget]}
        live.request("PUT", f"/api/v1/documents/{session.docid}", own)
        until(lambda: "can't be taken over" in caplog.text)  # nobody has asked for it
        caplog.clear()
        for doc in (document, Document()):  # the live one, and another
            with pytest.raises(ClientError, match=r"can't be loaded: can't resolve type 'my\.own\.Widget'"):
                session.load_document(doc)
        assert [record.getMessage() for record in caplog.records if record.name.startswith("bokeh_server")] == []


@pytest.mark.parametrize("defs", [None, [1, {"type": "model"}, {"name": ["x"]}]])
def test_definitions_of_classes_that_are_none_keep_nobody_from_loading(live: RunningServer, defs: Any) -> None:
    live.request("PUT", "/api/v1/documents/odd-defs", {**by_hand(), "defs": defs})
    with Session(root_url=live.url) as session:
        session.use_doc("odd-defs")
        document = Document()
        session.load_document(document)
        assert [root.id for root in document.roots] == ["plot"]


@pytest.mark.usefixtures("classes")
def test_a_class_that_is_made_after_the_document_was_stored_comes_with_it(
    join: Join, look: Look, live: RunningServer
) -> None:
    layout = column(Div(text="x"))
    session = join(document_of(layout))

    class Params(DataModel):
        x = Int(1)

    def stored() -> list[str]:
        content = live.request("GET", f"/api/v1/documents/{session.docid}")
        return [each["name"] for each in content.get("defs", [])]

    assert stored() == []
    div: Any = layout.children[0]
    div.tags = [Params(x=2)]
    assert session.flush()
    assert stored() == [Params.__qualified_model__]
    assert [each["name"] for each in look(session).doc["defs"]] == stored()
    assert [tag.x for tag in twin(join(), div).tags] == [2]


def test_autopush_off_sends_when_push_is_called(join: Join, look: Look) -> None:
    source = ColumnDataSource({"x": [0]})
    session = join(document_of(source))
    page = look(session)
    session.autopush = False
    source.stream({"x": [1]})
    source.stream({"x": [2]})
    time.sleep(0.3)
    assert page.events == []
    assert session.push()
    until(lambda: len(page.events) == 1)  # both rows
    source.stream({"x": [3]})
    session.autopush = True
    until(lambda: len(page.events) == 2)
    assert [dict(event["data"]["entries"])["x"] for event in page.events] == [[1, 2], [3]]


def test_a_document_that_is_deleted_ends_the_session_with_one_line(
    join: Join, live: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    slider = Slider(start=0, end=10, value=0)
    session = join(document_of(slider))
    reasons: list[str] = []
    session.on_disconnect(reasons.append)
    live.request("DELETE", f"/api/v1/documents/{session.docid}")
    slider.value = 3
    until(lambda: "can't be reached any more" in caplog.text)
    until(lambda: reasons)
    assert not session.connected
    assert not session.flush(1)
    session.poll_document(session.document or Document(), 0.01)


def test_one_document_lives_in_one_session(join: Join) -> None:
    document = document_of(Slider(start=0, end=10, value=0))
    session = join(document)
    with pytest.raises(ClientError, match="live in another session"):
        join(document)
    document.roots[0].value = 5  # type: ignore[attr-defined]
    assert session.flush(10)
    assert join().document.roots[0].value == 5  # type: ignore[union-attr]
    session.close()
    join(document)


def test_a_title_that_the_server_refuses_raises_what_it_says(live: RunningServer) -> None:
    with pytest.raises(ClientError, match="title"):
        Session(root_url=live.url).use_doc("x" * 300)


def test_addresses_and_links() -> None:
    assert root_of("http://example.org/plots") == "http://example.org/plots/"
    assert root_of("default") == "http://localhost:5006/"
    for wrong in (
        *("localhost:5006", "ftp://x", "http://", "http://[::1", "http://my host"),
        *("http://localhost:port", "http://localhost:99999", "http://user:secret@localhost"),
    ):
        with pytest.raises(BadSetting, match="no address of a server"):
            root_of(wrong)
    session = Session(root_url="http://example.org")
    with pytest.raises(BadSetting, match="Choose a document first"):
        session.object_link()
    with pytest.raises(BadSetting, match="No document is live"):
        session.push()
    with pytest.raises(BadSetting, match="title"):
        session.use_doc()
    session.docid = "d1"
    div = Div()
    assert session.link == "http://example.org/bokeh/doc/d1" == session.object_link(Document())
    assert session.object_link(div) == f"http://example.org/bokeh/doc/d1/{div.id}"
    assert "d1" in repr(session)


def test_the_environment_names_server_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOKEH_SERVER_URL", "https://plots.example.org")
    monkeypatch.setenv("BOKEH_SERVER_TOKEN", "secret")
    session = Session()
    assert session.root_url == "https://plots.example.org/"
    assert session._rest.headers == {"Authorization": "Bearer secret"}
    assert Session(userapikey="other").userapikey == "other"
    assert "secret" not in repr(session)
    monkeypatch.setenv("BOKEH_SERVER_TOKEN", " secret\r\n")
    assert Session()._rest.headers == {"Authorization": "Bearer secret"}
    monkeypatch.setenv("BOKEH_SERVER_TOKEN", "\r\n")
    assert Session()._rest.headers == {}


@pytest.mark.parametrize(
    "wrong", ["http://a..b/", "http://x/plöts", f"http://{'x' * 64}.org", "http://", "x.org:80", ""]
)
def test_an_address_that_can_be_none_is_said(wrong: str) -> None:
    with pytest.raises(BadSetting, match="is no address of a server; it looks like"):
        Session(root_url=wrong)
    assert Session(root_url="http://münchen.example:80/a").root_url == "http://münchen.example:80/a/"


def test_a_title_is_no_id(join: Join) -> None:
    session = join(document_of(Div()))
    with pytest.raises(NotFound, match="There is no document"):
        session.use_doc(docid=session.title)
    session.use_doc(docid=session.docid)


@pytest.mark.parametrize("wrong", ["sec\nret", "sécret", "sec\0ret", "\ud800"])
def test_what_can_be_no_key_is_said_and_not_repeated(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    if "\0" not in wrong and "\ud800" != wrong:
        monkeypatch.setenv("BOKEH_SERVER_TOKEN", wrong)
        with pytest.raises(BadSetting, match="copy it once more"):
            Session()
    with pytest.raises(BadSetting, match="copy it once more") as told:
        Session(userapikey=wrong)
    assert "sec" not in str(told.value)


def test_model_ids_are_unique_among_programs() -> None:
    assert len(Div().id) == 36


def test_a_held_document_sends_when_it_is_released(join: Join, look: Look) -> None:
    slider = Slider(start=0, end=10, value=0)
    session = join(document_of(slider))
    page = look(session)
    assert session.document is not None
    session.document.hold("combine")
    slider.value = 1
    slider.value = 2
    session.document.unhold()
    until(lambda: page.events)
    assert session.flush()
    assert [event["new"] for event in page.events] == [2]


def test_the_log_names_no_key(live: RunningServer, title: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Session(root_url=live.url, userapikey="very-secret") as session:
        session.use_doc(title)
        session.store_document(document_of(Div()))
    assert "very-secret" not in caplog.text
