"""Where programs run: a plain script, a thread, a running asyncio loop, IPython, a fork; and how they end."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bokeh.document import Document

from bokeh_server.client.session import Session
from tests.client.pages import Page, until
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


SLIDER = """
import asyncio, threading, time
from bokeh.models import Slider
from bokeh_server.plotting import output_server, show

def answer(attr, old, new):
    print("heard", new, flush=True)

def begin():
    slider = Slider(start=0, end=100, value=0)
    slider.on_change("value", answer)
    output_server({title!r})
    show(slider)

async def main():
    begin()
    await asyncio.sleep(60)

"""
PLACES = {
    "thread": "threading.Thread(target=begin).start()\ntime.sleep(60)\n",
    "loop": "asyncio.run(main())\n",
}


@contextmanager
def started(program: list[str], server: RunningServer, text: str = "") -> Iterator[Callable[[str], str]]:
    """A program under way that reads ``text``: wait for what it prints that matches a pattern."""
    variables = {**environment(), "BOKEH_SERVER_URL": server.url}
    pipe = subprocess.PIPE
    with subprocess.Popen(program, env=variables, stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(text)
        running.stdin.flush()
        lines = iter(running.stdout)
        try:
            yield lambda pattern: next(found[0] for line in lines if (found := re.search(pattern, line)))
        finally:
            running.kill()


def is_answered(live: RunningServer, printed: Callable[[str], str]) -> None:
    """Somebody moves the slider, and the program hears of it."""
    page = Page(live.port, printed("http.*/bokeh/doc/.*").rsplit("/", 1)[1])
    slider = {"id": page.doc["roots"][0]["id"]}
    page.send("PATCH-DOC", {"events": [{"kind": "ModelChanged", "model": slider, "attr": "value", "new": 42}]})
    assert printed("heard .*") == "heard 42"
    page.close()


@pytest.mark.parametrize("place", PLACES)
def test_a_slider_is_answered_wherever_the_program_runs(
    live: RunningServer, title: str, tmp_path: Path, place: str
) -> None:
    with started(script(tmp_path, SLIDER.format(title=title) + PLACES[place]), live) as printed:
        is_answered(live, printed)


def test_a_slider_is_answered_at_the_prompt_of_ipython(live: RunningServer, title: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor", f"--ipython-dir={tmp_path}"]
    with started(command, live, SLIDER.format(title=title) + "begin()\n") as printed:
        is_answered(live, printed)


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
from bokeh.document import Document
from bokeh_server.plotting import cursession, push
if os.fork() == 0:
    for _ in range(2):
        line.data_source.stream(dict(x=[-1], y=[-1]))
    try:
        push()
    except Exception as error:
        print(error)
    session, here = cursession(), Document()
    session.load_document(here)
    here.title = "by the child"
    print(session.flush())
    sys.exit()
os.wait()
line.data_source.stream(dict(x=[4], y=[4]))
"""


def test_a_forked_process_does_not_speak_for_its_parent(live: RunningServer, title: str, tmp_path: Path) -> None:
    done = run(script(tmp_path, SHOW.format(title=title) + FORK), live)
    assert done.returncode == 0, done.stderr
    assert columns(live, title, "line")["x"] == [1, 2, 3, 4]
    belongs = "This is a forked process, and the session belongs to the parent; make one here"
    assert done.stderr.count(f"A change was not sent: {belongs}") == 1
    assert belongs in done.stdout
    assert done.stdout.splitlines()[-1] == "True"


CHILD = """
import multiprocessing, pickle, sys
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh_server.plotting import cursession, figure, output_server, show
from bokeh_server.session import Session


def work(title, number):
    session, here = Session(), Document()
    session.use_doc(title)
    session.load_document(here)
    source = here.select_one({"type": ColumnDataSource})
    for value in range(20):
        source.stream({"x": [number], "y": [value]})
    assert session.close(30)


if __name__ == "__main__":
    method, title = sys.argv[1:]
    output_server(title)
    p = figure(width=300, height=300)
    source = p.line([0], [0], name="line").data_source
    show(p)
    context = multiprocessing.get_context(method)
    children = [context.Process(target=work, args=(title, number)) for number in (1, 2)]
    for child in children:
        child.start()
    for value in range(20):
        source.stream({"x": [3], "y": [value]})
    for child in children:
        child.join(60)
        assert child.exitcode == 0, child.exitcode
    try:
        pickle.dumps(cursession())
    except Exception as error:
        print(error)
    assert cursession().flush(30)
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_processes_of_a_program_have_sessions_of_their_own(
    live: RunningServer, title: str, tmp_path: Path, method: str
) -> None:
    done = run([*script(tmp_path, CHILD), method, title], live)
    assert done.returncode == 0, done.stderr
    found = columns(live, title, "line")
    assert sorted(found["x"]) == [0] + [1] * 20 + [2] * 20 + [3] * 20
    for number in (1, 2, 3):
        assert [y for x, y in zip(found["x"], found["y"], strict=True) if x == number] == list(range(20))
    assert "A session can't be given to another process: make one there, by Session" in done.stdout


HELD = """
import os, signal, sys, time
from bokeh_server.plotting import cursession
child = os.fork()
if child == 0:
    for call in (lambda: cursession().flush(), lambda: cursession().store_objects(line.data_source)):
        try:
            call()
        except Exception as error:
            print(type(error).__name__, flush=True)
    print(cursession().close(), cursession().connected, flush=True)
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep(1)
line.data_source.stream(dict(x=[4], y=[4]))
assert cursession().flush(30)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_holds_no_socket_of_its_parent(live: RunningServer, title: str, tmp_path: Path) -> None:
    variables = {**environment(), "BOKEH_SERVER_URL": live.url}
    program = script(tmp_path, SHOW.format(title=title) + HELD)
    with subprocess.Popen(program, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        _, *lines, child = [running.stdout.readline().strip() for _ in range(5)]
        assert lines == ["Forked", "Forked", "True False"]
        until(lambda: columns(live, title, "line")["x"] == [1, 2, 3, 4])
        with Session(root_url=live.url) as session:
            session.use_doc(title)
            session.load_document(Document())
            assert session._connection is not None
            connection = session._connection
            until(lambda: connection.presence.programs == 1)  # this one: the killed one is gone, though its child lives
        running.wait(10)
        os.kill(int(child), signal.SIGKILL)


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
