"""The store in an SQL database: SQLite by default.

Every change is one transaction in the one thread that writes, so that changes have one order and the event loop never
waits for a disk. ``append`` is the hot path: a batch is kept in the ``Tail``, and the tables take many of them in one
transaction, by the driver's own ``executemany``, two statements however many documents and records there are. Before
anything else is changed, the tables have all. Reads have their own threads and connections, and look into both; a large
``load`` holds up no append, and sees the snapshot and the records of one moment.

The fence: an append moves the document's row from the seq before it to its last, and where that row is elsewhere,
nothing of the batch is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from zlib import crc32

from msgspec import structs
from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    Engine,
    PoolProxiedConnection,
    bindparam,
    delete,
    func,
    insert,
    make_url,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.sql.dml import UpdateBase

from bokeh_server.core.log import Record, Stored
from bokeh_server.core.retention import Retention
from bokeh_server.errors import BadSetting, Conflict, NotFound, ServerFault, StoreDamaged, StoreFailed
from bokeh_server.store import NOT_NEXT, Durability, Info, pieces
from bokeh_server.store.packs import PACK, packed, unpacked
from bokeh_server.store.schema import documents, prepare, records, retentions, snapshots
from bokeh_server.store.sqlite import Sqlite
from bokeh_server.store.tail import DAMAGED, LARGE, Batch
from bokeh_server.store.threads import Threads

T = TypeVar("T")

FILE: Final = "documents.sqlite"
QUICK: Final = 0.001
"""Seconds of a flush for which the event loop may stand still; after a longer one, flushes are left to the thread."""
READERS: Final = 3
"""Threads and connections that read: a large load and a few lists beside it."""


@dataclass(slots=True)
class Step:
    """How far a batch takes one document: from seq ``before`` to ``last``, from the epoch ``since`` on."""

    document: str
    before: int
    last: int
    since: int
    epoch: int
    size: int
    now: float


class Many:
    """A statement for ``executemany``: its text, and its parameters, by name, in the driver's (positional) order."""

    def __init__(self, statement: UpdateBase, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._text = compiled.string
        self._parameters = attrgetter(*(compiled.positiontup or ()))

    def run(self, connection: PoolProxiedConnection, objects: Iterable[object]) -> int:
        """Execute it for each object with attributes of those names; the number of rows it changed."""
        cursor = connection.cursor()
        cursor.executemany(self._text, list(map(self._parameters, objects)))
        return cursor.rowcount


ADVANCE: Final = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"),
        documents.c.seq == bindparam("before"),
        documents.c.epoch <= bindparam("since"),
    )
    .values(
        seq=bindparam("last"),
        epoch=bindparam("epoch"),
        changed=bindparam("now"),
        size=documents.c.size + bindparam("size"),
    )
)


