"""What is known of rows beside their values: it is counted on over what leaves, and a hint that may be lost."""

from __future__ import annotations

from typing import Any

import pytest

from bokeh_server.core.history import MARKS, History, told


def test_a_row_has_come_by_the_newest_time_that_is_noted_behind_it() -> None:
    history = History()
    for row, at in ((10, 100.0), (12, 105.0), (20, 110.0), (30, 120.0)):
        history.mark(row, at, 10.0)
    assert history.marks == [(10, 100.0), (20, 110.0), (30, 120.0)]
    assert [history.arrived(at) for at in (99.0, 100.0, 119.9, 500.0)] == [0, 10, 20, 30]


def test_only_the_newest_times_are_remembered() -> None:
    history = History()
    for row in range(MARKS + 5):
        history.mark(row, float(row), 1.0)
    assert len(history.marks) == MARKS
    assert history.marks[0][0] == 5


def test_what_has_left_is_not_counted_in_a_snapshot() -> None:
    history = History(7, [(3, 1.0), (9, 2.0)])
    assert history.after(5) == History(2, [(4, 2.0)])
    assert history.after(8) == History(0, [(1, 2.0)])
    assert history.after(0) == history


@pytest.mark.parametrize("value", [None, 3, {"s": 3}, {"s": {"thinned": "x"}}, {"s": {"marks": [[1]]}}])
def test_what_is_no_history_is_none(value: Any) -> None:
    assert told(value) == {}


def test_it_is_read_as_it_was_written() -> None:
    assert told({"s": {"thinned": 2, "marks": [[4, 2.0]]}}) == {"s": History(2, [(4, 2.0)])}
