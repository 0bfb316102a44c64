"""What programs print becomes rows: each form is guessed by its first line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bokeh_server.client.tables import FORMATS, guessed, reader

VMSTAT = """procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----
 r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st
 1  0      0 175312  20180 537504    0    0    45    68  512  830  4  2 93  1  0
procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----
 r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st
 2  0      0 175000  20180 537504    0    0    45    68  513  831  5  2 92  1  0
"""


def read(text: str) -> list[dict[str, Any]]:
    lines = [line for line in text.splitlines() if line.strip()]
    take = reader(guessed(lines[0]))
    return [row for line in lines if (row := take(line)) is not None]


def test_vmstat_says_its_names_again_and_again() -> None:
    rows = read(VMSTAT)
    assert [(row["r"], row["free"], row["st"]) for row in rows] == [(1, 175312, 0), (2, 175000, 0)]
    assert len(rows[0]) == 17


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("3\n4.5\n-1e3", [{"value": 3}, {"value": 4.5}, {"value": -1000.0}]),
        ("1 2\n3 4", [{"c1": 1, "c2": 2}, {"c1": 3, "c2": 4}]),
        ('t,who\n1,"x, y"\n2,', [{"t": 1, "who": "x, y"}, {"t": 2, "who": None}]),
        ("t,who\nsoon,x", [{"t": "soon", "who": "x"}]),
        ("1,2\n3,4", [{"c1": 1, "c2": 2}, {"c1": 3, "c2": 4}]),
        ('{"a": 1}\n{"b": [2]}', [{"a": 1}, {"b": [2]}]),
        ('cpu=1.5 host="a b"\ncpu=2, host=c', [{"cpu": 1.5, "host": "a b"}, {"cpu": 2, "host": "c"}]),
        ("PID COMMAND\n1 init --all now", [{"PID": 1, "COMMAND": "init --all now"}]),
        ("a a\n1 2", [{"a": 1, "a_2": 2}]),
    ],
)
def test_each_form_is_guessed(text: str, rows: list[dict[str, Any]]) -> None:
    assert read(text) == rows


@pytest.mark.parametrize(
    ("form", "lines", "why"),
    [
        ("ndjson", ["x"], "no JSON"),
        ("ndjson", ["[1]"], "no JSON object"),
        ("pairs", ["x"], "no key=value"),
        ("csv", ["a,b", "1,2,3"], "3 values, and there are 2 names"),
        ("csv", ['"a"b'], "no CSV"),
        ("table", ["a b", "1"], "1 values, and there are 2 names"),
    ],
)
def test_a_line_that_is_no_row_is_told_in_words(form: Any, lines: list[str], why: str) -> None:
    take = reader(form)
    for line in lines[:-1]:
        take(line)
    with pytest.raises(ValueError, match=why):
        take(lines[-1])


@given(st.sampled_from(FORMATS), st.lists(st.text(max_size=30), max_size=5))
def test_no_line_is_more_than_a_value_error(form: Any, lines: list[str]) -> None:
    take = reader(form)
    for line in lines:
        guessed(line)
        try:
            take(line)
        except ValueError:
            pass
