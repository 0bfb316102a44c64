"""Sites that end or reload under load: sockets are told to come back, nothing is lost, and everybody does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bokeh.models import ColumnDataSource
from websockets.exceptions import ConnectionClosed

from bokeh_server import Session
from tests.hosts.test_sites import COMMANDS, HYPERCORN, Site, document_with
from tests.web.town import send

ALL = os.environ.get("HOSTS") == "all"
VIEWERS = 10
PAUSE = 0.002
"""Seconds between two rows."""
MOST = 5.0
"""Seconds in which a server ends."""
PATIENCE = 40.0
"""Seconds for a site to be there again, on a busy machine."""
APP = {"flask run": "flask_site", "gunicorn": "flask_site", "hypercorn": "quart_site"}
RELOADING = {
    "flask run": ["flask", "--app", "watched", "run", "--reload", "--port", "{port}"],
    "gunicorn": COMMANDS["gunicorn"],
    "uvicorn": ["uvicorn", "--reload", "--reload-dir", "{beside}", "--port", "{port}", "watched:app"],
    "hypercorn": [*HYPERCORN, "--reload", "watched:app"],
    "granian": COMMANDS["granian"],
}
ENDING = COMMANDS if ALL else ["gunicorn", "uvicorn", "hypercorn", "granian"]


def ends(name: str) -> list[signal.Signals]:
    """The signals that end a host. gunicorn may hang for 30 s at SIGINT, as the how-to says: its handler waits for a
    lock that the same thread holds while it hands on a request."""
    if name.startswith("gunicorn"):
        return [signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM] if ALL else [signal.SIGINT]


class Program(threading.Thread):
    """One that sends row after row, whatever happens to the site. ``sent`` is how many."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.session = Session(root_url=site.url)
        self.session.use_doc("load")
        self.source = ColumnDataSource({"n": [0]})
        self.session.store_document(document_with(self.source))
        self.document = self.session.link.rpartition("/")[2]
        self.sent = 1
        self._over = threading.Event()

    def run(self) -> None:
        """Send until ``stop``."""
        while not self._over.wait(PAUSE):
            self.source.stream({"n": [self.sent]})
            self.sent += 1

    def stop(self) -> None:
        """No more rows."""
        self._over.set()
        self.join()


class Viewer(threading.Thread):
    """One that reads all that comes until it is sent away: with which code, and when."""

    def __init__(self, site: Site, document: str) -> None:
        super().__init__()
        self._site, self._document = site, document
        self.ready = threading.Event()
        self.code = 0
        self.when = 0.0

    def run(self) -> None:
        """Read."""
        with self._site.socket(self._document) as opened:
            send(opened, "PULL-DOC-REQ")
            self.ready.set()
            with suppress(ConnectionClosed):
                while True:
                    opened.recv()
            self.when = time.monotonic()
            self.code = opened.close_code or 0


@contextmanager
def load(site: Site) -> Iterator[tuple[Program, list[Viewer]]]:
    """A program that streams, and viewers that look on. At the end all its rows are in the store, each once."""
    program = Program(site)
    with program.session:
        viewers = [Viewer(site, program.document) for _ in range(VIEWERS)]
        for thread in (program, *viewers):
            thread.start()
        try:
            for viewer in viewers:
                assert viewer.ready.wait(PATIENCE)
            time.sleep(0.5)
            yield program, viewers
            time.sleep(0.2)
        finally:
            program.stop()
        assert program.session.flush(PATIENCE)
    stored = until(lambda: rows(site, program))
    assert stored == list(range(program.sent))


def rows(site: Site, program: Program) -> Any:
    """What the store has."""
    data = site.ask("GET", f"/api/v1/documents/{program.document}/models/{program.source.id}/data").json
    return data["entries"][0][1] if "entries" in data else data["n"]


def until(ask: Callable[[], Any]) -> Any:
    """What ``ask`` says, once somebody answers."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (OSError, KeyError):
            assert time.monotonic() < end
            time.sleep(0.1)


def dismissed(site: Site, viewers: list[Viewer], begin: float) -> None:
    """Everybody has been sent away in time, with the right code."""
    for viewer in viewers:
        viewer.join(PATIENCE)
    assert {viewer.code for viewer in viewers} == {site.code}
    assert max(viewer.when for viewer in viewers) - begin < MOST


@pytest.mark.parametrize(("name", "number"), [(name, number) for name in ENDING for number in ends(name)])
def test_under_load_it_ends_in_time_and_everybody_comes_back(name: str, number: signal.Signals, tmp_path: Path) -> None:
    site = Site(tmp_path / "data", COMMANDS[name])
    with ExitStack() as end:
        end.callback(site.stop)
        with load(site) as (_, viewers):
            begin = time.monotonic()
            site.stop(number)
            assert time.monotonic() - begin < MOST
            dismissed(site, viewers, begin)
            site.start()
    assert "/bokeh_server/" not in site.log.read_text(), "no traceback leads through us"


@pytest.mark.parametrize("name", RELOADING if ALL else ["flask run", "gunicorn"])
def test_when_it_reloads_everybody_is_sent_away_and_comes_back(name: str, tmp_path: Path) -> None:
    watched = tmp_path / "watched.py"
    watched.write_text(f"from tests.hosts.{APP.get(name, 'starlette_site')} import app\n__all__ = ['app']\n")
    site = Site(tmp_path / "data", RELOADING[name])
    by_file = "watched" in " ".join(site.command)
    with ExitStack() as end:
        end.callback(site.stop, ends(name)[0])
        with load(site) as (_, viewers):
            begin = time.monotonic()
            if by_file:
                os.utime(watched)
            else:
                site.process.send_signal(signal.SIGHUP)
            dismissed(site, viewers, begin)
    assert "/bokeh_server/" not in site.log.read_text(), "no traceback leads through us"
