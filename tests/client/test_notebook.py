"""``output_notebook`` and what ``show`` outputs, in a real IPython shell of this process."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bokeh.io
import pytest
from bokeh.io.state import curstate
from bokeh.layouts import column, gridplot, layout, row
from bokeh.models import ColumnDataSource, TabPanel, Tabs
from bokeh.models.widgets import DataTable, Div, Slider
from bokeh.plotting import figure
from bokeh.resources import INLINE
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from bokeh_server import plotting
from bokeh_server.client import notebook, output
from bokeh_server.client.notebook import BAR, Notebook, height_of
from bokeh_server.client.session import Session
from bokeh_server.errors import BadSetting, ServerAway
from bokeh_server.plotting import curdoc, cursession, output_notebook, output_server, reset_output, show
from tests.running import RunningServer


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell of IPython, as a kernel has one."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell.instance(config=config)
    yield made
    InteractiveShell.clear_instance()


def shown(*models: Any, **how: Any) -> list[dict[str, str]]:
    """What ``show`` displays, by media type; nothing is printed beside it."""
    with capture_output() as captured:
        show(list(models) if len(models) > 1 else models[0], **how)
    assert captured.stdout == ""
    return [rich.data for rich in captured.outputs]


def current() -> Session:
    """The session that ``output_notebook`` made or took."""
    session = cursession()
    assert session is not None
    return session


def sources(output: dict[str, str]) -> list[str]:
    """Where the iframes of an output lead."""
    return [html.unescape(found) for found in re.findall(r'<iframe src="([^"]*)"', output["text/html"])]


def links(live: RunningServer) -> list[dict[str, Any]]:
    """The links to the document of the current session."""
    return list(live.request("GET", f"/api/v1/documents/{current().docid}/links"))


@pytest.mark.usefixtures("shell")
def test_show_displays_one_iframe_with_the_live_plot_and_nothing_of_it(live: RunningServer, title: str) -> None:
    output_notebook(live.url, title)
    p = figure(height=300, title="Secret words")
    p.line([1234.5, 2], [3, 4])
    (told,) = shown(p)
    assert set(told) == {"text/html", "text/plain"}
    assert told["text/plain"] == current().link
    assert "<script" not in told["text/html"]
    assert "Secret" not in told["text/html"]
    assert len(told["text/html"]) < 400
    (link,) = links(live)
    assert (link["name"], link["role"], link["embed"]) == ("notebook", "editor", ["*"])
    assert link["until"] - link["created"] == 86_400
    (source,) = sources(told)
    place, _, key = source.partition("#")
    assert place == f"{live.url}/bokeh/linked/{link['id']}/{p.id}"
    assert live.request("POST", f"/bokeh/linked/{link['id']}", {"key": key})["title"] == title
    assert f'height="{300 + BAR}"' in told["text/html"]
    assert 'height="77"' in shown(p, height=77)[0]["text/html"]
    assert current().connected


@pytest.mark.usefixtures("shell")
def test_all_cells_and_runs_of_a_kernel_share_a_link_as_long_as_it_holds_for_hours(
    live: RunningServer, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output_notebook(live.url, title)
    p, slider = figure(), Slider(start=0, end=1, value=0)
    first = sources(*shown(p)) + sources(*shown(slider))
    output_notebook(live.url, title)
    first += sources(*shown(p, slider))
    assert len(first) == 4
    assert len({source.partition("#")[2] for source in first}) == len(links(live)) == 1
    for end in ("removed", "turned off", "old"):
        place = f"/api/v1/documents/{current().docid}/links/{links(live)[0]['id']}"
        if end == "removed":
            live.request("DELETE", place)
        elif end == "turned off":
            live.request("PATCH", place, {"enabled": False})
        else:
            monkeypatch.setattr(notebook, "A_DAY", 1e-9)
        (again,) = sources(*shown(p))
        assert again not in first
        first.append(again)


@pytest.mark.usefixtures("shell")
def test_a_document_keeps_the_newest_links_of_notebooks_and_all_others(
    live: RunningServer, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "MOST", 2)
    output_notebook(live.url, title)
    kept = [current().share(name="notebook"), current().share(name="mine", embed="*")]
    p = figure()
    for _ in range(3):
        notebook.KEPT.clear()
        shown(p)
    assert sorted(link["name"] for link in links(live)) == ["mine", "notebook", "notebook", "notebook"]
    assert len(kept) == 2


@pytest.mark.usefixtures("shell")
def test_the_cell_run_again_moves_its_plot_into_the_fresh_document(live: RunningServer, title: str) -> None:
    p, source = figure(), ColumnDataSource({"x": [1], "y": [2]})
    p.line("x", "y", source=source)
    for _ in range(2):
        output_notebook(live.url, title)
        shown(p)
        assert curdoc().roots == [p]
    source.stream({"x": [2], "y": [3]})
    assert current().flush()
    stored = current().pull("ColumnDataSource", source.id)["attributes"]["data"]
    assert "2" in str(stored)


@pytest.mark.usefixtures("shell")
def test_without_a_title_all_runs_of_a_kernel_have_one_document(live: RunningServer, title: str) -> None:
    output_notebook(live.url)
    first = current().title or ""
    assert re.fullmatch(r"IPython Session at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first)
    output_notebook(live.url)
    assert current().title == first
    session = Session(root_url=live.url)
    session.use_doc(title)
    output_notebook(session=session, autopush=False)
    assert cursession() is session
    assert (session.title, session.autopush) == (title, False)


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize(
    ("browser_url", "root"),
    [
        ("/services/plots/", "/services/plots/"),
        ("/services/plots", "/services/plots/"),
        ("/", "/"),
        ("https://hub.example.org/plots", "https://hub.example.org/plots/"),
    ],
)
def test_the_browser_may_find_the_server_elsewhere(
    live: RunningServer, title: str, browser_url: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = figure()
    output_notebook(live.url, title, browser_url=browser_url)
    assert sources(*shown(p))[0].startswith(f"{root}bokeh/linked/")
    monkeypatch.setenv("BOKEH_SERVER_BROWSER_URL", browser_url)
    output_notebook(live.url, title)
    assert sources(*shown(p))[0].startswith(f"{root}bokeh/linked/")
    assert re.search(rf"/{p.id}#bsk_\S+$", sources(*shown(p))[0])


@pytest.mark.parametrize(
    "wrong", ["//evil.example", "hub.example.org", "javascript:alert(1)", "/a b", '/"><b>x', "/a?b"]
)
def test_a_place_where_no_browser_finds_a_server_is_refused_in_one_line(wrong: str) -> None:
    with pytest.raises(BadSetting, match="browser_url looks like https://") as raised:
        output_notebook("http://localhost:9", browser_url=wrong)
    assert "\n" not in str(raised.value)


def test_a_server_that_is_away_is_said_by_output_notebook() -> None:
    with pytest.raises(ServerAway, match="No bokeh-server answers at http://localhost:9/"):
        output_notebook("http://localhost:9", "x")
    assert cursession() is None


def test_without_a_notebook_the_link_is_printed(
    live: RunningServer, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output_notebook(live.url, title)
    show(figure())
    assert capsys.readouterr().out == f"{current().link}\n"
    assert links(live) == []


@pytest.mark.usefixtures("shell")
def test_output_server_and_reset_output_end_it(
    live: RunningServer, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    p = figure()
    output_notebook(live.url, title)
    shown(p)
    output_server(title, url=live.url)
    show(p)
    assert capsys.readouterr().out == f"{current().link}\n"
    output_notebook(live.url, title)
    reset_output()
    assert output.OUTPUT.notebook is None
    assert cursession() is None


@pytest.mark.usefixtures("shell")
def test_a_file_that_is_asked_for_is_written_too(live: RunningServer, title: str, tmp_path: Path) -> None:
    output_notebook(live.url, title)
    plotting.output_file(tmp_path / "plot.html", mode="cdn")
    shown(figure())
    assert "<html" in (tmp_path / "plot.html").read_text()


@pytest.mark.parametrize(
    ("given", "named"),
    [((), {}), ((INLINE,), {}), ((INLINE, True, True), {}), ((), {"resources": INLINE, "hide_banner": True})],
)
def test_without_a_server_it_is_bokehs_own(
    given: tuple[Any, ...], named: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(bokeh.io, "output_notebook", lambda *how: asked.append(how))
    output_notebook(*given, **named)
    resources = INLINE if given or named else None
    assert asked == [(resources, len(given) == 3, len(given) == 3 or "hide_banner" in named, 5000, "jupyter")]
    assert cursession() is None


@pytest.mark.usefixtures("shell")
def test_bokehs_own_shows_a_static_plot_again(live: RunningServer, title: str) -> None:
    output_notebook(live.url, title)
    shown(figure())
    session = current()
    with capture_output():
        output_notebook(hide_banner=True)
    assert curstate().notebook
    told = shown(figure())
    assert any("application/javascript" in data for data in told)
    assert not any("iframe" in data.get("text/html", "") for data in told)
    assert session.connected
    session.close()


@pytest.mark.parametrize(
    ("make", "height"),
    [
        (lambda: figure(height=300), 300),
        (lambda: figure(height=None), 600),
        (lambda: Slider(start=0, end=1, value=0), 56),
        (lambda: Slider(start=0, end=1, value=0, height=90), 90),
        (lambda: DataTable(), 400),
        (lambda: column(figure(height=200), Slider(start=0, end=1, value=0)), 268),
        (lambda: row(figure(height=200), figure(height=250)), 250),
        (lambda: layout([[figure(height=200), figure(height=250)], [Div(text="x")]]), 250 + 56 + 12),
        (lambda: gridplot([[figure(height=200), figure(height=250)], [figure(height=100)]]), 362),
        (lambda: Tabs(tabs=[TabPanel(child=figure(height=200), title="a")]), 240),
        (lambda: row(), 0),
        (lambda: ColumnDataSource(), 400),
    ],
)
def test_an_iframe_is_as_tall_as_what_it_shows(make: Any, height: int) -> None:
    model = make()
    assert height_of(model) == height
    framed = Notebook().frame("http://localhost:5006/bokeh/linked/abc#bsk_key", model)
    assert f'height="{height + BAR}"' in framed
