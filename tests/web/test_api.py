"""The REST interface on a real server: every route, what it stores, and every way to ask for something wrong."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bokeh_server.accounts.accounts import Accounts
from bokeh_server.accounts.tickets import Tickets
from bokeh_server.adapters.asgi import Application, make_site
from bokeh_server.config import Config
from bokeh_server.core.log import Record
from bokeh_server.errors import StoreFull
from bokeh_server.hub import Hub
from bokeh_server.limits import Limits
from bokeh_server.store.ledger import MemoryLedger
from bokeh_server.store.memory import MemoryStore
from bokeh_server.web.site import Site
from tests.running import RunningServer
from tests.web.asking import Answer, Pairs, ask, call, content
from tests.web.conftest import Shared

DOCUMENTS = "/api/v1/documents"
DEEP = b"[" * 300 + b"]" * 300


class Asker:
    """One document of a shared server, fresh for a test."""

    def __init__(self, shared: Shared, title: str) -> None:
        self.port = shared.port
        self.title = title
        made = self("PUT", "", content())
        assert made.status == 201
        self.id = made.json["id"]

    def __call__(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
        """A request below the document's address; ``body`` is bytes, or a value for JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers: Pairs = [("Content-Type", kind)]
        return ask(self.port, method, f"{DOCUMENTS}/{urllib.parse.quote(self.title, safe='')}{path}", headers, data)

    def value(self, model: str, name: str) -> Any:
        """A property."""
        answer = self("GET", f"/models/{model}/{name}")
        assert answer.status == 200, answer.body
        return answer.json

    def columns(self) -> dict[str, Any]:
        """The source's data."""
        return dict(self.value("readings", "data")["entries"])


@pytest.fixture
def mine(shared: Shared, request: pytest.FixtureRequest) -> Asker:
    """A document named after the test."""
    return Asker(shared, re.sub(r"[^ -~]|[/\\\\]", "", request.node.name)[:200])


