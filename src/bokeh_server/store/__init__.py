"""The Store contract: where documents and their records stay.

The promises, which ``tests/store/contract.py`` holds every store to:

1. *Acked means durable.* When ``append`` returns, every record of the batch is flushed to disk (or, with
   ``durability="process"``, written, so that it survives a killed process). When it raises ``StoreFailed`` (or
   ``StoreFull``), none of the batch was kept, and the same batch may be given again.
2. *One order.* ``(document, seq)`` is unique; an append whose seq is taken or leaves a gap, or whose epoch is older
   than the document's, raises ``StoreFailed``.
3. *All or nothing.* A batch, a snapshot, a delete happens whole or not at all, also under kill -9 and a power cut.
4. *Nothing is invented.* ``load`` gives the newest snapshot and every record after it, in order, exactly as appended.

All methods are coroutines, may be called from one event loop, and never block it. A store is used as an async
context manager: entering opens it (and raises ``StoreLocked``, ``StoreDamaged`` or ``StoreVersion`` with a sentence
that says what to do), leaving waits for what is under way and closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, TypeVar

from bokeh_server.core.log import Record, Stored
from bokeh_server.core.retention import Retention
from bokeh_server.errors import BadValue

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")
Durability = Literal["disk", "process"]

NOT_NEXT: Final = "A record does not follow the log of its document; nothing was kept, load the document again."
"""What ``StoreFailed`` says about a seq that is taken or leaves a gap."""


@dataclass(frozen=True, slots=True)
class Info:
    """What lists show of a document. Times are seconds since 1970 (UTC)."""

    id: str
    owner: str
    title: str
    created: float
    changed: float
    seq: int = 0
    epoch: int = 1
    kind: str = ""
    """What it shows, in words made by ``core.document.Document.census``: "2 plots, 3 widgets"."""
    size: int = 0
    """Bytes of its records and snapshot."""


def kept_title(title: str, most: int) -> str:
    """The title as it is kept, without spaces around it; ``BadValue`` where it can't be one."""
    if not title.strip() or len(title) > most or not title.isprintable():
        raise BadValue(f"A title has 1 to {most} printable characters.")
    return title.strip()


class Store(Protocol):
    """Documents by id, and the log of each."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def create(self, info: Info) -> None:
        """Add a document without records (seq and size start at 0); ``Conflict`` where the id, or (owner, title), is
        taken."""

    async def info(self, document: str) -> Info | None:
        """The document of this id."""

    async def find(self, owner: str, title: str) -> Info | None:
        """The document of this owner and title."""

    async def documents(self, owner: str | None = None, also: Collection[str] = ()) -> list[Info]:
        """The documents of ``owner`` (None: of all) and those with one of the ids ``also``, the last changed first."""

    async def extent(self) -> tuple[int, int]:
        """How many documents there are, and the bytes of their records and snapshots."""

    async def rename(self, document: str, title: str) -> None:
        """``NotFound`` without such a document, ``Conflict`` where the owner has another of that title."""

    async def describe(self, document: str, kind: str) -> None:
        """``kind`` becomes the document's ``kind``; ``NotFound`` without such a document."""

    async def retain(self, document: str, retention: Retention) -> None:
        """What the document keeps of that which is streamed to it, in place of what the server says; ``NotFound``
        without such a document."""

    async def retention(self, document: str) -> Retention:
        """What it keeps; ``Retention()`` where it goes by what the server says, also without such a document."""

    async def delete(self, document: str) -> None:
        """Really delete: the entry, its records and snapshot, so that no file holds their bytes any more.
        ``NotFound`` without such a document."""

    async def append(self, records: Sequence[Record], *, now: float) -> None:
        """Keep a batch of records of one or several documents, in order; see promises 1 to 3.

        ``now`` becomes the ``changed`` time of their documents, the epoch of their last record that of each. A batch
        with a record of no document raises ``StoreFailed``, like one with a gap.
        """

    async def snapshot(self, record: Record, clients: dict[str, int]) -> None:
        """Keep a ``replace`` record as the newest snapshot and let go of the records up to its seq.

        It may take as long as it takes: appends that come meanwhile are not held up by it, and until it is whole the
        one before counts. ``clients`` keeps its order. An older snapshot than the one it has is ignored; one beyond the
        last record raises ``StoreFailed``, one of no document ``NotFound``.
        """

    async def load(self, document: str) -> Stored | None:
        """The newest snapshot and the records after it; None without such a document; ``StoreDamaged`` where a
        checksum does not match or a record is missing."""


class Ledger(Protocol):
    """Where ``accounts`` keeps its rows: transactions on the tables of ``store.schema``.

    A job runs in a thread of the store, and must do nothing but ask and tell the connection that it is given. What it
    tells is flushed to disk when ``change`` returns, whole or not at all. A row that is taken raises ``Conflict``.
    """

    async def change(self, job: Callable[[Connection], T]) -> T:
        """The result of a job that may change rows, which have all that was appended; jobs run one after the other."""

    async def look(self, job: Callable[[Connection], T]) -> T:
        """The result of a job that only reads. What the last appends say of documents it may not see yet."""
