"""Rows pushed over HTTP to a real server: while they come, without end, into sources and into plots made of them."""

from __future__ import annotations

import http.client
import json
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.models.annotations import Legend
from bokeh.plotting import figure as Figure

from bokeh_server.limits import LIMITS
from tests.running import HOSTED_BY, RunningServer
from tests.web.asking import Answer, ask, content
from tests.web.conftest import Shared
from tests.web.people import World, bearer

NDJSON, CSV, ARROW = "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"
API = "/api/v1/documents"


def push(port: int, path: str, parts: Iterable[bytes], kind: str = NDJSON, **more: str) -> Answer:
    """A request whose body comes in parts, without a length. Its answer may be there before the body has ended."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Host": f"localhost:{port}", "Content-Type": kind, "Transfer-Encoding": "chunked", **more}
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", f"{API}/{path}", iter(parts), headers, encode_chunked=True)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def document(port: int, name: str) -> Document:
    """A stored document as Python's bokeh reads it."""
    return Document.from_json(ask(port, "GET", f"{API}/{name}").json)


def columns(port: int, name: str) -> dict[str, Any]:
    """The columns of the plot that is made of rows."""
    source = document(port, name).get_model_by_name("rows")
    assert isinstance(source, ColumnDataSource)
    return {key: list(values) for key, values in source.data.items()}


def lines(port: int, name: str) -> list[str]:
    """The names in the legend of that plot, each with a line of its column."""
    (plot,) = document(port, name).roots
    assert isinstance(plot, Figure)
    renderers: list[Any] = plot.renderers
    legends: list[Any] = list(plot.select(Legend))
    drawn = [renderer.glyph.y.field for renderer in renderers]
    assert [item.label.value for item in legends[0].items] == drawn == [renderer.name for renderer in renderers]
    return drawn


def test_rows_of_an_unknown_title_become_a_plot(shared: Shared) -> None:
    rows = [b'{"time": "2026-01-02T03:04:05Z", "a": 1, "host": "x"}\n', b'{"time": "2026-01-02T03:04:06Z", "b": 2.5}\n']
    answer = push(shared.port, "new/rows", rows)
    assert (answer.status, answer.json["rows"]) == (200, 2)
    assert answer.json["link"].endswith(f"/bokeh/doc/{answer.json['document']}")
    found = columns(shared.port, "new")
    assert found["time"] == [1767323045000.0, 1767323046000.0]
    assert found["host"] == ["x", None]
    assert found["a"][0] == 1
    assert math.isnan(found["a"][1])
    assert lines(shared.port, "new") == ["a", "b"]


def test_a_field_that_comes_later_gets_its_line(shared: Shared) -> None:
    assert push(shared.port, "later/rows", [b'{"a": 1}\n']).status == 200
    assert push(shared.port, "later/rows", [b'{"a": 2, "b": 3, "who": "x"}\n{"b": 4}\n']).status == 200
    found = columns(shared.port, "later")
    assert found["who"] == [None, "x", None]
    np.testing.assert_equal(found["b"], [math.nan, 3, 4])
    np.testing.assert_equal(found["a"], [1, 2, math.nan])
    assert sorted(found["time"]) == found["time"]
    assert lines(shared.port, "later") == ["a", "b"]


@pytest.mark.parametrize(
    ("x", "value", "name", "found"),
    [
        ("", '"t": 0.5', "t", 0.5),
        ("", '"timestamp": 1767323045', "timestamp", 1767323045e3),
        ("", '"T": 1767323045123', "T", 1767323045123.0),
        ("", '"date": "2026-01-02"', "date", 1767312000e3),
        ("?x=index", '"t": 7', "row", 0.0),
        ("?x=depth", '"depth": 3', "depth", 3.0),
        ("", '"time": "soon"', "time_", None),
    ],
)
def test_what_is_x(shared: Shared, x: str, value: str, name: str, found: float | None) -> None:
    title = f"x-{name}-{x[1:2]}-{found}"
    assert push(shared.port, f"{title}/rows{x}", [f'{{{value}, "a": 1}}'.encode()]).status == 200
    values = columns(shared.port, title)
    assert next(iter(values)) == name
    assert values[name] == [found] if found is not None else abs(values[name][0] / 1000 - time.time()) < 60


def test_x_that_the_rows_do_not_have_makes_nothing(shared: Shared) -> None:
    answer = push(shared.port, "nothing/rows?x=depth", [b'{"a": 1}\n'])
    assert (answer.status, answer.json["code"]) == (400, "bad-message")
    assert "x is to be 'depth'" in answer.json["detail"]


