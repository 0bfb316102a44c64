"""``bokeh-server doctor`` against real nginx: what is wrong on purpose is named, and the right file is not blamed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bokeh_server import doctor
from bokeh_server.doctor import UPGRADE, Deployment, examine
from bokeh_server.errors import BadSetting
from bokeh_server.findings import Finding
from tests.deploy.proxies import NAME, SOCKET, Behind, adapted, free_port, make_certificate, nginx, nginx_site
from tests.running import RunningServer, environment
from tests.web.asking import ask
from tests.web.town import PASSWORD

PASS = "proxy_pass http://bokeh_server;"
HOST = "proxy_set_header Host $http_host;"
ADDED = "proxy_send_timeout 120s;"
LOCATION = "location / {"
BELOW = "location /plots/ {"


@dataclass(frozen=True)
class Stage:
    """Servers that are all to be at one public address, a certificate for it, and a place for nginx."""

    folder: Path
    port: int
    plain: int
    files: tuple[Path, Path]
    servers: dict[str, RunningServer]
    token: str

    def examined(
        self, *edits: tuple[str, str], server: str = "plain", path: str = "/", authority: bool = True, **more: Any
    ) -> dict[str, Finding]:
        """What the doctor finds where nginx has our file with these edits."""
        site = self.site(self.servers[server].port, *edits)
        folder = self.folder / f"nginx{len(list(self.folder.glob('nginx*')))}"
        with nginx(folder, site, self.port, self.plain):
            url = f"https://localhost:{self.port}{path}"
            more = {"token": self.token, "idle": 0.0, "plain_port": self.plain, **more}
            at = Deployment(url, authority=self.files[0] if authority else None, **more)
            return {finding.name: finding for finding in examine(at)}

    def site(self, to: int, *edits: tuple[str, str]) -> str:
        """Our file for a server at this port, as it was edited."""
        place = (f"server unix:{SOCKET};", f"server 127.0.0.1:{to};")
        name = ("server_name plots.example.org;", "server_name localhost;")
        return adapted(nginx_site(self.port, self.plain, self.files, place, name), *edits)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The servers of this module."""
    folder = tmp_path_factory.mktemp("doctor")
    port, files = free_port(), make_certificate(folder, 60, "localhost")
    here = ["--trusted-proxy", "127.0.0.1"]
    with (
        Behind(folder / "plain", port, *here, name="localhost") as plain,
        Behind(folder / "below", port, *here, "--prefix", "/plots", name="localhost") as below,
        RunningServer(folder / "open") as unlocked,
    ):
        body = json.dumps({"username": "root", "password": PASSWORD, "invitation": plain.invitation}).encode()
        made = ask(plain.port, "POST", "/api/v1/register", [("Content-Type", "application/json")], body)
        assert made.status == 201, made.body
        servers = {"plain": plain, "below": below, "open": unlocked}
        yield Stage(folder, port, free_port(), files, servers, made.json["token"])


def documents(stage: Stage) -> Any:
    """The documents on the server."""
    server = stage.servers["plain"]
    return ask(server.port, "GET", "/api/v1/documents", [("Authorization", f"Bearer {stage.token}")]).json


def test_nothing_is_wrong_with_our_own_file_and_nothing_is_left_behind(stage: Stage) -> None:
    seen = stage.examined(idle=1.0)
    assert {name: finding.state for name, finding in seen.items()} == dict.fromkeys(
        [
            *("dns", "connection", "certificate", "server", "clock", "prefix", "policies", "compression", "origin"),
            *("redirect", "websocket", "headers", "bodies", "stream", "idle"),
        ],
        "ok",
    ), seen
    assert all(finding.change == "" for finding in seen.values())
    assert documents(stage) == []
    below = stage.examined((LOCATION, BELOW), server="below", path="/plots/", token="")
    assert {name for name, finding in below.items() if finding.state != "ok"} == {"stream"}


