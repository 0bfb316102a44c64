"""The Blueprint: what it says where it can't serve, and how its loop begins and ends. ``tests/hosts`` serves it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string

from bokeh_server.adapters.flask import Blueprint, blueprint, swap
from bokeh_server.errors import BadSetting

HANDSHAKE = {
    **{"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "http://localhost"},
    **{"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="},
}


def site(made: Blueprint, **options: Any) -> Any:
    """A client of an application that has this Blueprint."""
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(made, **{"url_prefix": "/plots", **options})
    return app.test_client()


@pytest.fixture
def plots() -> Iterator[Blueprint]:
    """A Blueprint that keeps everything in memory."""
    made = blueprint()
    yield made
    made.background.stop()


def test_nothing_is_opened_before_the_first_request(tmp_path: Path) -> None:
    made = blueprint(tmp_path / "data")
    client = site(made)
    assert not (tmp_path / "data").exists()
    assert client.get("/plots/readyz").json == {"status": "ready"}
    assert (tmp_path / "data").exists()
    made.background.stop()


def test_a_second_one_on_the_same_data_says_so_and_works_when_the_first_has_ended(tmp_path: Path) -> None:
    first, second = blueprint(tmp_path / "data"), blueprint(tmp_path / "data")
    made = site(first).post("/plots/api/v1/documents", json={"title": "kept"})
    assert made.status_code == 201
    client = site(second)
    for _ in range(2):
        told = client.get("/plots/api/v1/documents")
        assert told.status_code == 503
        assert "Another bokeh-server uses the data folder" in told.json["detail"]
    first.background.stop()
    assert [one["title"] for one in client.get("/plots/api/v1/documents").json] == ["kept"]
    second.background.stop()


def test_a_template_has_the_tag_of_a_document(plots: Blueprint) -> None:
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(plots, url_prefix="/plots")
    page = "{{ plots.tag('d1') }}{{ plots.tag('d1', model) }}"
    app.add_url_rule("/page", view_func=lambda: render_template_string(page, plots=plots, model='"><b&'))
    begin, end = '<script src="/plots/bokeh/autoload.js?document=d1', '"></script>'
    assert app.test_client().get("/page").text == f"{begin}{end}{begin}&amp;model=%22%3E%3Cb%26{end}"


@pytest.mark.parametrize("more", [{"token": "x" * 20}, {"identify": lambda _: None}])
def test_only_where_accounts_have_passwords_an_administrator_is_asked_for(
    more: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    made = blueprint(**more)
    site(made).get("/plots/bokeh/ping")
    made.background.stop()
    assert capfd.readouterr().err == ""


def test_the_first_start_says_how_to_make_the_administrators_account(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known: dict[str, Any] = {}
    for told in (True, False):
        made = blueprint(tmp_path / "data", multi_user=True)
        client = site(made)
        assert client.get("/plots/bokeh/ping").text == "pong"
        found = re.search(r"at bokeh/register#(\S+),", capfd.readouterr().err)
        assert (found is not None) == told
        if found is not None:
            body = {"username": "ann", "password": "three words enough", "invitation": found[1]}
            known = client.post("/plots/api/v1/register", json=body).json
        assert (
            client.get("/plots/api/v1/users", headers={"Authorization": f"Bearer {known['token']}"}).status_code == 200
        )
        made.background.stop()


def test_after_its_end_it_says_so(plots: Blueprint) -> None:
    client = site(plots)
    assert client.get("/plots/bokeh/ping").text == "pong"
    plots.background.stop()
    plots.background.stop()
    told = client.get("/plots/bokeh/ping")
    assert (told.status_code, told.json["detail"]) == (503, "The server is stopping.")


def test_several_processes_are_told_to_be_one(plots: Blueprint) -> None:
    told = site(plots).get("/plots/api/v1/documents", environ_overrides={"wsgi.multiprocess": True})
    assert told.status_code == 503
    assert "run it with one worker and many threads" in told.json["detail"]
    page = site(plots).get("/plots/", environ_overrides={"wsgi.multiprocess": True}, headers={"Accept": "text/html"})
    assert (page.status_code, page.mimetype) == (503, "text/html")


def test_a_process_that_was_forked_after_the_first_request_is_told(plots: Blueprint) -> None:
    client = site(plots)
    client.get("/plots/bokeh/ping")
    plots.background._process = os.getpid() + 1
    told = client.get("/plots/bokeh/ping")
    assert told.status_code == 503
    assert "let the host application fork first" in told.json["detail"]
    plots.background._process = os.getpid()


def test_where_the_wsgi_server_gives_no_socket_it_says_what_does(plots: Blueprint) -> None:
    told = site(plots).get("/plots/bokeh/board", headers=HANDSHAKE)
    assert told.status_code == 503
    assert "can't carry websockets" in told.json["detail"]


def test_a_handshake_to_what_is_no_socket_is_refused_by_the_wsgi_server(plots: Blueprint) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = site(plots).get("/plots/bokeh/nothing", headers=HANDSHAKE, environ_overrides={"gunicorn.socket": ours})
    assert told.status_code == 404


def test_where_sockets_are_patched_it_says_so(plots: Blueprint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "__module__", "gevent._socket3")
    told = site(plots).get("/plots/bokeh/ping")
    assert told.status_code == 503
    assert "gevent's" in told.json["detail"]


@pytest.mark.parametrize(
    ("options", "root", "mounted"),
    [
        ({}, "", "/plots"),
        ({"url_prefix": "/a/b"}, "", "/a/b"),
        ({}, "/below", "/below/plots"),
        ({"url_prefix": "/<tenant>/plots"}, "", "/b%C3%BCro%201/plots"),
    ],
)
def test_all_addresses_are_below_where_it_is_registered(
    plots: Blueprint, options: dict[str, str], root: str, mounted: str
) -> None:
    path = mounted.removeprefix(root)
    made = site(plots, **options).post(
        f"{path}/api/v1/documents", json={"title": "a"}, environ_overrides={"SCRIPT_NAME": root}
    )
    assert made.json["link"] == f"http://localhost{mounted}/bokeh/doc/{made.json['id']}"


def test_a_body_has_its_bound_and_one_form(plots: Blueprint) -> None:
    client = site(plots)
    most = plots.site.limits.title
    assert client.post("/plots/api/v1/documents", json={"title": "x" * (most + 1)}).status_code == 400
    packed = client.post("/plots/api/v1/documents", data=b"{}", headers={"Content-Encoding": "gzip"})
    assert (packed.status_code, "send it as it is" in packed.json["detail"]) == (400, True)
    large = client.post("/plots/api/v1/documents", data=b"{}", environ_overrides={"CONTENT_LENGTH": str(10**12)})
    assert large.status_code == 413


def test_two_in_one_application_are_two_servers() -> None:
    one, two = blueprint(name="one"), blueprint(name="two")
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(one, url_prefix="/one")
    app.register_blueprint(two, url_prefix="/two")
    client: Any = app.test_client()
    client.post("/one/api/v1/documents", json={"title": "a"})
    assert [len(client.get(f"/{name}/api/v1/documents").json) for name in ("one", "two")] == [1, 0]
    for made in (one, two):
        made.background.stop()


def test_settings_that_can_not_be_used_are_refused_at_once() -> None:
    with pytest.raises(BadSetting):
        blueprint(token="short")


def test_who_held_a_connection_gets_another_that_ends_when_it_is_told() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        taken, other = swap(ours)
        with taken, other:
            ours.sendall(b"to nobody")
            ours.shutdown(socket.SHUT_RDWR)
            ours.close()
            taken.sendall(b"to the peer")
            assert peer.recv(100) == b"to the peer"
