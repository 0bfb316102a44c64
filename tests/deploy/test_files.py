"""The files of ``deploy/`` that no proxy reads: systemd's unit, the container, and what the how-to shows of all."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.proxies import DEPLOY, free_port
from tests.documented import blocks
from tests.running import environment

UNIT = (DEPLOY / "bokeh-server.service").read_text()
CONTAINER = (DEPLOY / "Containerfile").read_text()
PAGE = "docs/howto/deploy.md"


def started(words: list[str], **variables: str) -> subprocess.Popen[str]:
    """The server by the words of a file, in which the program is the one of these tests."""
    assert Path(words[0]).name == "bokeh-server"
    command = [sys.executable, "-m", "bokeh_server", *words[1:]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment() | variables)


def test_the_unit_starts_a_server_that_says_when_it_is_ready(tmp_path: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    for old, new in {"%S": str(tmp_path), "%t/bokeh-server": str(tmp_path), "$OPTIONS": "--prefix /plots"}.items():
        assert old in line
        line = line.replace(old, new)
    line = line.replace("${PUBLIC_URL}", "https://plots.example.org")
    assert "Type=notify" in UNIT
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(tmp_path / "notify"))
        system.settimeout(20)
        with started(shlex.split(line), NOTIFY_SOCKET=str(tmp_path / "notify")) as server:
            try:
                assert system.recv(100) == b"READY=1"
                assert (tmp_path / "bokeh-server.sock").is_socket()
                assert server.stdout is not None
                assert "at https://plots.example.org/plots/ by the unix socket" in server.stdout.readline()
                server.send_signal(signal.SIGTERM)
                assert system.recv(100) == b"STOPPING=1"
                assert server.wait(10) == 0
            finally:
                server.kill()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this system has no systemd")
def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    unit = tmp_path / "bokeh-server.service"
    unit.write_text(UNIT.replace("/opt/bokeh-server/bin/bokeh-server", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert [line for line in verified.stderr.splitlines() if "bokeh-server" in line] == []
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    judged = subprocess.run(words, capture_output=True, text=True)
    if "unrecognized option" not in judged.stderr:  # before systemd 250
        assert judged.returncode == 0, judged.stdout[-300:]


def words_of(instruction: str) -> list[str]:
    """The words of an instruction in the container's file."""
    found = re.search(rf"^(?: +)?{instruction} [^\n\[]*?(\[.*\])$", CONTAINER.replace("\\\n", ""), re.MULTILINE)
    assert found, instruction
    words: list[str] = json.loads(found[1])
    return words


def test_the_container_starts_a_server_that_its_own_check_finds_healthy(tmp_path: Path) -> None:
    port = free_port()
    words = [*words_of("ENTRYPOINT"), *words_of("CMD"), "--prefix", "/plots"]
    words = [{"/data": str(tmp_path / "data"), "5006": str(port)}.get(word, word) for word in words]
    check = [word.replace(":5006", f":{port}") for word in words_of("HEALTHCHECK")]
    assert check[0] == "python"
    with started(words) as server:
        try:
            assert server.stdout is not None
            assert "bokeh-server at" in server.stdout.readline()
            for prefix, status in (("/plots", 0), ("/elsewhere", 1)):
                variables = {**os.environ, "SCHEME": "http", "PREFIX": prefix}
                done = subprocess.run([sys.executable, *check[1:]], env=variables, capture_output=True)
                assert done.returncode == status, done.stderr
        finally:
            server.terminate()
        assert server.wait(10) == 0


def test_the_container_does_not_run_as_root_and_copies_what_is_there() -> None:
    assert re.search(r"^USER bokeh-server$", CONTAINER, re.MULTILINE)
    assert CONTAINER.index("USER bokeh-server") < CONTAINER.index("ENTRYPOINT")
    for names in re.findall(r"^COPY (.*) \S+$", CONTAINER, re.MULTILINE):
        assert [name for name in names.split() if not (DEPLOY.parent / name).exists()] == []


@pytest.mark.parametrize(
    ("language", "name"),
    [("nginx", "nginx.conf"), ("caddy", "Caddyfile"), ("apache", "apache.conf"), ("ini", "bokeh-server.service")],
)
def test_what_the_how_to_shows_is_in_the_file(language: str, name: str) -> None:
    there = {" ".join(line.split()) for line in (DEPLOY / name).read_text().splitlines()}
    shown = [" ".join(line.split()) for block in blocks(PAGE, language) for line in block.splitlines() if line.strip()]
    assert shown
    assert [line for line in shown if line not in there] == []


def test_the_how_to_names_every_file() -> None:
    page = (DEPLOY.parent / PAGE).read_text()
    assert [file.name for file in DEPLOY.iterdir() if f"(../../deploy/{file.name})" not in page] == []