class SqlStore:
    """The documents in ``place``: a folder, or an SQLAlchemy URL (``sqlite:///FILE``).

    ``durability`` is "disk" (an append is flushed when it returns) or "process" (it is written, and survives the
    process, but not a power cut). ``database`` is what opens the file; tests give one whose disk can fail.
    """

    def __init__(
        self,
        place: Path | str,
        durability: Durability = "disk",
        *,
        database: Callable[[Path, Durability], Sqlite] = Sqlite,
    ) -> None:
        self._database = database(file_of(place), durability)
        self._writer = self._database.engine("write")
        self._reader = self._database.engine("read", READERS)
        self._append_records = Many(insert(records), self._writer.dialect)
        self._advance_documents = Many(ADVANCE, self._writer.dialect)
        self._writing = Threads("store-write")
        self._reading = Threads("store-read", READERS)
        self._snapshots = asyncio.Lock()
        self._tail = self._database.tail()
        self._heads: dict[str, tuple[int, int]] = {}
        """Seq and epoch of documents to which something was appended since anything else was changed."""

    async def __aenter__(self) -> Self:
        self._writing.reopen()
        self._reading.reopen()
        try:
            await self._writing.run(self._attempt, self._open)
        except BaseException:  # whatever it is, threads and lock must not stay behind
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._writing.run(self._close)
        self._writing.stop()

    async def create(self, info: Info) -> None:
        await self._write(self._create, info)

    async def info(self, document: str) -> Info | None:
        return next(iter(await self._read(self._infos, documents.c.id == document)), None)

    async def find(self, owner: str, title: str) -> Info | None:
        found = await self._read(self._infos, documents.c.owner == owner, documents.c.title == title)
        return next(iter(found), None)

    async def documents(self, owner: str | None = None, also: Collection[str] = ()) -> list[Info]:
        mine = true() if owner is None else documents.c.owner == owner
        return await self._read(self._infos, or_(mine, documents.c.id.in_(also)))

    async def extent(self) -> tuple[int, int]:
        return await self._read(self._extent)

    async def rename(self, document: str, title: str) -> None:
        await self._write(self._set, document, {"title": title})

    async def describe(self, document: str, kind: str) -> None:
        await self._write(self._set, document, {"kind": kind})

    async def retain(self, document: str, retention: Retention) -> None:
        await self._write(self._retain, document, retention)

    async def retention(self, document: str) -> Retention:
        return await self._read(self._retention, document)

    async def delete(self, document: str) -> None:
        await self._write(self._delete, document)
        await self._let_go(document)
        await self._write(self._forget)

    async def append(self, records: Sequence[Record], *, now: float) -> None:
        batch = Batch(now, records)
        if records and self._is_quick(batch):
            self._attempt(self._append, batch)
        elif records:
            await self._writing.run(self._attempt, self._append, batch)

    def _is_quick(self, batch: Batch) -> bool:
        """Whether an append is nothing but a write to the tail, on a disk whose last flush took next to no time, while
        the thread is idle. Then it is done at once: to go to the thread and back costs more than such a flush."""
        return (
            self._tail.took < QUICK
            and self._writing.idle
            and batch.size <= LARGE
            and self._tail.has_room(batch)
            and all(record.document in self._heads for record in batch.records)
        )

    async def snapshot(self, record: Record, clients: dict[str, int]) -> None:
        async with self._snapshots:  # one at a time, whose pieces have the numbers behind all others
            kept = await self._write(self._room_for, record)
            if kept is None:
                return
            try:
                for number, piece in enumerate(pieces.cut(record.body), kept):
                    await self._writing.run(self._attempt, self._keep, record.document, number, piece)
                await self._write(self._snapshot, record, clients, kept)
            finally:
                await self._let_go(record.document)

    async def _let_go(self, document: str) -> None:
        """Let go of what nothing refers to, a slice at a time: appends go between. Where that can't be done now, it is
        when the next snapshot is taken, or when the store is opened."""
        with suppress(ServerFault):
            while await self._write(transaction, self._writer, partial(pieces.let_go, document=document)):
                pass
            while await self._write(self._database.shrink, self._writer):
                pass

    async def load(self, document: str) -> Stored | None:
        return await self._read(self._load, document)

    async def change(self, job: Callable[[Connection], T]) -> T:
        return await self._write(transaction, self._writer, job)

    async def look(self, job: Callable[[Connection], T]) -> T:
        return await self._read(transaction, self._reader, job)

    # In the thread that writes

    def _open(self) -> None:
        self._database.lock()
        self._database.check()
        with self._writer.begin() as connection:
            self._tail.open(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            prepare(connection)
            for document in pieces.left_behind(connection):
                while pieces.let_go(connection, document):
                    pass
        try:
            self._settle()
        except StoreFailed as error:
            raise StoreDamaged(DAMAGED) from error
        except self._database.error:
            pass  # the disk may be full: what is in the tail stays there, and can be read

    def _close(self) -> None:
        self._reading.stop()
        self._heads.clear()
        with suppress(ServerFault):  # then what is in the tail stays there
            self._attempt(self._settle)
        self._tail.close()
        self._reader.dispose()
        self._writer.dispose()
        self._database.unlock()

    def _create(self, info: Info) -> None:
        with self._writer.begin() as connection, unique():
            if info.id in pieces.left_behind(connection):  # of one with this id that was deleted on a failing disk
                while pieces.let_go(connection, info.id):
                    pass
            connection.execute(insert(documents).values(asdict(replace(info, seq=0, size=0))))

    def _set(self, document: str, columns: dict[str, str]) -> None:
        with self._writer.begin() as connection, unique():
            found(connection.execute(update(documents).where(documents.c.id == document).values(columns)))

    def _retain(self, document: str, retention: Retention) -> None:
        with self._writer.begin() as connection:
            found(connection.execute(update(documents).where(documents.c.id == document).values(id=document)))
            connection.execute(delete(retentions).where(retentions.c.document == document))
            connection.execute(insert(retentions).values(document=document, **asdict(retention)))

    def _delete(self, document: str) -> None:
        with self._writer.begin() as connection:
            found(connection.execute(delete(documents).where(documents.c.id == document)))
            pieces.begun(connection, document)
            connection.execute(delete(retentions).where(retentions.c.document == document))
            connection.execute(delete(snapshots).where(snapshots.c.document == document))

    def _settled(self, job: Callable[..., T], *args: Any) -> T:
        """Do a job when the tables have all that was appended."""
        self._settle()
        self._heads.clear()
        if not self._tail.flushes:  # a power cut that loses this must lose what comes into the tail after it
            self._tail.stopped = True
        return job(*args)

    def _settle(self) -> None:
        if self._tail.pending or self._tail.stopped:
            self._commit(self._tail.pending)

    def _append(self, batch: Batch) -> None:
        if not self._tail.has_room(batch):
            self._settle()
        steps = steps_of([batch])
        for step in steps:
            seq, epoch = self._heads.get(step.document) or self._head(step.document)
            if step.before != seq or step.since < epoch:
                raise StoreFailed(NOT_NEXT)
        if batch.size > LARGE:
            self._commit([*self._tail.pending, batch])
        else:
            self._tail.put(batch)
        self._heads |= {step.document: (step.last, step.epoch) for step in steps}

    def _head(self, document: str) -> tuple[int, int]:
        """Seq and epoch that the tables have of a document."""
        chosen = select(documents.c.seq, documents.c.epoch).where(documents.c.id == document)
        with self._writer.begin() as connection:
            found = connection.execute(chosen).one_or_none()
        if found is None:
            raise StoreFailed(NOT_NEXT)
        self._heads[document] = head = found.seq, found.epoch
        return head

    def _commit(self, batches: Sequence[Batch]) -> None:
        """Have the tables take these, which is all that there is; the tail begins anew."""
        steps, generation = steps_of(batches), self._tail.next_generation()
        with closing(self._writer.raw_connection()) as connection:  # closing it rolls back what was not committed
            if steps and self._advance_documents.run(connection, steps) != len(steps):
                raise StoreFailed(NOT_NEXT)
            if steps:
                self._append_records.run(connection, packed(record for batch in batches for record in batch.records))
            connection.cursor().execute(f"PRAGMA user_version = {generation}")
            self._tail.stopped = True  # a commit that fails may be there after a crash, and with it the new generation
            connection.commit()
        self._tail.restart(generation)

    def _forget(self) -> None:
        """What was deleted is in no file any more."""
        self._tail.forget()
        self._database.forget(self._writer)

    def _room_for(self, record: Record) -> int | None:
        """The number of the first piece of a snapshot; None where it is older than the one that is there."""
        with self._writer.begin() as connection:
            last = connection.scalar(select(documents.c.seq).where(documents.c.id == record.document))
            newest = connection.scalar(select(snapshots.c.seq).where(snapshots.c.document == record.document))
            if last is None:
                raise NotFound
            if record.seq > last:
                raise StoreFailed(NOT_NEXT)
            if newest is not None and record.seq < newest:
                return None
            pieces.begun(connection, record.document)
            return pieces.next_number(connection, record.document)

    def _keep(self, document: str, number: int, piece: memoryview) -> None:
        with self._writer.begin() as connection:
            pieces.keep(connection, document, number, piece)

    def _snapshot(self, record: Record, clients: dict[str, int], first: int) -> None:
        """Make a snapshot, whose pieces are there, the newest: from here on it counts."""
        count = len(pieces.cut(record.body))
        body = pieces.Place(first, count).body() if count else record.body
        with self._writer.begin() as connection:
            connection.execute(delete(snapshots).where(snapshots.c.document == record.document))
            mine = (records.c.document == record.document, records.c.seq > record.seq)
            plain = select(func.sum(func.length(records.c.body))).where(*mine, records.c.kind != PACK)
            packs = [Record(*row) for row in connection.execute(select(records).where(*mine, records.c.kind == PACK))]
            size = len(record.body) + (connection.scalar(plain) or 0)
            size += sum(len(each.body) for each in unpacked(packs, record.seq))
            found(connection.execute(update(documents).where(documents.c.id == record.document).values(size=size)))
            values = {**structs.asdict(record), "body": body, "clients": clients}
            connection.execute(insert(snapshots).values(values))

    # In the threads that read

    def _infos(self, *where: ColumnElement[bool]) -> list[Info]:
        newer = self._newer()
        with self._reader.begin() as connection:
            infos = [Info(*row) for row in connection.execute(select(documents).where(*where))]
        infos = [advanced(info, newer.get(info.id, ())) for info in infos]
        return sorted(infos, key=lambda info: (-info.changed, info.id))

    def _extent(self) -> tuple[int, int]:
        newer = self._newer()
        with self._reader.begin() as connection:
            count, size = connection.execute(select(func.count(), func.sum(documents.c.size))).one()
            seqs = connection.execute(select(documents.c.id, documents.c.seq).where(documents.c.id.in_(newer))).all()
        late = (len(record.body) for name, seq in seqs for _, record in newer[name] if record.seq > seq)
        return count, (size or 0) + sum(late)

    def _newer(self) -> dict[str, list[tuple[float, Record]]]:
        """The records in the tail, of each document, with their times. Ask before the tables: what they take meanwhile
        is in both then, and in neither otherwise."""
        newer: dict[str, list[tuple[float, Record]]] = {}
        for batch in self._tail.pending:
            for record in batch.records:
                newer.setdefault(record.document, []).append((batch.now, record))
        return newer

    def _retention(self, document: str) -> Retention:
        chosen = select(retentions.c.bytes, retentions.c.raw).where(retentions.c.document == document)
        with self._reader.begin() as connection:
            return Retention(*(connection.execute(chosen).one_or_none() or ()))

    def _load(self, document: str) -> Stored | None:
        newer = self._newer().get(document, [])
        with self._reader.begin() as connection:
            seq = connection.scalar(select(documents.c.seq).where(documents.c.id == document))
            if seq is None:
                return None
            start = connection.execute(select(snapshots).where(snapshots.c.document == document)).one_or_none()
            snapshot = Record(*start[:-1]) if start else None
            if snapshot is not None and (place := pieces.Place.of(snapshot.body)) is not None:
                snapshot = structs.replace(snapshot, body=pieces.whole(connection, document, place))
            log = select(records).where(records.c.document == document).order_by(records.c.seq)
            log = log.where(records.c.seq > snapshot.seq) if snapshot is not None else log
            rows = [Record(*row) for row in connection.execute(log)]
        late = [record for _, record in newer if record.seq > seq]
        kept = [*unpacked(rows, snapshot.seq if snapshot else 0), *late]
        stored = Stored(snapshot, start.clients if start else {}, kept)
        ensure_whole(document, stored, late[-1].seq if late else seq)
        return stored

    # What both share

    async def _write(self, job: Callable[..., T], *args: Any) -> T:
        return await self._writing.run(self._attempt, self._settled, job, *args)

    async def _read(self, job: Callable[..., T], *args: Any) -> T:
        return await self._reading.run(self._attempt, job, *args)

    def _attempt(self, job: Callable[..., T], *args: Any) -> T:
        """Do a job, and raise only errors of ours."""
        try:
            return job(*args)
        except DBAPIError as error:
            raise self._database.fault(error.orig or error) from error
        except (self._database.error, OSError, UnicodeError, OverflowError) as error:
            raise self._database.fault(error) from error


def file_of(place: Path | str) -> Path:
    """The database file of a folder or URL; ``BadSetting`` for what is neither."""
    if isinstance(place, Path) or "://" not in place:
        return Path(place) / FILE
    try:
        url = make_url(place)
    except ArgumentError as error:
        raise BadSetting(f"{place} is no database URL; write sqlite:///FILE, or the name of a folder.") from error
    if url.get_backend_name() != "sqlite" or not url.database:
        raise BadSetting(f"Only SQLite files can be used, not {url.render_as_string()}; write sqlite:///FILE.")
    return Path(url.database)


def steps_of(batches: Sequence[Batch]) -> list[Step]:
    """What batches do to each of their documents; ``StoreFailed`` where the records of one leave a gap."""
    steps: dict[str, Step] = {}
    for batch in batches:
        now = batch.now
        for record in batch.records:
            step = steps.get(record.document)
            if step is None:
                before, epoch = record.seq - 1, record.epoch
                steps[record.document] = Step(record.document, before, record.seq, epoch, epoch, len(record.body), now)
            elif record.seq == step.last + 1 and record.epoch >= step.epoch:
                step.last, step.epoch, step.now = record.seq, record.epoch, now
                step.size += len(record.body)
            else:
                raise StoreFailed(NOT_NEXT)
    return list(steps.values())


def advanced(info: Info, newer: Sequence[tuple[float, Record]]) -> Info:
    """A document as the tables have it, with those of the newer records that they do not have."""
    late = [(now, record) for now, record in newer if record.seq > info.seq]
    if not late:
        return info
    now, last = late[-1]
    size = info.size + sum(len(record.body) for _, record in late)
    return replace(info, changed=now, seq=last.seq, epoch=last.epoch, size=size)


def ensure_whole(document: str, stored: Stored, last: int) -> None:
    """``StoreDamaged`` where a checksum does not match, or a record up to seq ``last`` is missing."""
    first = stored.snapshot.seq + 1 if stored.snapshot else 1
    everything = [*([stored.snapshot] if stored.snapshot else []), *stored.records]
    seqs = [record.seq for record in stored.records]
    if seqs != list(range(first, last + 1)) or any(crc32(record.body) != record.crc for record in everything):
        raise StoreDamaged(f"Document {document} is damaged in the database; restore a backup, or delete the document.")


def transaction(engine: Engine, job: Callable[[Connection], T]) -> T:
    """The result of a job in a transaction of its own."""
    with engine.begin() as connection, unique():
        return job(connection)


@contextmanager
def unique() -> Iterator[None]:
    """``Conflict`` where the database says that something is there already."""
    try:
        yield
    except IntegrityError:
        raise Conflict from None


def found(result: CursorResult[Any]) -> None:
    """``NotFound`` where a statement has changed nothing."""
    if not result.rowcount:
        raise NotFound