OTHER = "location / {{ return {}; }}\n    location /nothing/ {{"
WRONG: list[tuple[str, str, str, str, list[tuple[str, str]]]] = [
    ("websocket", "fail", UPGRADE, "plain", [("proxy_set_header Upgrade $http_upgrade;", "")]),
    ("websocket", "fail", UPGRADE, "plain", [("proxy_set_header Connection $bokeh_server_connection;", "")]),
    ("host", "fail", HOST, "plain", [(HOST, "")]),
    ("host", "fail", HOST, "plain", [(HOST, "proxy_set_header Host $host;")]),
    ("host", "fail", "--public-url https://localhost:", "open", [("proxy_set_header X-Forwarded", "#")]),
    ("server", "fail", "", "open", []),
    ("bodies", "fail", "client_max_body_size 256m;", "plain", [("client_max_body_size 256m;", "")]),
    ("headers", "warn", "large_client_header_buffers", "plain", [("large_client_header_buffers 4 32k;", "")]),
    ("policies", "fail", "add_header", "plain", [(ADDED, 'add_header Content-Security-Policy "x" always;')]),
    ("policies", "fail", "add_header", "plain", [(ADDED, "proxy_hide_header Content-Security-Policy;")]),
    ("policies", "fail", "add_header", "plain", [(ADDED, "add_header X-Frame-Options SAMEORIGIN always;")]),
    (
        "errors",
        "fail",
        "proxy_intercept_errors off;",
        "plain",
        [(ADDED, "proxy_intercept_errors on; error_page 404 /x;")],
    ),
    ("origin", "fail", "proxy_set_header Origin", "plain", [(ADDED, "proxy_set_header Origin https://$http_host;")]),
    ("origin", "fail", "--public-url", "plain", [(ADDED, "proxy_set_header Origin https://internal.example;")]),
    ("server", "fail", "proxy_pass", "plain", [(PASS, "proxy_pass http://127.0.0.1:1;")]),
    ("server", "fail", "that address", "plain", [(LOCATION, OTHER.format("302 https://example.org"))]),
    ("server", "fail", "location / {", "plain", [(LOCATION, OTHER.format('200 "hello"'))]),
    ("redirect", "warn", "return 308", "plain", [("return 308 https://$host$request_uri;", 'return 200 "hello";')]),
    ("redirect", "warn", "return 308", "plain", [("return 308 https://$host$request_uri;", "return 404;")]),
]


