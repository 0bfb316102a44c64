"""Changes on disk that memory has no room for: temporary files that only this process knows.

A file has no name where the system can do that, else a name that ends with the process; nobody else may read it. What
is written is read once, in order, and checked; a file that was read to its end goes. One thread appends and reads.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO
from zlib import crc32

import msgspec

from bokeh_server.client.changes import Entry, EnvelopeType, Key
from bokeh_server.core import Buffers
from bokeh_server.limits import MIB

SEGMENT = 16 * MIB
"""Bytes of one file: what is read gives its room back in such steps."""
PREFIX = "bokeh-server-"
HEAD = struct.Struct("<II")
"""Length and checksum in front of what is written."""


class Stored(msgspec.Struct, array_like=True):
    """An entry as it is on disk."""

    number: int
    since: int
    msgtype: EnvelopeType
    content: bytes
    buffers: list[tuple[str, bytes]]
    keys: list[Key]
    models: list[str]
    count: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Stored]).decode


class Damaged(Exception):
    """What was read is not what was written."""


@dataclass(eq=False, slots=True)
class Segment:
    """One file; ``left`` records of it have not been read."""

    file: IO[bytes]
    size: int = 0
    left: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """Some entries on disk: the number of the last, that of the first change in them, and what all of them are about.

    ``rows`` are those that they append, ``only_rows`` says whether they do nothing else.
    """

    number: int
    since: int
    keys: frozenset[Key]
    models: frozenset[str]
    rows: int
    only_rows: bool
    size: int
    segment: Segment = field(repr=False)
    offset: int


class Spool:
    """The files in ``folder`` (None: where the system has its temporary files)."""

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, segment: int = SEGMENT) -> None:
        self._folder = folder
        self._segment = segment
        self._segments: list[Segment] = []

    def write(self, entries: Sequence[Entry]) -> Record:
        """Append entries; ``OSError`` where the disk does not take them."""
        payload = _encode([stored(entry) for entry in entries])
        segment = self._current()
        try:
            segment.file.seek(segment.size)
            for part in (HEAD.pack(len(payload), crc32(payload)), payload):
                write_all(segment.file, part)
        except BaseException:
            self._let_go(segment)
            raise
        size, offset = HEAD.size + len(payload), segment.size
        segment.size += size
        segment.left += 1
        return Record(
            number=entries[-1].number,
            since=min(entry.since for entry in entries),
            keys=frozenset().union(*(entry.keys for entry in entries)),
            models=frozenset().union(*(entry.models for entry in entries)),
            rows=sum(entry.appended for entry in entries),
            only_rows=all(entry.appended for entry in entries),
            size=size,
            segment=segment,
            offset=offset,
        )

    def read(self, record: Record) -> list[Entry]:
        """The entries of a record. ``Damaged``, or ``OSError``, where they are not there any more."""
        file = record.segment.file
        file.seek(record.offset)
        head = file.read(HEAD.size)
        length, checksum = HEAD.unpack(head) if len(head) == HEAD.size else (-1, 0)
        payload = file.read(max(0, length))
        if len(payload) != length or crc32(payload) != checksum:
            raise Damaged("what was kept on disk is damaged")
        return [entry_of(each) for each in _decode(payload)]

    def forget(self, record: Record) -> None:
        """A record is not needed any more."""
        record.segment.left -= 1
        self._let_go(record.segment)

    def close(self) -> None:
        """Let go of all files."""
        segments, self._segments = self._segments, []
        for segment in segments:
            segment.file.close()

    def _current(self) -> Segment:
        if not self._segments or self._segments[-1].size >= self._segment:
            self._segments.append(Segment(tempfile.TemporaryFile(buffering=0, prefix=PREFIX, dir=self._folder)))
        return self._segments[-1]

    def _let_go(self, segment: Segment) -> None:
        """Delete a file that has nothing for anybody."""
        if not segment.left and segment in self._segments:
            self._segments.remove(segment)
            segment.file.close()


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write all of it: a file without a buffer may take a part."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def stored(entry: Entry) -> Stored:
    """An entry as it is on disk."""
    content, buffers = entry.patch
    payloads = [(name, bytes(payload)) for name, payload in buffers]
    keys, models = list(entry.keys), list(entry.models)
    return Stored(entry.number, entry.since, entry.msgtype, content, payloads, keys, models, entry.appended)


def entry_of(stored: Stored) -> Entry:
    """What was stored."""
    buffers: Buffers = tuple(stored.buffers)
    return Entry(
        stored.number,
        stored.msgtype,
        stored.content,
        buffers,
        frozenset(stored.keys),
        frozenset(stored.models),
        stored.since,
        count=stored.count,
    )
