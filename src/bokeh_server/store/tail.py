"""The newest records, in a file of their own until the database takes some hundreds of them at once.

A commit of SQLite writes whole pages, twice: of sixteen records it takes 0.28 ms of CPU, while putting them behind the
last ones in a plain file, and flushing that, takes 0.06. So a small batch is durable here, and the database takes all
that is here in one transaction, again and again: then the file is written from its start, over what is in it.

    batch: mark | generation | length | CRC-32 of generation and body | body: MessagePack of the time and the records

A batch counts where it is whole and of the generation that the database notes (``PRAGMA user_version``). The
transaction that takes the batches into the database notes another, so that none is taken twice, wherever the power
goes. Where nothing is flushed, a new generation begins after any other change of the database, too: what came after a
change is not there without it. What is not whole at the end was never acknowledged: the next batch is only written when
the one before it is on the disk.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from struct import Struct
from time import perf_counter
from typing import Final
from zlib import crc32

import msgspec

from bokeh_server.core.log import Record
from bokeh_server.errors import StoreDamaged
from bokeh_server.limits import KIB

MOST: Final = 512 * KIB
"""Bytes of records after which the database takes them; it must have room for as much when a disk was full."""
COUNT: Final = 2048
"""Records after which it does: 1 ms, for which the next append waits."""
LARGE: Final = 64 * KIB
"""Bytes of a batch that gains nothing from being written here first."""
LARGEST: Final = 2**63 - 1
"""The largest number that a database keeps."""

DAMAGED: Final = "The newest records are damaged on the disk; they were left as they are: restore a backup."

FLUSHED: Final = b"TAIL"
"""The mark of a batch before which all others are on the disk; ``WRITTEN`` of one where that is not known."""
WRITTEN: Final = b"tail"
HEAD: Final = Struct("<4sIII")


@dataclass(slots=True)
class Batch:
    """Records that were appended at a time (seconds since 1970)."""

    now: float
    records: Sequence[Record]
    size: int = field(init=False)
    """Bytes of the bodies."""

    def __post_init__(self) -> None:
        self.size = sum([len(record.body) for record in self.records])


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[float, list[Record]]).decode


def put(file: int, data: bytes, offset: int) -> int:
    """``os.pwrite``, where there is none: on Windows."""
    os.lseek(file, offset, os.SEEK_SET)
    return os.write(file, data)


def flush(file: int) -> None:
    """``os.fsync``, which on macOS leaves data in the cache of the drive."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fsync(file)


PUT: Final[Callable[[int, bytes, int], int]] = getattr(os, "pwrite", put)
FLUSH: Final[Callable[[int], None]] = flush if sys.platform == "darwin" else getattr(os, "fdatasync", flush)


class File:
    """A file of bytes that is there from now on, also after a power cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        with suppress(OSError):  # there is no such thing on Windows
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def read(self) -> bytes:
        """All of it."""
        self._file.seek(0)
        return self._file.read()

    def write(self, data: bytes, offset: int) -> None:
        """Put bytes into it."""
        while data:
            written = PUT(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def flush(self) -> None:
        """All of it is on the disk."""
        FLUSH(self._file.fileno())

    def empty(self) -> None:
        """Let go of all of it."""
        self._file.truncate(0)

    def close(self) -> None:
        """Use it no more."""
        self._file.close()

    def remove(self) -> None:
        """Close and delete it."""
        self._file.close()
        self._path.unlink()


class Tail:
    """The batches that the database does not have, in the file that ``opened`` gives; with ``flushes``, each is on the
    disk when it is put.

    One thread at a time changes it; ``pending`` may be read by any: it is another tuple whenever it changes.
    """

    def __init__(self, opened: Callable[[], File], *, flushes: bool) -> None:
        self._opened = opened
        self.flushes = flushes
        self.took = inf if flushes else 0.0
        """Seconds of the last flush."""
        self._file: File | None = None
        self.pending: tuple[Batch, ...] = ()
        self.stopped = False
        """Whether it takes nothing before it is restarted."""
        self._generation = self._end = self._size = self._count = 0

    def open(self, generation: int) -> None:
        """``pending`` is what the file has of this generation; ``StoreDamaged`` where a batch of it is missing. It
        takes nothing before it is restarted."""
        file = self._opened()
        try:
            found = whole_batches(file.read(), generation)
        except BaseException:
            file.close()
            raise
        self._file, self._generation, self.stopped = file, generation, True
        self.pending = tuple(Batch(*_decode(payload)) for payload in found)

    def has_room(self, batch: Batch) -> bool:
        """Whether it takes a batch now."""
        size, count = self._size + batch.size, self._count + len(batch.records)
        return not self.stopped and size <= MOST and count <= COUNT

    def put(self, batch: Batch) -> None:
        """Keep a batch; what ``File`` raises where that can't be done: then none of it is kept."""
        if any(record.number > LARGEST for record in batch.records):
            raise OverflowError("a number is larger than a database keeps")
        assert self._file is not None
        payload = _encode((batch.now, batch.records))
        head = HEAD.pack(
            FLUSHED if self.flushes else WRITTEN, self._generation, len(payload), crc32(payload, self._generation)
        )
        try:
            self._file.write(head + payload, self._end)
            if self.flushes:
                begin = perf_counter()
                self._file.flush()
                self.took = perf_counter() - begin
        except BaseException:
            self.stopped = True
            with suppress(OSError):
                self._file.write(bytes(len(head)), self._end)
            raise
        self._end += len(head) + len(payload)
        self._size += batch.size
        self._count += len(batch.records)
        self.pending = (*self.pending, batch)

    def next_generation(self) -> int:
        """One that nothing in the file has, and nobody can guess who only sends records."""
        return (self._generation + 1 + secrets.randbits(30)) & 0x7FFFFFFF

    def restart(self, generation: int) -> None:
        """The database has all of it, and has noted this generation."""
        self.pending, self.stopped = (), False
        self._generation, self._end, self._size, self._count = generation, 0, 0, 0

    def forget(self) -> None:
        """What the database has is not in the file any more."""
        if self._file is not None and not self.pending:
            self._file.empty()

    def close(self) -> None:
        """Use it no more. Where the database has all of it, the file goes."""
        if self._file is not None:
            (self._file.close if self.pending or self.stopped else self._file.remove)()
        self._file, self.pending = None, ()


def whole_batches(data: bytes, generation: int) -> list[bytes]:
    """The batches of a generation; ``StoreDamaged`` where one comes behind what is none, which was on the disk."""
    found = list(batches_of(data, generation))
    end = sum(HEAD.size + len(payload) for payload in found)
    if next(batches_of(data, None, end), None) is not None:  # written anew: the database is older
        return found
    lost = data.find(FLUSHED, end)
    while lost >= 0:
        if next(batches_of(data, generation, lost), None) is not None:
            raise StoreDamaged(DAMAGED)
        lost = data.find(FLUSHED, lost + 1)
    return found


def batches_of(data: bytes, generation: int | None, at: int = 0) -> Iterator[bytes]:
    """The whole batches of a generation (None: of any) from ``at`` on, one after the other."""
    while at + HEAD.size <= len(data):
        mark, its, length, checksum = HEAD.unpack_from(data, at)
        payload = data[at + HEAD.size : at + HEAD.size + length]
        fits = mark in (FLUSHED, WRITTEN) and generation in (None, its) and len(payload) == length
        if not fits or crc32(payload, its) != checksum:
            return
        yield payload
        at += HEAD.size + length
