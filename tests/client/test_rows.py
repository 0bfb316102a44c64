"""Rows that are put one behind the other are the rows that bokeh would have sent one by one."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import orjson
import pytest
from bokeh.document import Document
from bokeh.document.events import ColumnsStreamedEvent
from bokeh.models import ColumnDataSource

from bokeh_server.client.encode import Reader, Writer
from bokeh_server.client.rows import Rows, rows_of, rows_of_lists
from bokeh_server.client.sync import change

DOCUMENT = Document()
SOURCE = ColumnDataSource()


def rows(data: dict[str, Any], rollover: int | None = None) -> Rows | None:
    """The rows of a call of ``stream``."""
    return rows_of(ColumnsStreamedEvent(DOCUMENT, SOURCE, "data", data, rollover).to_serializable(Writer(())))


def good(data: dict[str, Any], rollover: int | None = None) -> Rows:
    """Rows that can be put together."""
    found = rows(data, rollover)
    assert found is not None
    return found


def applied(start: dict[str, Any], *many: Rows) -> dict[str, Any]:
    """The columns of a source after all of them."""
    source = ColumnDataSource(data={name: values.copy() for name, values in start.items()})
    for each in many:
        content, buffers = each.encode()
        reader = Reader(lambda name: source, lambda name: source, buffers)
        (event,) = orjson.loads(content)["events"]
        change(source, reader.read({name: value for name, value in event.items() if name != "model"}), None)
    return {name: [repr(value) for value in values] for name, values in source.data.items()}


@pytest.mark.parametrize("rollover", [None, 1, 3, 100])
@pytest.mark.parametrize("arrays", [False, True])
def test_many_together_come_to_what_they_come_to_one_by_one(rollover: int | None, arrays: bool) -> None:
    rng = random.Random(f"{rollover} {arrays}")
    start: dict[str, Any] = {"x": [0.5], "name": ["a"]}
    made = []
    for _ in range(40):
        count = rng.randrange(1, 4)
        numbers: Any = [rng.choice([rng.random(), math.nan]) for _ in range(count)]
        made.append({"x": np.array(numbers) if arrays else numbers, "name": [f"ü{n}" for n in range(count)]})
    together = good(made[0], rollover)
    for data in made[1:]:
        more = good(data, rollover)
        assert more.kind == together.kind
        together.add(more)
    assert applied(start, together) == applied(start, *(good(data, rollover) for data in made))


def test_of_rows_that_roll_over_no_more_are_kept_than_twice_as_many() -> None:
    together = good({"x": [0], "y": np.array([0.5])}, 10)
    sizes = []
    for number in range(1000):
        together.add(good({"x": [number], "y": np.array([0.5])}, 10))
        sizes.append(together.size)
        assert together.length <= 20
    assert max(sizes) <= 20 * (32 + 8)
    content, buffers = together.encode()
    (event,) = orjson.loads(content)["events"]
    assert dict(event["data"]["entries"])["x"] == list(range(990, 1000))
    assert len(buffers[0][1]) == 80


def test_what_the_program_does_with_its_list_later_is_not_sent() -> None:
    values = [1, 2]
    made = good({"x": values})
    values.append(3)
    assert b"[1,2]" in made.encode()[0]


def test_numbers_of_numpy_in_a_list_are_numbers() -> None:
    assert b"[0.5,1,true,null]" in good({"x": [np.float64(0.5), 1, True, None]}).encode()[0]


@pytest.mark.parametrize(
    ("data", "rollover"),
    [
        ({"x": []}, None),
        ({}, None),
        ({"x": [1]}, 0),
        ({"x": [[1, 2]]}, None),
        ({"x": [np.array([1.0])]}, None),
        ({"x": ["\ud800"]}, None),
        ({"x": [{"a": 1}]}, None),
        ({"x": np.array([[1.0, 2.0]])}, None),
    ],
)
def test_what_may_be_more_than_numbers_and_text_goes_as_it_is(data: Any, rollover: int | None) -> None:
    assert rows(data, rollover) is None


@pytest.mark.parametrize(
    ("data", "rollover"),
    [
        ({"x": [1, 0.5], "y": ["a", None]}, None),
        ({"x": [True, None], "y": ["", "ü"]}, 7),
        ({"x": [2**53 - 1]}, 1),
    ],
)
def test_lists_of_what_is_the_same_in_json_need_no_writer(data: Any, rollover: int | None) -> None:
    short, long = rows_of_lists(SOURCE.id, data, rollover), good(data, rollover)
    assert short is not None
    assert (short.encode(), short.kind, short.length, short.size) == (long.encode(), long.kind, long.length, long.size)


@pytest.mark.parametrize(
    ("data", "rollover"),
    [
        ({"x": [math.nan]}, None),
        ({"x": [math.inf]}, None),
        ({"x": [2**53]}, None),
        ({"x": [np.float64(0.5)]}, None),
        ({"x": ["\ud800"]}, None),
        ({"x": [[1]]}, None),
        ({"x": (1,)}, None),
        ({"x": np.array([1.0])}, None),
        ({1: [1]}, None),
        ({"x": []}, None),
        ({}, None),
        ({"x": [1], "y": [1, 2]}, None),
        ({"x": [1]}, 0),
        ({"x": [1]}, True),
        ({"x": [1]}, 1.0),
    ],
)
def test_all_else_goes_through_a_writer(data: Any, rollover: Any) -> None:
    assert rows_of_lists(SOURCE.id, data, rollover) is None


@pytest.mark.parametrize(
    "other",
    [
        ({"x": [1], "y": [1]}, None),
        ({"x": [1]}, 5),
        ({"x": np.array([1.0])}, None),
        ({"z": [1]}, None),
    ],
)
def test_rows_with_other_columns_types_or_rollover_are_of_another_kind(other: Any) -> None:
    assert good({"x": [1]}).kind != good(*other).kind
    assert good({"x": np.array([1.0])}).kind != good({"x": np.array([1], np.int32)}).kind
