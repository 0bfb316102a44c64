"""``output_server``, ``show``, ``push`` and their kin, as scripts use them."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from typing import Any

import bokeh.io
import bokeh.plotting as original
import pytest
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource
from bokeh.models.widgets.markups import Div
from bokeh.models.widgets.sliders import Slider

import bokeh_server
from bokeh_server import plotting
from bokeh_server.client import connection, output
from bokeh_server.client.session import Session
from bokeh_server.errors import Conflict, ServerAway
from bokeh_server.plotting import curdoc, cursession, figure, output_server, push, reset_output, show
from tests.client.pages import until
from tests.running import RunningServer


def stored(session: Session, typename: str) -> list[dict[str, Any]]:
    """The stored models of a type."""
    found: list[dict[str, Any]] = session.pull(typename)
    return found


def texts(session: Session) -> set[str]:
    """What the stored ``Div`` say, as soon as all is stored."""
    assert session.flush()
    return {model["attributes"]["text"] for model in stored(session, "Div")}


def current() -> Session:
    """The session that ``output_server`` made."""
    session = cursession()
    assert session is not None
    return session


def test_plotting_has_everything_of_bokehs_plotting() -> None:
    assert set(original.__all__) <= set(plotting.__all__)
    for name in set(original.__all__) - {"output_notebook", "reset_output", "show"}:
        assert getattr(plotting, name) is getattr(original, name)
    assert plotting.markers is original.markers  # not in __all__
    with pytest.raises(AttributeError, match="nonsense"):
        _ = plotting.nonsense
    assert bokeh_server.show is show
    assert bokeh_server.Session is Session


def test_show_stores_the_plot_prints_its_link_and_keeps_it_live(
    live: RunningServer, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output_server(title, url=live.url)
    p = figure(width=400, height=400)
    p.line([1, 2], [3, 4])
    show(p)
    assert capsys.readouterr().out == f"{current().link}\n"
    assert current().document is curdoc()
    assert [model["id"] for model in stored(current(), "Figure")] == [p.id]
    title_model: Any = p.title
    title_model.text = "Later"
    assert current().flush()
    assert "Later" in [model["attributes"].get("text") for model in stored(current(), "Title")]


def test_the_title_is_that_of_the_page_unless_the_document_has_its_own(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    show(figure())
    assert curdoc().title == title
    with current():
        output_server(f"{title} again", url=live.url)
        curdoc().title = "Mine"
        show(figure())
        assert curdoc().title == "Mine"


def test_a_second_plot_is_added_and_a_layout_takes_its_parts(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    first, second = figure(), figure()
    show(first)
    show(second)
    assert curdoc().roots == [first, second]
    show(second)
    assert curdoc().roots == [first, second]
    both = row(first, second)
    show(both)
    assert curdoc().roots == [both]
    third = [Div(text="a"), Div(text="b")]
    show(third)
    assert curdoc().roots == [both, *third]
    assert current().flush()
    with pytest.raises(ValueError, match="plots, widgets and layouts, not int"):
        show(3)


def test_the_same_title_again_is_the_same_link_with_new_content(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    first = figure()
    show(first)
    link, old = current().link, curdoc()
    output_server(title, url=live.url)
    assert curdoc() is not old
    show(first)  # the same plot, as when a notebook's cell is run again
    assert current().link == link
    show(figure())
    assert len(stored(current(), "Figure")) == 2


def test_the_same_session_again_replaces_what_is_stored_too(live: RunningServer, title: str) -> None:
    session = Session(root_url=live.url)
    first = Div(text="one")
    output_server(title, session=session)
    show(first)
    output_server(title, session=session)
    show(Div(text="two"))
    assert texts(session) == {"two"}
    assert session.document is curdoc()
    curdoc().add_root(Div(text="three"))
    show(first)
    assert texts(session) == {"one", "two", "three"}
    output_server(title, session=session, clear=False)
    show(Div(text="four"))
    assert session.document is curdoc()
    assert texts(session) == {"one", "two", "three", "four"}


def test_the_same_session_may_go_on_to_another_title(live: RunningServer, title: str) -> None:
    session = Session(root_url=live.url)
    output_server(title, session=session)
    show(Div(text="one"))
    link = session.link
    output_server(f"{title} two", session=session)
    show(Div(text="two"))
    curdoc().add_root(Div(text="three"))
    assert session.flush()
    assert session.document is curdoc()
    assert texts(session) == {"two", "three"}
    output_server(title, session=session)
    assert session.link == link
    assert texts(session) == {"one"}


def test_a_title_that_comes_again_after_another_one_takes_the_place_of_its_first_session(
    live: RunningServer, title: str
) -> None:
    output_server(title, url=live.url)
    div = Div(text="one")
    show(div)
    first = current()
    output_server(f"{title} two", url=live.url)
    show(Div(text="two"))
    second = current()
    output_server(title, url=live.url)
    assert (first.connected, second.connected) == (False, True)
    show(div)
    assert texts(current()) == {"one"}
    second.close()


def test_another_title_leaves_the_first_document_live(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    first = figure()
    show(first)
    session = current()
    output_server(f"{title} two", url=live.url)
    show(figure())
    assert current().link != session.link
    title_model: Any = first.title
    title_model.text = "Still here"
    assert session.flush()
    assert "Still here" in [model["attributes"].get("text") for model in stored(session, "Title")]
    session.close()


def test_what_is_live_elsewhere_is_refused_in_one_line_and_nothing_is_half_added(
    live: RunningServer, title: str
) -> None:
    output_server(title, url=live.url)
    source = ColumnDataSource({"x": [1]})
    p = figure()
    p.scatter("x", "x", source=source)
    show(p)
    session, first = current(), curdoc()
    output_server(f"{title} two", url=live.url)
    other, spare = figure(), Div(text="spare")
    other.scatter("x", "x", source=source)
    for wrong in (p, row(spare, p), other, [spare, p]):
        with pytest.raises(Conflict, match=rf"live in the document '{title}', .*close that session first") as raised:
            show(wrong)
        assert "\n" not in str(raised.value)
        assert curdoc().roots == []
        assert spare.document is other.document is None
    assert first.roots == [p]
    show(spare)
    with pytest.raises(Conflict):
        show(row(spare, p))
    assert curdoc().roots == [spare]
    assert session.connected
    session.close()
    show(row(spare, p))
    show(other)
    assert texts(current()) == {"spare"}
    assert {model["id"] for model in stored(current(), "Figure")} == {p.id, other.id}
    assert first.roots == []


def test_what_was_shown_before_reset_output_may_be_shown_again(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    p, div = figure(), Div(text="stays")
    show([p, div])
    old = curdoc()
    reset_output()
    output_server(f"{title} two", url=live.url)
    show(p)
    assert [model["id"] for model in stored(current(), "Figure")] == [p.id]
    assert old.roots == [div]


def test_what_is_in_a_document_that_is_none_of_ours_is_left_there(live: RunningServer, title: str) -> None:
    document, div = Document(), Div(text="x")
    document.add_root(div)
    output_server(title, url=live.url)
    with pytest.raises(Conflict, match=r"parts in another bokeh document, .*remove_root"):
        show(column(div))
    assert document.roots == [div]
    document.remove_root(div)
    show(column(div))
    assert texts(current()) == {"x"}


def test_clear_off_adds_to_what_is_stored(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    p = figure()
    show(p)
    current().close()
    output_server(title, url=live.url, clear=False)
    assert [root.id for root in curdoc().roots] == [p.id]
    show(Div(text="more"))
    assert len(stored(current(), "Figure")) == len(stored(current(), "Div")) == 1


def test_autopush_off_waits_for_push(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url, autopush=False)
    div = Div(text="before")
    show(div)
    div.text = "after"
    assert stored(current(), "Div")[0]["attributes"]["text"] == "before"
    push()
    assert stored(current(), "Div")[0]["attributes"]["text"] == "after"


def test_a_callback_may_show_another_document(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    show(Div(text="first"))
    first = current()
    done: list[object] = []

    def save() -> None:
        output_server(f"{title} saved", url=live.url)
        show(Div(text="saved"))
        done.append(current())

    curdoc().add_next_tick_callback(save)
    until(lambda: done)
    assert stored(current(), "Div")[0]["attributes"]["text"] == "saved"
    assert current().docid != first.docid
    assert first.connected
    first.close()


def test_push_stores_the_current_document(live: RunningServer, title: str, caplog: pytest.LogCaptureFixture) -> None:
    push()
    assert "push() does nothing" in caplog.text
    output_server(title, url=live.url)
    curdoc().add_root(Div(text="pushed"))
    push()
    assert stored(current(), "Div")[0]["attributes"]["text"] == "pushed"


def test_a_session_of_ones_own_may_be_given(live: RunningServer, title: str) -> None:
    session = Session(root_url=live.url)
    output_server(title, session=session)
    assert cursession() is session
    show(Div(text="x"))
    assert session.connected


def test_reset_output_forgets_the_session(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url)
    show(figure())
    session, document = current(), curdoc()
    reset_output()
    assert cursession() is None
    assert curdoc() is not document
    assert not session.connected
    reset_output()


def test_without_output_server_show_is_bokehs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(bokeh.io, "show", lambda obj, *args, **kwargs: shown.append(obj))
    p = figure()
    show(p)
    assert shown == [p]


def test_a_file_that_is_asked_for_is_written_too(
    live: RunningServer, title: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(bokeh.io, "show", lambda obj, *args, **kwargs: shown.append(obj))
    output_server(title, url=live.url)
    plotting.output_file(tmp_path / "plot.html")
    p = figure()
    show(p)
    assert shown == [p]
    assert stored(current(), "Figure")


def test_the_theme_of_the_current_document_is_kept(live: RunningServer, title: str) -> None:
    curdoc().theme = "dark_minimal"
    theme = curdoc().theme
    output_server(title, url=live.url)
    assert curdoc().theme is theme
    show(figure())
    assert stored(current(), "Figure")[0]["attributes"]["background_fill_color"] == "#20262B"


def test_a_browser_opens_once_and_only_where_there_is_one(
    live: RunningServer, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(output, "view", lambda link, **how: opened.append(link))
    output_server(title, url=live.url)
    show(figure())
    assert opened == []  # BOKEH_BROWSER=none
    monkeypatch.delenv("BOKEH_BROWSER")
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    show(figure())
    assert opened == []  # a headless host
    monkeypatch.setenv("DISPLAY", ":0")
    show(figure())
    show(figure())
    assert opened == [current().link]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert output.has_browser(None)
    assert output.has_browser("firefox")
    assert not output.has_browser("none")


def test_a_server_that_is_away_raises_an_error_that_says_what_to_do(title: str) -> None:
    with pytest.raises(
        ServerAway, match=r"No bokeh-server answers at http://localhost:9/ .*start one with `bokeh-server`"
    ):
        output_server(title, url="http://localhost:9")
    assert cursession() is None


def test_only_what_its_message_explains_is_printed_without_a_traceback() -> None:
    code = """
