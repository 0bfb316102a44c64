"""The HTTP requests of a program, and what it is told where something else than a bokeh-server answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bokeh_server.client.rest import Rest, error_of, problem
from bokeh_server.errors import (
    BadValue,
    ClientError,
    Conflict,
    NotFound,
    RefusedPatch,
    ServerAway,
    ServerFault,
    StoreFull,
)
from bokeh_server.web import pages
from tests.client.test_transport import Listener, answer
from tests.running import RunningServer


class Stranger(BaseHTTPRequestHandler):
    """Some other web server: GET gives a page, or leads elsewhere, POST an error page."""

    def do_GET(self) -> None:
        """A page; below ``to/PORT/`` the way to that port."""
        way, _, port = self.path.lstrip("/").partition("/")
        self.send_response(302 if way == "to" else 200)
        self.send_header("Location", f"http://localhost:{port.partition('/')[0]}/")
        self.end_headers()
        self.wfile.write(b"<h1>Hello</h1>")

    def do_POST(self) -> None:
        """An error."""
        self.send_response(501)
        self.end_headers()
        self.wfile.write(b"<h1>No</h1>")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of some other web server."""
    with ThreadingHTTPServer(("localhost", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_no_key_goes_where_an_answer_leads(stranger: str) -> None:
    elsewhere = Listener(answer("200 OK"))
    rest = Rest(f"{stranger}to/{elsewhere.port}/", {"Authorization": "Bearer secret"})
    with pytest.raises(ServerAway, match=f"leads to http://localhost:{elsewhere.port}/"):
        rest.check()
    assert elsewhere.count == 0
    elsewhere.close()


def test_another_web_server_is_not_taken_for_a_bokeh_server(stranger: str) -> None:
    rest = Rest(stranger, {})
    with pytest.raises(ServerAway, match="says HTTP 501"):
        rest.request("POST", "api/v1/documents", {})
    for look in (rest.document, rest.info):
        with pytest.raises(ServerAway, match="is no bokeh-server"):
            look("title")


def test_a_document_is_made_once_and_found_by_title_and_id(live: RunningServer, title: str) -> None:
    rest = Rest(f"{live.url}/", {})
    made = rest.document(title)
    assert rest.document(title)["id"] == made["id"] == rest.info(made["id"])["id"]
    assert rest.content(title)["roots"] == []
    with pytest.raises(NotFound):
        rest.info("no such document")


def test_a_path_without_a_server_is_said_to_be_that(live: RunningServer) -> None:
    with pytest.raises(ServerAway, match="nothing at this path"):
        Rest(f"{live.url}/plots/", {}).check()


def test_a_title_that_is_no_unicode_is_refused_here(live: RunningServer) -> None:
    with pytest.raises(BadValue, match="surrogates"):
        Rest(f"{live.url}/", {}).document("\ud800")


def test_a_document_that_exists_is_found_by_one_request(
    live: RunningServer, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, asked = Rest(f"{live.url}/", {}), []
    made = rest.document(title)
    request = rest.request

    def noted(method: str, path: str, body: object = None) -> object:
        asked.append(method)
        return request(method, path, body)

    monkeypatch.setattr(rest, "request", noted)
    assert rest.document(title)["id"] == made["id"]
    assert asked == ["GET"]


def test_two_programs_that_make_one_document_at_once_get_the_same(live: RunningServer, title: str) -> None:
    class Slow(Rest):
        """Another program makes the document right after this one has found none; ``after`` is done then."""

        def request(self, method: str, path: str, body: object = None, *, known: bool = True) -> object:
            if method == "POST":
                others.append(other.document(title)["id"])
                with pytest.raises(Conflict):
                    super().request(method, path, body)
                after()
                raise Conflict
            return super().request(method, path, body, known=known)

    others: list[str] = []
    other, slow = Rest(f"{live.url}/", {}), Slow(f"{live.url}/", {})
    after: Callable[[], object] = lambda: None  # noqa: E731
    assert slow.document(title)["id"] == others[0]
    other.request("DELETE", f"api/v1/documents/{others[0]}")
    after = lambda: other.request("DELETE", f"api/v1/documents/{others[1]}")  # noqa: E731
    with pytest.raises(NotFound, match="deleted just now"):
        slow.document(title)


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 201, "x" * 100_000, "a\nb"])
def test_what_is_no_title_is_said_by_the_server(live: RunningServer, wrong: str) -> None:
    with pytest.raises(BadValue, match="A title has 1 to 200 printable characters"):
        Rest(f"{live.url}/", {}).document(wrong)


@pytest.mark.parametrize("odd", [" {} ", "{}/b", "{}\\b", "100% {}?#&+", "{}\N{SNOWMAN}\"'"])
def test_any_title_is_found_again(live: RunningServer, title: str, odd: str) -> None:
    rest = Rest(f"{live.url}/", {})
    assert rest.document(odd.format(title))["id"] == rest.document(odd.format(title))["id"]


def test_titles_that_mean_something_in_a_path_are_found_again(live: RunningServer, title: str) -> None:
    rest = Rest(f"{live.url}/", {})
    other = rest.document(title)["id"]
    for name in (".", "..", other):
        made = rest.document(name)
        assert (made["title"], rest.document(name)["id"]) == (name, made["id"])
    assert rest.info("..")["title"] == ".."
    with pytest.raises(NotFound, match="There is no document 'a/b/c'"):
        rest.info("a/b/c")


def test_a_proxy_of_the_environment_is_not_asked(
    live: RunningServer, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://localhost:9")
    monkeypatch.setenv("HTTP_PROXY", "http://localhost:9")
    assert Rest(f"{live.url}/", {}).document(title)["title"] == title


def test_a_problem_becomes_the_error_with_its_code() -> None:
    assert type(error_of("conflict", "Taken.")) is Conflict
    assert str(error_of("conflict", "Taken.")) == "Taken."
    assert type(error_of("store-full", "", 507)) is StoreFull
    assert type(error_of("refused-patch", "No.")) is RefusedPatch
    assert type(error_of("of-a-newer-server", "New.", 418)) is ClientError
    assert type(error_of("of-a-newer-server", "New.", 500)) is ServerFault
    told = problem(409, pages.problem(Conflict("This title is taken.")).body, "http://x/")
    assert (type(told), str(told)) == (Conflict, "This title is taken.")


@pytest.mark.parametrize(
    "body", [b'{"message": "bad gateway"}', b'{"code": "not-found"}', b'{"code": 404}', b"[]", b""]
)
def test_what_a_proxy_answers_is_no_word_of_the_server(body: bytes) -> None:
    told = problem(404, body, "http://x/")
    assert type(told) is ServerAway
    assert "says HTTP 404" in str(told)


def test_what_speaks_another_protocol_is_no_bokeh_server() -> None:
    listener = Listener(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"))
    with pytest.raises(ServerAway, match="SSH"):
        Rest(f"http://localhost:{listener.port}/", {}).document("title")
    listener.close()