def problem(answer: Answer, status: int, code: str) -> str:
    """The detail of a problem of exactly this status and code."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer.body
    told = answer.json
    assert set(told) == {"type", "title", "status", "detail", "code"}
    assert (told["status"], told["code"], told["type"]) == (status, code, "about:blank")
    assert told["title"]
    assert "Traceback" not in answer.body.decode()
    detail: str = told["detail"]
    return detail


# Documents


def test_a_document_is_created_listed_renamed_replaced_and_deleted(shared: Shared) -> None:
    port = shared.port
    made = ask(port, "POST", DOCUMENTS, body=b'{"title": "a life"}')
    assert made.status == 201
    document = made.json["id"]
    assert made.json["link"] == f"http://localhost:{port}/bokeh/doc/{document}"
    assert (made.json["owner"], made.json["seq"], made.json["kind"]) == ("defaultuser", 0, "")
    assert ask(port, "GET", DOCUMENTS).json[0]["id"] == document
    replaced = ask(port, "PUT", f"{DOCUMENTS}/a%20life", body=content())
    assert (replaced.status, replaced.json["id"], replaced.json["seq"]) == (200, document, 1)
    renamed = ask(port, "PATCH", f"{DOCUMENTS}/{document}", body=b'{"title": "another life"}')
    assert (renamed.status, renamed.json["title"]) == (200, "another life")
    assert ask(port, "GET", f"{DOCUMENTS}/another%20life/info").json["id"] == document
    problem(ask(port, "GET", f"{DOCUMENTS}/a%20life"), 404, "not-found")
    gone = ask(port, "DELETE", f"{DOCUMENTS}/{document}")
    assert (gone.status, gone.body) == (204, b"")
    problem(ask(port, "GET", f"{DOCUMENTS}/{document}"), 404, "not-found")


def test_a_document_may_be_created_with_its_content(shared: Shared) -> None:
    body = b'{"title": "whole", "document": ' + content(value=3) + b"}"
    made = ask(shared.port, "POST", DOCUMENTS, body=body)
    assert (made.status, made.json["seq"]) == (201, 1)
    assert ask(shared.port, "GET", f"{DOCUMENTS}/whole/models/speed/value").json == 3


def test_a_document_comes_back_as_bokeh_reads_it(mine: Asker) -> None:
    got = mine("GET", "").json
    assert [root["id"] for root in got["roots"]] == ["s1", "c1", "d1"]
    assert got["roots"][0]["attributes"]["value"] == 5


def test_arrays_come_back_inline_and_bokeh_reads_them(shared: Shared) -> None:
    document = Document()
    text = ['{"type":"bytes","data":{"id":"0"}}'] * 1000
    arrays: dict[str, Any] = {"f": np.arange(1000.0), "i": np.arange(1000, dtype=np.int32), "text": text}
    document.add_root(ColumnDataSource(arrays, name="big"))
    shared.server.document("arrays", document)
    for _ in range(2):
        got = Document.from_json(ask(shared.port, "GET", f"{DOCUMENTS}/arrays").json)
        source = got.get_model_by_name("big")
        assert isinstance(source, ColumnDataSource)
        assert np.array_equal(source.data["f"], arrays["f"])
        assert np.array_equal(source.data["i"], arrays["i"])
        assert list(source.data["text"]) == arrays["text"]
        shared.server.document("arrays", got)
    assert ask(shared.port, "GET", f"{DOCUMENTS}/arrays/models/big/data").json["entries"][0][1]["type"] == "ndarray"


@pytest.mark.parametrize("title", ["", " ", "a\nb", "a\u200bb", "x" * 201, "\u202egpj.exe"])
def test_a_title_that_can_not_be_shown_is_refused(shared: Shared, title: str) -> None:
    problem(ask(shared.port, "POST", DOCUMENTS, body=json.dumps({"title": title}).encode()), 400, "bad-value")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"3", b"{}", b'{"title": 3}', b'{"title": null}', b'{"title": "a", "owner": "b"}'),
        *(b'{"title": "\\ud800"}', b'{"title": NaN}', b'{"title": "\xff"}', b'{"title": "a", "document": {}}'),
        *(b'{"title": "a", "document": {"roots": 3}}', b'{"title": "a", "document": ' + DEEP + b"}"),
    ],
)
def test_a_creation_that_is_not_well_formed_is_told_and_creates_nothing(shared: Shared, body: bytes) -> None:
    before = len(ask(shared.port, "GET", DOCUMENTS).json)
    problem(ask(shared.port, "POST", DOCUMENTS, body=body), 400, "bad-message")
    assert len(ask(shared.port, "GET", DOCUMENTS).json) == before


def test_a_taken_title_is_a_conflict(mine: Asker) -> None:
    problem(ask(mine.port, "POST", DOCUMENTS, body=json.dumps({"title": mine.title}).encode()), 409, "conflict")
    renamed = ask(mine.port, "PATCH", f"{DOCUMENTS}/plain", body=json.dumps({"title": mine.title}).encode())
    problem(renamed, 409, "conflict")


NO_DOCUMENTS = {
    "nothing": b"",
    "no JSON": b"{",
    "NaN": b'{"roots": [NaN]}',
    "not UTF-8": b'{"roots": ["\xff"]}',
    "a lone surrogate": b'{"roots": [{"type": "object", "name": "Div", "id": "d", "attributes": {"text": "\\ud800"}}]}',
    "a list": b"[]",
    "no roots": b"{}",
    "roots that are none": b'{"roots": [1]}',
    "deep": b'{"roots": ' + DEEP + b"}",
    "an unknown reference": b'{"roots": [{"id": "nobody"}]}',
    "a model without a name": b'{"roots": [{"type": "object", "id": "a"}]}',
    "unequal columns": content().replace(b"[1, 2]", b"[1, 2, 3]"),
}


@pytest.mark.parametrize("body", NO_DOCUMENTS.values(), ids=NO_DOCUMENTS)
def test_what_is_no_document_replaces_nothing(mine: Asker, body: bytes) -> None:
    answer = mine("PUT", "", body)
    if b"[1, 2, 3]" in body:
        assert answer.status == 200, "BokehJS shows such a source, with a warning"
        return
    assert answer.status in (400, 409, 413)
    problem(answer, answer.status, answer.json["code"])
    assert mine.value("speed", "value") == 5
    other = ask(mine.port, "PUT", f"{DOCUMENTS}/never{len(body)}", body=body)
    assert other.status == answer.status
    problem(ask(mine.port, "GET", f"{DOCUMENTS}/never{len(body)}"), 404, "not-found")


def test_a_document_that_is_not_there_is_not_found_by_any_route(shared: Shared) -> None:
    for method, path in [
        ("GET", ""),
        ("GET", "/info"),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/models/a/b"),
        ("PUT", "/models/a/b"),
        ("POST", "/sources/a/rows"),
    ]:
        answer = ask(shared.port, method, f"{DOCUMENTS}/nobody%20knows{path}", body=b"{}")
        assert "nobody knows" in problem(answer, 404, "not-found")


def test_a_title_that_can_not_be_part_of_a_path_is_found_by_asking_for_it(shared: Shared) -> None:
    made = ask(shared.port, "POST", DOCUMENTS, body=b'{"title": "run 3/4 \\\\ b"}').json
    found = ask(shared.port, "GET", f"{DOCUMENTS}?title=run%203%2F4%20%5C%20b").json
    assert [document["id"] for document in found] == [made["id"]]
    assert ask(shared.port, "GET", f"{DOCUMENTS}?title=run").json == []
    problem(ask(shared.port, "GET", f"{DOCUMENTS}/run%203%2F4%20%5C%20b"), 400, "bad-value")


def test_spaces_around_a_title_do_not_matter(shared: Shared) -> None:
    spaced = f"{DOCUMENTS}/%20wide%20"
    made = ask(shared.port, "PUT", spaced, body=content())
    again = ask(shared.port, "PUT", spaced, body=content())
    assert (made.status, made.json["title"], again.status, again.json["id"]) == (201, "wide", 200, made.json["id"])
    assert ask(shared.port, "GET", f"{spaced}/models/speed/value").json == 5
    assert [found["id"] for found in ask(shared.port, "GET", f"{DOCUMENTS}?title=+wide+").json] == [made.json["id"]]


def test_a_query_of_too_many_parameters_is_refused(mine: Asker) -> None:
    query = "&".join(f"p{number}=" for number in range(101))
    assert "100 parameters" in problem(ask(mine.port, "GET", f"{DOCUMENTS}?{query}"), 400, "bad-message")
    problem(mine("POST", f"/sources/readings/rows?{query}", {"t": 9, "n": 9, "who": "z"}), 400, "bad-message")
    assert mine.columns()["n"] == [1, 2]


def test_many_programs_that_store_one_new_title_at_once_make_one_document(shared: Shared) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(shared.port, "PUT", f"{DOCUMENTS}/race", body=content()), range(16)))
    assert {answer.json["id"] for answer in answers} == {answers[0].json["id"]}
    assert sorted(answer.status for answer in answers) == [200] * 15 + [201]


# Properties


def test_a_property_is_set_by_id_or_name_and_read_again(mine: Asker) -> None:
    for at, model in enumerate(("speed", "s1")):
        answer = mine("PUT", f"/models/{model}/value", at)
        assert (answer.status, answer.json["seq"]) == (200, at + 2)
        assert mine.value("s1", "value") == mine.value("speed", "value") == at


VALUES = [None, True, "é\u2028</script>", 1.5, -(2**63), [1, [2]], {"type": "number", "value": "nan"}]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_any_json_value_can_be_a_propertys(mine: Asker, value: Any) -> None:
    assert mine("PUT", "/models/speed/tags", [value]).status == 200
    assert mine.value("speed", "tags") == [value]


def test_a_property_at_its_default_has_that_value(mine: Asker) -> None:
    assert mine.value("speed", "orientation") == "horizontal"
    assert mine.value("speed", "step") == 1
    assert "default" in problem(mine("GET", "/models/c1/selected"), 404, "not-found")  # a model of its own


def test_a_property_that_the_model_does_not_have_is_refused_with_what_it_may_mean(mine: Asker) -> None:
    for method in ("GET", "PUT"):
        detail = problem(mine(method, "/models/speed/vale", 3), 404, "not-found")
        assert "'value'" in detail
    assert "vale" not in mine("GET", "").json["roots"][0]["attributes"]
    assert mine("GET", "/info").json["seq"] == 1


def test_a_model_that_the_document_does_not_have_is_not_found(mine: Asker) -> None:
    for method in ("GET", "PUT"):
        assert "nobody" in problem(mine(method, "/models/nobody/value", 3), 404, "not-found")
    problem(mine("POST", "/sources/nobody/rows", {"t": [1]}), 404, "not-found")


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"1 2", b'"\\ud800"', b'"\xff"', b"1}]},{"])
def test_a_value_that_is_no_json_is_refused(mine: Asker, body: bytes) -> None:
    problem(mine("PUT", "/models/speed/value", body), 400, "bad-message")
    assert mine.value("speed", "value") == 5


def test_a_value_that_is_nested_too_deep_is_refused(mine: Asker) -> None:
    assert "200 levels" in problem(mine("PUT", "/models/speed/value", DEEP), 413, "too-large")


def test_a_value_that_names_an_unknown_model_is_refused(mine: Asker) -> None:
    problem(mine("PUT", "/models/speed/title", {"id": "nobody"}), 409, "unknown-model")


def test_what_is_no_table_can_not_become_the_data_of_a_source(mine: Asker) -> None:
    for value in (3, "x", [1, 2], True):
        problem(mine("PUT", "/models/readings/data", value), 409, "type-clash")
    assert mine.columns()["n"] == [1, 2]


def test_columns_may_be_set_as_a_whole(mine: Asker) -> None:
    data = {"type": "map", "entries": [["t", [1]], ["n", [2]], ["who", ["x"]]]}
    assert mine("PUT", "/models/readings/data", data).status == 200
    assert mine.columns() == {"t": [1], "n": [2], "who": ["x"]}


# Rows


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"t": [3.5, 4], "n": [3, 4], "who": ["7", null]}', "application/json"),
        (b'[{"t": 3.5, "n": 3, "who": "7"}, {"who": null, "t": 4, "n": 4}]', "application/json; charset=utf-8"),
        (b'{"t": 3.5, "n": 3, "who": "7"}\n{"t": 4, "n": 4, "who": null}\n', "application/x-ndjson"),
    ],
)
def test_rows_are_appended(mine: Asker, body: bytes, kind: str) -> None:
    answer = mine("POST", "/sources/readings/rows", body, kind)
    assert (answer.status, answer.json) == (200, {"seq": 2, "rows": 2})
    assert mine.columns() == {"t": [1.5, 2.5, 3.5, 4], "n": [1, 2, 3, 4], "who": ["ann", "bob", "7", None]}


def test_rows_of_a_csv_are_appended_by_the_type_of_their_column(mine: Asker) -> None:
    answer = mine("POST", "/sources/c1/rows", b"who,n,t\r\n123,3,\r\n", "text/csv; header=present")
    assert answer.json["rows"] == 1
    assert mine.columns() == {
        "t": [1.5, 2.5, {"type": "number", "value": "nan"}],
        "n": [1, 2, 3],
        "who": ["ann", "bob", "123"],
    }


def test_a_column_of_truth_values_stays_one(mine: Asker) -> None:
    array = {"type": "ndarray", "array": {"type": "bytes", "data": base64.b64encode(gzip.compress(b"\1\0")).decode()}}
    flags = {"flag": {**array, "shape": [2], "dtype": "bool", "order": "little"}, "list": [True, False]}
    assert mine("PUT", "", models(source("c1", "readings", data=flags))).status == 200
    assert mine("POST", "/sources/readings/rows", {"flag": True, "list": True}).status == 200
    assert mine("POST", "/sources/readings/rows", b"list,flag\nFalse,0\n", "text/csv").status == 200
    for flag in (1, None, "true"):
        detail = problem(mine("POST", "/sources/readings/rows", {"flag": flag, "list": True}), 409, "type-clash")
        assert detail == f"The column 'flag' holds truth values; {flag!r} is none."
    got = Document.from_json(mine("GET", "").json).get_model_by_name("readings")
    assert isinstance(got, ColumnDataSource)
    kept = got.data["flag"]
    assert isinstance(kept, np.ndarray)
    assert kept.dtype == np.bool_
    assert kept.tolist() == got.data["list"] == [True, False, True, False]


def test_rollover_keeps_the_last_rows(mine: Asker) -> None:
    assert mine("POST", "/sources/readings/rows?rollover=2", {"t": 9, "n": 9, "who": "z"}).status == 200
    assert mine.columns() == {"t": [2.5, 9], "n": [2, 9], "who": ["bob", "z"]}
    for wrong in ("-1", "x", "1.5", "", "9" * 13, "%D9%A1"):
        answer = mine("POST", f"/sources/readings/rows?rollover={wrong}", {"t": 9, "n": 9, "who": "z"})
        problem(answer, 400, "bad-message")


def test_a_large_table_keeps_nobody_else_waiting(mine: Asker) -> None:
    table = b"t,n,who\n" + b"1.25,17,x\n" * 300_000
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(mine, "POST", "/sources/readings/rows?rollover=3", table, "text/csv")
        begin, waits = time.monotonic(), []
        while not posted.done():
            since = time.monotonic()
            assert ask(mine.port, "GET", "/healthz").status == 200
            waits.append(time.monotonic() - since)
    assert posted.result().json["rows"] == 300_000
    assert max(waits) < (time.monotonic() - begin) / 2
    assert mine.columns()["n"] == [17, 17, 17]


WRONG_ROWS: dict[str, tuple[bytes, str, int, str]] = {
    "no JSON": (b"{", "application/json", 400, "bad-message"),
    "NaN": (b'{"t": NaN, "n": 1, "who": ""}', "application/json", 400, "bad-message"),
    "a column is missing": (b'{"t": 1, "n": 1}', "application/json", 400, "bad-message"),
    "a column too many": (b'{"t": 1, "n": 1, "who": "", "x": 1}', "application/json", 400, "bad-message"),
    "unequal columns": (b'{"t": [1], "n": [1, 2], "who": [""]}', "application/json", 400, "bad-message"),
    "text among numbers": (b'{"t": "x", "n": 1, "who": ""}', "application/json", 409, "type-clash"),
    "text among numbers in a CSV": (b"t,n,who\nx,1,a", "text/csv", 409, "type-clash"),
    "a short line": (b"t,n,who\n1,2", "text/csv", 400, "bad-message"),
    "XML": (b"<x/>", "text/xml", 415, "unknown-media-type"),
    "a lone surrogate": (b'{"t": 1, "n": 1, "who": "\\ud800"}', "application/json", 400, "bad-message"),
    "deep": (b'{"t": 1, "n": 1, "who": ' + DEEP + b"}", "application/json", 400, "bad-message"),
    "an unknown model": (b'{"t": 1, "n": 1, "who": {"id": "nobody"}}', "application/json", 409, "unknown-model"),
}


@pytest.mark.parametrize(("body", "kind", "status", "code"), WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_rows_that_do_not_fit_append_nothing(mine: Asker, body: bytes, kind: str, status: int, code: str) -> None:
    problem(mine("POST", "/sources/readings/rows", body, kind), status, code)
    assert mine.columns() == {"t": [1.5, 2.5], "n": [1, 2], "who": ["ann", "bob"]}


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40])
def test_numbers_that_no_browser_can_tell_apart_do_no_harm(mine: Asker, number: int) -> None:
    answer = mine("POST", "/sources/readings/rows", b'{"t": 1, "n": %d, "who": ""}' % number)
    assert answer.status == 200, answer.body
    assert mine.columns()["n"][-1] == pytest.approx(number)
    assert mine("PUT", "/models/speed/value", str(number).encode()).status == 200
    assert mine.value("speed", "value") == pytest.approx(number)


def test_rows_for_what_is_no_source_are_refused(mine: Asker) -> None:
    for name in ("speed", "s1"):
        detail = problem(mine("POST", f"/sources/{name}/rows", {"t": [1]}), 409, "type-clash")
        assert detail == "Slider 's1' is no source with columns."


def test_a_source_is_found_by_its_name_whatever_else_has_that_name(mine: Asker) -> None:
    row = {"t": 3, "n": 3, "who": "z"}
    assert mine("PUT", "/models/d1/name", "readings").status == 200
    assert mine("POST", "/sources/readings/rows", row).status == 200
    assert mine("POST", "/sources/c1/rows", row).status == 200
    assert dict(mine.value("c1", "data")["entries"])["n"] == [1, 2, 3, 3]
    problem(mine("GET", "/models/readings/data"), 404, "not-found")
    assert mine("PUT", "", models(source("a", "temp"), source("b", "temp"))).status == 200
    assert "2 models are named 'temp'" in problem(mine("POST", "/sources/temp/rows", row), 404, "not-found")


def models(*roots: dict[str, Any]) -> bytes:
    """A document of these models."""
    return json.dumps({"version": "3.9.2", "title": "", "roots": roots}).encode()


def source(id: str, name: str, **attributes: Any) -> dict[str, Any]:
    """A source without columns, unless ``attributes`` has ``data``."""
    return {"type": "object", "name": "ColumnDataSource", "id": id, "attributes": {"name": name, **attributes}}


@pytest.mark.parametrize("data", [{}, {"data": {}}, {"data": {"type": "map", "entries": []}}], ids=str)
def test_a_source_without_columns_takes_its_first_rows(mine: Asker, data: dict[str, Any]) -> None:
    assert mine("PUT", "", models(source("c1", "readings", **data))).status == 200
    first = mine("POST", "/sources/readings/rows?rollover=2", b"t,who\n1,a\n2,b\n3,c\n", "text/csv")
    assert (first.status, first.json["rows"]) == (200, 3)
    assert mine("POST", "/sources/readings/rows", {"t": 4, "who": "d"}).status == 200
    assert mine.columns() == {"t": [2, 3, 4], "who": ["b", "c", "d"]}
    problem(mine("POST", "/sources/readings/rows", {"t": 4}), 400, "bad-message")


# Bounds


def test_a_body_past_its_limit_is_refused() -> None:
    async def test(app: Application, gate: Gate) -> None:
        for method, path in [("POST", ""), ("PUT", "/plain"), ("POST", "/plain/sources/readings/rows")]:
            answer = await call(app, method, f"{DOCUMENTS}{path}", body=content(title="x" * 3000))
            assert "3000 bytes" in problem(answer, 413, "too-large")

    gated(test, body=3000)


def test_a_body_that_says_it_is_small_and_is_not_is_refused() -> None:
    """As by chunked encoding, which says no length."""

    async def test(app: Application, gate: Gate) -> None:
        headers = [("host", "localhost:5006"), ("content-length", "10")]
        answer = await call(app, "PUT", f"{DOCUMENTS}/plain", headers=headers, body=content(title="x" * 3000))
        problem(answer, 413, "too-large")

    gated(test, body=3000)


def test_a_compressed_body_is_refused_with_a_reason(mine: Asker) -> None:
    path = f"{DOCUMENTS}/{mine.id}"
    packed = ask(mine.port, "PUT", path, [("Content-Encoding", "gzip")], gzip.compress(content()))
    assert "in gzip; send it as it is" in problem(packed, 400, "bad-message")
    assert ask(mine.port, "PUT", path, [("Content-Encoding", "Identity")], content()).status == 200


# Deleting


def test_what_is_deleted_is_gone_from_pages_sockets_and_the_disk(server: RunningServer) -> None:
    secret = "correct-horse-battery-staple"
    made = ask(server.port, "PUT", f"{DOCUMENTS}/doomed", body=content(title=secret)).json
    kept = ask(server.port, "PUT", f"{DOCUMENTS}/kept", body=content()).json
    ask(server.port, "PUT", f"{DOCUMENTS}/doomed/models/speed/value", body=b"7")
    with connect(f"ws://localhost:{server.port}/bokeh/doc/{made['id']}/ws", compression=None) as program:
        program.recv()
        assert ask(server.port, "DELETE", f"{DOCUMENTS}/doomed").status == 204
        program.recv()
        program.recv()
        with pytest.raises(ConnectionClosed):
            program.recv(10)
    assert (program.close_code, program.close_reason) == (1008, "deleted")
    for path in (f"/bokeh/doc/{made['id']}", f"{DOCUMENTS}/{made['id']}", f"{DOCUMENTS}/doomed/info"):
        assert ask(server.port, "GET", path).status == 404
    assert [d["id"] for d in ask(server.port, "GET", DOCUMENTS).json] == [kept["id"]]
    assert server.stop() == 0
    with closing(sqlite3.connect(next(server.folder.glob("*.sqlite*")))) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f"SELECT * FROM {table}"):
                assert made["id"] not in map(str, row)
    for file in server.folder.iterdir():
        assert secret.encode() not in file.read_bytes(), file.name


class Gate(MemoryStore):
    """A store whose appends wait, and fail when told to."""

    def __init__(self) -> None:
        super().__init__(admit=self.decide)
        self.open = asyncio.Event()
        self.open.set()
        self.full = False

    def decide(self, _: object) -> None:
        if self.full:
            raise StoreFull

    async def append(self, records: Sequence[Record], *, now: float) -> None:
        await self.open.wait()
        await super().append(records, now=now)


def gated(test: Callable[[Application, Gate], Coroutine[Any, Any, None]], **limits: int) -> None:
    """Run a test with the application on such a store, and the document "plain" in it."""

    async def main() -> None:
        gate = Gate()
        site = Site(Config(), Hub(gate), Accounts(MemoryLedger()), Tickets(), 5006, Limits(**limits))
        await site.hub.start()
        try:
            assert (await call(Application(site), "PUT", f"{DOCUMENTS}/plain", body=content())).status == 201
            await test(Application(site), gate)
        finally:
            gate.open.set()
            await site.hub.stop()

    asyncio.run(main())


@pytest.mark.parametrize("path", ["", "/models/speed/value"])
@pytest.mark.parametrize("full", [False, True])
def test_nothing_is_shown_over_http_before_the_log_has_it(path: str, full: bool) -> None:
    async def test(app: Application, gate: Gate) -> None:
        gate.open.clear()
        gate.full = full
        put = asyncio.create_task(call(app, "PUT", f"{DOCUMENTS}/plain/models/speed/value", body=b"7"))
        await asyncio.sleep(0.05)
        get = asyncio.create_task(call(app, "GET", f"{DOCUMENTS}/plain{path}"))
        await asyncio.sleep(0.05)
        assert not put.done()
        assert not get.done(), "it shows what could still be lost"
        gate.open.set()
        answers = [await put, await get]
        assert [answer.status for answer in answers] == ([507, 507] if full else [200, 200])
        gate.full = False
        value = (await call(app, "GET", f"{DOCUMENTS}/plain/models/speed/value")).json
        assert value == (5 if full else 7)

    gated(test)


def test_reading_waits_for_nothing_where_all_is_durable() -> None:
    async def test(app: Application, gate: Gate) -> None:
        gate.open.clear()
        assert (await call(app, "GET", f"{DOCUMENTS}/plain/models/speed/value")).json == 5

    gated(test)


def test_a_full_disk_is_told_by_readyz_until_it_has_room_again() -> None:
    async def test(app: Application, gate: Gate) -> None:
        assert (await call(app, "GET", "/readyz")).json == {"status": "ready"}
        gate.full = True
        refused = await call(app, "PUT", f"{DOCUMENTS}/plain/models/speed/value", body=b"7")
        assert "disk is full" in problem(refused, 507, "store-full")
        told = await call(app, "GET", "/readyz")
        assert told.status == 503
        assert "disk is full" in told.json["reason"]
        assert (await call(app, "GET", "/healthz")).status == 200
        gate.full = False
        assert (await call(app, "PUT", f"{DOCUMENTS}/plain/models/speed/value", body=b"8")).status == 200
        assert (await call(app, "GET", "/readyz")).status == 200

    gated(test)


def test_readyz_says_that_a_server_that_has_not_started_is_not_ready() -> None:
    answer = asyncio.run(call(Application(make_site(Config())), "GET", "/readyz"))
    assert (answer.status, answer.json["status"]) == (503, "not ready")
