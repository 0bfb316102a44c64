"""What proxies say of a client counts where the proxy is named, and makes everything stricter where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from bokeh_server.adapters.asgi import Application, make_site
from bokeh_server.config import Config, canonical_proxy
from bokeh_server.errors import BadSetting
from bokeh_server.web.forwarded import NOT_NAMED, NOT_SAID, Proxies, address_of
from bokeh_server.web.http import Request
from tests.accounts.ledgers import GOOD, cheap
from tests.web.asking import Answer, call
from tests.web.test_guard import with_app

NAMED = ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")


def believed(named: tuple[str, ...], peer: str, headers: dict[str, str], scheme: str = "http") -> tuple[str, str]:
    """Client and scheme of a request, once the proxies have been believed or not."""
    request = Request("GET", "/", "", headers, scheme, peer)
    Proxies(named).believe(request)
    return request.client, request.scheme


@pytest.mark.parametrize("peer", ["10.1.2.3", "192.0.2.7", "2001:db8::9", "::ffff:10.0.0.1"])
@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("[2001:4860::1]:443", "2001:4860::1"),
        ("2001:4860::1", "2001:4860::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1, 203.0.113.9, 10.0.0.5", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.5, 192.0.2.7 ,2001:db8::1", "203.0.113.9"),
        ("10.0.0.9, 10.0.0.5", "10.0.0.9"),
        ("203.0.113.9, unknown", "unknown"),
        ("203.0.113.9, evil.example, 10.0.0.5", "unknown"),
        ("203.0.113.9, 10.0.0.256", "unknown"),
        (",, 203.0.113.9 ,", "203.0.113.9"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(peer: str, chain: str, client: str) -> None:
    assert believed(NAMED, peer, {"x-forwarded-for": chain})[0] == client


@pytest.mark.parametrize("chain", ["", " ", ", ,"])
def test_a_proxy_that_names_nobody_is_the_client_itself(chain: str) -> None:
    assert believed(NAMED, "10.1.2.3", {"x-forwarded-for": chain})[0] == "10.1.2.3"


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "192.0.2.8", "11.0.0.1", "::1", "2001:db9::1", "", "unknown", "10.0.0.1x"]
)
def test_of_anybody_else_nothing_is_believed(peer: str) -> None:
    headers = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https", "x-real-ip": "203.0.113.9"}
    assert believed(NAMED, peer, headers) == (peer, "http")
    assert believed((), peer, headers) == (peer, "http")


def test_a_unix_socket_is_trusted_by_its_name_only() -> None:
    headers = {"x-forwarded-for": "203.0.113.9"}
    assert believed(("unix",), "", headers)[0] == "203.0.113.9"
    assert believed(("0.0.0.0/0", "::/0"), "", headers)[0] == ""
    assert believed(("unix",), "127.0.0.1", headers)[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("said", "scheme"),
    [
        *(("https", "https"), ("HTTPS", "https"), ("http", "http"), ("wss", "https"), ("ws", "http")),
        *(("http, https", "https"), ("https, http", "http"), ("", "http"), ("gopher", "http"), ("https://x", "http")),
    ],
)
def test_the_scheme_is_what_the_nearest_proxy_says(said: str, scheme: str) -> None:
    assert believed(NAMED, "10.0.0.1", {"x-forwarded-proto": said, "x-forwarded-for": "203.0.113.9"})[1] == scheme


@pytest.mark.parametrize("name", ["forwarded", "x-real-ip", "x-forwarded-host", "x-client-ip"])
def test_other_headers_name_nobody(name: str) -> None:
    assert believed(NAMED, "10.0.0.1", {name: "for=203.0.113.9"})[0] == "10.0.0.1"


@pytest.mark.parametrize("said", ["", "unknown", "_hidden", "a.b.c.d", "[x]:1", "1.2.3", "localhost", "for=::1", "[]"])
def test_what_is_no_address_is_none(said: str) -> None:
    assert address_of(said) is None


# The settings


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        *(("127.0.0.1", "127.0.0.1/32"), ("::1", "::1/128"), ("10.0.0.0/8", "10.0.0.0/8"), ("unix", "unix")),
        *(("::ffff:10.0.0.7", "10.0.0.7/32"), ("2001:DB8::/32", "2001:db8::/32"), ("0.0.0.0/0", "0.0.0.0/0")),
    ],
)
def test_a_proxy_is_an_address_or_a_network(named: str, kept: str) -> None:
    assert canonical_proxy(named) == canonical_proxy(kept) == kept
    assert Config(trusted_proxies=(named,)).trusted_proxies == (kept,)


@pytest.mark.parametrize("named", ["", "*", "localhost", "proxy.example", "10.0.0.0/33", "10.0.0.1,10.0.0.2", "Unix"])
def test_what_is_no_proxy_is_refused(named: str) -> None:
    with pytest.raises(BadSetting, match="an IP address, a network or `unix`"):
        Config(trusted_proxies=(named,))


def test_a_network_with_an_address_in_it_is_told() -> None:
    with pytest.raises(BadSetting, match="has host bits set"):
        Config(trusted_proxies=("10.0.0.7/8",))


# Without accounts only this machine gets in

HERE = ("host", "localhost:5006")
OF_PROXIES = {
    "x-forwarded-for": "127.0.0.1",
    "X-Forwarded-Proto": "https",
    "x-forwarded-host": "localhost",
    "x-real-ip": "127.0.0.1",
    "forwarded": "for=127.0.0.1",
    "via": "1.1 proxy",
}


def visited(peer: tuple[str, int] | None, *headers: tuple[str, str], **settings: Any) -> Answer:
    """The answer to who asks for the list of documents."""

    async def visit(app: Application) -> Answer:
        return await call(app, "GET", "/api/v1/documents", client=peer, headers=(HERE, *headers))

    answer: Answer = with_app(visit, **settings)
    return answer


@pytest.mark.parametrize("peer", [("127.0.0.1", 1), ("::1", 1), None])
@pytest.mark.parametrize("header", OF_PROXIES.items(), ids=OF_PROXIES)
def test_a_proxy_on_this_machine_that_is_not_named_lets_nobody_in(peer: Any, header: tuple[str, str]) -> None:
    answer = visited(peer, header)
    assert (answer.status, answer.json["detail"]) == (403, NOT_NAMED)
    assert visited(peer).status == 200


@pytest.mark.parametrize("peer", [("127.0.0.1", 1), ("::1", 1), None])
@pytest.mark.parametrize(
    ("client", "status"),
    [("127.0.0.1", 200), ("::1", 200), ("203.0.113.9", 403), ("127.0.0.1, 203.0.113.9", 403), ("x", 403), ("", 403)],
)
def test_a_named_proxy_lets_in_only_who_is_on_this_machine(peer: Any, client: str, status: int) -> None:
    """Also where it names no other than itself and that is the way of a program here: it must say so."""
    answer = visited(peer, ("x-forwarded-for", client), trusted_proxies=("127.0.0.1", "::1", "unix"))
    assert answer.status == status
    assert status == 200 or client or answer.json["detail"] == NOT_SAID


def test_with_a_lock_the_headers_of_others_are_as_if_they_were_not_there() -> None:
    for header in OF_PROXIES.items():
        assert visited(("127.0.0.1", 1), header, multi_user=True).status == 401


def test_a_name_that_is_not_ours_is_told_with_the_scheme_that_the_proxy_says() -> None:
    headers = [("host", "plots.example.org"), ("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.9")]

    async def visit(app: Application) -> list[str]:
        told = []
        for peer in ("10.0.0.1", "10.0.0.2"):
            answer = await call(app, "GET", "/healthz", client=(peer, 1), headers=headers)
            told.append(answer.json["detail"])
        return told

    def standalone(app: Application) -> Any:
        object.__setattr__(app.site.config, "mounted", False)
        return visit(app)

    named, other = with_app(standalone, multi_user=True, trusted_proxies=("10.0.0.1",))
    assert "--public-url https://plots.example.org" in named
    assert "--public-url http://plots.example.org" in other


@pytest.mark.parametrize("mounted", [True, False])
def test_of_two_public_addresses_of_one_name_the_scheme_tells_which(mounted: bool) -> None:
    urls = ("https://plots.example.org", "http://plots.example.org")
    named: dict[str, Any] = {"multi_user": True, "public_urls": urls, "mounted": mounted}
    for proxies, expected in ((("10.0.0.1",), [*urls, *urls]), ((), [urls[1]] * 4)):
        site = make_site(Config(trusted_proxies=proxies, **named))
        asked = [
            Request("GET", "/", "", {"host": "plots.example.org"}, scheme, "10.0.0.1")
            for scheme in ("https", "http", "wss", "ws")
        ]
        assert [site.origin(request) for request in asked] == expected


# Attempts are counted by the client's address


def test_wrong_passwords_are_counted_by_the_address_that_the_named_proxy_tells() -> None:
    body = b'{"username": "anna", "password": "wrong wrong"}'

    async def visit(app: Application) -> None:
        app.site.accounts.users._passwords = cheap()
        await app.site.accounts.users.create("anna", GOOD)

        async def tried(peer: str, client: str) -> int:
            headers = [HERE, ("content-type", "application/json"), ("x-forwarded-for", client)]
            answer = await call(app, "POST", "/api/v1/login", client=(peer, 1), headers=headers, body=body)
            return answer.status

        assert [await tried("10.0.0.1", f"6.6.6.{n}, 203.0.113.9") for n in range(11)] == [401] * 10 + [429]
        assert await tried("10.0.0.1", "203.0.113.9, 198.51.100.1") == 401
        assert [await tried("192.0.2.1", f"203.0.113.{n}") for n in range(11)] == [401] * 10 + [429]

    with_app(visit, multi_user=True, trusted_proxies=("10.0.0.1",))
