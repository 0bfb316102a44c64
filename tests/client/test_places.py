"""Where programs run: a plain script, a thread, a running asyncio loop, IPython, a fork; and how they end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

from bokeh.document import Document
from bokeh.models.widgets.sliders import Slider
from bokeh.plotting import figure

from bokeh_server.client.session import Session
from tests.client.pages import until
from tests.running import RunningServer, environment


def run(program: list[str], server: RunningServer, *, url: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as a user would with ``BOKEH_SERVER_URL`` set."""
    variables = {**environment(), "BOKEH_SERVER_URL": url or server.url}
    return subprocess.run(program, env=variables, capture_output=True, text=True, timeout=60, check=False)


def script(tmp_path: Path, text: str) -> list[str]:
    """A script with this text."""
    file = tmp_path / "script.py"
    file.write_text(text)
    return [sys.executable, str(file)]


SHOW = """
from bokeh_server.plotting import figure, output_server, show
output_server({title!r})
p = figure()
line = p.line([1, 2, 3], [1, 2, 3], name="line")
show(p)
"""
STREAM = """
for number in range(200):
    line.data_source.stream(dict(x=[number], y=[number]), rollover=300)
"""
X = "/api/v1/documents/{}/models/{}/data"


def columns(server: RunningServer, title: str, name: str) -> dict[str, list[float]]:
    """The data of the source whose renderer has a name."""
    session = Session(root_url=server.url)
    session.use_doc(title)
    (renderer,) = [m for m in session.pull("GlyphRenderer") if m["attributes"].get("name") == name]
    source = renderer["attributes"]["data_source"]["id"]
    found = server.request("GET", f"/api/v1/documents/{session.docid}/models/{source}/data")
    return dict(found["entries"]) if "entries" in found else found


def test_a_script_that_ends_right_after_show_has_stored_its_plot(
    live: RunningServer, title: str, tmp_path: Path
) -> None:
    done = run(script(tmp_path, SHOW.format(title=title)), live)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith(f"{live.url}/bokeh/doc/")
    assert columns(live, title, "line")["x"] == [1, 2, 3]


def test_a_script_that_ends_while_it_streams_loses_nothing(live: RunningServer, title: str, tmp_path: Path) -> None:
    done = run(script(tmp_path, SHOW.format(title=title) + STREAM), live)
    assert done.returncode == 0, done.stderr
    assert columns(live, title, "line")["x"] == [1, 2, 3, *range(200)]


def test_a_script_that_fails_loses_nothing_either(live: RunningServer, title: str, tmp_path: Path) -> None:
    done = run(script(tmp_path, SHOW.format(title=title) + STREAM + "1 / 0\n"), live)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert columns(live, title, "line")["x"] == [1, 2, 3, *range(200)]


def test_the_same_script_again_finds_its_document_and_link(live: RunningServer, title: str, tmp_path: Path) -> None:
    program = script(tmp_path, SHOW.format(title=title))
    first, second = run(program, live), run(program, live)
    assert first.stdout == second.stdout
    session = Session(root_url=live.url)
    session.use_doc(title)
    assert len(session.pull("Figure")) == 1


def test_a_server_that_is_away_is_one_line_that_says_how_to_start_it(
    live: RunningServer, title: str, tmp_path: Path
) -> None:
    done = run(script(tmp_path, SHOW.format(title=title)), live, url="http://localhost:9")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "No bokeh-server answers at http://localhost:9/" in done.stderr
    assert "start one with `bokeh-server`" in done.stderr


def test_the_link_of_a_prefix_and_a_slash_in_a_title_work(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--prefix", "/plots") as server:
        url = f"{server.url}/plots"
        done = run(script(tmp_path, SHOW.format(title="a/b ?#ü")), server, url=url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{url}/bokeh/doc/")
        again = run(script(tmp_path, SHOW.format(title="a/b ?#ü")), server, url=url)
        assert again.stdout == done.stdout


def test_a_session_works_in_a_thread(live: RunningServer, title: str) -> None:
    seen: list[bool] = []

    def work() -> None:
        document = Document()
        document.add_root(figure())
        with Session(root_url=live.url) as session:
            session.use_doc(title)
            session.store_document(document)
            document.title = "from a thread"
            seen.append(session.flush())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert seen == [True]


def test_a_session_works_inside_a_running_asyncio_loop(live: RunningServer, title: str) -> None:
    async def work() -> list[float]:
        slider = Slider(start=0, end=100, value=0)
        document, copy = Document(), Document()
        document.add_root(slider)
        with Session(root_url=live.url) as session, Session(root_url=live.url) as other:
            session.use_doc(title)
            session.store_document(document)
            other.use_doc(title)
            other.load_document(copy)
            values: list[float] = []
            slider.on_change("value", lambda attr, old, new: values.append(new))
            copy.roots[0].value = 42  # type: ignore[attr-defined]
            for _ in range(500):
                if values:
                    break
                await asyncio.sleep(0.02)
            return values

    assert asyncio.run(work()) == [42]


def ipython(folder: Path, code: str) -> list[str]:
    """A command that runs ``code`` in IPython."""
    file = folder / "cell.ipy"
    file.write_text(code)
    return [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", f"--ipython-dir={folder}", str(file)]


def test_a_session_works_in_ipython(live: RunningServer, title: str, tmp_path: Path) -> None:
    code = (
        SHOW.format(title=title)
        + STREAM
        + "from bokeh_server.plotting import cursession\nprint(cursession().flush())\n"
    )
    done = run(ipython(tmp_path, code), live)
    assert "True" in done.stdout, done.stdout + done.stderr
    assert columns(live, title, "line")["x"] == [1, 2, 3, *range(200)]


def test_ipython_prints_the_error_of_a_server_that_is_away_as_one_line(live: RunningServer, tmp_path: Path) -> None:
    code = "from bokeh_server.plotting import output_server\noutput_server('x', url='http://localhost:9')\n"
    done = run(ipython(tmp_path, code), live)
    assert "No bokeh-server answers at http://localhost:9/" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


FORK = """
import os, sys
if os.fork() == 0:
    line.data_source.stream(dict(x=[-1], y=[-1]))
    sys.exit()
os.wait()
line.data_source.stream(dict(x=[4], y=[4]))
"""


def test_a_forked_process_does_not_speak_for_its_parent(live: RunningServer, title: str, tmp_path: Path) -> None:
    done = run(script(tmp_path, SHOW.format(title=title) + FORK), live)
    assert done.returncode == 0, done.stderr
    assert columns(live, title, "line")["x"] == [1, 2, 3, 4]


ENDLESS = """
import time
while True:
    time.sleep(0.05)
    line.data_source.stream(dict(x=[0], y=[0]), rollover=3)
"""


def test_the_threads_of_a_session_keep_no_program_alive(live: RunningServer, title: str, tmp_path: Path) -> None:
    variables = {**environment(), "BOKEH_SERVER_URL": live.url}
    program = script(tmp_path, SHOW.format(title=title) + ENDLESS)
    with subprocess.Popen(program, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith("http")
        until(lambda: columns(live, title, "line")["x"] == [0, 0, 0])
        running.send_signal(2)
        assert running.wait(10) != 0
        assert "KeyboardInterrupt" in running.stderr.read()
