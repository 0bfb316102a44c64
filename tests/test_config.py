"""Settings that exist can be used; what can't be is said in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bokeh_server.adapters.asgi import make_site
from bokeh_server.config import Config, canonical_address, canonical_origin, canonical_prefix, default_data, is_loopback
from bokeh_server.errors import BadSetting
from bokeh_server.web.http import Request


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("localhost", "http://localhost:5006/"),
        ("127.0.0.1", "http://127.0.0.1:5006/"),
        ("127.0.0.7", "http://127.0.0.7:5006/"),
        ("::1", "http://[::1]:5006/"),
        ("[::1]", "http://[::1]:5006/"),
        ("0:0:0:0:0:0:0:1", "http://[::1]:5006/"),
        ("::ffff:127.0.0.1", "http://127.0.0.1:5006/"),
        ("::1%lo", "http://[::1]:5006/"),
    ],
)
def test_an_address_gives_an_url_that_a_browser_understands_and_the_server_answers_to(address: str, url: str) -> None:
    site = make_site(Config(address=address))
    assert site.url == url
    assert url.removeprefix("http://").removesuffix("/") in site.origins
    assert url.removesuffix("/") in site.origins.values()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "0.0.0.0",
        "::",
        "192.168.0.1",
        "fe80::1%eth0",
        "example.org",
        "localhost.",
        "LOCALHOST",
        "127.1",
        "127.0.0.1:80",
    ],
)
def test_any_other_address_is_refused_as_there_are_no_accounts(address: str) -> None:
    with pytest.raises(BadSetting, match=r"this machine only|on localhost or on an IP address"):
        Config(address=address)


@pytest.mark.parametrize("lock", [{"multi_user": True}, {"token": "0123456789abcdefghij"}], ids=["accounts", "token"])
def test_a_server_that_asks_who_it_is_listens_anywhere(lock: dict[str, Any]) -> None:
    site = make_site(Config(address="0.0.0.0", **lock))
    assert site.origin(request("192.168.0.7:5006", "192.168.0.7")) == "http://192.168.0.7:5006"


@pytest.mark.parametrize("token", ["", "0123456789abcdefghi", "ä" * 30])
def test_a_token_that_can_be_guessed_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(BadSetting, match="20 ASCII characters") as told:
        Config(token=token)
    assert token[:10] == "" or token[:10] not in str(told.value)
    assert "secret-secret-secret" not in repr(Config(token="secret-secret-secret"))


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("", ""), ("/", ""), ("plots", "/plots"), ("/plots/", "/plots"), ("a//b", "/a/b"), ("/x-1/y.z/~u", "/x-1/y.z/~u")],
)
def test_a_prefix_may_be_written_in_any_way(prefix: str, path: str) -> None:
    assert Config(prefix=prefix).prefix == canonical_prefix(path) == path


@pytest.mark.parametrize("prefix", ["..", "/a/../b", ".", "a b", "ä", "a?b", "a#b", "a%20b", "a\\b", "<a>", "a:b", '"'])
def test_a_prefix_that_is_no_plain_path_is_refused(prefix: str) -> None:
    with pytest.raises(BadSetting, match="A prefix is a path"):
        Config(prefix=prefix)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"port": -1}, "0 to 65535"),
        ({"port": 65536}, "0 to 65535"),
        ({"ssl_keyfile": Path("key.pem")}, "needs its certificate"),
        ({"ssl_certfile": Path("/nothing.pem")}, "There is no file"),
        ({"retain_bytes": 64}, "like 64M"),
        ({"retain_raw": 0.0}, "like 1d"),
    ],
)
def test_settings_that_can_not_be_used_say_why(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        Config(**settings)


def test_a_certificate_makes_all_addresses_https(tmp_path: Path) -> None:
    certificate = tmp_path / "cert.pem"
    certificate.touch()
    site = make_site(Config(ssl_certfile=certificate, port=443))
    assert site.url == "https://localhost:443/"
    assert {"https://localhost", "https://localhost:443", "https://[::1]"} <= set(site.origins.values())
    assert not any(origin.startswith("http:") for origin in site.origins.values())


def test_the_standard_port_need_not_be_named() -> None:
    assert {"localhost", "localhost:80"} <= make_site(Config(port=80)).origins.keys()
    assert "localhost" not in make_site(Config(port=5006)).origins
    assert "localhost" not in make_site(Config(port=443)).origins


def test_the_port_is_the_one_that_the_server_listens_on() -> None:
    assert make_site(Config(port=0), 4711).url == "http://localhost:4711/"


def test_the_data_of_a_user_has_its_place() -> None:
    assert default_data().name == "bokeh-server"


def test_addresses_are_read_as_sockets_read_them() -> None:
    assert canonical_address("127.0.0.1") == "127.0.0.1"
    assert canonical_address("nonsense") is None
    assert is_loopback("::1")
    assert not is_loopback("localhost")


# With accounts


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.1", "fe80::1%eth0", "localhost", "127.0.0.1"])
def test_with_accounts_it_may_listen_anywhere(address: str) -> None:
    assert Config(address=address, multi_user=True).multi_user


@pytest.mark.parametrize("address", ["", "example.org", "127.1", "127.0.0.1:80"])
def test_with_accounts_too_an_address_is_one(address: str) -> None:
    with pytest.raises(BadSetting, match="on localhost or on an IP address"):
        Config(address=address, multi_user=True)


def test_registration_is_for_servers_with_accounts() -> None:
    assert Config().registration == Config(multi_user=True).registration == "invitation"
    for registration in ("closed", "open"):
        assert Config(multi_user=True, registration=registration).registration == registration
        with pytest.raises(BadSetting, match=r"nothing to register for without accounts \(-m\)"):
            Config(registration=registration)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://plots.example.org", "https://plots.example.org"),
        ("https://plots.example.org/", "https://plots.example.org"),
        ("plots.example.org", "https://plots.example.org"),
        ("plots.example.org:8443", "https://plots.example.org:8443"),
        ("HTTPS://Plots.Example.ORG:443", "https://plots.example.org"),
        ("http://plots:80", "http://plots"),
        ("http://plots:443", "http://plots:443"),
        ("https://my_host", "https://my_host"),
        ("http://192.168.0.7:5006", "http://192.168.0.7:5006"),
        ("https://[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_public_address_is_kept_as_browsers_write_it(url: str, origin: str) -> None:
    assert canonical_origin(url) == origin
    assert canonical_origin(origin) == origin
    assert Config(public_urls=(url,), multi_user=True).public_urls == (origin,)


def test_a_server_that_lets_everybody_in_has_no_public_address() -> None:
    for url in ("https://plots.example.org", "http://192.168.0.7:5006", "http://localhost.example.org"):
        with pytest.raises(BadSetting, match="leave --public-url out"):
            Config(public_urls=(url,))
        Config(public_urls=(url,), token="x" * 20)
    Config(public_urls=("http://localhost:8080", "https://[::1]", "http://127.0.0.2"))


@pytest.mark.parametrize(
    "url",
    [
        *("", "https://", "https:///x", "ftp://plots.example.org", "ws://plots.example.org", "file:///plots"),
        *("https://*", "https://*.example.org", "https://plots.example.org/plots", "https://plots.example.org?x"),
        *("https://plots.example.org#x", "https://ann@plots.example.org", "https://:x@plots.example.org"),
        *("https://@plots.example.org", "https://plots.example.org:99999", "https://plots.example.org:x"),
        *("https://plots .example.org", "https://plots..example.org", "https://[::1", "https://::1", "https://a,b"),
        *("https://plots.example.org\\@evil.example", "https://" + "a" * 64 + ".org", "https://a%2eb"),
    ],
)
def test_what_is_no_public_address_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="A public address looks like"):
        Config(public_urls=(url,))


def request(host: str, server: str = "", prefix: str = "") -> Request:
    """A request under this Host header, that came to this address of ours."""
    return Request("GET", f"{prefix}/", "", {"host": host}, "http", "127.0.0.1", server, prefix=prefix)


def test_a_server_answers_under_its_public_addresses_and_its_own_names() -> None:
    urls = ("https://plots.example.org", "http://plots:8080")
    site = make_site(Config(multi_user=True, public_urls=urls, prefix="/x"))
    assert site.url == "https://plots.example.org/x/"
    for host, origin in {
        "plots.example.org": "https://plots.example.org",
        "plots:8080": "http://plots:8080",
        "localhost:5006": "http://localhost:5006",
        "127.0.0.1:5006": "http://127.0.0.1:5006",
        "[::1]:5006": "http://[::1]:5006",
    }.items():
        assert site.origin(request(host)) == origin
    for host in (
        *("", "plots.example.org:443", "plots.example.org:5006", "plots.example.org.", "PLOTS.example.org"),
        *("plots", "plots:5006", "evil.example", "xplots.example.org", "plots.example.org.evil.example"),
        *("localhost", "plots.example.org, evil.example", "evil@plots.example.org", "plots.example.org/"),
    ):
        assert site.origin(request(host)) is None, host


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("192.168.0.7", "192.168.0.7:5006"),
        ("2001:db8::1", "[2001:db8::1]:5006"),
        ("fe80::1%eth0", "[fe80::1]:5006"),
        ("::ffff:192.168.0.7", "192.168.0.7:5006"),
    ],
)
def test_with_accounts_the_address_that_a_connection_came_to_is_a_name_of_ours(server: str, host: str) -> None:
    shared = make_site(Config(multi_user=True, address="0.0.0.0"))
    assert shared.origin(request(host, server)) == f"http://{host}"
    for other in (host.replace("5006", "5007"), host.partition(":5006")[0], "192.168.0.8:5006", "evil.example:5006"):
        assert shared.origin(request(other, server)) is None
    assert shared.origin(request(host, "10.0.0.1")) is None
    assert make_site(Config()).origin(request(host, server)) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_links_lead_to_where_one_has_found_a_server_that_listens_on_all_addresses(address: str) -> None:
    """ "All addresses" is none that one can go to, or that a browser should be let in by."""
    site = make_site(Config(multi_user=True, address=address, prefix="/x"))
    assert site.url == "http://localhost:5006/x/"
    assert site.url_for(request("192.168.0.7:5006", "192.168.0.7", "/x")) == "http://192.168.0.7:5006/x/"
    for host in ("0.0.0.0:5006", "[::]:5006"):
        assert site.origin(request(host, "127.0.0.1")) is None
    named = make_site(Config(multi_user=True, address=address, public_urls=("https://plots.example.org",)))
    assert named.url_for(request("192.168.0.7:5006", "192.168.0.7")) == named.url == "https://plots.example.org/"


def test_the_name_of_the_cookie_says_whether_it_is_only_for_https() -> None:
    site = make_site(Config(multi_user=True, public_urls=("https://plots.example.org", "http://plots")))
    assert site.cookie(request("plots.example.org")) == "__Host-bokeh-server"
    assert site.cookie(request("plots")) == site.cookie(request("localhost:5006")) == "bokeh-server-5006"
    assert site.cookie(request("evil.example")) == "bokeh-server-5006"
