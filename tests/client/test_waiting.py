"""What waits in memory is as few entries as can be, in the order in which they must be applied."""

from __future__ import annotations

from typing import Any

import pytest

from bokeh_server.client import waiting
from bokeh_server.client.changes import EACH, Entry, Key, Reach
from bokeh_server.client.rows import Rows, Values
from bokeh_server.client.waiting import Waiting


class Line:
    """Entries that wait, written down in short."""

    def __init__(self, pressed: int = 1_000_000) -> None:
        self.waiting = Waiting(pressed)
        self._number = 0

    def rows(self, source: str, *values: Any, rollover: int | None = None) -> Line:
        """Rows for a source."""
        self._number += 1
        rows = Rows(source, rollover, {"x": Values(list(values), set(map(type, values)))}, len(values))
        key = frozenset({(source, "data")})
        self.waiting.add(Entry(self._number, "PATCH-DOC", keys=key, since=self._number, rows=rows, reach="part"))
        return self

    def other(self, key: Key, reach: Reach, content: str) -> Line:
        """Any other change."""
        self._number += 1
        entry = Entry(
            self._number, "PATCH-DOC", content.encode(), (), frozenset({key}), since=self._number, reach=reach
        )
        self.waiting.add(entry)
        return self

    @property
    def there(self) -> list[Any]:
        """What waits: number, first number, and its values or its content."""
        return [
            (each.number, each.since, [*each.rows.columns.values()][0].values if each.rows else each.content.decode())  # type: ignore[union-attr]  # noqa: RUF015
            for each in self.waiting
        ]


def test_rows_for_one_source_are_one_entry_that_stands_where_the_last_of_them_does() -> None:
    line = Line().rows("s", 1).rows("t", 10).rows("s", 2).rows("s", 3)
    assert line.there == [(2, 2, [10]), (4, 1, [1, 2, 3])]


def test_nothing_is_put_together_across_a_change_that_may_be_about_anything() -> None:
    line = Line().rows("s", 1).other(("", "roots"), "any", "a").rows("s", 2).rows("s", 3)
    assert line.there == [(1, 1, [1]), (2, 2, "a"), (4, 3, [2, 3])]


def test_rows_stay_behind_and_before_other_changes_of_their_source() -> None:
    line = (
        Line()
        .rows("s", 1)
        .other(("s", "data"), "part", "p")
        .rows("s", 2)
        .other(("s", "data"), "whole", "w")
        .rows("s", 3)
    )
    assert line.there == [(1, 1, [1]), (2, 2, "p"), (3, 3, [2]), (4, 4, "w"), (5, 5, [3])]


def test_rows_that_have_rolled_over_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BATCH", 2 * 32)
    line = Line()
    for number in range(20):
        line.rows("s", number, rollover=4)
        assert len(line.waiting) <= 4
    assert line.there[-1] == (20, 19, [18, 19])
    assert [value for _, _, values in line.there for value in values][-4:] == [16, 17, 18, 19]
    line.rows("s", 20, rollover=5)
    assert line.there[-1] == (21, 21, [20])


def test_an_entry_that_is_large_enough_grows_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BATCH", 2 * 32)
    assert Line().rows("s", 1, 2).rows("s", 3).rows("s", 4).there == [(1, 1, [1, 2]), (3, 2, [3, 4])]


def test_what_is_taken_grows_no_more_and_the_oldest_comes_first() -> None:
    line = Line().rows("s", 1).rows("t", 10)
    assert line.waiting.take().number == 1
    line.rows("s", 2).rows("t", 11)
    assert line.there == [(3, 3, [2]), (4, 2, [10, 11])]


def test_only_the_last_value_stays_where_much_waits() -> None:
    key, calm, pressed = ("m", "title"), Line(), Line(pressed=3)
    for line in (calm, pressed):
        for text in ("one", "two", "three"):
            line.other(key, "whole", text)
            line.other(("m", "other"), "whole", "x")
    assert len(calm.there) == 6
    assert pressed.there == [(5, 5, "three"), (6, 6, "x")]


def test_whole_columns_take_the_place_of_all_before_them_where_much_waits() -> None:
    line = (
        Line(pressed=3)
        .rows("s", 1)
        .other(("s", "data"), "part", "patch")
        .rows("s", 2)
        .other(("s", "data"), "whole", "w")
    )
    assert line.there == [(4, 4, "w")]


def test_no_value_is_left_out_across_a_change_that_may_be_about_anything() -> None:
    line = (
        Line(pressed=1).other(("m", "a"), "whole", "one").other(("", ""), "any", "x").other(("m", "a"), "whole", "two")
    )
    assert [content for *_, content in line.there] == ["one", "x", "two"]


def test_bytes_are_those_of_what_is_there() -> None:
    line = Line().rows("s", 1, 2).other(("m", "a"), "whole", "abc").rows("s", 3)
    assert (line.waiting.size, line.waiting.memory) == (3 * 32 + 3, 3 * 32 + 3 + 2 * EACH)
    assert line.waiting.lasting == 3 + EACH
    entries = [line.waiting.take(), line.waiting.take()]
    assert (line.waiting.size, line.waiting.lasting) == (0, 0)
    line.waiting.put_back(entries)
    assert [each.number for each in line.waiting] == [2, 3]
    assert line.waiting.size == 3 * 32 + 3
    assert line.waiting.take_rows() is entries[1]
    assert line.waiting.take_rows() is None
    line.waiting.clear()
    assert (line.waiting.size, line.waiting.lasting, line.waiting.first) == (0, 0, None)