@pytest.mark.parametrize(("name", "state", "change", "server", "edits"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named_with_the_line_to_change(
    stage: Stage, name: str, state: str, change: str, server: str, edits: list[tuple[str, str]]
) -> None:
    seen = stage.examined(*edits, server=server, token="")
    assert seen[name].state == state, seen
    assert change in seen[name].change
    assert [other for other, finding in seen.items() if finding.state == "fail"] == [name] * (state == "fail")


@pytest.mark.parametrize(
    ("server", "path", "edits", "words"),
    [
        (
            "below",
            "/plots/",
            [(LOCATION, BELOW), (PASS, "proxy_pass http://bokeh_server/;")],
            "takes /plots off the path",
        ),
        ("plain", "/plots/", [(LOCATION, BELOW), (PASS, "proxy_pass http://bokeh_server/;")], "Pages lead to /, not"),
        ("plain", "/plots/", [], "The server is at /, not at /plots/"),
        ("below", "/", [], "The server is at /plots/, not at /"),
    ],
)
def test_a_wrong_path_is_told_from_another(
    stage: Stage, server: str, path: str, edits: list[tuple[str, str]], words: str
) -> None:
    finding = stage.examined(*edits, server=server, path=path, token="")["prefix"]
    assert finding.state == "fail"
    assert words in finding.said
    assert "--prefix /" in finding.change or "proxy_pass http://bokeh_server;" in finding.change


def test_a_socket_that_is_cut_when_it_is_silent_is_told_with_its_seconds(stage: Stage) -> None:
    finding = stage.examined(("proxy_read_timeout 120s;", "proxy_read_timeout 1s;"), idle=5.0)["idle"]
    assert finding.state == "fail"
    assert "cut after 1 seconds" in finding.said
    assert "proxy_read_timeout 120s;" in finding.change


def test_rows_that_are_held_back_are_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SLOW", 0.0)
    finding = stage.examined()["stream"]
    assert finding.state == "warn"
    assert "proxy_buffering off;" in finding.change


@pytest.mark.parametrize(
    ("days", "name", "words"),
    [(-1, "localhost", "expired"), (60, NAME, "Hostname mismatch"), (5, "localhost", "ends in 5 days")],
)
def test_a_certificate_that_is_not_good_is_told_and_no_token_is_sent(
    stage: Stage, tmp_path: Path, days: int, name: str, words: str
) -> None:
    files = make_certificate(tmp_path, days, name)
    seen = Stage(stage.folder, stage.port, stage.plain, files, stage.servers, stage.token).examined()
    assert words in seen["certificate"].said
    assert seen["certificate"].state == ("warn" if days == 5 else "fail")
    assert seen["server"].state == "ok"
    assert seen["stream"].said.startswith("A row" if days == 5 else "Not looked at")


def test_a_certificate_that_nobody_has_signed_is_told(stage: Stage) -> None:
    seen = stage.examined(authority=False)
    assert "self-signed" in seen["certificate"].said
    assert seen["stream"].state == "warn"


def test_without_a_right_the_stream_is_not_looked_at(stage: Stage) -> None:
    seen = stage.examined(token="")
    assert (seen["stream"].state, seen["stream"].said[:13]) == ("warn", "Not looked at")
    assert "idle" not in seen


# Without a proxy


def test_a_server_of_ones_own_is_examined_as_it_is(stage: Stage) -> None:
    url = f"http://localhost:{stage.servers['open'].port}/"
    assert {finding.state for finding in examine(Deployment(url, idle=0))} == {"ok"}


@pytest.mark.parametrize(("url", "name"), [("http://nothing.invalid/", "dns"), ("http://localhost:{}/", "connection")])
def test_where_nothing_is_the_first_thing_that_fails_is_told(url: str, name: str) -> None:
    found = list(examine(Deployment(url.format(free_port()))))
    assert (found[-1].name, found[-1].state) == (name, "fail")


def test_what_does_not_speak_tls_is_told(stage: Stage) -> None:
    found = list(examine(Deployment(f"https://localhost:{stage.servers['open'].port}/")))
    assert (found[-1].name, found[-1].state) == ("tls", "fail")


def test_a_clock_that_goes_wrong_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    at = Deployment(f"http://localhost:{stage.servers['open'].port}/")
    answer = at.ask("GET", "version")
    for date, state in (
        ("Thu, 01 Jan 2026 00:00:00 GMT", "warn"),
        ("nonsense", "warn"),
        (answer.headers["Date"], "ok"),
    ):
        del answer.headers["Date"]
        answer.headers["Date"] = date
        assert doctor.clock(answer).state == state


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    for file in (tmp_path / "ca.pem", tmp_path / "nothing.pem"):
        with pytest.raises(BadSetting, match="holds no certificates"):
            Deployment("https://localhost/", authority=file)


def test_it_prints_lines_or_json_and_ends_with_1_where_something_fails(stage: Stage) -> None:
    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bokeh_server", "doctor", *words]
        variables = environment() | {"BOKEH_SERVER_TOKEN": stage.token}
        return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60)

    with nginx(stage.folder / "nginx-typed", stage.site(stage.servers["plain"].port), stage.port, stage.plain):
        url = f"https://localhost:{stage.port}"
        good = typed(url, "--ca", str(stage.files[0]), "--idle", "0")
        assert (good.returncode, good.stderr) == (0, "")
        assert all(line.startswith("ok    ") for line in good.stdout.splitlines())
        wrong = typed(url, "--json")
        assert wrong.returncode == 1
        assert {"certificate", "stream"} == {one["name"] for one in json.loads(wrong.stdout) if one["state"] != "ok"}
    refused = typed("nonsense://x")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