def test_a_plot_of_rows_keeps_as_many_as_was_asked_for(shared: Shared) -> None:
    body = "".join(f'{{"t": {at}, "a": {at}}}\n' for at in range(10)).encode()
    assert push(shared.port, "few/rows?rollover=4", [body]).json["rows"] == 10
    assert push(shared.port, "few/rows", [b'{"t": 10, "a": 10}\n']).status == 200
    assert columns(shared.port, "few") == {"t": [7, 8, 9, 10], "a": [7, 8, 9, 10]}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'[{"t": 1, "a": 2}, {"t": 2}]', "application/json"),
        (b'{"t": [1, 2], "a": [2, null]}', "application/json"),
        (b"t,a\n1,2\n2,\n", CSV),
        (b'{"t": 1, "a": 2}\n{"t": 2}\n', NDJSON),
    ],
)
def test_a_short_body_makes_the_same_plot(shared: Shared, body: bytes, kind: str) -> None:
    title = f"short-{abs(hash(body))}"
    headers = [("Content-Type", kind)]
    assert ask(shared.port, "POST", f"{API}/{title}/rows", headers, body).json["rows"] == 2
    np.testing.assert_equal(columns(shared.port, title), {"t": [1, 2], "a": [2, math.nan]})
    assert lines(shared.port, title) == ["a"]


def test_rows_are_there_while_the_body_goes_on(shared: Shared) -> None:
    more = threading.Event()

    def endless() -> Iterator[bytes]:
        yield b"t,a\n1,2\n"
        assert more.wait(20)
        yield b"2,3\n3,4"

    answers: list[Answer] = []
    producer = threading.Thread(target=lambda: answers.append(push(shared.port, "endless/rows", endless(), CSV)))
    producer.start()
    end = time.monotonic() + 20
    while ask(shared.port, "GET", f"{API}/endless/models/rows/data").status != 200:
        assert time.monotonic() < end, "the rows are not there"
        time.sleep(0.05)
    assert columns(shared.port, "endless") == {"t": [1], "a": [2]}
    more.set()
    producer.join()
    assert answers[0].json["rows"] == 3
    assert columns(shared.port, "endless") == {"t": [1, 2, 3], "a": [2, 3, 4]}


def test_what_came_before_a_bad_line_is_kept_and_the_line_is_named(shared: Shared) -> None:
    ask(shared.port, "PUT", f"{API}/strict", body=content())
    good, bad = b'{"t": 1, "n": 1, "who": "a"}\n', b'{"t": "x", "n": 1, "who": "a"}\n'
    answer = push(shared.port, "strict/sources/readings/rows", [good * 700 + bad + good])
    assert (answer.status, answer.json["code"], answer.json["rows"]) == (409, "type-clash", 700)
    assert answer.json["detail"].startswith("Line 701: The column 't' holds numbers; 'x' is none.")
    kept = dict(ask(shared.port, "GET", f"{API}/strict/models/c1/data").json["entries"])
    assert len(kept["n"]) == 702


def test_a_bad_line_of_a_plot_is_named_too(shared: Shared) -> None:
    answer = push(shared.port, "spoilt/rows", [b'{"a": 1}\n{"a": 2}\n{"a": "x"}\n'])
    assert (answer.status, answer.json["rows"]) == (409, 2)
    assert answer.json["detail"].startswith("Line 3: The field 'a' has numbers; 'x' is none.")
    assert columns(shared.port, "spoilt")["a"] == [1, 2]


