"""Histories of a store: operations as data, doing one, and all that a store holds.

The same history runs on every store; afterwards the errors of the operations, and ``contents``, must be equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from bokeh_server.core.log import Record, Stored
from bokeh_server.errors import BokehServerError
from bokeh_server.store import Info, Store

DOCUMENTS = ("alpha", "beta", "gamma")
TITLES = ("line", "bars", "täglich 📈", "")


@dataclass(frozen=True, slots=True)
class Create:
    document: str
    owner: str
    title: str


@dataclass(frozen=True, slots=True)
class Rename:
    document: str
    title: str


@dataclass(frozen=True, slots=True)
class Describe:
    document: str
    kind: str


@dataclass(frozen=True, slots=True)
class Delete:
    document: str


@dataclass(frozen=True, slots=True)
class Part:
    """A record of a batch: ``skew`` 0 is the next seq of its document, -1 one that is taken, 1 leaves a gap."""

    document: str
    size: int
    skew: int = 0
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class Append:
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot ``back`` records before the last one (-1: beyond it)."""

    document: str
    size: int
    back: int


@dataclass(frozen=True, slots=True)
class Load:
    document: str


Operation = Load | Create | Rename | Describe | Delete | Append | Snapshot
Contents = tuple[list[Info], dict[str, Stored | None]]


async def perform(store: Store, operation: Operation, now: int) -> str:
    """Do it at the time ``now``; the name of the error, or an empty string."""
    try:
        await _perform(store, operation, now)
    except BokehServerError as error:
        return type(error).__name__
    return ""


async def _perform(store: Store, operation: Operation, now: int) -> None:
    match operation:
        case Load(document):
            await store.load(document)
        case Create(document, owner, title):
            await store.create(Info(document, owner, title, now, now))
        case Rename(document, title):
            await store.rename(document, title)
        case Describe(document, kind):
            await store.describe(document, kind)
        case Delete(document):
            await store.delete(document)
        case Append(parts):
            seqs = {info.id: info.seq for info in await store.documents()}
            batch = []
            for part in parts:
                seq = seqs[part.document] = seqs.get(part.document, 0) + 1 + part.skew
                batch.append(a_record(part.document, seq, part.size, now, epoch=part.epoch))
            await store.append(batch, now=now)
        case Snapshot(document, size, back):
            info = await store.info(document)
            seq = max(0, (info.seq if info else 0) - back)
            record = a_record(document, seq, size, now, kind="replace")
            await store.snapshot(record, {"zoe": now, "abe": seq})


def a_record(document: str, seq: int, size: int = 10, now: int = 0, *, epoch: int = 1, kind: str = "patch") -> Record:
    """A record whose body of about ``size`` bytes says where and when it belongs."""
    content = f"{document} {seq} at {now};".encode()
    content += content * (size // len(content))
    assert kind in ("patch", "replace")
    return Record.make(
        document,
        epoch,
        seq,
        "patch" if kind == "patch" else "replace",
        content,
        (("p1", b"\0\xff" * (size % 7)),),
        author="somebody",
        client="zoe",
        number=now,
    )


async def contents(store: Store) -> Contents:
    """All that a store holds, in its order."""
    infos = await store.documents()
    return infos, {info.id: await store.load(info.id) for info in infos}


def likely(chance: Random, count: int) -> Iterator[Operation]:
    """Operations as a server does them: most append, a few pages or a few bytes, and none is refused."""
    for document in DOCUMENTS:
        yield Create(document, "me", document)
    there = set(DOCUMENTS)
    for turn in range(count):
        document = chance.choice(DOCUMENTS)
        if document not in there:
            there.add(document)
            yield Create(document, "me", f"{document} {turn}")
            continue
        match chance.choices(("append", "snapshot", "rename", "describe", "delete"), (30, 4, 1, 1, 1))[0]:
            case "append":
                sizes = chance.choices((20, 300, 9_000, 200_000), (2, 8, 4, 1), k=chance.randint(1, 8))
                yield Append(tuple(Part(chance.choice([*there]), size) for size in sizes))
            case "snapshot":
                yield Snapshot(document, chance.choice((500, 50_000)), chance.choice((0, 0, 3)))
            case "rename":
                yield Rename(document, f"{document} {turn}")
            case "describe":
                yield Describe(document, f"{turn} plots")
            case "delete":
                there.discard(document)
                yield Delete(document)
