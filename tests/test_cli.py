"""The command line as a user types it: what works says where, and each mistake is one line and no traceback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import RunningServer, environment
from tests.web.asking import ask

TIMEOUT = 30.0


def command(*flags: object) -> subprocess.CompletedProcess[str]:
    """``bokeh-server FLAGS``, which is to end by itself."""
    words = [sys.executable, "-m", "bokeh_server", *map(str, flags)]
    return subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, env=environment(), check=False)


def refused(*flags: object) -> str:
    """The one line with which these flags are refused."""
    ended = command(*flags)
    assert ended.returncode in (1, 2), ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.strip().splitlines()
    assert lines
    assert len(lines) == 1 or lines[0].startswith("Usage:"), ended.stderr
    return lines[-1]


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder by its hash."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_help_names_every_flag() -> None:
    for flag in ("-h", "--help"):
        ended = command(flag)
        assert ended.returncode == 0
        for name in ("--data", "--address, --ip", "--port", "--prefix, --url-prefix", "--backend", "--durability"):
            assert name in ended.stdout
        for name in ("--document-scripts", "--ssl-certfile", "--ssl-keyfile", "--show", "-d, --debug", "demo"):
            assert name in ended.stdout
    assert re.search(r"\d+\.\d+", command("--version").stdout)


def test_the_server_says_where_it_is_and_where_its_documents_are(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        assert ask(server.port, "GET", "/readyz").status == 200
        assert (tmp_path / "data").is_dir()
        assert server.stop() == 0
    assert server.log.read_text() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_server_whose_output_nobody_can_take_serves_all_the_same(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "bokeh_server", "--backend", "memory", "--port", str(port)]
    log = tmp_path / "log"
    with (
        open("/dev/full", "w") as full,
        log.open("w") as errors,
        subprocess.Popen(words, stdout=full, stderr=errors, env=environment()) as process,
    ):
        try:
            for _ in range(200):
                with contextlib.suppress(ConnectionError):
                    assert ask(port, "GET", "/readyz").status == 200
                    break
                time.sleep(0.05)
        finally:
            process.terminate()
        assert process.wait(10) == 0
    assert log.read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with RunningServer(tmp_path / "data") as server:
        assert server.stop(number) == 0
    assert server.log.read_text() == ""


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = RunningServer(tmp_path / "data")
    finally:
        signal.signal(signal.SIGHUP, before)
    with server:
        os.kill(server.pid, signal.SIGHUP)
        assert ask(server.port, "GET", "/readyz").status == 200
        assert server.stop() == 0


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused("--data", tmp_path, "--port", port)
    assert f"Port {port} is in use" in line
    assert "--port" in line


def test_a_second_server_on_the_same_folder_is_refused_with_a_clear_line(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        line = refused("--data", server.folder, "--port", 0)
        assert "Another bokeh-server uses the data folder" in line
        assert ask(server.port, "GET", "/readyz").status == 200


def test_a_damaged_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        server.document("x")
        server.stop()
    file = server.folder / "documents.sqlite"
    file.write_bytes(file.read_bytes()[:100] + b"\xff" * 5000)
    before = contents(server.folder)
    assert "damaged" in refused("--data", server.folder, "--port", 0)
    assert contents(server.folder) == before


def test_a_newer_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        server.stop()
    file = server.folder / "documents.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    before = contents(server.folder)[file.name]
    assert "use the newer version" in refused("--data", server.folder, "--port", 0)
    assert contents(server.folder)[file.name] == before


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused("--data", tmp_path / "file", "--port", 0)
    refused("--data", tmp_path / "file" / "deeper", "--port", 0)


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5", "::"])
def test_an_address_that_others_reach_is_refused(address: str) -> None:
    line = refused("--ip", address, "--backend", "memory")
    assert "this machine only" in line
    assert "-m" in line
    assert "--token" in line


def test_a_token_that_was_chosen_is_asked_for_and_not_printed(tmp_path: Path) -> None:
    token = "a token that somebody chose"
    words = [sys.executable, "-m", "bokeh_server", "--token", "--ip", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(
        [*words, "--data", str(tmp_path / "data"), "-d"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment() | {"BOKEH_SERVER_TOKEN": token},
    ) as server:
        assert server.stdout is not None
        port = int(re.findall(r":(\d+)/", server.stdout.readline())[0])
        for given, status in ((token, 200), (token[:-1], 401)):
            answer = ask(port, "GET", "/api/v1/documents", [("Authorization", f"Bearer {given}")])
            assert answer.status == status
        server.terminate()
        printed = "".join(server.communicate(timeout=TIMEOUT))
    assert token[:-1] not in printed


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["-m", "--token"], "leave --token out"),
        (["-m", "demo"], "leave -m out"),
        (["--uds", "plots.sock", "demo"], "leave --unix-socket out"),
        (["--uds", "plots.sock", "--unix-socket-mode", "rw"], "is one of a file, like 660"),
        (["--trusted-proxy", "localhost"], "an IP address, a network or `unix`"),
    ],
)
def test_what_does_not_go_together_is_told(flags: list[str], told: str) -> None:
    assert told in refused(*flags)


def test_what_comes_later_says_so() -> None:
    assert "hosted apps are not in this version yet" in refused("--script", "app.py")


@pytest.mark.parametrize(
    "flags",
    [
        ["--nonsense"],
        ["serve"],
        ["--port", "x"],
        ["--port", "99999"],
        ["--backend", "oracle"],
        ["--durability", "perhaps"],
        ["--prefix", "a b"],
        ["--ssl-keyfile", "key.pem"],
        ["--ssl-certfile", "nothing.pem"],
        ["demo", "--nonsense"],
    ],
)
def test_a_wrong_flag_is_told(flags: list[str]) -> None:
    assert refused(*flags)


@pytest.mark.parametrize(
    "flags",
    [
        ["--port", "99999", "demo"],
        ["--prefix", "a b", "demo"],
        ["--registration", "open", "demo"],
        ["--ip", "::", "demo"],
    ],
)
def test_a_flag_in_front_of_the_command_counts_too(flags: list[str]) -> None:
    assert "bokeh-server: " in refused(*flags)


@pytest.mark.parametrize(
    "words", [["--port", "5931", "doc", "list"], ["-m", "login", "x"], ["--prefix", "/x", "user", "list"]]
)
def test_a_flag_of_the_server_names_no_server_to_a_command(words: list[str]) -> None:
    assert "a command finds its server by --url" in refused(*words)


def certificate(folder: Path) -> list[str]:
    """The flags for a certificate that was made for this test."""
    key, made = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-keyout", str(key), "-out", str(made)]
    subprocess.run([*words, *subject], check=True, capture_output=True)
    return ["--ssl-certfile", str(made), "--ssl-keyfile", str(key)]


def test_with_a_certificate_everything_is_https(tmp_path: Path) -> None:
    flags = certificate(tmp_path)
    words = [sys.executable, "-m", "bokeh_server", "--backend", "memory", "--port", "0", *flags]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"https://localhost:(\d+)/", line)
            assert found, line
            assert "in memory" in line
            context = ssl.create_default_context(cafile=flags[1])
            with urllib.request.urlopen(f"{found[0]}api/v1/documents", timeout=10, context=context) as answer:
                assert json.loads(answer.read()) == []
            with (
                socket.create_connection(("localhost", int(found[1]))) as raw,
                context.wrap_socket(raw, server_hostname="localhost") as secure,
            ):
                secure.sendall(
                    f"GET /bokeh/board HTTP/1.1\r\nHost: localhost:{found[1]}\r\nUpgrade: websocket\r\n"
                    f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n"
                    f"Origin: {found[0][:-1]}\r\n\r\n".encode()
                )
                assert secure.recv(100).startswith(b"HTTP/1.1 101")
        finally:
            process.terminate()
        assert process.wait(10) == 0


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    line = refused("--ssl-certfile", tmp_path / "cert.pem", "--backend", "memory", "--port", 0)
    assert "certificate" in line


def test_a_key_with_a_pass_phrase_is_told_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    certificate(tmp_path)
    plain, locked = tmp_path / "key.pem", tmp_path / "locked.pem"
    words = ["openssl", "pkey", "-in", str(plain), "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(words, check=True, capture_output=True)
    line = refused("--ssl-certfile", tmp_path / "cert.pem", "--ssl-keyfile", locked, "--backend", "memory", "--port", 0)
    assert "pass phrase" in line
    assert str(locked) in line


def test_a_certificate_without_its_key_is_told(tmp_path: Path) -> None:
    certificate(tmp_path)
    assert "--ssl-keyfile" in refused("--ssl-certfile", tmp_path / "cert.pem", "--backend", "memory", "--port", 0)


def test_in_memory_nothing_is_written_and_nothing_is_kept(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--backend", "memory") as server:
        server.document("x")
        assert len(ask(server.port, "GET", "/api/v1/documents").json) == 1
        server.stop()
        server.start()
        assert ask(server.port, "GET", "/api/v1/documents").json == []
    assert not (tmp_path / "data").exists()


def test_a_log_line_of_whomever_is_one_line_of_names_and_values(tmp_path: Path) -> None:
    script = """
import logging
from bokeh_server.cli import set_up_logging
set_up_logging(debug=False)
try:
    raise ValueError("two\\nlines")
except ValueError:
    logging.getLogger("uvicorn.error").exception("It said: %s", "a\\nb")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    (line,) = ended.stderr.splitlines()
    assert re.match(r'timestamp=\S+Z level=error event="It said: a\\nb" logger=uvicorn.error exception="Trace', line)
    with RunningServer(tmp_path / "data") as server:
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            other.sendall(b"nonsense\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 400 ")
        server.stop()
        (line,) = server.log.read_text().splitlines()
        assert 'level=warning event="Invalid HTTP request received."' in line


def test_no_secret_and_no_request_is_logged_without_debug(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        ask(server.port, "GET", "/nothing/secret")
        server.stop()
        assert server.log.read_text() == ""
    with RunningServer(tmp_path / "more", "-d") as server:
        ask(server.port, "GET", "/nothing?secret=1")
        server.stop()
        assert "path=/nothing" in server.log.read_text()
        assert "secret" not in server.log.read_text()
