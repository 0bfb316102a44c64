"""``bokeh-server top`` as people type it, against real servers: in a terminal, in a pipe, and as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bokeh_server.top import cells, fitted, milliseconds, page, size
from tests.running import RunningServer, environment
from tests.web.asking import ask, content
from tests.web.people import World, peopled


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with accounts and a few people."""
    with peopled(tmp_path_factory.mktemp("top") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server without accounts."""
    with RunningServer(tmp_path_factory.mktemp("alone") / "data") as running:
        yield running


@pytest.fixture
def machine(server: RunningServer) -> RunningServer:
    """The same with a document in memory, which it leaves after a minute."""
    put(server.port, "machine")
    return server


def put(port: int, title: str) -> None:
    """Store a document."""
    assert ask(port, "PUT", f"/api/v1/documents/{title}", body=content()).status in (200, 201)


def typed(server: RunningServer, *words: str, key: str = "") -> subprocess.CompletedProcess[str]:
    """What ``top`` prints into a pipe."""
    command = [sys.executable, "-m", "bokeh_server", "top", "--url", server.url, "--interval", "0.2", *words]
    variables = environment() | ({"BOKEH_SERVER_TOKEN": key} if key else {})
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60, check=False)


def as_json(server: RunningServer, key: str = "") -> Any:
    """What it prints as JSON."""
    found = typed(server, "--json", key=key)
    assert (found.returncode, found.stderr) == (0, "")
    return json.loads(found.stdout)


@contextmanager
def terminal(server: RunningServer, columns: int, rows: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """``top`` in a terminal of this size; the process, and the terminal to be read."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-m", "bokeh_server", "top", "--url", server.url, "--interval", "0.2"]
    sized = {name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=sized)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def shown(terminal: int, *wanted: str) -> str:
    """What a terminal shows until it has shown all of these."""
    text, deadline = "", time.monotonic() + 30
    while not all(words in text for words in wanted):
        assert time.monotonic() < deadline, text
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


