"""What a program has changed, as it waits to be sent: a patch, rows that grow, a whole document."""

from __future__ import annotations

from typing import Literal, Protocol

from bokeh_server.client.rows import Rows
from bokeh_server.core import Buffers
from bokeh_server.core.wire import Outgoing, outgoing

Key = tuple[str, str]
"""What a change is about: (model id, attribute), (model id, ``WHOLE``) for its definition, or one of the two below."""
ROOTS: Key = ("", "roots")
TITLE: Key = ("", "title")
WHOLE = ""

EACH = 900
"""Bytes of memory that a change takes beside its content."""

EnvelopeType = Literal["PATCH-DOC", "PUSH-DOC"]
Reach = Literal["any", "part", "whole"]
"""Whether a patch says all there is to say about its one key (``whole``) or not (``part``), and names no other model;
``any`` other change keeps its place among all that comes before and after it."""


class Waits(Protocol):
    """Something of ours that the server does not have, or may not have; it may be on disk."""

    @property
    def number(self) -> int: ...
    @property
    def since(self) -> int: ...
    @property
    def keys(self) -> frozenset[Key]: ...
    @property
    def models(self) -> frozenset[str]: ...


class Entry:
    """One change, or rows of many: a patch, or a whole document.

    ``number`` is that of the last change in it, ``since`` that of the first. ``keys`` is what it changes, ``models``
    are the ids of the models that it defines, ``count`` are the rows that it appends if it does nothing else. Its
    content is made of its ``rows`` when it is read, and kept once it is ``sealed``: it must not change any more.
    """

    __slots__ = ("_patch", "count", "keys", "models", "msgtype", "number", "reach", "rows", "sealed", "since")

    def __init__(
        self,
        number: int,
        msgtype: EnvelopeType,
        content: bytes = b"",
        buffers: Buffers = (),
        keys: frozenset[Key] = frozenset(),
        models: frozenset[str] = frozenset(),
        since: int = 0,
        *,
        rows: Rows | None = None,
        count: int = 0,
        reach: Reach = "any",
    ) -> None:
        self.number = number
        self.since = since
        self.msgtype: EnvelopeType = msgtype
        self.keys = keys
        self.models = models
        self.rows = rows
        self.count = count
        self.reach: Reach = reach
        self.sealed = rows is None
        self._patch = (content, buffers) if rows is None else None

    @property
    def patch(self) -> tuple[bytes, Buffers]:
        """Content (its JSON) and buffers."""
        rows = self.rows
        if rows is None:
            assert self._patch is not None
            return self._patch
        made = rows.encode()
        if self.sealed:
            self._patch, self.count, self.rows = made, rows.length, None  # in this order: another thread may read
        return made

    @property
    def content(self) -> bytes:
        """Its JSON."""
        return self.patch[0]

    @property
    def buffers(self) -> Buffers:
        """Its buffers."""
        return self.patch[1]

    @property
    def appended(self) -> int:
        """How many rows it appends, if it does nothing else."""
        return rows.length if (rows := self.rows) is not None else self.count

    @property
    def size(self) -> int:
        """Bytes of content and buffers, about as long as the content is not made."""
        if (rows := self.rows) is not None:
            return rows.size
        content, buffers = self.patch
        return len(content) + sum([len(payload) for _, payload in buffers])

    @property
    def waits(self) -> int:
        """Bytes that a whole document would save: those of a patch."""
        return self.size if self.msgtype == "PATCH-DOC" else 0

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes."""
        return self.size + EACH

    def message(self) -> Outgoing:
        """The message that carries it."""
        content, buffers = self.patch
        return outgoing(self.msgtype, content, msgid=str(self.number), buffers=buffers, number=self.number)
