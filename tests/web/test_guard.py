"""Who gets in: only this machine, only under our names, only from where the route wants it; everything else is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from bokeh_server.adapters.asgi import Application, create_app
from bokeh_server.core.authorise import Action, Actor
from bokeh_server.errors import Unauthorized
from bokeh_server.web import embed
from bokeh_server.web.guard import Guard, basic
from bokeh_server.web.http import Request, Response
from bokeh_server.web.routes import ROUTES, Route, Table
from bokeh_server.web.site import Site
from tests.accounts.ledgers import GOOD, cheap
from tests.running import HOSTED_BY
from tests.web.asking import Answer, ask, call, handshake, new_ticket, token
from tests.web.conftest import Shared


def with_app(test: Callable[[Application], Awaitable[Any]], **settings: Any) -> Any:
    """Run a test with the application in memory, as another ASGI server would hold it."""

    async def main() -> Any:
        app = create_app(**settings)
        await app.site.hub.start()
        try:
            return await test(app)
        finally:
            await app.site.hub.stop()

    return asyncio.run(main())


LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]
ELSEWHERE = ["192.168.1.7", "10.0.0.1", "8.8.8.8", "fe80::1", "2001:db8::1", "::ffff:10.0.0.1", "0.0.0.0", "::", "peer"]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_client_of_another_machine_is_refused_whatever_its_host_header_says(address: str) -> None:
    async def visit(app: Application) -> list[Answer]:
        return [await call(app, "GET", path, client=(address, 1)) for path in ("/", "/api/v1/documents", "/bokeh/ping")]

    assert [answer.status for answer in with_app(visit)] == [403, 403, 403]


@pytest.mark.parametrize("client", [*((address, 1) for address in LOOPBACK), None])
def test_this_machine_and_a_unix_socket_which_has_no_address_get_in(client: tuple[str, int] | None) -> None:
    assert with_app(lambda app: call(app, "GET", "/api/v1/documents", client=client)).status == 200


def test_a_socket_from_another_machine_is_refused() -> None:
    async def visit(app: Application) -> list[str]:
        sent: list[str] = []
        events = iter([{"type": "websocket.connect"}])

        async def receive() -> dict[str, Any]:
            return next(events)

        async def send(event: Any) -> None:
            sent.append(event["type"])

        scope = {"type": "websocket", "path": "/bokeh/board", "raw_path": b"/bokeh/board", "client": ("10.0.0.1", 1)}
        headers = [(b"host", b"localhost:5006"), (b"origin", b"http://localhost:5006")]
        await app({**scope, "headers": headers, "query_string": b""}, receive, send)
        return sent

    assert with_app(visit) == ["websocket.close"]


async def broken(site: Site, request: Request) -> Response:
    """A handler with a mistake of ours in it."""
    raise RuntimeError("the secret is 12345")


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_mistake_of_ours_is_a_logged_500_without_its_details(accept: str, capfd: pytest.CaptureFixture[str]) -> None:
    routes = [
        Route("GET", "/broken", Action.PUBLIC, "anywhere", "api", broken),
        Route("GET", "/page", Action.PUBLIC, "anywhere", "page", broken),
    ]

    async def visit(app: Application) -> Answer:
        app._guard = Guard(app.site, Table(routes))
        return await call(app, "GET", "/page" if accept == "text/html" else "/broken")

    answer = with_app(visit)
    assert answer.status == 500
    assert answer.headers["content-type"].startswith(accept if accept == "text/html" else "application/problem+json")
    assert b"12345" not in answer.body
    assert b"RuntimeError" not in answer.body
    assert "content-security-policy" in answer.headers
    assert "a request failed" in capfd.readouterr().out


# Hosts

FORGED_HOSTS = [
    "",
    "evil.example",
    "evil.example:{port}",
    "localhost",
    "localhost:1",
    "localhost:0{port}",
    "localhost:{port}.",
    "localhost.:{port}",
    "LOCALHOST:{port}",
    "localhost:{port}@evil.example",
    "evil.example@localhost:{port}",
    "localhost:{port}/",
    "localhost:{port}, evil.example",
    "localhost.evil.example:{port}",
    "xlocalhost:{port}",
    "127.0.0.1",
    "127.0.0.1.nip.io:{port}",
    "127.1:{port}",
    "2130706433:{port}",
    "0x7f000001:{port}",
    "0.0.0.0:{port}",
    "[::]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[0:0:0:0:0:0:0:1]:{port}",
    "[::1]",
    "::1:{port}",
    "localhost :{port}",
]
OUR_HOSTS = ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}"]


def refused_by_http(shared: Shared, host: str) -> bool:
    """Whether every kind of request with this Host is refused."""
    answers = [ask(shared.port, "GET", path, host=host) for path in ("/", "/api/v1/documents", "/healthz")]
    return all(answer.status in (400, 403) for answer in answers)


@pytest.mark.parametrize("host", FORGED_HOSTS)
def test_a_host_that_is_not_exactly_ours_is_refused(shared: Shared, host: str) -> None:
    named = host.format(port=shared.port)
    assert refused_by_http(shared, named)
    origin = ("Origin", f"http://localhost:{shared.port}")
    assert handshake(shared.port, "/bokeh/board", [origin], host=named) in (400, 403)
    assert handshake(shared.port, f"/bokeh/doc/{shared.document}/ws", host=named) in (400, 403)


@pytest.mark.parametrize("host", OUR_HOSTS)
def test_the_names_of_this_machine_are_ours(shared: Shared, host: str) -> None:
    assert ask(shared.port, "GET", "/api/v1/documents", host=host.format(port=shared.port)).status == 200


def test_two_host_headers_are_refused(shared: Shared) -> None:
    for first, second in [("localhost", "evil.example"), ("evil.example", "localhost")]:
        headers = [("Host", f"{second}:{shared.port}")]
        assert ask(shared.port, "GET", "/healthz", headers, host=f"{first}:{shared.port}").status in (400, 403)


# Origins

FORGED_ORIGINS = [
    "null",
    "",
    "*",
    "file://",
    "about:blank",
    "http://localhost",
    "http://localhost:1",
    "http://localhost:0{port}",
    "http://localhost:{port}/",
    "http://localhost:{port}/x",
    "http://localhost:{port}.",
    "http://localhost.:{port}",
    "http://localhost:{port}?x",
    "http://localhost:{port}#x",
    "http://localhost:{port}1",
    "https://localhost:{port}",
    "ws://localhost:{port}",
    "ftp://localhost:{port}",
    "HTTP://localhost:{port}",
    "http://LOCALHOST:{port}",
    "http://Localhost:{port}",
    "//localhost:{port}",
    "localhost:{port}",
    "http:localhost:{port}",
    "http:/localhost:{port}",
    "http:\\\\localhost:{port}",
    "http://evil.example",
    "http://evil.example:{port}",
    "http://localhost.evil.example:{port}",
    "http://evil.localhost:{port}",
    "http://xlocalhost:{port}",
    "http://localhostx:{port}",
    "http://localhost:{port}.evil.example",
    "http://localhost:{port}@evil.example",
    "http://evil.example@localhost:{port}",
    "http://user:pass@localhost:{port}",
    "http://localhost:{port}, http://evil.example",
    "http://evil.example, http://localhost:{port}",
    "http://localhost:{port} http://evil.example",
    "http://127.0.0.1",
    "http://127.1:{port}",
    "http://127.0.0.2:{port}",
    "http://0.0.0.0:{port}",
    "http://[::]:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://[::1%25lo]:{port}",
    "http://2130706433:{port}",
    "http://127.0.0.1.nip.io:{port}",
    "http://xn--lcalhost-54a:{port}",
    "http://l\u043ecalhost:{port}",
    "http://localhos\uff54:{port}",
    "chrome-extension://localhost:{port}",
    "data:text/html,http://localhost:{port}",
]


@pytest.mark.parametrize("origin", FORGED_ORIGINS)
def test_an_origin_that_is_not_exactly_ours_changes_nothing_and_opens_no_socket(shared: Shared, origin: str) -> None:
    port, header = shared.port, ("Origin", origin.format(port=shared.port))
    document = f"/api/v1/documents/{shared.document}"
    for method, path, body in [
        ("DELETE", document, None),
        ("PATCH", document, b'{"title": "stolen"}'),
        ("PUT", f"{document}/models/speed/value", b"9"),
        ("POST", f"{document}/sources/readings/rows", b'{"t": 1, "n": 1, "who": "x"}'),
        ("POST", "/api/v1/documents", b'{"title": "made elsewhere"}'),
        ("POST", f"/bokeh/doc/{shared.document}/ticket", b""),
        ("GET", "/api/v1/documents", None),
        ("GET", document, None),
    ]:
        assert ask(port, method, path, [header], body).status == 403, (method, path)
    assert handshake(port, "/bokeh/board", [header]) == 403
    assert handshake(port, f"/bokeh/doc/{shared.document}/ws", [header]) == 403
    if origin != "null":
        subprotocols = f"bokeh, {token(shared.document, new_ticket(port, shared.document))}"
        header = ("Origin", origin.format(port=port))
        answer = handshake(port, f"/bokeh/ws/{shared.document}", [header, ("Sec-WebSocket-Protocol", subprotocols)])
        assert answer == 403
    assert ask(port, "GET", f"{document}/models/speed/value").json == 5


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin", "same-origin, none"])
def test_a_browsers_word_that_another_site_asks_is_believed(shared: Shared, site: str) -> None:
    assert ask(shared.port, "GET", "/api/v1/documents", [("Sec-Fetch-Site", site)]).status == 403
    assert ask(shared.port, "DELETE", f"/api/v1/documents/{shared.document}", [("Sec-Fetch-Site", site)]).status == 403


def test_each_socket_opens_from_its_own_place_only(shared: Shared) -> None:
    port, document = shared.port, shared.document
    ours = ("Origin", f"http://localhost:{port}")

    def sandboxed() -> tuple[str, str]:
        return ("Sec-WebSocket-Protocol", f"bokeh, {token(document, new_ticket(port, document))}")

    assert handshake(port, "/bokeh/board", [ours]) == 101
    assert handshake(port, "/bokeh/board") == 403
    assert handshake(port, f"/bokeh/doc/{document}/ws") == 101
    assert handshake(port, f"/bokeh/doc/{document}/ws", [ours]) == 403
    assert handshake(port, f"/bokeh/ws/{document}", [("Origin", "null"), sandboxed()]) == 101
    assert handshake(port, f"/bokeh/ws/{document}", [ours, sandboxed()]) == 403
    assert handshake(port, f"/bokeh/ws/{document}", [sandboxed()]) == 403
    assert handshake(port, f"/bokeh/ws/{document}", [("Origin", "null")]) == 401


# Paths


@pytest.mark.parametrize(
    "path",
    [
        *("/bokeh/p%69ng", "/%62okeh/ping", "/bokeh/ping%2e", "/bokeh/%7Eping"),
        *(["//bokeh/ping"] if HOSTED_BY != "werkzeug" else []),  # Python's http.server makes one slash of the two
        *("/bokeh//ping", "/bokeh/ping/", "/bokeh/./ping", "/bokeh/%2e/ping"),
        *("/bokeh/x/../ping", "/bokeh/x/%2e%2E/ping", "/bokeh%2Fping", "/bokeh%5Cping", "/bokeh\\ping"),
        *("/bokeh/ping%00", "/bokeh/ping%0A", "/bokeh/ping%", "/bokeh/ping%zz"),
        *("/bokeh/%FF", "/bokeh/%C0%AE", "/bokeh/<ping>"),
    ],
)
def test_a_path_has_one_spelling(shared: Shared, path: str) -> None:
    assert ask(shared.port, "GET", path).status == 400
    assert ask(shared.port, "GET", "/bokeh/ping").body == b"pong"


def test_a_title_that_must_be_quoted_works_in_either_hexadecimal(shared: Shared) -> None:
    title = "Prüfstand 7 (größer)!"
    assert ask(shared.port, "POST", "/api/v1/documents", body=f'{{"title": "{title}"}}'.encode()).status == 201
    for path in ("Pr%C3%BCfstand%207%20(gr%C3%B6%C3%9Fer)!", "Pr%c3%bcfstand%207%20%28gr%c3%b6%c3%9fer%29%21"):
        assert ask(shared.port, "GET", f"/api/v1/documents/{path}/info").json["title"] == title


def test_what_a_path_does_not_take_is_told_with_what_it_takes(shared: Shared) -> None:
    for method in ("OPTIONS", "TRACE", "POST", "DELETE"):
        answer = ask(shared.port, method, "/bokeh/ping")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert asyncio.run(call(create_app(), "WEBSOCKET", "/bokeh/board")).status == 404
    assert ask(shared.port, "OPTIONS", "/nothing").status == 404
    assert "access-control-allow-origin" not in ask(shared.port, "OPTIONS", "/api/v1/documents").headers
    head = ask(shared.port, "HEAD", "/bokeh/ping")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "4")
    assert ask(shared.port, "HEAD", "/nothing").status == 404
    assert ask(shared.port, "GET", "/favicon.ico").status == 404


def test_every_route_that_changes_something_asks_where_the_request_comes_from() -> None:
    for route in ROUTES:
        if route.method == "OPTIONS":
            assert route.handler is embed.preflight, "it reads nothing and changes nothing"
        elif route.method not in ("GET", "WEBSOCKET"):
            assert route.origin in ("here", "program"), route.path


# Who is asking, on a server with accounts


def with_accounts(test: Callable[[Application], Awaitable[Any]]) -> Any:
    """Run a test with a server with accounts in memory, whose passwords cost nothing; anna has one."""

    async def prepared(app: Application) -> Any:
        app.site.accounts.users._passwords = cheap()
        await app.site.accounts.users.create("anna", GOOD)
        return await test(app)

    return with_app(prepared, multi_user=True)


HERE = ("host", "localhost:5006")


@pytest.mark.parametrize("address", [*ELSEWHERE, *LOOPBACK])
def test_with_accounts_every_machine_gets_as_far_as_the_door(address: str) -> None:
    answer = with_accounts(lambda app: call(app, "GET", "/api/v1/documents", client=(address, 1)))
    assert answer.status == 401


def test_a_token_counts_more_than_a_cookie_and_is_never_passed_over() -> None:
    async def visit(app: Application) -> None:
        accounts = app.site.accounts
        await accounts.users.create("ben", GOOD)
        cookie = ("cookie", f"bokeh-server-5006={await accounts.logins.open('anna', '')}")
        token, _ = await accounts.tokens.make("ben", "x", ["read"])  # type: ignore[list-item]
        for given, expected in [
            ((cookie,), (200, "anna")),
            ((cookie, ("authorization", f"Bearer {token}")), (200, "ben")),
            ((cookie, ("authorization", "Bearer x")), (401, "")),
            ((cookie, ("authorization", "Negotiate x")), (200, "anna")),
            ((("authorization", token),), (401, "")),
            ((), (401, "")),
        ]:
            answer = await call(app, "GET", "/api/v1/account", headers=(HERE, *given))
            assert (answer.status, answer.json.get("username", "")) == expected, given

    with_accounts(visit)


def test_static_files_ask_nobody_who_he_is() -> None:
    async def visit(app: Application) -> int:
        path = f"/static/app/{app.site.static.version}/app.css"
        answer = await call(app, "GET", path, headers=(HERE, ("authorization", "Bearer x"), ("cookie", "x")))
        assert "set-cookie" not in answer.headers
        return answer.status

    assert with_accounts(visit) == 200


@pytest.mark.parametrize("given", ["", "x", "%%%", "/w==", "é", "bm9jb2xvbg=="])
def test_basic_credentials_are_a_name_and_a_token_or_nothing(given: str) -> None:
    try:
        user, token = basic(given)
    except Unauthorized as error:
        told = str(error)
        assert told == "These credentials are not valid; give a user name and a token."
    else:
        assert (user, token) in (("", ""), ("nocolon", ""))


def test_what_is_hidden_takes_as_many_look_ups_as_what_is_not_there() -> None:
    async def visit(app: Application) -> None:
        site = app.site
        hidden = await site.hub.create("ben", "his")
        mine = await site.hub.create("anna", "hers")
        asked: list[str] = []
        look, access_of = site.hub.look, site.hub.access_of

        async def looked(owner: str, name: str) -> Any:
            asked.append("look")
            return await look(owner, name)

        async def found(info: Any) -> Any:
            asked.append("access")
            return await access_of(info)

        site.hub.look, site.hub.access_of = looked, found  # type: ignore[method-assign]
        anna = Actor("user", "anna")
        work = []
        for name in (hidden.id, "nothing", "his"):
            asked.clear()
            info, _ = await site.find(anna, name)
            assert info is None
            work.append(tuple(asked))
        assert set(work) == {("look", "access", "access")}
        for name in (mine.id, "hers"):
            info, access = await site.find(anna, name)
            assert (info and info.id, access.owner) == (mine.id, "anna")
        info, _ = await site.find(replace(anna, public=True), mine.id)
        assert info is None

    with_accounts(visit)


def test_a_server_without_accounts_has_no_pages_of_accounts(shared: Shared) -> None:
    for path in ("/bokeh/account", "/bokeh/users"):
        answer = ask(shared.port, "GET", path, [("Accept", "text/html")])
        assert answer.status == 403
        assert b"start it with -m" in answer.body


MISSPELT = [
    ("POST", "/plain/sources/readings/rows?rolover=1", "'rolover' here, only client, number, public and rollover."),
    ("PUT", "/plain/models/speed/value?seq=3", "'seq' here, only public."),
    ("GET", "/plain?public=false&inline", "'inline' here, only public."),
    ("DELETE", "/plain?force=true", "'force' here, only public."),
    ("GET", "?titel=a", "'titel' here, only public and title."),
]


@pytest.mark.parametrize(("method", "path", "words"), MISSPELT)
def test_a_query_parameter_that_the_api_does_not_know_is_refused(
    shared: Shared, method: str, path: str, words: str
) -> None:
    answer = ask(shared.port, method, f"/api/v1/documents{path}", body=b"{}")
    assert (answer.status, answer.json["code"]) == (400, "bad-message")
    assert answer.json["detail"].endswith(words)
    assert ask(shared.port, "GET", "/api/v1/documents/plain/info?public=false").status == 200


def test_what_links_carry_with_them_does_not_matter(shared: Shared) -> None:
    for path in ("/", "/healthz", "/version", "/bokeh/ping", "/api/v1/openapi.json", f"/bokeh/doc/{shared.document}"):
        assert ask(shared.port, "GET", f"{path}?utm_source=mail").status == 200
    socket = f"/bokeh/doc/{shared.document}/ws?bokeh-protocol-version=1.0&bokeh-session-id=x"
    assert handshake(shared.port, socket) == 101
