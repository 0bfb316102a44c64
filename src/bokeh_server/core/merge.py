"""Many patches as few: what a receiver gets who was a moment, or a while, behind.

Rows for one source are put one after the other and cut at the rollover, of the values that one attribute was set to
the last one stays. That is done with plain events (``core.plain``) alone, which name no other model and commute where
they do not concern the same columns or attribute; any other patch stays as it is, and nothing is moved across it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

import msgspec

from bokeh_server.core import Patch, Payload
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


class _Values:
    """What comes to a column as JSON."""

    __slots__ = ("values",)
    kind = ""

    def __init__(self, values: list[Scalar]) -> None:
        self.values = values

    def add(self, more: _Values) -> None:
        """More behind it."""
        self.values += more.values

    def whole(self, rollover: int | None, name: str) -> tuple[list[Scalar], list[tuple[str, Payload]]]:
        """All of it that stays, as an event has it, and its buffers."""
        return self.values[-rollover:] if rollover is not None else self.values, []


class _Numbers:
    """What comes to a column in buffers, as numbers of one type."""

    __slots__ = ("kind", "length", "payloads")

    def __init__(self, given: Numbers, payload: Payload) -> None:
        self.kind = given.dtype
        self.length = given.shape[0]
        self.payloads = [payload]

    def add(self, more: _Numbers) -> None:
        """More behind it."""
        self.payloads += more.payloads
        self.length += more.length

    def whole(self, rollover: int | None, name: str) -> tuple[Numbers, list[tuple[str, Payload]]]:
        """All of it that stays, as an event has it, and its buffer, which is called ``name``."""
        payload = b"".join(self.payloads)
        kept = self.length if rollover is None else min(self.length, rollover)
        if kept < self.length:
            payload = payload[-(len(payload) // self.length * kept) :]
        array = InBuffer(data=Named(id=name))
        return Numbers(array=array, shape=(kept,), dtype=self.kind, order="little"), [(name, payload)]


class _Appended:
    """Rows for one source."""

    __slots__ = ("columns", "rows")

    def __init__(self, rows: Rows, payloads: dict[str, Payload]) -> None:
        self.rows = rows
        self.columns = {
            name: _Numbers(given, payloads[given.array.data.id]) if isinstance(given, Numbers) else _Values(given)
            for name, given in rows.data.entries
        }

    @property
    def kind(self) -> object:
        """What rows must have in common with these to stand behind them in one event."""
        return self.rows.rollover, {name: column.kind for name, column in self.columns.items()}

    def add(self, more: _Appended) -> None:
        """More of the same kind behind them."""
        for name, column in self.columns.items():
            column.add(more.columns[name])  # type: ignore[arg-type]

    def event(self, names: Iterator[int]) -> tuple[Rows, list[tuple[str, Payload]]]:
        """The event, and its buffers."""
        rows, buffers = self.rows, []
        entries: list[tuple[str, list[Scalar] | Numbers]] = []
        for name, column in self.columns.items():
            given, more = column.whole(rows.rollover, str(next(names)))
            entries.append((name, given))
            buffers += more
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
            key = event.model.id, event.attr
            last, new = self._open.get(key), _Appended(event, payloads) if isinstance(event, Rows) else event
            if isinstance(new, Value) and isinstance(last, Value):
                last.new = new.new
            elif isinstance(new, _Appended) and isinstance(last, _Appended) and new.kind == last.kind:
                last.add(new)
            else:
                self._open[key] = new
                self._events.append(new)

    def ended(self) -> Iterator[tuple[int, Patch]]:
        """What they come to, if there were any; they are forgotten then."""
        number = len(self._patches)
        if number == 1:
            yield 1, self._patches[0]
        elif number:
            yield number, self._one()
        self._patches, self._events, self._open = [], [], {}

    def _one(self) -> Patch:
        events: list[Rows | Value] = []
        buffers: list[tuple[str, Payload]] = []
        names = count()
        for event in self._events:
            if isinstance(event, _Appended):
                rows, more = event.event(names)
                events.append(rows)
                buffers += more
            else:
                events.append(event)
        return _encode(Events(events=events)), tuple(buffers)
