"""Rows that come in pieces: however a body is cut, the rows are the same, and garbage is an error that names a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bokeh_server.errors import BadMessage
from bokeh_server.web.arrow import Arrow
from bokeh_server.web.rows import NAN
from bokeh_server.web.runs import Csv, Decoder, Lines, merged

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5).map(str.strip)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
CUTS = st.lists(st.integers(0, 400), max_size=8)


def read(decoder: Decoder, body: bytes, cuts: Iterable[int] = ()) -> tuple[list[dict[str, Any]], list[int], str]:
    """The rows of a body that comes in parts, their places, and what is wrong."""
    at = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    runs = [run for start, stop in pairwise(at) for run in decoder.feed(body[start:stop])]
    runs += decoder.end()
    rows = [dict(zip(run.rows, row, strict=True)) for run in runs for row in zip(*run.rows.values(), strict=True)]
    return rows, [place for run in runs for place in run.places], str(decoder.error or "")


@given(st.lists(st.dictionaries(NAMES, st.none() | st.integers(-9, 9) | CELLS, min_size=1, max_size=3)), CUTS)
def test_ndjson_is_the_same_however_it_is_cut(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    body = "\n".join(map(json.dumps, rows)).encode()
    assert read(Lines(), body, cuts) == (rows, list(range(1, len(rows) + 1)), "")


@given(st.lists(NAMES, min_size=2, max_size=3, unique=True), st.data(), CUTS)
def test_csv_is_the_same_however_it_is_cut(names: list[str], data: st.DataObject, cuts: list[int]) -> None:
    table = data.draw(st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names))))
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([names, *table])
    rows, _, error = read(Csv(), text.getvalue().encode(), cuts)
    assert (rows, error) == ([dict(zip(names, row, strict=True)) for row in table], "")


@given(st.sampled_from([Lines, Csv, Arrow]), st.binary(max_size=200), CUTS)
def test_garbage_is_an_error_and_nothing_else(kind: type[Any], body: bytes, cuts: list[int]) -> None:
    assert read(kind(), body, cuts)[::2] == read(kind(), body)[::2]


@given(st.integers(0, 2000), st.binary(max_size=8), CUTS)
def test_a_spoilt_arrow_stream_is_an_error_and_nothing_else(at: int, junk: bytes, cuts: list[int]) -> None:
    body = streamed(pa.table({"a": [1.5, None], "who": ["x", "y"]}))
    spoilt = body[:at] + junk + body[at + len(junk) :]
    rows, _, error = read(Arrow(), spoilt, cuts)
    assert rows or error or not rows


@pytest.mark.parametrize(
    ("body", "rows", "error"),
    [
        (b'{"a": 1}\n\n{"a": 2}\nx\n{"a": 3}\n', 2, "Line 4: unexpected character"),
        (b'{"a": 1}\n[1]\n', 1, "Line 2: a row is an object"),
        (b'{"a": 1}\n\xff\n', 1, "Line 2: "),
    ],
)
def test_the_rows_before_a_bad_line_are_handed_out(body: bytes, rows: int, error: str) -> None:
    found, _, told = read(Lines(), body)
    assert len(found) == rows
    assert told.startswith(error)


@pytest.mark.parametrize(
    ("body", "rows", "error"),
    [
        (b"a,b\n1,2\n3\n5,6\n", 1, "Line 3 has 1 values"),
        (b'a,b\n1,2\n"x"y,3\n', 1, "Line 3 can't be read as CSV"),
        (b'a,b\n1,2\n"x\n', 1, "Line 3 can't be read as CSV"),
        (b"a,b\n1,2\n\xff,1\n", 1, "Line 3 is no UTF-8"),
        (b"a,a\n1,2\n", 0, "Line 1: two columns have one name"),
    ],
)
def test_the_records_before_a_bad_one_are_handed_out(body: bytes, rows: int, error: str) -> None:
    found, _, told = read(Csv(), body)
    assert len(found) == rows
    assert told.startswith(error)


def test_a_line_without_end_is_given_up() -> None:
    for decoder in (Lines(most=100), Csv(most=100)):
        decoder.feed(b"x" * 60)
        decoder.feed(b"x" * 60)
        assert str(decoder.error) == "Line 1 is longer than 100 bytes."


def test_what_programs_log_becomes_columns() -> None:
    body = b'3.5\n{"cpu": {"user": 1, "all": [1, 2]}, "n": 2}\n'
    rows, _, error = read(Lines(loose=True), body)
    assert rows == [{"value": 3.5}, {"cpu.user": 1, "cpu.all": "[1,2]", "n": 2}]
    assert error == ""


def test_rows_with_different_fields_are_one_run_with_gaps() -> None:
    runs = Lines().feed(b'{"a": 1}\n{"b": 2}\n{"a": 3, "b": 4}\n')
    assert merged(runs).rows == {"a": [1, None, 3], "b": [None, 2, 4]}


def streamed(table: pa.Table, **more: Any) -> bytes:
    """A table as an Arrow stream of batches of two rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, **more) as writer:
        writer.write_table(table, max_chunksize=2)
    body: bytes = sink.getvalue().to_pybytes()
    return body


@given(CUTS)
def test_an_arrow_stream_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    when = pa.array([0, 1_500_000, None], pa.timestamp("us"))
    kind = pa.array(["x", "y", "x"]).dictionary_encode()
    numbers, truth = [0.5, None, float("nan")], [True, False, None]
    table = pa.table({"t": when, "n": [1, 2, 3], "f": numbers, "kind": kind, "ok": truth})
    rows, places, error = read(Arrow(), streamed(table), cuts)
    assert (places, error) == ([1, 2, 3], "")
    assert [row["t"] for row in rows][:2] == [0.0, 1500.0]
    assert [row["kind"] for row in rows] == ["x", "y", "x"]
    assert [row["ok"] for row in rows] == [True, False, None]
    assert rows[1]["f"] == rows[2]["f"] == NAN


def test_an_arrow_column_that_no_source_has_is_named() -> None:
    _, _, error = read(Arrow(), streamed(pa.table({"a": [[1], [2]]})))
    assert error.startswith("The column 'a' of the Arrow stream is list")


def test_an_arrow_batch_that_is_too_large_is_given_up() -> None:
    decoder = Arrow(most=2000)
    decoder.feed(streamed(pa.table({"a": list(range(1000))}))[:100])
    whole = pa.BufferOutputStream()
    table = pa.table({"a": list(range(1000))})
    with pa.ipc.new_stream(whole, table.schema) as writer:
        writer.write_table(table)
    decoder = Arrow(most=2000)
    decoder.feed(whole.getvalue().to_pybytes())
    assert "is larger than 2000 bytes" in str(decoder.error)


def test_without_pyarrow_a_stream_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BadMessage, match="install pyarrow") as caught:
        Arrow()
    assert caught.value.status == 415