import sys
from bokeh_server.client.plainly import say_plainly
from bokeh_server.errors import ServerAway, Unauthorized
say_plainly(); say_plainly()
raise {}
"""
    for error, lines in (
        ("ServerAway('gone')", ["gone"]),
        ("Unauthorized('gone')", ["gone"]),
        ("ValueError('gone')", ["Traceback (most recent call last):"]),
    ):
        done = subprocess.run([sys.executable, "-c", code.format(error)], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines()[:1] == lines


@pytest.mark.parametrize("autopush", [True, False])
def test_show_and_push_say_that_the_server_is_away_and_what_was_changed_is_sent_later(
    server: RunningServer,
    title: str,
    autopush: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output_server(title, url=server.url, autopush=autopush)
    show(figure())
    session, document = current(), curdoc()
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    capsys.readouterr()
    server.kill()
    with pytest.raises(ServerAway, match="No bokeh-server answers"):
        show(Div(text="later"))
    assert capsys.readouterr().out == ""
    for again in (push, partial(session.store_document, document)):
        with pytest.raises(ServerAway, match="No bokeh-server answers"):
            again()
    assert not session.push(0.2)
    server.start()
    assert texts(session) == {"later"}


def test_show_waits_for_a_server_that_is_started_anew(server: RunningServer, title: str) -> None:
    output_server(title, url=server.url)
    show(figure())
    server.kill()
    starting = threading.Timer(0.5, server.start)
    starting.start()
    show(Div(text="shown"))
    assert stored(current(), "Div")[0]["attributes"]["text"] == "shown"
    starting.join()


def test_a_callback_may_show_and_push(live: RunningServer, title: str) -> None:
    output_server(title, url=live.url, autopush=False)
    slider = Slider(start=0, end=10, value=0)
    show(slider)
    seen: list[Any] = []

    def callback(attr: str, old: float, new: float) -> None:
        show(Div(text="shown"))
        seen.append(texts(current()))
        slider.end = 20
        push()
        seen.append(stored(current(), "Slider")[0]["attributes"]["end"])

    slider.on_change("value", callback)
    with Session(root_url=live.url) as other:
        other.use_doc(title)
        other.load_document(Document())
        there: Any = other.document.get_model_by_id(slider.id) if other.document else None
        there.value = 3
        assert until(lambda: len(seen) == 2 and seen) == [{"shown"}, 20]
