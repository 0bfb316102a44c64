"""Rows as an Arrow IPC stream: each record batch becomes runs as soon as its last byte came.

``pyarrow`` reads a stream by pulling bytes, which never end here; so the stream is cut into its encapsulated messages
first (Arrow columnar format, "Encapsulated message format": 0xFFFFFFFF, the size of the metadata, the metadata as a
flatbuffer, the body), and every record batch is read as a stream of its own, with the schema and the dictionaries that
came before it. The length of a body is the fourth field of the flatbuffer table ``Message``, its type the second.
``pyarrow`` is an extra: without it such a body is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from bokeh_server.errors import BadMessage, TooLarge, UnknownMediaType
from bokeh_server.limits import LIMITS
from bokeh_server.web.rows import NAN
from bokeh_server.web.runs import Run

CONTINUES = b"\xff\xff\xff\xff"
END = CONTINUES + bytes(4)
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
AT_ONCE = 65_536
"""Rows of one run."""
NO_PYARROW = "This server reads no Arrow streams: install pyarrow beside it (the extra `arrow`), or send NDJSON or CSV."


def pyarrow() -> ModuleType:
    """The library; ``UnknownMediaType`` without it."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise UnknownMediaType(NO_PYARROW) from None
    return pyarrow  # type: ignore[no-any-return]


class Arrow:
    """A stream of record batches. A row's place is its number."""

    def __init__(self, most: int = LIMITS.batch) -> None:
        self.error: BadMessage | None = None
        self._library = pyarrow()
        self._most = most
        self._waiting = bytearray()
        self._before = b""
        """The schema, and the dictionaries so far."""
        self._rows = 0
        self._ended = False

    def feed(self, data: bytes) -> list[Run]:
        """The rows of the batches that this part completes."""
        self._waiting += data
        runs: list[Run] = []
        try:
            for kind, message in self._messages():
                runs += self._take(kind, message)
        except BadMessage as error:
            self.error = error
        except (self._library.ArrowException, struct.error, IndexError, ValueError, OSError) as error:
            self.error = BadMessage(f"After row {self._rows} the Arrow stream can't be read: {error}.")
        return runs

    def end(self) -> list[Run]:
        """Nothing: what is not whole is an error."""
        if self._waiting and self.error is None:
            self.error = BadMessage(f"The Arrow stream ends within a batch, after row {self._rows}.")
        return []

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """The type and the bytes of each message that is whole; stops at the end of the stream."""
        waiting = self._waiting
        while not self._ended and self.error is None and len(waiting) >= 8:
            head = 8 if waiting[:4] == CONTINUES else 4  # before version 0.15 there was no mark
            (size,) = struct.unpack_from("<i", waiting, head - 4)
            if size == 0:
                self._ended = True
                waiting.clear()
                return
            self._bound(size, head)
            if len(waiting) < head + size:
                return
            kind, body = described(bytes(waiting[head : head + size]))
            self._bound(body, size)
            whole = head + size + body
            if len(waiting) < whole:
                return
            message = bytes(waiting[:whole])
            del waiting[:whole]
            yield kind, message

    def _bound(self, size: int, head: int) -> None:
        if size < 0:
            raise BadMessage(f"After row {self._rows} comes no message of an Arrow stream.")
        if size + head > self._most:
            raise TooLarge(f"The batch after row {self._rows} is larger than {self._most} bytes; send smaller ones.")

    def _take(self, kind: int, message: bytes) -> Iterator[Run]:
        if kind == SCHEMA:
            self._before = message
        elif kind == DICTIONARY:
            self._before += message
            self._bound(len(self._before), 0)
        elif kind == BATCH:
            for batch in self._library.ipc.open_stream(self._before + message + END):
                yield from self._runs(batch)

    def _runs(self, batch: Any) -> Iterator[Run]:
        batch.validate(full=True)  # else an offset that leads elsewhere would be followed
        names = batch.schema.names
        if len(set(names)) < len(names):
            raise BadMessage("Two columns of the Arrow stream have one name.")
        columns = {name: self._values(name, column) for name, column in zip(names, batch.columns, strict=True)}
        whole = Run(columns, range(self._rows + 1, self._rows + 1 + batch.num_rows))
        self._rows += batch.num_rows
        for start in range(0, batch.num_rows, AT_ONCE):
            yield whole.part(start, start + AT_ONCE)

    def _values(self, name: str, column: Any) -> list[Any]:
        """A column as JSON has it: times as milliseconds since 1970."""
        library, kind = self._library, column.type
        types = library.types
        if types.is_dictionary(kind):
            column = column.dictionary_decode()
            kind = column.type
        if types.is_timestamp(kind) or types.is_date(kind):
            return milliseconds(library, column)
        if types.is_decimal(kind) or types.is_float16(kind):
            column, kind = column.cast(library.float64()), library.float64()
        if types.is_floating(kind) or types.is_integer(kind):
            return [NAN if value is None or value != value else limited(value) for value in column.to_pylist()]
        if types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind):
            values: list[Any] = column.to_pylist()
            return values
        raise BadMessage(
            f"The column {name[:100]!r} of the Arrow stream is {kind}: send numbers, times, text or truth."
        )


def milliseconds(library: ModuleType, column: Any) -> list[Any]:
    """Times as milliseconds since 1970, with their fraction."""
    kind = column.type
    if library.types.is_date(kind):
        column, kind = column.cast(library.timestamp("ms")), library.timestamp("ms")
    per = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}[kind.unit]
    return [NAN if value is None else value / per for value in column.cast(library.int64()).to_pylist()]


def limited(value: float) -> Any:
    """A number that JSON can write."""
    if value in (float("inf"), float("-inf")):
        return {"type": "number", "value": "+inf" if value > 0 else "-inf"}
    return value


def described(metadata: bytes) -> tuple[int, int]:
    """The type of a message, and the length of its body, out of its flatbuffer."""
    (table,) = struct.unpack_from("<I", metadata, 0)
    (back,) = struct.unpack_from("<i", metadata, table)
    size, *_ = struct.unpack_from("<H", metadata, table - back)

    def field(number: int, kind: str) -> int:
        at = 4 + 2 * number
        offset = struct.unpack_from("<H", metadata, table - back + at)[0] if at < size else 0
        return int(struct.unpack_from(kind, metadata, table + offset)[0]) if offset else 0

    return field(1, "<B"), field(3, "<q")
