"""Thin the old rows of a source: of each few rows in a row keep those that a plot can't do without.

Rows go whole, so that columns stay aligned. Of each bucket of rows the first stays, and those in which a column of
numbers has its least or its greatest value there: a line that is drawn through what is left reaches as far up and down
as before (the min/max decimation of plotting tools). A bucket has so many rows that no more than one in ``TENTH``
stays, however many columns there are.

Which rows stay is written into the log as one bit a row. So a replay does not depend on how they were chosen, and a
record is small where a copy of the columns would not be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from bokeh_server.core import Buffers
from bokeh_server.core.column import Array, Column, Columns, as_numbers
from bokeh_server.core.document import Document
from bokeh_server.core.history import History
from bokeh_server.core.snapshot import VALUES, at_once
from bokeh_server.errors import BadMessage

TENTH = 10
STEP, OF_LISTS = 500_000, 100_000
"""Rows that are looked at in one step, and where columns are lists: the room moves what stays of them in 2 to 5 ms."""
LEAST = 1_000
"""Rows in a step that is worth a record."""
SHARE = 4
"""A step waits until one row in so many is due: each makes all viewers read the source again."""
FIRST = 631_152_000_000.0
"""1990 in ms since 1970: less is no time of a stream."""
AHEAD = 366 * 86_400.0
"""Seconds by which the clocks of a stream may be ahead of ours."""


class Thinned(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a ``thin`` record: of the first ``rows`` rows of a source, those with their bit set stay.

    The bits are in its only buffer, as ``numpy.packbits`` makes them.
    """

    source: str
    rows: int


class Choice:
    """Which old rows of a source stay, not found out yet: another thread does that, on the columns as they are now."""

    __slots__ = ("_columns", "_gone", "_now", "_pinned", "_raw", "source")

    def __init__(self, source: str, columns: Columns, raw: float, now: float) -> None:
        """``columns`` are those of ``source``; rows stay as they are for ``raw`` seconds, it is ``now``."""
        self.source = source
        self._raw = raw
        self._now = now
        self._columns = dict(columns)
        self._gone = columns.gone
        self._pinned: Columns | None = columns.pinned()

    def run(self, pause: Callable[[], None] = at_once) -> tuple[int, Array]:
        """How many rows are looked at from the first on, and the indices of those that stay.

        The columns are let go of, so that the room can move the rows where they are.
        """
        columns, self._pinned = self._pinned, None
        assert columns is not None
        return chosen(columns, due(columns, self._raw, self._now, pause), self._now, pause)

    def in_place(self, columns: Columns, rows: int, keep: Array) -> tuple[int, Array] | None:
        """The same in the source as it is by then, where rows may have left at the front; None where that lets go of
        nothing, or other columns have come."""
        shift = columns.gone - self._gone
        rows, keep = rows - shift, keep[np.searchsorted(keep, shift) :] - shift
        return (rows, keep) if columns == self._columns and len(keep) < rows <= columns.rows else None


def clock(columns: Columns, start: int, now: float) -> Column | None:
    """The first column whose values, from the row ``start`` on, are times in ms since 1970, as Bokeh has them."""
    for column in columns.values():
        ends = column.part(start, start + 1), column.part(len(column) - 1, len(column))
        first, last = (end[0] if len(end) else 0.0 for end in ends)
        if is_time(first, now) and is_time(last, now) and float(first) <= float(last):
            return column
    return None


def is_time(value: Any, now: float) -> bool:
    """Whether a value may be a time in ms since 1970, of a stream that is read at ``now`` (in seconds)."""
    return isinstance(value, float | int) and FIRST <= value <= (now + AHEAD) * 1000


def behind_thinned(columns: Columns) -> int:
    """The first row behind those that are thinned."""
    return max((columns.history or History()).thinned - columns.gone, 0)


def arrived(columns: Columns, before: float) -> int:
    """How many rows behind those that are thinned had come by a time, as far as is known."""
    return (columns.history or History()).arrived(before) - columns.gone - behind_thinned(columns)


