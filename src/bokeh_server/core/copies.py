"""Copies that are written beside the stream: of what has changed, for clients whom the ring of patches can't help, and
of the whole document, for those who ask for it.

Writing a million rows takes a fifth of a second, and a room may not stand still for it. A copy only *pins* what is
there at its ``seq``; another thread writes it (``Beside``), while the log and everybody else go on. Who waits for it is
given nothing meanwhile, as if its socket were full: then the copy, and after it what the ring has from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import orjson

from bokeh_server.core import Patch
from bokeh_server.core.column import Columns
from bokeh_server.core.document import Document
from bokeh_server.core.snapshot import Slices, at_once, pinned
from bokeh_server.core.wire import Message, Outgoing

LONG = 50_000
"""Values in lists that are written at once: 5 ms."""


class Copy:
    """What some attributes are at ``seq``, for clients that have all before the patch ``since``; not written yet."""

    __slots__ = ("_values", "message", "seq", "since")

    def __init__(self, document: Document, attributes: Iterable[tuple[str, str]], since: int, seq: int) -> None:
        """``attributes`` are named by model and name, and name no model."""
        values = ((key, name, document.models[key].attributes[name]) for key, name in attributes)
        self._values = [(key, name, item.pinned() if type(item) is Columns else item) for key, name, item in values]
        self.since = since
        self.seq = seq
        self.message: Outgoing | None = None
        """What its clients get, once it is written."""

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last of the patches that it stands for."""
        return self.since, self.seq

    def run(self, pause: Callable[[], None] = at_once) -> Patch:
        """Write it: a patch that sets the attributes; ``pause`` is called after each few values. It pins nothing then,
        but numbers that the patch shows."""
        values, self._values = self._values, []
        writer, pieces, comma = Slices({}, pause), [b'{"events":['], b"{"
        for key, name, value in values:
            about = orjson.dumps({"model": {"id": key}, "attr": name})[1:-1]
            if type(value) is Columns:  # of no "cols", so that those which are not in it are gone
                pieces += [
                    comma,
                    b'"kind":"ColumnDataChanged",',
                    about,
                    b',"cols":null,"data":{"type":"map","entries":[',
                ]
                pieces += [*writer.entries(value), b"]}}"]
            else:
                pieces += [comma, b'"kind":"ModelChanged",', about, b',"new":', writer.write(value), b"}"]
            comma = b",{"
        return b"".join([*pieces, b"]}"]), tuple(writer.buffers)


class Whole:
    """The document at ``seq``, for those who have asked for it. Where that is ``long``, it is written later."""

    __slots__ = ("_pinned", "document", "seq", "waiting", "written")

    def __init__(self, document: Document, seq: int) -> None:
        self.document = document
        self.seq = seq
        self._pinned: Document | None = None
        self.written: Patch | None = None
        """The content of the answer and its buffers, once they are there."""
        if is_long(document):
            self._pinned = pinned(document)
        else:
            content, buffers = document.encode()
            self.written = b'{"doc":' + content + b"}", buffers
        self.waiting: list[tuple[int, Message]] = []
        """Who waits for it, and his request."""

    @property
    def span(self) -> tuple[int, int]:
        """The patches that it stands for."""
        return 0, self.seq

    @property
    def size(self) -> int:
        """Bytes of the answer; 0 where it is written later, since nobody gets two of those at a time."""
        content, buffers = self.written or (b"", ())
        return len(content) + sum(len(payload) for _, payload in buffers)

    def run(self, pause: Callable[[], None] = at_once) -> Patch:
        """Write it; ``pause`` is called after each few values. It pins nothing then, but numbers that it shows."""
        document, self._pinned = self._pinned, None
        assert document is not None
        writer = Slices(document.models, pause)
        return b"".join([b'{"doc":', *document.written(writer, flat=False), b"}"]), tuple(writer.buffers)


def is_long(document: Document) -> bool:
    """Whether writing the document would hold up the stream: numbers in arrays cost nothing."""
    sources = (model.attributes.get("data") for model in document.models.values())
    columns = (column for source in sources if type(source) is Columns for column in source.values())
    return sum(len(column) for column in columns if isinstance(column.values, list)) > LONG


class Changes:
    """The attributes (by model and name) that have changed of late, each with the last seq, and the last copy of some.

    That goes as far back as to the last patch that has done something else (``more``).
    """

    __slots__ = ("attributes", "copy", "more")

    def __init__(self) -> None:
        self.attributes: dict[tuple[str, str], int] = {}
        self.more = 0
        self.copy: Copy | None = None

    def note(self, changed: tuple[tuple[str, str], ...] | None, seq: int) -> None:
        """What the patch ``seq`` has changed: attributes that name no model, or None where it has done more."""
        if self.copy is not None and self.copy.message is not None:
            self.copy = None
        if changed is None:
            self.attributes.clear()
            self.more = seq
        else:
            for attribute in changed:
                self.attributes[attribute] = seq

    def since(self, seen: int, document: Document, seq: int) -> tuple[Copy, bool]:
        """A copy of what has changed since the patch ``seen`` in the document, which is at ``seq``; whether it is new.

        All who have seen the same share one while it is written, and until the next patch.
        """
        copy = self.copy
        if copy is not None and copy.since == seen + 1:
            return copy, False
        changed = [what for what, at in self.attributes.items() if at > seen]
        self.copy = copy = Copy(document, changed, seen + 1, seq)
        return copy, True
