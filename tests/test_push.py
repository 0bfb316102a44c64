"""``bokeh-server push`` in a process of its own, as it stands behind a pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.test_tables import VMSTAT
from tests.running import RunningServer, environment

PUSH = [sys.executable, "-m", "bokeh_server", "push"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data") as running:
        yield running


def begun(server: RunningServer, *arguments: str) -> subprocess.Popen[str]:
    """The command, whose lines are still to come."""
    variables = {**environment(), "BOKEH_SERVER_URL": server.url}
    pipes: dict[str, Any] = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([*PUSH, *arguments], env=variables, text=True, bufsize=1, **pipes)


def pushed(server: RunningServer, text: str, *arguments: str) -> tuple[int, str, str]:
    """Exit status and what was said."""
    process = begun(server, *arguments)
    said, wrong = process.communicate(text, timeout=60)
    return process.returncode, said, wrong


def columns(server: RunningServer, title: str) -> dict[str, Any]:
    entries = server.request("GET", f"/api/v1/documents/{title}/models/rows/data")["entries"]
    return dict(entries)


def test_what_vmstat_prints_is_a_plot(server: RunningServer) -> None:
    status, said, wrong = pushed(server, VMSTAT, "load")
    assert (status, wrong) == (0, "")
    assert said.startswith(f"Live at {server.url}/bokeh/doc/")
    assert said.endswith("\n2 rows.\n")
    assert list(columns(server, "load"))[:4] == ["time", "r", "b", "swpd"]


def test_lines_that_are_no_rows_are_told_and_left_out(server: RunningServer) -> None:
    status, said, wrong = pushed(server, '{"a": 1}\nx\n{"a": "y"}\n{"a": 2}\n', "spoilt", "--json")
    assert status == 0
    assert json.loads(said)["rows"] == 2
    assert json.loads(said)["left_out"] == 2
    assert "line 2 is left out: it is no JSON" in wrong
    assert "line 3 is left out: The field 'a' has numbers; 'y' is none." in wrong


def test_a_server_that_is_killed_loses_and_doubles_nothing(server: RunningServer) -> None:
    process = begun(server, "kept", "--rollover", "100000")
    assert process.stdin is not None
    assert process.stdout is not None
    for at in range(300):
        process.stdin.write(f'{{"t": {at}, "n": {at}}}\n')
        if at == 100:
            process.stdin.flush()
            assert "Live at" in process.stdout.readline()
            server.kill()
            time.sleep(0.3)
            server.start()
        time.sleep(0.001)
    process.communicate(timeout=60)
    assert process.returncode == 0
    whole = server.request("GET", "/api/v1/documents/kept")
    from bokeh.document import Document

    source: Any = Document.from_json(whole).get_model_by_name("rows")
    assert list(source.data["n"]) == list(range(300))


def test_ctrl_c_ends_it_cleanly(server: RunningServer) -> None:
    process = begun(server, "ended")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("1\n")
    process.stdin.flush()
    assert "Live at" in process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    said, wrong = process.communicate(timeout=30)
    assert (process.returncode, said, wrong) == (0, "1 row.\n", "")


def test_no_server_is_one_line(tmp_path: Path) -> None:
    variables = {**environment(), "BOKEH_SERVER_URL": "http://localhost:1/"}
    done = subprocess.run([*PUSH, "load"], input="1\n", env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("bokeh-server: No bokeh-server answers")
    assert done.stderr.count("\n") == 1
