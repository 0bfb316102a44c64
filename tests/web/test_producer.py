"""Rows by a websocket, as programs of other languages send them; the producer in JavaScript is that of the docs."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.documented import blocks
from tests.running import RunningServer, environment
from tests.web.asking import ask, content
from tests.web.conftest import Shared
from tests.web.people import World
from tests.web.test_push import columns
from tests.web.town import closed

API = "/api/v1/documents"


@contextmanager
def socket(port: int, title: str, query: str = "", **more: Any) -> Iterator[ClientConnection]:
    """A producer's socket, after the server's first message."""
    with connect(
        f"ws://localhost:{port}{API}/{title}/rows{query}", compression=None, close_timeout=1, **more
    ) as client:
        assert told(client).keys() == {"document", "link"}
        yield client


def told(client: ClientConnection) -> Any:
    """The next message of the server."""
    return json.loads(client.recv(20))


def say(client: ClientConnection, rows: Any, number: int | None = None) -> None:
    """Send rows."""
    client.send(json.dumps({"rows": rows} if number is None else {"rows": rows, "number": number}))


def until_ok(client: ClientConnection, number: int) -> Any:
    """The acknowledgement up to a number."""
    while (answer := told(client)).get("ok") != number:
        assert "error" not in answer
    return answer


def test_rows_are_acknowledged_and_drawn(shared: Shared) -> None:
    with socket(shared.port, "socket") as client:
        say(client, {"t": 1, "a": 2})
        assert told(client) == {"ok": None, "rows": 1, "seq": 1}
        say(client, [{"t": 2, "a": 3}, {"t": 3}])
        assert told(client)["rows"] == 3
    found = columns(shared.port, "socket")
    assert found["t"] == [1, 2, 3]
    assert found["a"][:2] == [2, 3]


def test_what_is_sent_again_is_taken_once(shared: Shared) -> None:
    query = "?client=producer-one"
    with socket(shared.port, "again", query) as client:
        for number in range(1, 6):
            say(client, {"t": number, "a": number}, number)
        until_ok(client, 5)
    with socket(shared.port, "again", query) as client:
        for number in range(3, 9):
            say(client, {"t": number, "a": number}, number)
        until_ok(client, 8)
    assert columns(shared.port, "again")["t"] == list(range(1, 9))


def test_what_is_refused_is_told_by_number_and_the_others_are_taken(shared: Shared) -> None:
    with socket(shared.port, "refused", "?client=producer-two") as client:
        say(client, {"t": 1, "a": 1}, 1)
        until_ok(client, 1)
        say(client, {"t": 2, "a": "x"}, 2)
        say(client, {"t": 3, "a": 3}, 3)
        answers = [told(client), told(client)]
        refused = next(answer for answer in answers if "error" in answer)
        assert (refused["error"], refused["number"]) == ("type-clash", 2)
        assert "The field 'a' has numbers; 'x' is none." in refused["detail"]
    assert columns(shared.port, "refused")["a"] == [1, 3]


ODD = ("x", "[]", "{}", '{"rows": []}', '{"rows": {"a": 1}, "more": 1}', '{"rows": {"a": 1}, "number": 0}', b"x")


@pytest.mark.parametrize("message", ODD)
def test_a_message_that_is_none_is_told_and_the_socket_goes_on(shared: Shared, message: str | bytes) -> None:
    with socket(shared.port, "odd", "?client=producer-odd") as client:
        client.send(message)
        assert told(client)["error"] == "bad-message"
        say(client, {"t": 1, "a": 1})
        assert told(client)["rows"] == 1


def test_a_flood_of_messages_is_gathered(shared: Shared) -> None:
    with socket(shared.port, "flood-of-messages", "?client=producer-fast&rollover=100000") as client:
        for number in range(1, 5001):
            say(client, {"t": number}, number)
        seq = until_ok(client, 5000)["seq"]
    assert columns(shared.port, "flood-of-messages")["t"] == list(range(1, 5001))
    assert seq < 2500


def test_pages_of_other_sites_are_refused(shared: Shared) -> None:
    elsewhere = Origin("https://elsewhere.example")
    with pytest.raises(InvalidStatus) as caught, socket(shared.port, "elsewhere", origin=elsewhere):
        pass
    assert caught.value.response.status_code == 403
    with socket(shared.port, "own", origin=Origin(f"http://localhost:{shared.port}")):
        pass


def test_who_loses_his_token_is_shown_the_door(world: World) -> None:
    key, id = world.new_token("anna", "stream")
    document = world.new_document()
    with socket(world.port, document, additional_headers={"Authorization": f"Bearer {key}"}) as client:
        say(client, {"t": 1, "n": 1, "who": "a"})
        assert told(client)["rows"] == 1
        world.call("anna", "DELETE", f"/api/v1/account/tokens/{id}")
        assert closed(client) == (1008, "revoked")


def test_what_came_before_the_end_is_taken(shared: Shared) -> None:
    ask(shared.port, "PUT", f"{API}/left", body=content())
    with socket(shared.port, "left", "?source=readings") as client:
        for at in range(50):
            say(client, {"t": at, "n": at, "who": "a"})
    end = time.monotonic() + 20
    while len(dict(ask(shared.port, "GET", f"{API}/left/models/c1/data").json["entries"])["n"]) < 52:
        assert time.monotonic() < end, "the last rows are not there"
        time.sleep(0.05)


@pytest.fixture
def node() -> list[str]:
    """Node with a WebSocket: that of 20 has to be asked for."""
    found = shutil.which("node") or "none"
    for command in ([found], [found, "--experimental-websocket"]):
        with suppress(OSError):
            told = subprocess.run([*command, "-p", "typeof WebSocket"], capture_output=True, text=True)
            if told.stdout == "function\n":
                return command
    pytest.skip("there is no Node with a WebSocket here")


def test_the_producer_in_javascript_outlives_a_restart(tmp_path: Path, node: list[str]) -> None:
    (script,) = blocks("docs/howto/push.md", "js")
    assert script.count("\n") <= 45
    (tmp_path / "producer.mjs").write_text(script)
    with RunningServer(tmp_path / "data") as server:
        variables = {**environment(), "BOKEH_SERVER_URL": f"{server.url}/"}
        run = [*node, "producer.mjs"]
        producer = subprocess.Popen(run, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True)
        try:
            assert producer.stdout is not None
            assert producer.stdout.readline().startswith("Live at")
            grown(server.port, 10)
            server.kill()
            server.start()
            ticks = grown(server.port, 60)
            assert ticks == list(range(len(ticks)))
        finally:
            producer.kill()
            producer.communicate()


def grown(port: int, rows: int) -> list[float]:
    """The ticks of the plot of waves, once it has so many."""
    end = time.monotonic() + 40
    while True:
        answer = ask(port, "GET", f"{API}/waves/models/rows/data")
        ticks: list[float] = columns(port, "waves")["t"] if answer.status == 200 else []
        if len(ticks) >= rows:
            return ticks
        assert time.monotonic() < end, f"only {len(ticks)} rows"
        time.sleep(0.1)