def test_an_arrow_stream_draws_its_times(shared: Shared) -> None:
    when = pa.array([1767323045, 1767323046], pa.timestamp("s"))
    sink = pa.BufferOutputStream()
    table = pa.table({"time": when, "a": [1, 2]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    assert push(shared.port, "arrow/rows", [body[:100], body[100:]], ARROW).json["rows"] == 2
    assert columns(shared.port, "arrow") == {"time": [1767323045e3, 1767323046e3], "a": [1, 2]}


def test_too_many_fields_are_refused(shared: Shared) -> None:
    row = json.dumps({f"f{number}": number for number in range(LIMITS.fields)}).encode()
    answer = push(shared.port, "wide/rows", [row])
    assert (answer.status, answer.json["code"]) == (413, "too-large")


def test_rows_go_to_the_only_source_of_another_document(shared: Shared) -> None:
    ask(shared.port, "PUT", f"{API}/other", body=content())
    assert push(shared.port, "other/rows", [b'{"t": 1, "n": 1, "who": "a"}\n']).status == 200
    detail = push(shared.port, "other/rows", [b'{"t": 1}\n']).json["detail"]
    assert detail.startswith("Line 1: The source has the columns t, n, who; the rows have t.")
    assert push(shared.port, "other/rows?source=nobody", [b'{"t": 1}\n']).status == 404


def test_a_large_file_is_taken_while_it_comes(shared: Shared) -> None:
    body = "t,a\n" + "".join(f"{at},{at / 2}\n" for at in range(100_000))
    assert len(body) > LIMITS.table
    answer = ask(shared.port, "POST", f"{API}/large/rows", [("Content-Type", CSV)], body.encode())
    assert answer.json["rows"] == 100_000
    found = columns(shared.port, "large")
    assert found["t"] == list(range(100_000 - LIMITS.kept_rows, 100_000))


def test_a_body_that_loses_its_token_ends_and_what_came_before_stays(world: World) -> None:
    document = world.new_document()
    key, id = world.new_token("anna")

    def slowly() -> Iterator[bytes]:
        yield b'{"t": 1, "n": 1, "who": "a"}\n'
        time.sleep(0.3)
        world.call("anna", "DELETE", f"/api/v1/account/tokens/{id}")
        yield b'{"t": 2, "n": 2, "who": "b"}\n'
        time.sleep(0.3)
        yield b'{"t": 3, "n": 3, "who": "c"}\n'

    path = f"{document}/sources/readings/rows"
    answer = push(world.port, path, slowly(), Authorization=f"Bearer {key}")
    assert (answer.status, answer.json["rows"]) == (401, 1)
    kept = dict(world.call("anna", "GET", f"{API}/{document}/models/c1/data")["entries"])
    assert kept["who"] == ["ann", "bob", "a"]


def test_a_token_for_streaming_pushes_to_what_is_there_and_makes_nothing(world: World) -> None:
    key, _ = world.new_token("anna", "stream")
    ask(world.port, "PUT", f"{API}/there", [bearer(world.keys["anna"])], content())
    row, known = [b'{"t": 1, "n": 1, "who": "a"}\n'], f"Bearer {key}"
    assert push(world.port, "there/rows", row, Authorization=known).status == 200
    answer = push(world.port, "not-there/rows", row, Authorization=known)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


def test_two_that_begin_at_once_lose_nothing(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        body = b"".join(b'{"a": %d}\n' % at for at in range(500))
        producers = [threading.Thread(target=push, args=(server.port, "both/rows", [body])) for _ in range(4)]
        for producer in producers:
            producer.start()
        for producer in producers:
            producer.join()
        found = columns(server.port, "both")
        assert sorted(found["a"]) == sorted(list(range(500)) * 4)


def test_who_goes_on_after_his_answer_is_cut_off(shared: Shared) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    connection.putrequest("POST", f"{API}/flood/rows", skip_host=True)
    connection.putheader("Host", f"localhost:{shared.port}")
    connection.putheader("Content-Type", NDJSON)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    part = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with closing(connection):
        if HOSTED_BY == "werkzeug":  # which throws away up to 10 GB that come behind an answer
            deque(map(connection.send, [part] * 2000))
            assert connection.getresponse().status == 413
            return
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            deque(map(connection.send, [part] * 2000))


@pytest.mark.parametrize("broken", [b"zz\r\n", b"-1\r\n", b"1\r\nxyz\r\n"])
def test_a_broken_chunk_ends_the_connection(shared: Shared, broken: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), 20) as producer:
        lines = (f"POST {API}/broken/rows HTTP/1.1", f"Host: localhost:{shared.port}", f"Content-Type: {NDJSON}")
        producer.sendall("\r\n".join([*lines, "Transfer-Encoding: chunked", "", "", ""]).encode()[:-2])
        producer.sendall(b'9\r\n{"a": 1}\n\r\n' + broken + b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answers = b""
        with suppress(ConnectionResetError):
            while part := producer.recv(65536):
                answers += part
    assert answers.count(b"HTTP/1.1") <= 1
    assert answers[:12] in (b"", b"HTTP/1.1 400")


def test_a_body_without_end_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    stopped = threading.Event()
    answers: list[tuple[int, int]] = []

    def endless() -> Iterator[bytes]:
        yield b'{"a": 1}\n'
        stopped.wait(20)

    def produce() -> None:
        with suppress(http.client.RemoteDisconnected, ConnectionResetError):
            answer = push(server.port, "stopped/rows", endless())
            answers.append((answer.status, answer.json["rows"]))

    with RunningServer(tmp_path / "data") as server:
        producer = threading.Thread(target=produce)
        producer.start()
        end = time.monotonic() + 20
        while ask(server.port, "GET", f"{API}/stopped/models/rows/data").status != 200:
            assert time.monotonic() < end, "the row is not there"
            time.sleep(0.05)
        threading.Timer(1.0, stopped.set).start()
        assert server.stop() == 0
        producer.join()
    # gunicorn lets the request come to its end first, and `flask run` ends with its threads as they are
    assert answers == {"gunicorn": [(200, 1)], "werkzeug": []}.get(HOSTED_BY or "", [(503, 1)])
    with RunningServer(tmp_path / "data") as server:
        assert columns(server.port, "stopped")["a"] == [1]
