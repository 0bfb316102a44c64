"""Rows for one source, as a program has streamed them: many calls become one event.

What a program appends in small steps is kept as columns, not as text, so that the next rows are put behind it at the
price of a list, and JSON is made once of all of them. With a rollover only the rows that stay are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.core.serialization import Buffer

from bokeh_server.client.encode import dumps, is_plain
from bokeh_server.core import Patch, Payload

SCALARS = frozenset({int, float, np.float64, str, bool, type(None), dict})
"""What a column of a list may have; of dicts only numbers that JSON does not have (NaN)."""
ITEM = 32
"""Bytes of memory that a value in a list takes."""


class Values:
    """What comes to a column as JSON."""

    __slots__ = ("size", "values")
    kind = ""

    def __init__(self, values: list[Any], kinds: set[type]) -> None:
        self.values = values.copy()  # the program may go on with its own
        if np.float64 in kinds:
            self.values = [float(value) if type(value) is np.float64 else value for value in values]
        self.size = ITEM * len(values)
        """Bytes of memory, about."""
        if str in kinds:
            self.size += sum([len(value) for value in values if type(value) is str])

    def add(self, more: Values) -> None:
        """More behind it."""
        self.values += more.values

    def cut(self, kept: int) -> None:
        """Keep the last ``kept`` values."""
        del self.values[:-kept]

    def encode(self, kept: int, name: str) -> tuple[Any, list[tuple[str, Payload]]]:
        """The last ``kept`` values as an event has them, and their buffers."""
        return self.values[-kept:], []


class Numbers:
    """What comes to a column in a buffer, as numbers of one type."""

    __slots__ = ("kind", "length", "payloads")

    def __init__(self, array: dict[str, Any]) -> None:
        self.kind = (str(array["dtype"]), str(array["order"]))
        self.length: int = array["shape"][0]
        self.payloads: list[bytes] = [array["array"]["data"].to_bytes()]

    def add(self, more: Numbers) -> None:
        """More behind it."""
        self.payloads += more.payloads
        self.length += more.length

    def cut(self, kept: int) -> None:
        """Keep the last ``kept`` values."""
        self.payloads = [self._last(kept)]
        self.length = kept

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return sum(map(len, self.payloads))

    def encode(self, kept: int, name: str) -> tuple[Any, list[tuple[str, Payload]]]:
        """The last ``kept`` values as an event has them, and their buffer, which is called ``name``."""
        dtype, order = self.kind
        array = {"type": "bytes", "data": {"id": name}}
        event = {"type": "ndarray", "array": array, "shape": [kept], "dtype": dtype, "order": order}
        return event, [(name, self._last(kept))]

    def _last(self, kept: int) -> bytes:
        payload = b"".join(self.payloads)
        return payload[len(payload) - len(payload) // self.length * kept :]


class Rows:
    """``length`` rows for the source with the id ``source``, of which ``rollover`` stay (None: all)."""

    __slots__ = ("columns", "length", "rollover", "size", "source")

    def __init__(self, source: str, rollover: int | None, columns: dict[str, Values | Numbers], length: int) -> None:
        self.source = source
        self.rollover = rollover
        self.columns = columns
        self.length = length
        self.size = sum(column.size for column in columns.values())
        """Bytes of memory, about."""

    @property
    def kind(self) -> object:
        """What rows must have in common with these to be put behind them."""
        return self.source, self.rollover, {name: column.kind for name, column in self.columns.items()}

    def add(self, more: Rows) -> None:
        """More of the same kind behind them."""
        for name, column in self.columns.items():
            column.add(more.columns[name])  # type: ignore[arg-type]
        self.length += more.length
        self.size += more.size
        if self.rollover is not None and self.length > 2 * self.rollover:
            self._cut(self.rollover)

    def _cut(self, kept: int) -> None:
        for column in self.columns.values():
            column.cut(kept)
        self.size = self.size * kept // self.length
        self.length = kept

    def encode(self) -> Patch:
        """Content and buffers of the patch."""
        kept = self.length if self.rollover is None else min(self.length, self.rollover)
        entries, buffers = [], list[tuple[str, Payload]]()
        for at, (name, column) in enumerate(self.columns.items()):
            values, more = column.encode(kept, str(at))
            entries.append((name, values))
            buffers += more
        data = {"type": "map", "entries": entries}
        event = {"kind": "ColumnsStreamed", "model": {"id": self.source}, "attr": "data", "data": data}
        return dumps({"events": [{**event, "rollover": self.rollover}]}), tuple(buffers)


def rows_of_lists(source: str, data: Any, rollover: Any) -> Rows | None:
    """The rows of ``stream(data, rollover)`` where they are lists of what is the same in JSON; None where they have to
    go through a ``Writer``, which costs the program a third of what bokeh does."""
    if type(data) is not dict or not (rollover is None or (type(rollover) is int and rollover > 0)):
        return None
    columns: dict[str, Values | Numbers] = {}
    lengths = set()
    for name, given in data.items():
        if type(given) is not list or type(name) is not str or not is_plain(given):
            return None
        kinds = set(map(type, given))
        if str in kinds and not are_plain(given, kinds):
            return None
        lengths.add(len(given))
        columns[name] = Values(given, kinds)
    if len(lengths) != 1 or not (length := lengths.pop()):
        return None
    return Rows(source, rollover, columns, length)


def rows_of(event: Any) -> Rows | None:
    """The rows of a ``ColumnsStreamed`` event as a ``Writer`` wrote it; None where there may be more in it than
    numbers, text and arrays of numbers, so that it must go as it is."""
    rollover, columns, lengths = event["rollover"], {}, set()
    if rollover is not None and (type(rollover) is not int or rollover < 1):
        return None
    for name, given in event["data"].get("entries", ()):
        column = column_of(given)
        if column is None or not isinstance(name, str):
            return None
        lengths.add(len(given) if isinstance(given, list) else given["shape"][0])
        columns[name] = column
    if len(lengths) != 1 or not (length := lengths.pop()):
        return None
    return Rows(event["model"]["id"], rollover, columns, length)


def column_of(given: Any) -> Values | Numbers | None:
    """A column as a ``Writer`` wrote it, where it is a plain one."""
    match given:
        case list():
            kinds = set(map(type, given))
            return Values(given, kinds) if are_plain(given, kinds) else None
        case {"type": "ndarray", "array": {"type": "bytes", "data": Buffer()}, "shape": [_], "dtype": str()}:
            return Numbers(given)
    return None


def are_plain(values: list[Any], kinds: set[type]) -> bool:
    """Whether values of these kinds can be sent later as they are: numbers (NaN as well), text, None. A lone surrogate
    can't be sent, and is refused where it is streamed."""
    if not kinds <= SCALARS:
        return False
    if dict in kinds and not all(value.get("type") == "number" for value in values if type(value) is dict):
        return False
    if str in kinds:
        try:
            "".join([value for value in values if type(value) is str]).encode()
        except UnicodeEncodeError:
            return False
    return True
