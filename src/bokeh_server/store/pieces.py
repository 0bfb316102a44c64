"""Large work in small transactions, so that an append never waits for more than one of them.

A snapshot of 100 MB takes a second to be written, and what it takes the place of as long to be overwritten with zeros.
The body of a large snapshot is therefore kept in pieces, which nobody sees until one transaction makes them *the*
snapshot (``Place`` says which they are); the records and pieces before are let go of a slice at a time after it. A
process that dies between leaves only what nothing refers to, and a note of it (the table ``leftovers``), for the next
that opens the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import Connection, Select, delete, exists, func, insert, not_, select

from bokeh_server.limits import MIB
from bokeh_server.store.schema import documents, leftovers, pieces, records, snapshots

PIECE: Final = MIB
"""Bytes of a snapshot that are written in one transaction: 5 to 10 ms."""
SLICE: Final = MIB
"""Bytes that are let go of in one."""
ROWS: Final = 512
"""Rows that are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the body of a large snapshot is: in ``count`` pieces from the number ``first`` on."""

    first: int
    count: int

    @classmethod
    def of(cls, body: bytes) -> Self | None:
        """What a body in ``snapshots`` stands for; None where it is the body itself (which has 8 bytes or more)."""
        return cls(int.from_bytes(body[:4], "little"), int.from_bytes(body[4:], "little")) if len(body) == 7 else None

    def body(self) -> bytes:
        """What is kept in place of the body."""
        return self.first.to_bytes(4, "little") + self.count.to_bytes(3, "little")


def cut(body: bytes) -> list[memoryview]:
    """A large body in pieces; none of a small one."""
    whole = memoryview(body)
    return [whole[at : at + PIECE] for at in range(0, len(body), PIECE)] if len(body) > PIECE else []


def next_number(connection: Connection, document: str) -> int:
    """The number of the next piece of a document."""
    last = connection.scalar(select(func.max(pieces.c.number)).where(pieces.c.document == document))
    return 0 if last is None else last + 1


def keep(connection: Connection, document: str, number: int, piece: memoryview) -> None:
    """Keep a piece."""
    connection.execute(insert(pieces).values(document=document, number=number, body=piece))


def whole(connection: Connection, document: str, place: Place) -> bytes:
    """The body that is in these pieces; shorter where one is missing, which its checksum tells."""
    within = pieces.c.number.between(place.first, place.first + place.count - 1)
    chosen = select(pieces.c.body).where(pieces.c.document == document, within).order_by(pieces.c.number)
    return b"".join(connection.scalars(chosen))


def let_go(connection: Connection, document: str) -> bool:
    """Let go of a slice of what a document has and nothing refers to; whether there was any."""
    start = connection.execute(
        select(snapshots.c.seq, snapshots.c.body).where(snapshots.c.document == document)
    ).one_or_none()
    there = connection.scalar(select(exists().where(documents.c.id == document)))
    old, stale = records.c.document == document, pieces.c.document == document
    if there:
        place = (Place.of(start.body) if start else None) or Place(0, 0)
        old &= records.c.seq <= (start.seq if start else 0)
        stale &= not_(pieces.c.number.between(place.first, place.first + place.count - 1))
    for table, key, which in ((records, records.c.seq, old), (pieces, pieces.c.number, stale)):
        found = [*slice_of(connection, select(key, func.length(table.c.body)).where(which).order_by(key).limit(ROWS))]
        if found:
            connection.execute(delete(table).where(which, key <= found[-1]))
            return True
    ended(connection, document)
    return False


def slice_of(connection: Connection, chosen: Select[Any]) -> Iterator[int]:
    """The keys of as many rows as make a slice, at least one."""
    size = 0
    for key, length in connection.execute(chosen):
        yield key
        size += length
        if size >= SLICE:
            return


def begun(connection: Connection, document: str) -> None:
    """Note that a document may have something from now on that nothing refers to."""
    ended(connection, document)
    connection.execute(insert(leftovers).values(document=document))


def ended(connection: Connection, document: str) -> None:
    """Note that it has no more."""
    connection.execute(delete(leftovers).where(leftovers.c.document == document))


def left_behind(connection: Connection) -> list[str]:
    """The documents of which something may be there that nothing refers to."""
    return [*connection.scalars(select(leftovers.c.document))]
