"""The files of ``deploy/`` in real proxies: everything that a board, a program and a visitor need goes through them."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from websockets.exceptions import InvalidStatus

from bokeh_server.limits import LIMITS
from tests.deploy.proxies import (
    CERTIFICATE,
    DEPLOY,
    KEY,
    NAME,
    SOCKET,
    Behind,
    Outside,
    adapted,
    apache,
    caddy,
    free_port,
    make_certificate,
    nginx,
    nginx_site,
)
from tests.web.asking import content
from tests.web.town import PASSWORD, receive, send

LOCATION = ("location / {", "location /plots/ {")


@dataclass(frozen=True)
class Place:
    """A deployment with an administrator, who has a document."""

    outside: Outside
    plain: int
    """The port without TLS."""
    key: str
    document: str

    @property
    def bearer(self) -> str:
        """His word."""
        return f"Bearer {self.key}"


def server_flags(way: str, path: Path) -> list[str]:
    """How the server is started that a way leads to; ``path`` is that of its unix socket."""
    flags = ["--prefix", "/plots"] if "path" in way else []
    if "port" in way:
        return [*flags, "--trusted-proxy", "127.0.0.1"]
    return [*flags, "--unix-socket", str(path), "--unix-socket-mode", "660", "--trusted-proxy", "unix"]


WAYS = ["nginx", "nginx to a port, below a path", "Apache", "Caddy to a port, below a path"]


@pytest.fixture(scope="module", params=WAYS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server behind a proxy."""
    way: str = request.param
    folder = tmp_path_factory.mktemp("place")
    port, plain, files = free_port(), free_port(), make_certificate(folder)
    with ExitStack() as stack:
        path = Path(stack.enter_context(TemporaryDirectory(prefix="bokeh-server-"))) / "s.sock"
        path.parent.chmod(0o755)  # Apache never runs as root, and the test's folders are for its user only
        server = stack.enter_context(Behind(folder / "data", port, *server_flags(way, path)))
        to = f"127.0.0.1:{server.port}" if "port" in way else str(path)
        if way.startswith("nginx"):
            unix = f"unix:{SOCKET}"
            upstream = (f"server {unix};", f"server {to};" if "port" in way else f"server unix:{to};")
            more = [upstream, *([LOCATION] if "path" in way else [])]
            stack.enter_context(nginx(folder / "nginx", nginx_site(port, plain, files, *more), port, plain))
        elif way.startswith("Apache"):
            old = f'ProxyPass / "unix:{SOCKET}|http://localhost/"'
            new = f'ProxyPass / "unix:{to}|http://localhost/"'
            site = adapted(
                (DEPLOY / "apache.conf").read_text(),
                *(
                    ("<VirtualHost *:80>", f"<VirtualHost *:{plain}>"),
                    ("<VirtualHost *:443>", f"<VirtualHost *:{port}>"),
                ),
                *((CERTIFICATE, str(files[0])), (KEY, str(files[1])), (old, new)),
            )
            stack.enter_context(apache(folder / "apache", site, port, plain))
        else:
            site = adapted(
                (DEPLOY / "Caddyfile").read_text(),
                (f"\n{NAME} {{", f"\nhttps://{NAME}:{port} {{\n\ttls {files[0]} {files[1]}"),
                (f"reverse_proxy unix/{SOCKET}", f"reverse_proxy /plots/* {to}"),
            )
            stack.enter_context(caddy(folder / "caddy", site, port))
        outside = Outside(port, files[0], "/plots" if "path" in way else "")
        body = {"username": "root", "password": PASSWORD, "invitation": server.invitation}
        made = outside.ask("POST", "/api/v1/register", body, Content_Type="application/json")
        assert made.status == 201, made.body
        key = made.json["token"]
        stored = outside.ask("PUT", "/api/v1/documents/plain", content(), Authorization=f"Bearer {key}")
        assert stored.status == 201, stored.body
        yield Place(outside, 0 if way.startswith("Caddy") else plain, key, stored.json["id"])


def test_pages_and_files_come_with_the_policies_of_the_server(place: Place) -> None:
    assert place.outside.ask("GET", "/healthz").status == 200
    page = place.outside.ask("GET", "/bokeh/login", Accept="text/html", Accept_Encoding="gzip, br")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.body.startswith(b"<!doctype html>")
    frame = place.outside.ask("GET", f"/bokeh/doc/{place.document}", Accept="text/html")
    assert frame.status == 303
    assert frame.headers["location"].startswith(f"{place.outside.prefix}/bokeh/login?next=")
    missing = place.outside.ask("GET", "/api/v1/documents/nothing", Authorization=place.bearer)
    assert (missing.status, missing.json["code"]) == (404, "not-found")


