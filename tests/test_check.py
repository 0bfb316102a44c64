"""``bokeh-server check``: each thing that is unsafe or missing is named, and what is as it should be is not blamed."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bokeh_server.check import certificate, check, file_system, key
from bokeh_server.config import Config
from bokeh_server.findings import Finding
from tests.deploy.proxies import NAME, free_port, make_certificate
from tests.running import RunningServer, environment

PUBLIC = f"https://{NAME}"


def found(**settings: Any) -> dict[str, Finding]:
    """What is found about settings, by name; the port is a free one."""
    return {finding.name: finding for finding in check(Config(**{"port": 0, **settings}))}


def states(**settings: Any) -> dict[str, str]:
    """How each thing stands."""
    return {name: finding.state for name, finding in found(**settings).items()}


def test_a_server_of_ones_own_is_as_it_should_be(tmp_path: Path) -> None:
    seen = states(data=tmp_path / "data")
    assert {name: seen[name] for name in ("accounts", "port", "data", "database")} == dict.fromkeys(
        ("accounts", "port", "data", "database"), "ok"
    )
    assert "fail" not in seen.values()
    assert not (tmp_path / "data").exists()


GOOD = {"multi_user": True, "public_urls": (PUBLIC,), "trusted_proxies": ("127.0.0.1",)}
WRONG: list[tuple[str, str, str, dict[str, Any]]] = [
    ("tls", "fail", "--ssl-certfile", {"multi_user": True, "address": "0.0.0.0"}),
    ("tls", "fail", "--ssl-certfile", {"token": "x" * 20, "address": "::"}),
    ("tls", "warn", "--address localhost", {**GOOD, "address": "0.0.0.0"}),
    ("registration", "warn", "--registration", {**GOOD, "registration": "open"}),
    ("public-url", "fail", "--public-url", {"multi_user": True, "trusted_proxies": ("127.0.0.1",)}),
    ("public-url", "warn", "--public-url", {"multi_user": True, "address": "0.0.0.0"}),
    ("public-url", "warn", f"--public-url {PUBLIC}", {**GOOD, "public_urls": (f"http://{NAME}",)}),
    ("proxies", "fail", "--trusted-proxy", {**GOOD, "trusted_proxies": ("127.0.0.1", "0.0.0.0/0")}),
    ("proxies", "fail", "--trusted-proxy", {**GOOD, "trusted_proxies": ("::/0",)}),
    ("proxies", "warn", "--trusted-proxy", {**GOOD, "trusted_proxies": ()}),
    ("proxies", "warn", "--unix-socket", {**GOOD, "trusted_proxies": ("unix",)}),
    ("data", "warn", "--data", {}),
]


@pytest.mark.parametrize(("name", "state", "change", "settings"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named_with_what_to_change(
    name: str, state: str, change: str, settings: dict[str, Any]
) -> None:
    finding = found(**settings)[name]
    assert finding.state == state
    assert change in finding.change
    assert finding.said.endswith(".")


def test_behind_a_proxy_that_is_named_nothing_is_wrong(tmp_path: Path) -> None:
    for more in ({}, {"unix_socket": tmp_path / "s", "trusted_proxies": ("unix",)}):
        seen = states(**{**GOOD, "data": tmp_path, **more})
        seen.pop("user", None), seen.pop("files", None)
        assert set(seen.values()) == {"ok"}, seen
        assert {"accounts", "public-url", "proxies", "port", "data", "database"} == set(seen)


def test_who_comes_by_the_unix_socket_should_be_named(tmp_path: Path) -> None:
    finding = found(**{**GOOD, "unix_socket": tmp_path / "s", "trusted_proxies": ()})["proxies"]
    assert (finding.state, finding.change) == ("warn", "--trusted-proxy unix")


# Certificates and keys


@pytest.mark.parametrize(
    ("days", "name", "state", "words"),
    [
        (60, NAME, "ok", "good for 60 days"),
        (5, NAME, "warn", "ends in 5 days"),
        (-1, NAME, "fail", "certificate has expired"),
        (60, "other.example", "fail", f"is not for {NAME}, but for other.example"),
        (60, "*.example.org", "ok", "good for"),
    ],
)
def test_a_certificate_is_good_for_some_time_and_some_names(
    tmp_path: Path, days: int, name: str, state: str, words: str
) -> None:
    made, private = make_certificate(tmp_path, days, name)
    config = Config(multi_user=True, public_urls=(PUBLIC,), ssl_certfile=made, ssl_keyfile=private)
    finding = certificate(config, made)
    assert finding.state == state
    assert words in finding.said


def test_what_is_no_certificate_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"
    file.write_text("nonsense")
    finding = certificate(Config(ssl_certfile=file), file)
    assert finding.state == "fail"
    assert "can't be used" in finding.said


@pytest.mark.parametrize(
    ("mode", "state"), [(0o600, "ok"), (0o640, "ok"), (0o400, "ok"), (0o644, "fail"), (0o660, "fail")]
)
def test_a_key_is_not_for_others(tmp_path: Path, mode: int, state: str) -> None:
    file = tmp_path / "key.pem"
    file.touch()
    file.chmod(mode)
    assert key(file).state == state
    assert (key(file).change == f"chmod 600 {file}") == (state == "fail")


# Where it listens


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        finding = found(port=other.getsockname()[1])["port"]
    assert finding.state == "fail"
    assert "is in use" in finding.said


@pytest.mark.parametrize("kind", ["taken", "file", "no folder", "stale", "free"])
def test_a_unix_socket_must_be_free(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("missing/s" if kind == "no folder" else "s")
    if kind == "file":
        path.touch()
    with socket.socket(socket.AF_UNIX) as other:
        if kind in ("taken", "stale"):
            other.bind(str(path))
        if kind == "taken":
            other.listen()
        assert states(unix_socket=path)["port"] == ("ok" if kind in ("stale", "free") else "fail")
        assert path.is_socket() == (kind in ("taken", "stale"))


# Where documents are


@pytest.mark.parametrize(("mode", "state"), [(0o700, "ok"), (0o750, "ok"), (0o755, "fail"), (0o770, "fail")])
def test_the_data_is_not_for_others(tmp_path: Path, mode: int, state: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    assert found(data=folder)["data"].state == state


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert found(data=tmp_path / "file" / "data")["data"].state == "fail"


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("/dev/sda / ext4 rw\nhost:/x {folder} nfs4 rw\n", "nfs4"),
        ("/dev/sda / ext4 rw\nhost:/x {folder}/deeper nfs4 rw\n", "ext4"),
        ("x / overlay rw\nhost {folder} fuse.sshfs rw\ntmpfs {folder} tmpfs rw\n", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, kind: str
) -> None:
    read: Callable[..., str] = Path.read_text
    text = mounts.format(folder=tmp_path)
    monkeypatch.setattr(
        Path, "read_text", lambda self, **more: text if self == Path("/proc/mounts") else read(self, **more)
    )
    assert file_system(tmp_path) == kind
    assert states(data=tmp_path)["data"] == ("fail" if kind == "nfs4" else "ok")


def test_a_database_of_a_newer_version_and_one_that_is_in_use_are_told(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        assert "uses it just now" in found(data=server.folder)["database"].said
        server.stop()
    assert "is whole" in found(data=server.folder)["database"].said
    with closing(sqlite3.connect(server.folder / "documents.sqlite")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    finding = found(data=server.folder)["database"]
    assert finding.state == "fail"
    assert "use the newer version" in finding.said
    (server.folder / "documents.sqlite").write_bytes(b"nonsense" * 1000)
    assert found(data=server.folder)["database"].state == "fail"


# As it is typed


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process."""
    command = [sys.executable, "-m", "bokeh_server", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30)


def test_it_prints_a_line_for_each_thing_and_ends_with_1_where_one_fails(tmp_path: Path) -> None:
    flags = ["--data", str(tmp_path / "data"), "--port", str(free_port())]
    good = typed("check", *flags)
    assert (good.returncode, good.stderr) == (0, "")
    assert all(line.startswith(("ok    ", "warn  ")) for line in good.stdout.splitlines())
    wrong = typed(*flags, "-m", "--ip", "0.0.0.0", "check", "--json")
    assert (wrong.returncode, wrong.stderr) == (1, "")
    listed = json.loads(wrong.stdout)
    assert {"name": "tls", "state": "fail"}.items() <= next(one for one in listed if one["name"] == "tls").items()
    assert all(set(one) == {"name", "state", "said", "change"} for one in listed)


def test_settings_that_can_not_be_used_are_a_finding() -> None:
    ended = typed("check", "--ip", "192.0.2.1")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout.startswith("fail  settings ")
    assert len(ended.stdout.splitlines()) == 1
