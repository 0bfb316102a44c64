"""Rows as they come over HTTP become columns: numbers or text by the column, never by the cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bokeh_server.core.column import Column, Columns
from bokeh_server.errors import BadMessage, BokehServerError, TypeClash
from bokeh_server.web.intake import ensure_alike, typed
from bokeh_server.web.push import JSON as JSONS
from bokeh_server.web.push import decoder, read_whole
from bokeh_server.web.rows import NAN, number
from bokeh_server.web.runs import merged

JSON, LINES, CSV = "application/json", "application/x-ndjson", "text/csv"
COLUMNS = {
    "t": Column(np.array([1.5, 2.5])),
    "n": Column([1, 2]),
    "who": Column(["ann", "7"]),
    "empty": Column([]),
    "lists": Column([[1, 2], [3]]),
    "gaps": Column([None, {"type": "number", "value": "nan"}, 3.5]),
}


def rows(body: str, kind: str = JSON, columns: dict[str, Column] | None = None) -> dict[str, list[Any]]:
    runs = read_whole(body.encode(), None if kind in JSONS else decoder(kind, loose=False), loose=False)
    ensure_alike(runs)
    return typed(merged(runs), Columns(COLUMNS if columns is None else columns))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"t": [1, 2], "who": ["a", "b"]}', JSON),
        ('[{"t": 1, "who": "a"}, {"who": "b", "t": 2}]', JSON),
        ('[{"t": 1, "who": "a"}, {"t": 2, "who": "b"}]', ""),
        ('{"t": 1, "who": "a"}\n\n{"t": 2, "who": "b"}\n', LINES),
        ('{"t": 1, "who": "a"}\r\n{"t": 2, "who": "b"}', "application/jsonl"),
        ("t,who\n1,a\n2,b\n", CSV),
        ('\ufefft , who\r\n1,"a"\r\n2,b', CSV),
    ],
)
def test_all_ways_to_write_a_table_give_the_same_columns(body: str, kind: str) -> None:
    assert rows(body, kind) == {"t": [1, 2], "who": ["a", "b"]}


def test_one_row_may_come_alone() -> None:
    assert rows('{"t": 1, "who": "a"}') == {"t": [1], "who": ["a"]}


def test_a_number_in_a_column_of_text_stays_text() -> None:
    assert rows("who\n123\n4.5\n\n007", CSV) == {"who": ["123", "4.5", "007"]}
    assert rows("who,t\n,1", CSV) == {"who": [""], "t": [1]}


def test_a_new_column_of_a_csv_is_of_numbers_only_if_all_its_cells_are() -> None:
    assert rows("a,b\n1,1\n2,x\n3,", CSV, {}) == {"a": [1, 2, 3], "b": ["1", "x", ""]}
    assert rows("a\n1\n2.5", CSV, {}) == {"a": [1, 2.5]}


def test_nothing_among_numbers_is_nan_and_elsewhere_stays_nothing() -> None:
    assert rows('{"t": [1, null], "who": ["a", null]}') == {"t": [1, NAN], "who": ["a", None]}
    assert rows('{"gaps": [null]}') == {"gaps": [NAN]}
    assert rows('{"empty": [null, 2]}') == {"empty": [NAN, 2]}
    assert rows('{"empty": [null, "x"]}') == {"empty": [None, "x"]}
    assert rows('{"empty": [null, true]}') == {"empty": [None, True]}
    assert rows('{"lists": [null]}') == {"lists": [None]}
    assert rows("t,n\n,1\nnan,2", CSV) == {"t": [NAN, NAN], "n": [1, 2]}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        *(("t\nabc", CSV), ("n\n1\nx", CSV), ('{"t": ["1"]}', JSON), ('[{"gaps": 1}, {"gaps": "x"}]', JSON)),
        *((f'{{"t": [{value}]}}', JSON) for value in ("true", "[1]", "{}", '{"type": "bogus"}', '{"id": "s1"}')),
    ],
)
def test_what_is_no_number_is_refused_among_numbers_by_name(body: str, kind: str) -> None:
    with pytest.raises(TypeClash, match="holds numbers"):
        rows(body, kind)


FLAGS = {
    "flag": Column(np.array([True, False])),
    "list": Column([False, True]),
    "gaps": Column([None, True]),
    "mixed": Column([True, 1]),
}


def test_truth_values_go_to_truth_values() -> None:
    for name in FLAGS:
        assert rows(f'{{"{name}": [true, false]}}', columns=FLAGS) == {name: [True, False]}
    assert rows('{"gaps": null}', columns=FLAGS) == {"gaps": [None]}
    assert rows('{"mixed": [null, "x", 1]}', columns=FLAGS) == {"mixed": [None, "x", 1]}


def test_a_csv_has_words_and_digits_for_truth_values() -> None:
    for name in ("flag", "list", "gaps"):
        read = rows(f"{name}\ntrue\nFALSE\n True\n0\n1\n", CSV, FLAGS)[name]
        assert read == [True, False, True, False, True]
        assert set(map(type, read)) == {bool}
    assert rows("gaps,flag\n,1\n", CSV, FLAGS) == {"gaps": [None], "flag": [True]}
    assert rows("mixed\ntrue\n", CSV, FLAGS) == {"mixed": ["true"]}


@pytest.mark.parametrize("name", ["flag", "list", "gaps"])
def test_what_is_no_truth_value_is_refused_among_truth_values(name: str) -> None:
    for value in ("1", "0", "1.0", '"true"', "[true]", '{"id": "s1"}', *(["null"] if name != "gaps" else [])):
        with pytest.raises(TypeClash, match=f"The column '{name}' holds truth values"):
            rows(f'{{"{name}": [true, {value}]}}', columns=FLAGS)
    for text in ("2", "yes", "t", "1.0", *(['""'] if name != "gaps" else [])):
        with pytest.raises(TypeClash, match=f"The column '{name}' holds truth values"):
            rows(f"{name}\ntrue\n{text}\n", CSV, FLAGS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        (" -2 ", -2),
        ("+3", 3),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-1E-3", -0.001),
        ("", NAN),
        ("NaN", NAN),
        ("inf", {"type": "number", "value": "+inf"}),
        ("-Infinity", {"type": "number", "value": "-inf"}),
        ("1e999", {"type": "number", "value": "+inf"}),
        ("9007199254740993", 9007199254740992.0),
        ("9" * 30, 1e30),
        ("1_000", None),
        ("0x10", None),
        ("\u0661", None),
        ("1,5", None),
        ("true", None),
        ("2026-01-01", None),
    ],
)
def test_what_looks_like_a_number_is_one(text: str, value: Any) -> None:
    found = number(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("", JSON, "not what is expected"),
        ("{", JSON, "not what is expected"),
        ('{"t": [NaN]}', JSON, "not what is expected"),
        ('{"t": ["\\ud800"]}', JSON, "not what is expected"),
        ("[" * 100_000, JSON, "not what is expected"),
        ("3", JSON, "Rows are"),
        ("{}", JSON, "Rows are"),
        ("[]", JSON, "no rows"),
        ("[{}]", JSON, "Row 1"),
        ("[1]", JSON, "Row 1"),
        ('[{"t": 1}, {"u": 1}]', JSON, "Row 2"),
        ('{"t": [1], "n": [1, 2]}', JSON, "different lengths"),
        ("", LINES, "no rows"),
        ('{"t": 1}\n{', LINES, "^Line 2: "),
        ('\n{"t":1}\r\n\r\nxx\n{"t":2}', LINES, "^Line 4: unexpected character.*\\(column 1\\)"),
        ('{"t": "\\ud800"}', LINES, "^Line 1: "),
        ('{"t": 1}\n' + "[" * 100_000, LINES, "^Line 2: "),
        ('{"t": 1}\n{"u": 1}', LINES, "Line 2: the row"),
        ("", CSV, "line of column names"),
        ("t", CSV, "line of column names"),
        ("t,n\n1", CSV, "Line 2 has 1 values"),
        ("t,t\n1,2", CSV, "two columns have one name"),
        ('t\n"1', CSV, "can't be read"),
        ("t\n" + "9" * 200_000, CSV, "can't be read"),
        ("<x/>", "application/xml", "Rows come as"),
    ],
)
def test_what_is_no_table_is_refused_with_what_is_wrong(body: str, kind: str, words: str) -> None:
    with pytest.raises(BadMessage, match=words):
        rows(body, kind)


def test_bytes_that_are_no_text_are_refused() -> None:
    for kind in (JSON, LINES, CSV):
        with pytest.raises(BokehServerError):
            read_whole(b"t\n\xff", None if kind in JSONS else decoder(kind, loose=False), loose=False)