def test_outside_of_the_path_there_is_nothing_of_the_server(place: Place) -> None:
    answer = place.outside.ask("GET", "/healthz" if place.outside.prefix else "/x/healthz", whole=True)
    assert answer.body != place.outside.ask("GET", "/healthz").body
    assert (b"not-found" in answer.body) == (not place.outside.prefix)


def test_who_comes_without_tls_is_led_to_it(place: Place) -> None:
    if not place.plain:
        return  # Caddy's own, at port 80
    with socket.create_connection(("127.0.0.1", place.plain), 10) as plain:
        plain.sendall(f"GET /bokeh/login?x=1 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        answer = plain.makefile("rb").read()
    assert answer.split()[1] in (b"301", b"308")
    assert f"\r\nlocation: https://{NAME}/bokeh/login?x=1\r\n".encode() in answer.lower()


def test_a_browser_logs_in_and_gets_a_cookie_that_only_https_to_this_name_carries(place: Place) -> None:
    body = {"username": "root", "password": PASSWORD}
    here = place.outside.origin
    answer = place.outside.ask("POST", "/bokeh/login", body, Origin=here, Sec_Fetch_Site="same-origin")
    assert answer.status == 204, answer.body
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-bokeh-server=")
    assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
    board = place.outside.ask("GET", "/bokeh/account", Cookie=cookie.partition(";")[0], Accept="text/html")
    assert board.status == 200
    assert b"root" in board.body


def test_a_page_of_another_origin_changes_nothing(place: Place) -> None:
    body = {"username": "root", "password": PASSWORD}
    for origin in ("https://evil.example", f"http://{NAME}:{place.outside.port}", f"https://{NAME}", "null"):
        assert place.outside.ask("POST", "/bokeh/login", body, Origin=origin).status == 403
        with pytest.raises(InvalidStatus, match="403"):
            place.outside.socket("/bokeh/board", origin, Authorization=place.bearer)


def test_a_host_that_is_not_ours_is_refused(place: Place) -> None:
    for host in ("evil.example", f"evil.example:{place.outside.port}", NAME):
        answer = place.outside.ask("GET", "/healthz", Host=host, X_Forwarded_Host=NAME)
        assert answer.status != 200 or b"ok" not in answer.body


def test_a_patch_streams_through_while_the_socket_is_open(place: Place) -> None:
    with place.outside.socket(f"/bokeh/doc/{place.document}/ws", Authorization=place.bearer) as viewer:
        send(viewer, "PULL-DOC-REQ")
        receive(viewer, "PULL-DOC-REPLY")
        for number in range(3):
            begin = time.monotonic()
            path = f"/api/v1/documents/{place.document}/sources/readings/rows"
            row = {"t": number, "n": number, "who": "x"}
            assert place.outside.ask("POST", path, row, Authorization=place.bearer).status == 200
            patch = receive(viewer, "PATCH-DOC")
            assert patch["events"][0]["kind"] == "ColumnsStreamed"
            assert time.monotonic() - begin < 2
    with place.outside.socket("/bokeh/board", place.outside.origin, Authorization=place.bearer):
        pass


def test_what_the_client_says_of_itself_is_not_believed(place: Place) -> None:
    """Wrong passwords count for the address that the proxy sees, whatever the client has sent."""
    name = "somebody"

    def tried(number: int, source: str) -> int:
        body = {"username": name, "password": "wrong wrong"}
        spoofed = f"203.0.113.{number}"
        return place.outside.ask(
            *("POST", "/api/v1/login", body),
            source=source,
            X_Forwarded_For=spoofed,
            X_Real_IP=spoofed,
            Forwarded=f"for={spoofed}",
        ).status

    assert [tried(number, "127.0.0.2") for number in range(11)] == [401] * 10 + [429]
    assert tried(1, "127.0.0.3") == 401


def test_large_documents_and_long_cookies_pass(place: Place) -> None:
    body = json.loads(content())
    body["roots"][2]["attributes"]["text"] = "x" * 3_000_000
    stored = place.outside.ask("PUT", "/api/v1/documents/large", body, Authorization=place.bearer)
    assert stored.status in (200, 201), stored.body[:300]
    assert len(place.outside.ask("GET", "/api/v1/documents/large", Authorization=place.bearer).body) > 3_000_000
    assert place.outside.ask("GET", "/healthz", Cookie="x" * 30_000).status == 200


def test_a_silent_socket_is_asked_for_a_sign_of_life_before_the_proxy_gives_it_up() -> None:
    for name, line in (("nginx.conf", r"proxy_(?:read|send)_timeout (\d+)s;"), ("apache.conf", r" timeout=(\d+)")):
        times = re.findall(line, (DEPLOY / name).read_text())
        assert times
        assert all(int(seconds) >= 3 * LIMITS.ping for seconds in times)
