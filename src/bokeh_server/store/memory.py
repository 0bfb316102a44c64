"""The store in memory: the contract in its shortest form, for ``--temporary`` servers and for tests.

It is the model that the SQL store is held to: the same history gives the same documents, records and errors in both.
Nothing in it waits or touches a disk; what it keeps ends with the process, except that leaving and entering it again
(a restart, in tests) keeps everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Self

from bokeh_server.core.log import Record, Stored
from bokeh_server.core.retention import Retention
from bokeh_server.errors import Conflict, NotFound, StoreFailed
from bokeh_server.store import NOT_NEXT, Info


def admit_all(records: Sequence[Record]) -> None:
    """Let every append pass."""


class MemoryStore:
    """``admit`` is called with each batch before it is kept; what it raises (``StoreFull``), the append raises."""

    def __init__(self, *, admit: Callable[[Sequence[Record]], None] = admit_all) -> None:
        self._admit = admit
        self._infos: dict[str, Info] = {}
        self._stored: dict[str, Stored] = {}
        self._retentions: dict[str, Retention] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def create(self, info: Info) -> None:
        if info.id in self._infos or await self.find(info.owner, info.title):
            raise Conflict
        self._infos[info.id] = replace(info, seq=0, size=0)
        self._stored[info.id] = Stored(None, {}, [])

    async def info(self, document: str) -> Info | None:
        return self._infos.get(document)

    async def find(self, owner: str, title: str) -> Info | None:
        return next((info for info in self._infos.values() if (info.owner, info.title) == (owner, title)), None)

    async def documents(self, owner: str | None = None, also: Collection[str] = ()) -> list[Info]:
        infos = (info for info in self._infos.values() if owner in (None, info.owner) or info.id in also)
        return sorted(infos, key=lambda info: (-info.changed, info.id))

    async def extent(self) -> tuple[int, int]:
        return len(self._infos), sum(info.size for info in self._infos.values())

    async def rename(self, document: str, title: str) -> None:
        info = self._known(document)
        if (await self.find(info.owner, title) or info).id != document:
            raise Conflict
        self._infos[document] = replace(info, title=title)

    async def describe(self, document: str, kind: str) -> None:
        self._admit([])
        self._infos[document] = replace(self._known(document), kind=kind)

    async def retain(self, document: str, retention: Retention) -> None:
        self._known(document)
        self._retentions[document] = retention

    async def retention(self, document: str) -> Retention:
        return self._retentions.get(document, Retention())

    async def delete(self, document: str) -> None:
        self._known(document)
        del self._infos[document], self._stored[document]
        self._retentions.pop(document, None)

    async def append(self, records: Sequence[Record], *, now: float) -> None:
        self._admit(records)
        changed: dict[str, Info] = {}
        for record in records:
            info = changed.get(record.document) or self._infos.get(record.document)
            if info is None or record.seq != info.seq + 1 or record.epoch < info.epoch:
                raise StoreFailed(NOT_NEXT)
            size = info.size + len(record.body)
            changed[info.id] = replace(info, changed=now, seq=record.seq, epoch=record.epoch, size=size)
        for record in records:
            self._stored[record.document].records.append(record)
        self._infos |= changed

    async def snapshot(self, record: Record, clients: dict[str, int]) -> None:
        info, stored = self._known(record.document), self._stored[record.document]
        if record.seq > info.seq:
            raise StoreFailed(NOT_NEXT)
        if stored.snapshot is not None and record.seq < stored.snapshot.seq:
            return
        later = [kept for kept in stored.records if kept.seq > record.seq]
        self._stored[info.id] = Stored(record, dict(clients), later)
        self._infos[info.id] = replace(info, size=sum(len(kept.body) for kept in (record, *later)))

    async def load(self, document: str) -> Stored | None:
        stored = self._stored.get(document)
        return stored and Stored(stored.snapshot, dict(stored.clients), list(stored.records))

    def _known(self, document: str) -> Info:
        if document not in self._infos:
            raise NotFound
        return self._infos[document]
