"""Thin the old rows of a source: of each few rows in a row keep those that a plot can't do without.

Rows go whole, so that columns stay aligned. Of each bucket of rows the first stays, and those in which a column of
numbers has its least or its greatest value there: a line that is drawn through what is left reaches as far up and down
as before (the min/max decimation of plotting tools). A bucket has so many rows that no more than one in ``TENTH``
stays, however many columns there are.

Which rows stay is written into the log as one bit a row. So a replay does not depend on how they were chosen, and a
record is small where a copy of the columns would not be.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from bokeh_server.core import Buffers
from bokeh_server.core.column import Array, Column, Columns, as_numbers
from bokeh_server.core.document import Document
from bokeh_server.core.history import History
from bokeh_server.errors import BadMessage

TENTH = 10
STEP, OF_LISTS = 500_000, 100_000
"""Rows that are looked at in one step, and where columns are lists: 30 to 50 ms."""
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


def due(columns: Columns, raw: float, now: float) -> int:
    """How many rows behind those that are thinned are older than ``raw`` seconds, where that is worth a step; or 0.

    A column of times that do not go back decides, or else when the rows came.
    """
    history = columns.history or History()
    rows, start = columns.rows, max(history.thinned - columns.gone, 0)
    step = OF_LISTS if any(isinstance(column.values, list) for column in columns.values()) else STEP
    worth = max(LEAST, rows // SHARE)
    if rows - start < worth:
        return 0
    time, before = clock(columns, start, now), (now - raw) * 1000
    if time is not None:
        last = time.part(start + worth - 1, start + worth)[0]
        if is_time(last, now) and last >= before:
            return 0
        part = numbers(time.part(start, start + step))
        if part is not None and bool((part[1:] >= part[:-1]).all()):
            return int(np.searchsorted(part, before))
    count = history.arrived(now - raw) - columns.gone - start
    return min(count, step) if count >= worth else 0


def numbers(values: Any) -> Array | None:
    """Values as numbers, what is missing as NaN; None where there are others, or more than one in a row."""
    if isinstance(values, list):
        found = as_numbers([float("nan") if value is None else value for value in values])
    else:
        found = values if values.ndim == 1 else None
    return found if found is not None and found.dtype.kind in "iuf" else None


def chosen(columns: Columns, count: int, now: float) -> tuple[int, Array]:
    """Which rows stay of about ``count`` behind those that are thinned: how many are looked at from the first on, and
    the indices of those that stay."""
    start = max((columns.history or History()).thinned - columns.gone, 0)
    time = clock(columns, start, now)
    parts = [numbers(column.part(start, start + count)) for column in columns.values() if column is not time]
    series = [part for part in parts if part is not None]
    size = TENTH * (2 * len(series) + 1)
    buckets = count // size
    keep = np.zeros(buckets * size, np.bool_)
    first = np.arange(buckets) * size
    keep[first] = True
    for part in series:
        values = part[: buckets * size].astype(np.float64).reshape(buckets, size)
        missing = np.isnan(values)
        keep[first + np.where(missing, np.inf, values).argmin(axis=1)] = True
        keep[first + np.where(missing, -np.inf, values).argmax(axis=1)] = True
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
