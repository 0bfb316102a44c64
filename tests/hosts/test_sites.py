"""The server within other people's applications, each run by its own command line, as its users run it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.model import Model
from bokeh.models.widgets import Slider
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bokeh_server import Session, create_app
from bokeh_server.adapters.flask import NO_SOCKET
from tests.running import environment
from tests.web.asking import Answer, ask
from tests.web.town import closed, receive, send

AT = "/plots"
HYPERCORN = ["hypercorn", "--graceful-timeout", "1", "--bind", "127.0.0.1:{port}"]
"""It waits so many seconds for sockets to end by themselves; 3 without this."""
GRANIAN = ["granian", "--interface", "asgi", "--workers-kill-timeout", "3", "--port", "{port}"]
"""Without the time-out it waits for ever for a worker that hangs at Ctrl-C, as the how-to says."""
COMMANDS = {
    "flask run": ["flask", "--app", "tests.hosts.flask_site", "run", "--port", "{port}"],
    "gunicorn": ["gunicorn", "--threads", "4", "--bind", "127.0.0.1:{port}", "tests.hosts.flask_site:app"],
    "gunicorn that loads before it forks": [
        *("gunicorn", "--preload", "--threads", "4", "--bind", "127.0.0.1:{port}", "tests.hosts.flask_site:app"),
    ],
    "uvicorn": ["uvicorn", "--port", "{port}", "tests.hosts.starlette_site:app"],
    "uvicorn with our protocol": ["python", "-m", "tests.hosts.fast", "{port}", "tests.hosts.starlette_site:app"],
    "hypercorn": [*HYPERCORN, "tests.hosts.quart_site:app"],
    "granian": [*GRANIAN, "tests.hosts.starlette_site:app"],
}
FRAMEWORKS = {
    "FastAPI": ["uvicorn", "--port", "{port}", "tests.hosts.fastapi_site:app"],
    "Django": [*HYPERCORN, "tests.hosts.django_site:app"],
}
CODES = {"hypercorn": 1011, "granian": 1006}
"""These close sockets by themselves when they end, before we can; all clients come back after any code."""


class Site:
    """A site that runs."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder = folder
        self.code = CODES.get(command[0], 1012)
        """With which a socket is closed when it ends."""
        self.command = command
        self.log = folder.with_suffix(".log")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://localhost:{self.port}{AT}/"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = [word.format(port=self.port, beside=self.folder.parent) for word in self.command]
        path = os.pathsep.join([*sys.path, str(self.folder.parent)])
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name(words[0])), *words[1:]],
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
                env={**environment(), "DATA": str(self.folder), "PYTHONPATH": path},
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it as its users do: a terminal's Ctrl-C goes to all its processes."""
        if number is signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        """A request, below where the server is."""
        return ask(self.port, method, AT + path, **more)

    def socket(self, document: str) -> Any:
        """A program's socket."""
        return connect(f"ws://localhost:{self.port}{AT}/bokeh/doc/{document}/ws", compression=None)


