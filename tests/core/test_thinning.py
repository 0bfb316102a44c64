"""Thinning: which rows are due, which of them stay, and that the log says it so that it can be done again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bokeh_server.core.column import Column, Columns
from bokeh_server.core.document import Document
from bokeh_server.core.history import History
from bokeh_server.core.snapshot import VALUES
from bokeh_server.core.thinning import (
    LEAST,
    OF_LISTS,
    STEP,
    Choice,
    chosen,
    clock,
    due,
    is_time,
    numbers,
    promising,
    replay,
    thin,
    written,
)
from bokeh_server.errors import BadMessage
from tests.core.playbook import data, model

NOW, DAY = 1_790_000_000.0, 86_400.0


def columns(count: int, ending: float = 0.0, *, lists: bool = False, **more: Any) -> Columns:
    """A row a minute, the last one ``ending`` seconds ago; a sine, and what else is given."""
    at = (NOW - ending - 60.0 * np.arange(count)[::-1]) * 1000
    values = {"y": np.sin(np.arange(count) / 50), "t": at, **more}
    return Columns({name: Column(value.tolist() if lists else value) for name, value in values.items()})


def test_a_time_is_in_ms_since_1970_and_not_far_ahead() -> None:
    assert all(map(lambda value: is_time(value, NOW), (NOW * 1000, int(NOW) * 1000, (NOW + DAY) * 1000)))
    others = (NOW, float("nan"), None, "x", True, (NOW + 500 * DAY) * 1000)
    assert not any(map(lambda value: is_time(value, NOW), others))


@pytest.mark.parametrize("lists", [True, False])
def test_the_first_column_of_times_is_the_clock(lists: bool) -> None:
    source = columns(100, lists=lists)
    assert clock(source, 0, NOW) is source["t"]
    assert clock(columns(100, lists=lists, t=np.arange(100.0)), 0, NOW) is None
    assert clock(columns(100, lists=lists, t=NOW * 1000 - np.arange(100.0)), 0, NOW) is None
    assert clock(Columns({"t": Column([])}), 0, NOW) is None


@pytest.mark.parametrize("lists", [True, False])
def test_rows_are_due_once_a_quarter_of_all_is_old(lists: bool) -> None:
    assert due(columns(2 * 1_440 + 1_440 // 2, lists=lists), DAY, NOW) == 2 * 1_440 + 1_440 // 2 - 1_441
    assert due(columns(1_440 + 400, lists=lists), DAY, NOW) == 0
    assert due(columns(LEAST - 1, 9 * DAY, lists=lists), DAY, NOW) == 0
    assert due(columns(STEP + 500_000, 9 * DAY, lists=lists), DAY, NOW) == (OF_LISTS if lists else STEP)


def test_what_is_thinned_is_not_due_again() -> None:
    source = columns(10_000, 9 * DAY)
    source.history = History(9_500)
    assert due(source, DAY, NOW) == 0
    source.history = History(2_000)
    assert due(source, DAY, NOW) == 8_000


def test_where_times_go_back_or_are_none_the_rows_go_by_when_they_came() -> None:
    back = columns(10_000, 9 * DAY)
    back["t"].values[5] = NOW * 1000
    gaps = columns(10_000, 9 * DAY, lists=True)
    gaps["t"].values[LEAST * 4 - 1 : 4_000] = ["none"] * (4_000 - LEAST * 4 + 1)
    for source in (back, gaps, columns(10_000, t=np.arange(10_000.0))):
        assert due(source, DAY, NOW) == 0
        source.history = History(0, [(4_000, NOW - 2 * DAY), (6_000, NOW - DAY / 2)])
        assert due(source, DAY, NOW) == 4_000
        source.history = History(0, [(400, NOW - 2 * DAY)])
        assert due(source, DAY, NOW) == 0


def test_columns_of_several_lengths_have_no_rows() -> None:
    assert due(Columns({"a": Column([1] * 5_000), "b": Column([1])}), DAY, NOW) == 0
    assert Columns().rows == 0


def test_numbers_are_read_wherever_there_are_some() -> None:
    found = numbers(Column([9, 1, 2.5, None, {"type": "number", "value": "nan"}, "a"]), 1, 5)
    assert found is not None
    assert repr(found.tolist()) == "[1.0, 2.5, nan, nan]"
    assert numbers(Column(["a"]), 0, 1) is None
    assert numbers(Column([True, False]), 0, 2) is None
    assert numbers(Column(np.zeros((2, 2))), 0, 2) is None
    assert numbers(Column(np.array([True])), 0, 1) is None
    ints = numbers(Column(np.array([1, 2], np.int32)), 0, 9)
    assert ints is not None
    assert ints.tolist() == [1, 2]


def test_many_values_of_a_list_are_read_in_pieces() -> None:
    pauses: list[None] = []
    found = numbers(Column([*range(VALUES), 0.5]), 0, 10**9, lambda: pauses.append(None))
    assert found is not None
    assert found.tolist() == [*range(VALUES), 0.5]
    assert len(pauses) == 2
    assert numbers(Column([*range(VALUES), "a"]), 0, 10**9) is None


# What another thread finds out


def choice_of(source: Columns) -> Choice:
    return Choice("s", source, DAY, NOW)


@pytest.mark.parametrize("lists", [True, False])
def test_a_choice_is_of_the_rows_as_they_were_and_lets_go_of_the_interpreter(lists: bool) -> None:
    source, same, pauses = columns(10_000, 9 * DAY, lists=lists), columns(10_000, 9 * DAY, lists=lists), list[None]()
    choice = choice_of(source)
    for column in source.values():
        column.stream(column.part(0, 5_000), 8_000)
        column.patch(0, 9e9)
    rows, keep = choice.run(lambda: pauses.append(None))
    expected = chosen(same, 10_000, NOW)
    assert rows == expected[0]
    assert keep.tolist() == expected[1].tolist()
    assert len(pauses) >= 10_000 // VALUES


def test_a_choice_made_pins_nothing_so_that_rows_move_where_they_are() -> None:
    source = columns(10_000, 9 * DAY, lists=True)
    values = id(source["y"].values)
    choice = choice_of(source)
    found = choice.in_place(source, *choice.run())
    assert found is not None
    thin(source, *found)
    assert id(source["y"].values) == values


def test_rows_that_have_left_at_the_front_meanwhile_are_no_part_of_it() -> None:
    source = columns(10_000, 9 * DAY)
    choice = choice_of(source)
    for column in source.values():
        column.stream(column.part(0, 3_000), 10_000)
    rows, keep = choice.run()
    found = choice.in_place(source, rows, keep)
    assert found is not None
    assert found[0] == rows - 3_000
    assert found[1].tolist() == [at - 3_000 for at in keep.tolist() if at >= 3_000]


def test_it_is_let_go_of_where_nothing_would_leave_or_where_the_columns_are_others() -> None:
    source = columns(10_000, 9 * DAY)
    choice = choice_of(source)
    rows, keep = choice.run()
    assert choice.in_place(source, rows, np.arange(rows)) is None
    assert choice.in_place(columns(10_000, 9 * DAY), rows, keep) is None
    for column in source.values():
        column.stream(column.part(0, 10), 10)
    assert choice.in_place(source, rows, keep) is None


def test_whether_a_step_may_be_worth_it_is_seen_without_looking_at_all_rows() -> None:
    source = columns(10_000, 9 * DAY)
    source["t"].values[5] = NOW * 1000
    assert promising(source, DAY, NOW)
    assert due(source, DAY, NOW) == 0
    assert choice_of(source).run()[0] == 0


@pytest.mark.parametrize("lists", [True, False])
def test_no_more_than_a_tenth_stays_and_the_extremes_of_each_column_do(lists: bool) -> None:
    noise = np.random.default_rng(3).normal(size=10_000)
    noise[::7] = np.nan
    source = columns(10_000, 9 * DAY, lists=False, noise=noise, word=np.zeros((10_000, 2)))
    if lists:
        words = Column(["a", *["b"] * 9_999])
        given = {
            name: [None if x != x else x for x in list(map(float, source[name].values))] for name in ("y", "t", "noise")
        }
        source = Columns({**{name: Column(values) for name, values in given.items()}, "word": words})
    rows, keep = chosen(source, 10_000, NOW)
    assert 9_900 < rows <= 10_000
    assert len(keep) <= rows / 10
    assert (np.diff(keep) > 0).all()
    kept = set(keep.tolist())
    for bucket in range(rows // 50):
        part = noise[bucket * 50 : bucket * 50 + 50]
        assert {bucket * 50, bucket * 50 + int(np.nanargmin(part)), bucket * 50 + int(np.nanargmax(part))} <= kept


def test_a_column_without_any_number_in_a_bucket_takes_nothing_from_the_others() -> None:
    rows, keep = chosen(columns(1_000, 9 * DAY, none=np.full(1_000, np.nan)), 1_000, NOW)
    assert rows == 1_000
    assert len(keep) <= 100


def test_fewer_rows_than_a_bucket_stay_as_they_are() -> None:
    source = columns(1_000, 9 * DAY)
    source.history = History(100)
    rows, keep = chosen(source, 5, NOW)
    assert (rows, keep.tolist()) == (100, list(range(100)))


@pytest.mark.parametrize("lists", [True, False])
def test_it_is_done_again_as_the_log_says(lists: bool) -> None:
    source = columns(5_000, 9 * DAY, lists=lists)
    before = {name: np.array(column.live) for name, column in source.items()}
    again = Document.from_json({"roots": [model("ColumnDataSource", "s", data=data(y=[], t=[]))]}, {})
    again.models["s"].attributes["data"] = Columns({name: Column(column.live) for name, column in source.items()})
    for count in (2_000, 1_500):
        rows, keep = chosen(source, count, NOW)
        thin(source, rows, keep)
        replay(again, *written("s", rows, keep))
    copies = again.models["s"].attributes["data"]
    assert source.history == copies.history
    assert source.rows == copies.rows < 2_000
    assert source.history is not None
    assert source.history.thinned - source.gone < 350
    for name, column in source.items():
        assert list(column.live) == list(copies[name].live)
        assert set(column.live) <= set(before[name].tolist())
        assert list(column.live)[-1_500:] == before[name][-1_500:].tolist()


@pytest.mark.parametrize(
    ("content", "buffers"),
    [
        (b"{}", (("rows", b"\0"),)),
        (b'{"source":"s","rows":1}', ()),
        (b'{"source":"gone","rows":1}', (("rows", b"\0"),)),
        (b'{"source":"w","rows":1}', (("rows", b"\0"),)),
        (b'{"source":"s","rows":9}', (("rows", b"\0\0"),)),
    ],
)
def test_a_record_that_does_not_fit_the_document_is_told(content: bytes, buffers: Any) -> None:
    roots = [model("ColumnDataSource", "s", data=data(x=[1, 2])), model("Div", "w", data=3)]
    with pytest.raises(BadMessage):
        replay(Document.from_json({"roots": roots}, {}), content, buffers)