def promising(columns: Columns, raw: float, now: float) -> bool:
    """Whether it may be worth a step to find out how many rows are ``due``: it looks at a row or two, not at all."""
    start, worth = behind_thinned(columns), max(LEAST, columns.rows // SHARE)
    if columns.rows - start < worth:
        return False
    time = clock(columns, start, now)
    last: Any = time.part(start + worth - 1, start + worth)[0] if time is not None else None
    return last < (now - raw) * 1000 if is_time(last, now) else arrived(columns, now - raw) >= worth


def due(columns: Columns, raw: float, now: float, pause: Callable[[], None] = at_once) -> int:
    """How many rows behind those that are thinned are older than ``raw`` seconds, where that is worth a step; or 0.

    A column of times that do not go back decides, or else when the rows came.
    """
    if not promising(columns, raw, now):
        return 0
    start = behind_thinned(columns)
    step = OF_LISTS if any(isinstance(column.values, list) for column in columns.values()) else STEP
    time = clock(columns, start, now)
    part = numbers(time, start, start + step, pause) if time is not None else None
    if part is not None and bool((part[1:] >= part[:-1]).all()):
        return int(np.searchsorted(part, (now - raw) * 1000))
    count = arrived(columns, now - raw)
    return min(count, step) if count >= max(LEAST, columns.rows // SHARE) else 0


def numbers(column: Column, start: int, stop: int, pause: Callable[[], None] = at_once) -> Array | None:
    """Some values of a column as numbers, what is missing as NaN; None where there are others, or more than one in a
    row. ``pause`` is called after each few of a list."""
    if not isinstance(column.values, list):
        values = column.part(start, stop)
        return values if column.values.ndim == 1 and column.values.dtype.kind in "iuf" else None  # type: ignore[return-value]
    parts = [np.empty(0)]
    for at in range(start, min(stop, len(column)), VALUES):
        values = column.part(at, min(at + VALUES, stop))
        part = as_numbers([float("nan") if value is None else value for value in values])
        if part is None or part.dtype.kind not in "iuf":
            return None
        parts.append(part.astype(np.float64))
        pause()
    return np.concatenate(parts)


def chosen(columns: Columns, count: int, now: float, pause: Callable[[], None] = at_once) -> tuple[int, Array]:
    """Which rows stay of about ``count`` behind those that are thinned: how many are looked at from the first on, and
    the indices of those that stay."""
    start = behind_thinned(columns)
    time = clock(columns, start, now)
    parts = [numbers(column, start, start + count, pause) for column in columns.values() if column is not time]
    series = [part for part in parts if part is not None]
    size = TENTH * (2 * len(series) + 1)
    buckets = count // size
    keep = np.zeros(buckets * size, np.bool_)
    keep[::size] = True
    some = -(-VALUES // size)
    for at in range(0, buckets, some):
        first = np.arange(at, min(at + some, buckets)) * size
        for part in series:
            values = part[first[0] : first[-1] + size].astype(np.float64).reshape(-1, size)
            missing = np.isnan(values)
            keep[first + np.where(missing, np.inf, values).argmin(axis=1)] = True
            keep[first + np.where(missing, -np.inf, values).argmax(axis=1)] = True
        pause()
    return start + buckets * size, np.concatenate([np.arange(start), start + np.flatnonzero(keep)])


def thin(columns: Columns, rows: int, keep: Array) -> None:
    """Of the first ``rows`` rows keep those at the indices ``keep``."""
    thinned = columns.gone + rows
    for column in columns.values():
        column.thin(keep, rows)
    columns.history = columns.history or History()
    columns.history.thinned = thinned


def written(source: str, rows: int, keep: Array) -> tuple[bytes, Buffers]:
    """Content and buffers of the record."""
    bits = np.zeros(rows, np.bool_)
    bits[keep] = True
    return msgspec.json.encode(Thinned(source, rows)), (("rows", np.packbits(bits).tobytes()),)


def replay(document: Document, content: bytes, buffers: Buffers) -> None:
    """Do again what a record says; ``BadMessage`` where it does not fit the document."""
    try:
        thinned = msgspec.json.decode(content, type=Thinned)
        ((_, payload),) = buffers
        columns = document.models[thinned.source].attributes["data"]
        keep = np.flatnonzero(np.unpackbits(np.frombuffer(payload, np.uint8), count=thinned.rows))
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise BadMessage(f"This is no record of thinned rows ({error}).") from None
    if type(columns) is not Columns or columns.rows < thinned.rows:
        raise BadMessage("The source has fewer rows than were thinned.")
    thin(columns, thinned.rows, keep)