@pytest.fixture(params=COMMANDS, scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Each kind of site."""
    made = Site(tmp_path_factory.mktemp("site") / "data", COMMANDS[request.param])
    yield made
    if made.process.poll() is None:
        made.stop()


def test_what_the_howto_says_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "within-an-application.md").read_text()
    flask_site, starlette_site, fast, _, members, forget, _, named = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    made: dict[str, Any] = {"__name__": __name__}
    exec(flask_site.replace("plots-data", str(tmp_path / "data")), made)
    client = made["app"].test_client()
    assert client.get("/plots/bokeh/ping").text == "pong"
    made["app"].blueprints["bokeh_server"].background.stop()
    exec(starlette_site.replace("plots-data", str(tmp_path / "more")), made)
    exec((members + forget).replace("plots-data", str(tmp_path / "members")), made)
    assert made["plots"].site.config.admins == ("ann",)
    assert "{{ plots.tag(id) }}" in page
    called = (Path(__file__).parent / "fast.py").read_text()
    assert all(line.strip() in called for line in re.findall(r"protocol = .*|ws=.*?[,)]", fast))
    assert create_app().tag("d1", "m 1", at="/plots/").count('"/plots/bokeh/autoload.js?document=d1&amp;model=m%201"')
    made["plots"].background.stop()
    exec(named, made)
    assert made["plots"].site.config.public_urls == ("https://intranet.example",)


def document_with(root: Model) -> Document:
    """A bokeh document with this root."""
    made = Document()
    made.add_root(root)
    return made


def test_a_program_stores_streams_and_hears_what_others_do(site: Site) -> None:
    heard: list[Any] = []
    slider = Slider(start=0, end=10, value=3)
    slider.on_change("value", lambda attribute, old, new: heard.append(new))
    with Session(root_url=site.url) as session:
        session.use_doc("live")
        session.store_document(document_with(slider))
        assert session.link.startswith(f"{site.url}bokeh/doc/")
        document = session.link.rpartition("/")[2]
        with site.socket(document) as viewer:
            send(viewer, "PULL-DOC-REQ")
            receive(viewer, "PULL-DOC-REPLY")
            slider.value = 5
            assert session.flush(10)
            assert receive(viewer, "PATCH-DOC")["events"][0]["new"] == 5
            change = {"kind": "ModelChanged", "model": {"id": slider.id}, "attr": "value", "new": 7}
            send(viewer, "PATCH-DOC", {"events": [change]})
            deadline = time.monotonic() + 10
            while heard[-1:] != [7]:
                assert time.monotonic() < deadline
                session.flush(1)
                time.sleep(0.05)


def test_pages_and_links_are_below_where_it_is_mounted_and_the_rest_is_the_sites(site: Site) -> None:
    board = site.ask("GET", "/")
    assert board.status == 200
    assert f'src="{AT}/static/app/'.encode() in board.body
    assert ask(site.port, "GET", "/").body == b"the site's own page"
    made = site.ask("POST", "/api/v1/documents", body=b'{"title": "f\xc3\xbcnf / 5"}')
    assert made.status == 201
    assert made.json["link"] == f"{site.url}bokeh/doc/{made.json['id']}"
    assert site.ask("GET", f"/bokeh/doc/{made.json['id']}").status == 200
    assert site.ask("GET", "/nothing").status == 404
    assert site.ask("GET", "/bokeh//ping").status == 400
    assert "site" not in site.ask("GET", "/").headers.get("set-cookie", "")


def test_without_accounts_it_answers_under_the_names_of_this_machine_only(site: Site) -> None:
    assert site.ask("GET", "/", host=f"127.0.0.1:{site.port}").status == 200
    told = site.ask("GET", "/api/v1/documents", host=f"evil.example:{site.port}")
    assert told.status == 403
    assert "use localhost" in told.json["detail"]
    other = [("Origin", "http://evil.example")]
    assert site.ask("POST", "/api/v1/documents", headers=other, body=b'{"title": "x"}').status == 403
    same = [("Origin", f"http://localhost:{site.port}")]
    assert site.ask("POST", "/api/v1/documents", headers=same, body=b'{"title": "y"}').status == 201


def test_many_viewers_hold_no_thread_of_the_site(site: Site) -> None:
    document = site.ask("POST", "/api/v1/documents", body=b'{"title": "many"}').json["id"]
    with ExitStack() as opened:
        for _ in range(30):
            one = opened.enter_context(site.socket(document))
            send(one, "PULL-DOC-REQ")
            receive(one, "PULL-DOC-REPLY")
        assert site.ask("GET", f"/api/v1/documents/{document}/info").json["programs"] == 30


def test_rows_are_there_while_the_body_that_brings_them_goes_on(site: Site) -> None:
    there = "/api/v1/documents/body"
    with closing(http.client.HTTPConnection("localhost", site.port, timeout=20)) as producer:
        producer.putrequest("POST", f"{AT}{there}/rows")
        producer.putheader("Content-Type", "application/x-ndjson")
        producer.putheader("Transfer-Encoding", "chunked")
        producer.endheaders()
        for number in (1, 2):
            producer.send(b'9\r\n{"a": %d}\n\r\n' % number)
            deadline = time.monotonic() + 20
            while f'"shape":[{number}]' not in site.ask("GET", f"{there}/models/rows/data").body.decode():
                assert time.monotonic() < deadline, "the row is not there"
                time.sleep(0.05)
        producer.send(b"0\r\n\r\n")
        assert json.loads(producer.getresponse().read())["rows"] == 2


def test_it_ends_within_5_seconds_tells_everybody_and_has_all_when_it_starts_again(site: Site) -> None:
    document = site.ask("POST", "/api/v1/documents", body=b'{"title": "kept"}').json["id"]
    with site.socket(document) as viewer:
        send(viewer, "PULL-DOC-REQ")
        receive(viewer, "PULL-DOC-REPLY")
        begin = time.monotonic()
        site.stop()
        assert time.monotonic() - begin < 5
        assert closed(viewer)[0] == site.code
    site.start()
    assert site.ask("GET", f"/api/v1/documents/{document}/info").json["title"] == "kept"
    assert "/bokeh_server/" not in site.log.read_text(), "no traceback leads through us"


def test_with_our_protocol_the_sites_own_sockets_work_as_well(tmp_path: Path) -> None:
    fast = Site(tmp_path / "data", COMMANDS["uvicorn with our protocol"])
    try:
        with connect(f"ws://localhost:{fast.port}/echo") as own:
            for text in ("short", "x" * 200_000):
                own.send(text)
                assert own.recv(10) == text
    finally:
        fast.stop()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_in_other_frameworks_it_is_the_same(framework: str, tmp_path: Path) -> None:
    other = Site(tmp_path / "data", FRAMEWORKS[framework])
    try:
        test_a_program_stores_streams_and_hears_what_others_do(other)
        test_pages_and_links_are_below_where_it_is_mounted_and_the_rest_is_the_sites(other)
        test_it_ends_within_5_seconds_tells_everybody_and_has_all_when_it_starts_again(other)
    finally:
        other.stop()


def test_waitress_serves_all_but_sockets_and_says_what_does(tmp_path: Path) -> None:
    waitress = ["waitress-serve", "--listen", "127.0.0.1:{port}", "tests.hosts.flask_site:app"]
    site = Site(tmp_path / "data", waitress)
    try:
        test_pages_and_links_are_below_where_it_is_mounted_and_the_rest_is_the_sites(site)
        document = site.ask("POST", "/api/v1/documents", body=b'{"title": "still"}').json["id"]
        told = site.ask("POST", f"/bokeh/doc/{document}/ticket")
        assert (told.status, told.json["detail"]) == (503, NO_SOCKET)
        with pytest.raises(InvalidStatus) as refused, site.socket(document):
            pass
        assert refused.value.response.status_code == 503
        assert NO_SOCKET.encode() in (refused.value.response.body or b"")
    finally:
        site.stop()