def test_a_pipe_gets_one_table(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        put(server.port, "machine")
        check_table(server)


def check_table(server: RunningServer) -> None:
    """What is printed of a server with one document."""
    found = typed(server)
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == f"bokeh-server at {server.url}/   1 document, 0 pages, 0 programs"
    assert re.match(r"patches 0\.0/s   in 0 B/s   out 0 B/s   waiting: store 0 B, clients 0 B$", lines[1])
    assert "event loop late" in lines[2]
    assert lines[4].split() == "TITLE OWNER PAGES PROGRAMS PATCHES/S IN/S OUT/S UNSENT LAG".split()
    assert lines[5].split() == "machine defaultuser 0 0 0.0 0 B 0 B 0 B 0.0 s".split()
    assert "\x1b" not in found.stdout


def test_what_comes_between_two_looks_is_told_by_the_second(machine: RunningServer) -> None:
    command = [sys.executable, "-m", "bokeh_server", "top", "--url", machine.url, "--interval", "3", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as running:
        while running.poll() is None:
            ask(machine.port, "PUT", "/api/v1/documents/machine/models/s1/value", body=str(time.time()).encode())
            time.sleep(0.01)
        assert running.stdout is not None
        found = json.loads(running.stdout.read())
    [document] = [each for each in found["documents"] if each["title"] == "machine"]
    assert document["patches"] > 1
    assert document["bytes"] > 80 * document["patches"]
    assert found["server"]["patches"] >= document["patches"]
    assert found["server"]["stages"]["commit"]["mean"] > 0
    assert found["seconds"] >= 3


def test_in_a_terminal_it_is_refreshed_until_ctrl_c(machine: RunningServer) -> None:
    with terminal(machine, 100, 20) as (process, screen):
        first = shown(screen, "machine", "\x1b[J")
        assert first.startswith("\x1b[?25l\x1b[H"), "the cursor is hidden, and the table begins at the top"
        put(machine.port, "came-later")
        shown(screen, "came-later")
        process.send_signal(signal.SIGINT)
        assert "\x1b[?25h" in shown(screen, "\x1b[?25h"), "the cursor is back"
        assert process.wait(20) == 0


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_no_line_is_longer_than_the_terminal_is_wide_and_none_too_many(machine: RunningServer, columns: int) -> None:
    put(machine.port, "x" * 150)
    with terminal(machine, columns, 9) as (_, screen):
        text = shown(screen, "xxx", "\x1b[J").partition("\x1b[J")[0]
    lines = re.sub(r"\x1b\[\??\w*[A-Zhl]", "", text).splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) <= 9
    heading = next(line for line in lines if line.startswith("TITLE"))
    assert ("OWNER" in heading) == (columns > 80)
    assert heading.split()[-1] == "LAG"


def test_a_terminal_is_told_that_the_server_is_away_and_sees_it_come_back(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        put(server.port, "before")
        with terminal(server, 120, 20) as (_, screen):
            shown(screen, "before")
            server.kill()
            shown(screen, "No bokeh-server answers", "It is asked again.")
            server.start()
            put(server.port, "afterwards")
            shown(screen, "afterwards")


def test_each_sees_what_he_may_see_and_only_an_administrator_the_server(world: World) -> None:
    document = world.new_document()
    title = world.call("anna", "GET", f"/api/v1/documents/{document}/info")["title"]
    seen = {user: as_json(world.server, world.keys[user]) for user in world.keys}
    there = {user: title in [each["title"] for each in found["documents"]] for user, found in seen.items()}
    assert there == {"anna": True, "ben": True, "eva": True, "sam": False, "root": True}
    assert [user for user, found in seen.items() if found["server"] is not None] == ["root"]
    own = typed(world.server, key=world.keys["ben"]).stdout.splitlines()
    assert re.match(r"bokeh-server at \S+   \d+ documents?, 0 pages, 0 programs$", own[0])
    assert own[1] == ""


def test_what_is_shared_no_longer_is_gone_at_the_next_look(world: World) -> None:
    document = world.new_document()
    assert document in [each["id"] for each in as_json(world.server, world.keys["ben"])["documents"]]
    world.call("anna", "DELETE", f"/api/v1/documents/{document}/grants/ben")
    assert document not in [each["id"] for each in as_json(world.server, world.keys["ben"])["documents"]]


def test_a_token_for_one_document_sees_that_one(world: World) -> None:
    documents = [world.new_document() for _ in range(2)]
    limited = {"name": "t", "scopes": ["read", "manage"], "document": documents[0]}
    key = world.call("root", "POST", "/api/v1/account/tokens", {"name": "t", "scopes": ["watch"]})["token"]
    one = world.call("anna", "POST", "/api/v1/account/tokens", limited)["token"]
    found = as_json(world.server, one)
    assert [each["id"] for each in found["documents"]] == documents[:1]
    assert found["server"] is None
    watching = as_json(world.server, key)
    assert (watching["documents"], watching["server"]["documents"] >= 2) == ([], True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--interval", "0"], "--interval is a number of seconds from 0.1 to 3600, not 0.0."),
        (["--url", "http://localhost:1/"], "No bokeh-server answers at http://localhost:1/"),
        (["--sort", "colour"], "'colour' is not one of"),
    ],
)
def test_a_mistake_is_one_line(server: RunningServer, words: list[str], said: str) -> None:
    found = typed(server, *words)
    assert found.returncode in (1, 2)
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_who_shows_nothing_to_a_server_with_accounts_is_told_to_log_in(world: World, tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "bokeh_server", "top", "--once", "--url", world.server.url],
        capture_output=True,
        text=True,
        env=environment() | {"HOME": str(tmp_path)},
        check=False,
    )
    assert (found.returncode, len(found.stderr.splitlines())) == (1, 1)
    assert "asks who you are" in found.stderr


def test_no_title_moves_the_cursor() -> None:
    document = {"title": "a\x1b[2Jb\nc", "owner": "o", "viewers": 1, "programs": 0, "patches": 0.0, "bytes": 0.0}
    found = {"documents": [{**document, "sent": 0.0, "unsent": 0, "lag": 0.0}], "server": None}
    assert list(page(found, "u"))[-1].startswith("a?[2Jb?c")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (812.4, "812 B"), (999.6, "1.0 kB"), (24_000, "24 kB"), (3.1e6, "3.1 MB"), (2e15, "2000 TB")],
)
def test_bytes_are_told_in_three_digits(number: float, text: str) -> None:
    assert size(number) == text


def test_times_are_told_in_milliseconds_or_not_at_all() -> None:
    assert milliseconds({"mean": 0.0004, "p99": 0.00125}) == "0.4 ms (99 %: 1.2 ms)"
    assert milliseconds({"mean": None, "p99": None}) == "–"


def test_wide_signs_and_accents_of_their_own_are_counted_as_a_terminal_shows_them() -> None:
    assert (cells("天気"), cells("é"), cells("e\u0301")) == (4, 1, 1)
    assert fitted("天気予報", 5) == "天気…"
    assert fitted("天気予報", 4) == "天… "
    assert fitted("abc", 5) == "abc  "
