"""A disk whose power can be cut, and which can fail: an apsw VFS under the product's own SqlStore.

SQLite runs on it as on any disk, while every write, truncation and flush is written down in order, together with what
the test has seen acknowledged. From that history ``image`` makes the files as they may be after a power cut at any
point: what was flushed is there; of what was not, each 512-byte sector is there or not, as chance will have it. So one
run of the store gives as many power cuts as one likes, and each is opened by the product as it is, over the standard
library's SQLite.

Only the SQLite library differs (apsw brings its own): PRAGMAs, schema, transactions and statements are the product's.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import apsw

from bokeh_server.store import Durability
from bokeh_server.store.sqlite import Mode, Sqlite
from bokeh_server.store.tail import File

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Write:
    file: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Flush:
    file: str


@dataclass(frozen=True, slots=True)
class Remove:
    file: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """So many operations of the test have returned."""

    count: int


Event = Write | Truncate | Flush | Remove | Acknowledged


class Disk(apsw.VFS):
    """``history`` is what happened on it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.history: list[Event] = []
        self.works()

    def database(self, file: Path, durability: Durability) -> Sqlite:
        """What SqlStore is to open its file with, to have it on this disk."""
        return OnDisk(file, durability, self)

    def works(self) -> None:
        """Every event succeeds from now on."""
        self._failing: tuple[type[Event], int] | None = None
        self._left = 0

    def fail_from(self, kind: type[Event], left: int, code: int) -> None:
        """After ``left`` more events of a kind, each of them fails with SQLite's error ``code``."""
        self._failing, self._left = (kind, code), left

    def happens(self, event: Event) -> None:
        if self._failing is not None and isinstance(event, self._failing[0]):
            self._left -= 1
            if self._left < 0:
                raise apsw.exception_for(self._failing[1])
        self.history.append(event)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return Paged(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.happens(Remove(Path(filename).name))
        super().xDelete(filename, syncdir)


class Paged(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary").name

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.happens(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.happens(Truncate(self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.happens(Flush(self._name))


class Bare(File):
    """A file of ours, on a ``Disk``."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path)
        self._disk, self._name = disk, path.name

    def _happens(self, event: Event) -> None:
        try:
            self._disk.happens(event)
        except apsw.Error as error:
            full = isinstance(error, apsw.FullError)
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error

    def write(self, data: bytes, offset: int) -> None:
        self._happens(Write(self._name, offset, data))
        super().write(data, offset)

    def flush(self) -> None:
        self._happens(Flush(self._name))

    def empty(self) -> None:
        self._happens(Truncate(self._name, 0))
        super().empty()

    def remove(self) -> None:
        self._happens(Remove(self._name))
        super().remove()


class OnDisk(Sqlite):
    """The product's SQLite, on a ``Disk``."""

    def __init__(self, file: Path, durability: Durability, disk: Disk) -> None:
        super().__init__(file, durability)
        self._disk = disk

    def bare(self, what: str) -> File:
        return Bare(self._beside(what), self._disk)

    def connect(self, mode: Mode) -> Any:
        writes = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        flags = writes if mode == "write" else apsw.SQLITE_OPEN_READONLY
        return Connection(apsw.Connection(str(self.file), flags=flags, vfs=self._disk.name))


class Connection:
    """As much of the standard library's connection as SQLAlchemy and SqlStore use, over apsw's."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.bare = connection
        connection.set_wal_hook(checkpoint)

    def create_function(self, *_: object, **__: object) -> None:
        pass

    def cursor(self) -> Cursor:
        return Cursor(self)

    def commit(self) -> None:
        if self.bare.in_transaction:
            self.cursor().execute("COMMIT")

    def rollback(self) -> None:
        if self.bare.in_transaction:
            self.cursor().execute("ROLLBACK")

    def close(self) -> None:
        self.bare.close()


def checkpoint(connection: apsw.Connection, database: str, pages: int) -> int:
    """As SQLite does by itself after a commit: an error here is no error of the commit. (apsw would raise it there.)"""
    if pages >= 1000:
        with suppress(apsw.Error):
            connection.wal_checkpoint()
    return apsw.SQLITE_OK


@dataclass(slots=True)
class Cursor:
    connection: Connection
    description: Sequence[Any] | None = None
    rowcount: int = -1
    lastrowid: int = 0
    _rows: Iterator[Any] = field(default_factory=lambda: iter(()))

    def execute(self, text: str, parameters: Any = ()) -> Cursor:
        return self._run(text, [parameters])

    def executemany(self, text: str, parameters: Sequence[Any]) -> Cursor:
        if not self.connection.bare.in_transaction:
            self.connection.cursor().execute("BEGIN")
        return self._run(text, parameters)

    def _run(self, text: str, parameters: Sequence[Any]) -> Cursor:
        bare = self.connection.bare
        cursor, before = bare.cursor(), bare.total_changes()
        cursor.exec_trace = self._describe
        try:
            self._rows = iter([row for each in parameters for row in cursor.execute(text, each)])
        except apsw.Error as error:
            raise as_of_the_standard_library(error) from error
        self.rowcount = bare.total_changes() - before
        return self

    def _describe(self, cursor: apsw.Cursor, text: str, bindings: Any) -> bool:
        self.description = [(column[0], *[None] * 6) for column in cursor.get_description()] or None
        return True

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def close(self) -> None:
        pass


def as_of_the_standard_library(error: apsw.Error) -> sqlite3.Error:
    kind = sqlite3.IntegrityError if isinstance(error, apsw.ConstraintError) else sqlite3.OperationalError
    same = kind(str(error))
    same.sqlite_errorcode = getattr(error, "extendedresult", 0)
    return same


@dataclass(slots=True)
class Platter:
    """One file on the disk: what is flushed, and what is not yet."""

    flushed: bytearray = field(default_factory=bytearray)
    waiting: list[Write | Truncate] = field(default_factory=list)

    def flush(self) -> None:
        for event in self.waiting:
            put(self.flushed, event)
        self.waiting.clear()

    def after_a_cut(self, chance: Random) -> bytes:
        """What is flushed, and each sector of the rest with the same random probability."""
        content, kept = bytearray(self.flushed), chance.random()
        for event in self.waiting:
            for piece in sectors(event):
                if chance.random() < kept:
                    put(content, piece)
        return bytes(content)


def sectors(event: Write | Truncate) -> Iterator[Write | Truncate]:
    """The pieces of an event that a disk keeps or loses as one."""
    match event:
        case Truncate():
            yield event
        case Write(file, offset, data):
            start = 0
            while start < len(data):
                end = min(len(data), start + SECTOR - (offset + start) % SECTOR)
                yield Write(file, offset + start, data[start:end])
                start = end


def put(content: bytearray, event: Write | Truncate) -> None:
    match event:
        case Truncate(_, size):
            del content[size:]
        case Write(_, offset, data):
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data


def cuts(history: Sequence[Event], points: Sequence[int], chance: Random) -> Iterator[tuple[int, dict[str, bytes]]]:
    """For each point in the history (ascending): how many operations were acknowledged, and the files as they are
    after a power cut there."""
    platters: dict[str, Platter] = {}
    acknowledged, wanted = 0, list(points)
    for at, event in enumerate(history):
        while wanted and wanted[0] == at:
            wanted.pop(0)
            yield acknowledged, {name: platter.after_a_cut(chance) for name, platter in platters.items()}
        match event:
            case Acknowledged(count):
                acknowledged = count
            case Flush(file):
                platters.setdefault(file, Platter()).flush()
            case Remove(file):
                platters.pop(file, None)
            case Write(file) | Truncate(file):
                platters.setdefault(file, Platter()).waiting.append(event)
