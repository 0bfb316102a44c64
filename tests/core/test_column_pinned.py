"""Columns that others read while they change, and that are thinned: what was pinned stays, what has gone is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bokeh_server.core.column import Column, Columns
from bokeh_server.core.history import History
from tests.core.test_column import array


@pytest.mark.parametrize(
    "change",
    [
        lambda column: column.patch(0, "z"),
        lambda column: column.patch([1, 0], 9.0),
        lambda column: column.patch(slice(0, 2), ["y", "z"]),
        lambda column: column.stream(["d"], 2),
        lambda column: column.extend(["d"] * 3000, 3),
        lambda column: column.stream(["d"], None)[0](),
        lambda column: column.stream(np.array([4.0]), None),
        lambda column: column.thin(np.array([1]), 2),
    ],
)
def test_what_is_pinned_stays_as_it_was(change: Callable[[Column], Any]) -> None:
    column = Column(["a", np.array([1.0, 2.0]), "c"])
    pinned = column.pinned()
    before = repr(list(pinned.live))
    for _ in range(2):
        change(column)
        assert repr(list(pinned.live)) == before
    assert repr(list(pinned.part(0, 9))) == before


def test_a_list_that_nobody_has_pinned_is_patched_in_place() -> None:
    column = Column(["a", "b"])
    values = column.values
    column.patch(0, "z")
    column.lend()
    column.patch(1, "y")
    assert column.values is values


@pytest.mark.parametrize("values", [list(range(10)), array(list(range(10)))])
@pytest.mark.parametrize("streamed", [0, 3_000])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_column_is_thinned_in_its_place_and_counts_what_has_gone(values: Any, streamed: int, pinned: bool) -> None:
    column = Column(values[:])
    column.stream([10.0] * streamed, None)
    others = column.pinned() if pinned else None
    column.thin(np.array([1, 4]), 6)
    assert list(column.live) == [1, 4, 6, 7, 8, 9, *[10.0] * streamed]
    assert column.gone == 4
    column.stream([11.0], 3)
    assert column.gone == len(values) + streamed + 1 - 3
    column.settle()
    assert column.gone == len(values) + streamed + 1 - 3
    assert list(column.live)[-1] == 11.0
    assert others is None or len(others) == 10 + streamed


def test_numbers_that_rolled_over_leave_within_the_same_memory_unless_a_reader_has_it() -> None:
    column = Column(array([0.0] * 3_000))
    column.stream([1.0], 3_000)
    memory = column.values
    for value in range(6_000):
        column.extend([float(value)], 3_000)
    assert column.values is memory
    assert column.gone == 6_001
    assert column.live.tolist() == [float(value) for value in range(3_000, 6_000)]  # type: ignore[union-attr]
    column.lend()
    for value in range(6_000):
        column.extend([float(value)], 3_000)
    assert column.values is not memory
    assert column.gone == 12_001


def test_what_is_taken_back_has_not_gone() -> None:
    column = Column(array([0.0] * 10))
    undo, _ = column.stream([1.0] * 5_000, 3)
    undo()
    assert column.gone == 0


def test_rows_are_counted_where_columns_are_of_one_length() -> None:
    columns = Columns({"a": Column([1, 2]), "b": Column(array([1, 2]))})
    assert (columns.rows, columns.gone) == (2, 0)
    columns["a"].extend([3], 1)
    assert (columns.rows, columns.gone) == (0, 2)
    assert (Columns().rows, Columns().gone) == (0, 0)


def test_columns_are_pinned_with_what_is_known_of_their_rows() -> None:
    columns = Columns({"a": Column([1, 2, 3])})
    assert columns.pinned().history is None
    columns["a"].extend([4], 3)
    columns.history = History(3, [(4, 5.0)])
    pinned = columns.pinned()
    columns.history.mark(9, 90.0, 1.0)
    columns["a"].extend([5], 3)
    assert pinned.history == History(2, [(3, 5.0)])
    assert pinned["a"].live == [2, 3, 4]


@pytest.mark.parametrize("values", [np.arange(6.0), np.arange(6.0).reshape(6), np.arange(12.0)[::2], list(range(6))])
def test_what_was_lent_is_copied_only_while_somebody_has_it(values: Any) -> None:
    column = Column(values)
    column.patch(0, 5.0)
    lent = column.pinned()
    view = column.lend()[1:]
    column.patch(1, 7.0)
    assert lent.live[1] != 7.0
    assert view[0] != 7.0
    del lent, view
    column.lend()
    memory = id(column.values)
    column.patch(2, 8.0)
    assert id(column.values) == memory
