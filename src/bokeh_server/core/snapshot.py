"""Snapshots that are written beside the stream: what a document is at one moment, and its record, made later.

Writing 100 MB takes a second, and a room may not stand still for one. A ``Draft`` only pins what is there: the columns
are views that stay as they are while the room goes on (``Column.pinned``), everything else is shared or small. Another
thread then asks for its ``pieces`` and lets go of the interpreter between them, so that the loop is never kept from its
work for longer than one takes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

import msgspec
import orjson

from bokeh_server.core import Buffers, Payload
from bokeh_server.core.column import Columns
from bokeh_server.core.document import Document, Model, Template, Writer
from bokeh_server.core.log import Record

SLICE = 256 * 1024
"""Bytes that are copied at a time: 0.1 ms."""
VALUES = 2048
"""Values of a list that are written at a time: 0.1 ms."""


def at_once() -> None:
    """Go on without a pause."""


class Draft:
    """The snapshot of a document at ``seq``, not written yet."""

    __slots__ = ("_document", "epoch", "name", "seq")

    def __init__(self, name: str, epoch: int, seq: int, document: Document) -> None:
        """What ``document`` is now."""
        self.name = name
        self.epoch = epoch
        self.seq = seq
        self._document = pinned(document)

    def pieces(self, pause: Callable[[], None] = at_once) -> Iterator[Payload]:
        """Write it: the body of its record, in pieces of ``SLICE`` bytes at most; ``pause`` is called after each."""
        writer = Slices(self._document.models, pause)
        content = [*self._document.written(writer, flat=True)[:-1], *histories(self._document), b"}"]
        for piece in sliced(framed(content, tuple(writer.buffers))):
            yield piece
            pause()

    def record(self, body: bytes | None = None, crc: int | None = None) -> Record:
        """The record of it, whose body is what its ``pieces`` come to."""
        body = b"".join(self.pieces()) if body is None else body
        crc = zlib.crc32(body) if crc is None else crc
        return Record(self.name, self.epoch, self.seq, "replace", "server", "", 0, body, crc)


class Slices(Writer):
    """Writes the columns of sources in small pieces, with a pause after each."""

    __slots__ = ("_pause",)

    def __init__(self, models: dict[str, Model], pause: Callable[[], None]) -> None:
        super().__init__(models)
        self._pause = pause

    def _model(self, key: str) -> Template:
        model = self._models[key]
        columns = model.attributes.get("data")
        if model.template is not None or type(columns) is not Columns or "data" in model.refs:
            return super()._model(key)
        rest = Model(model.name)
        rest.attributes = {name: item for name, item in model.attributes.items() if name != "data"}
        rest.refs = model.refs
        self._models[key] = rest
        *head, tail = super()._model(key)
        self._models[key] = model
        assert isinstance(tail, bytes)
        comma = b"," if rest.attributes else b""
        return [*head, tail[:-2] + comma + b'"data":{"type":"map","entries":[', *self.entries(columns), b"]}}}"]

    def entries(self, columns: Columns) -> Iterator[bytes]:
        """The columns as the entries of a map."""
        comma = b""
        for name, column in columns.items():
            yield comma + b"[" + orjson.dumps(name) + b","
            if isinstance(column.values, list) and len(column):
                for at in range(0, len(column), VALUES):
                    yield (b"," if at else b"[") + self._plain(column.part(at, at + VALUES))[1:-1]
                    self._pause()
                yield b"]]"
            else:
                yield self._plain(column.lend()) + b"]"
            comma = b","


def pinned(document: Document) -> Document:
    """The document as it is now, to be written in another thread while it changes."""
    found = Document(document.limits)
    found.models = {key: pinned_model(model) for key, model in document.models.items()}
    found.roots, found.title, found.version = document.roots[:], document.title, document.version
    found.parts = pinned_model(document.parts)
    return found


def pinned_model(model: Model) -> Model:
    """A model as it is now: its values are never changed in place, but for columns."""
    found = Model(model.name)
    found.refs, found.template = model.refs, model.template
    if model.template is None:  # or else nothing else of it is read
        items = model.attributes.items()
        found.attributes = {name: item.pinned() if type(item) is Columns else item for name, item in items}
    return found


def histories(document: Document) -> Iterator[bytes]:
    """What is known of the rows of sources, as the last part of the JSON of a document."""
    sources = ((key, model.attributes.get("data")) for key, model in document.models.items())
    known = {key: columns.history for key, columns in sources if type(columns) is Columns and columns.history}
    if known:
        yield b',"histories":' + msgspec.json.encode(known)


def framed(content: list[bytes], buffers: Buffers) -> Iterator[Payload]:
    """The body of a record, as ``log.pack`` makes it, in pieces."""
    yield sum(map(len, content)).to_bytes(8, "little")
    yield from content
    for name, payload in buffers:
        for part in (name.encode(), payload):
            yield len(part).to_bytes(8, "little")
            yield part


def sliced(pieces: Iterable[Payload]) -> Iterator[Payload]:
    """The same bytes, no more than ``SLICE`` at a time; small pieces are put together."""
    small: list[Payload] = []
    size = 0
    for piece in pieces:
        if size + len(piece) > SLICE:
            yield b"".join(small)
            small, size = [], 0
        if len(piece) > SLICE:
            whole = memoryview(piece)
            yield from (whole[at : at + SLICE] for at in range(0, len(whole), SLICE))
        else:
            small.append(piece)
            size += len(piece)
    yield b"".join(small)
