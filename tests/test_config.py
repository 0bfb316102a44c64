"""Settings that exist can be used; what can't be is said in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bokeh_server.adapters.asgi import make_site
from bokeh_server.config import Config, canonical_address, canonical_prefix, default_data, is_loopback
from bokeh_server.errors import BadSetting


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
