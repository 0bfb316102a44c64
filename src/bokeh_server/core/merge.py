"""Many patches as few: what a receiver gets who was a moment, or a while, behind.

Rows for one source are put one after the other and cut at the rollover, of the values that one attribute was set to
the last one stays. That is done with plain events (``core.plain``) alone, which name no other model and commute where
they do not concern the same columns or attribute; any other patch stays as it is, and nothing is moved across it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

import msgspec

from bokeh_server.core import Payload
from bokeh_server.core.fanout import Patch
from bokeh_server.core.plain import NOT_PLAIN, Entries, InBuffer, Named, Numbers, Plain, Rows, Scalar, Value


class Events(Plain):
    """A patch of nothing but plain events."""

    events: list[Rows | Value]


_decode = msgspec.json.Decoder(Events).decode
_encode = msgspec.json.Encoder().encode


def merged(patches: Iterable[Patch]) -> Iterator[tuple[int, Patch]]:
    """The patches in order, or fewer that come to the same; each with how many of them it stands for."""
    run = _Run()
    for patch in patches:
        try:
            events = _decode(patch[0]).events
        except NOT_PLAIN:
            yield from run.ended()
            yield 1, patch
        else:
            run.add(patch, events)
    yield from run.ended()


class _Column:
    """What comes to one column: values as JSON has them, or numbers in buffers."""

    __slots__ = ("dtype", "length", "pieces")

    def __init__(self, given: list[Scalar] | Numbers, payloads: dict[str, Payload]) -> None:
        numbers = type(given) is Numbers
        self.dtype = given.dtype if numbers else ""
        self.length = given.shape[0] if numbers else len(given)
        self.pieces = [payloads[given.array.data.id] if numbers else given]

    def add(self, more: _Column) -> None:
        """More of the same kind behind it."""
        self.pieces += more.pieces
        self.length += more.length

    def whole(self, rollover: int | None, name: str) -> tuple[list[Scalar] | Numbers, Payload | None]:
        """All of it that stays, as an event has it; numbers with their payload, which is called ``name``."""
        too_many = max(0, self.length - rollover) if rollover is not None else 0
        if not self.dtype:
            return [value for piece in self.pieces for value in piece][too_many:], None
        payload = b"".join(self.pieces)
        if too_many:
            payload = payload[len(payload) // self.length * too_many :]
        array = InBuffer(data=Named(id=name))
        return Numbers(array=array, shape=(self.length - too_many,), dtype=self.dtype, order="little"), payload


class _Appended:
    """Rows for one source."""

    __slots__ = ("columns", "rows")

    def __init__(self, rows: Rows, payloads: dict[str, Payload]) -> None:
        self.rows = rows
        self.columns = {name: _Column(given, payloads) for name, given in rows.data.entries}

    def takes(self, more: _Appended) -> bool:
        """Whether more rows can stand behind these in one event."""
        return self.rows.rollover == more.rows.rollover and self._kinds() == more._kinds()

    def _kinds(self) -> dict[str, str]:
        return {name: column.dtype for name, column in self.columns.items()}

    def add(self, more: _Appended) -> None:
        """Put them there."""
        for name, column in self.columns.items():
            column.add(more.columns[name])

    def event(self, names: Iterator[int]) -> tuple[Rows, list[tuple[str, Payload]]]:
        """The event, and its buffers."""
        entries, buffers = [], []
        for name, column in self.columns.items():
            id = str(next(names))
            given, payload = column.whole(self.rows.rollover, id)
            entries.append((name, given))
            if payload is not None:
                buffers.append((id, payload))
        rows = self.rows
        return Rows(model=rows.model, attr="data", data=Entries(entries=entries), rollover=rows.rollover), buffers


class _Run:
    """Plain patches one after the other."""

    def __init__(self) -> None:
        self._patches: list[Patch] = []
        self._events: list[_Appended | Value] = []
        self._open: dict[tuple[str, str], _Appended | Value] = {}
        """By model and attribute, the last event about it."""

    def add(self, patch: Patch, events: list[Rows | Value]) -> None:
        """One more."""
        self._patches.append(patch)
        payloads = dict(patch[1])
        for event in events:
            new = _Appended(event, payloads) if type(event) is Rows else event
            key = event.model.id, event.attr
            last = self._open.get(key)
            if type(new) is Value and type(last) is Value:
                last.new = new.new
            elif type(new) is _Appended and type(last) is _Appended and last.takes(new):
                last.add(new)
            else:
                self._open[key] = new
                self._events.append(new)

    def ended(self) -> Iterator[tuple[int, Patch]]:
        """What they come to, if there were any; no more follow."""
        number = len(self._patches)
        if number == 1:
            yield 1, self._patches[0]
        elif number:
            events: list[Rows | Value] = []
            buffers: list[tuple[str, Payload]] = []
            names = count()
            for event in self._events:
                if type(event) is _Appended:
                    rows, more = event.event(names)
                    events.append(rows)
                    buffers += more
                else:
                    events.append(event)
            yield number, (_encode(Events(events=events)), tuple(buffers))
        self.__init__()
