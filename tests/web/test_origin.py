"""Host × Origin × Sec-Fetch-Site, crossed, on a server with accounts, by a browser that has logged in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import product

import pytest

from tests.running import RunningServer
from tests.web.asking import ask, handshake
from tests.web.town import Document, Person, Town, cookie_of

PLOTS = "plots.example"
HOSTS = ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", PLOTS]
FOREIGN = ["http://plots.example", "https://plots.example:8443", "https://evil.example", "http://localhost", "null"]
SITES = [None, "none", "same-origin", "same-site", "cross-site"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A server that is reached by loopback and by one public address."""
    folder = tmp_path_factory.mktemp("origins") / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with RunningServer(folder, "-m", "--public-url", f"https://{PLOTS}", port=port) as server:
        yield Town(server)


@pytest.fixture(scope="module")
def document(town: Town) -> Document:
    return town.root.store()


def origin_of(host: str) -> str:
    """The origin of our pages under a host."""
    return f"{'https' if host == PLOTS else 'http'}://{host}"


def logged_in(town: Town, host: str) -> tuple[str, str]:
    """The cookie of the administrator's browser under a host."""
    body = b'{"username": "root", "password": "correct horse"}'
    headers = [("Origin", origin_of(host)), ("Content-Type", "application/json")]
    answer = ask(town.port, "POST", "/bokeh/login", headers, body, host=host)
    assert answer.status == 204
    return ("Cookie", cookie_of(answer))


@pytest.mark.parametrize("form", HOSTS)
def test_only_our_own_page_under_the_same_name_changes_something(town: Town, document: Document, form: str) -> None:
    host = form.format(port=town.port)
    cookie, own = logged_in(town, host), origin_of(host)
    others = [origin_of(other.format(port=town.port)) for other in HOSTS if other != form]
    passed = set()
    for origin, site in product([None, own, *others, *FOREIGN], SITES):
        headers = [("Origin", origin or ""), ("Sec-Fetch-Site", site or "")]
        headers = [cookie, *((name, value) for name, value in headers if value)]
        status = ask(town.port, "PUT", f"{document.api}/published", headers, host=host).status
        assert status in (204, 403)
        passed |= {(origin, site)} if status == 204 else set()
    assert passed == set(product([None, own], [None, "none", "same-origin"]))


@pytest.mark.parametrize("form", HOSTS)
def test_only_our_own_page_under_the_same_name_opens_a_socket(town: Town, document: Document, form: str) -> None:
    host = form.format(port=town.port)
    cookie, own = logged_in(town, host), origin_of(host)
    others = [origin_of(other.format(port=town.port)) for other in HOSTS if other != form]
    for origin in [None, own, *others, *FOREIGN]:
        headers = [cookie, *([("Origin", origin)] if origin else [])]
        assert handshake(town.port, "/bokeh/board", headers, host=host) == (101 if origin == own else 403)
        program = handshake(town.port, f"/bokeh/doc/{document.id}/ws", headers, host=host)
        assert program == (101 if origin is None else 403)


def test_no_other_name_is_ours(town: Town, document: Document) -> None:
    for host in (f"{PLOTS}:80", "plots.example.", f"www.{PLOTS}", f"evil.example:{town.port}", "localhost", ""):
        answer = ask(town.port, "GET", "/", [("Cookie", "x=y")], host=host)
        assert answer.status in (400, 403), host


def test_a_login_under_one_name_is_none_under_the_public_one(town: Town) -> None:
    document = town.root.store()
    name, cookie = logged_in(town, f"localhost:{town.port}")
    assert not cookie.startswith("__Host-")
    person = Person(town.port, "root", ((name, cookie),))
    assert person("GET", document.api).status == 200
    assert ask(town.port, "GET", document.api, [(name, cookie)], host=PLOTS).status == 404
