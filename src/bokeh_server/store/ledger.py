"""The ledger of a server that keeps everything in memory: the same tables, in an SQLite database without a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, StaticPool, create_engine

from bokeh_server.store.schema import metadata
from bokeh_server.store.sql import transaction
from bokeh_server.store.threads import Threads

T = TypeVar("T")


class MemoryLedger:
    """It ends with the process."""

    def __init__(self) -> None:
        self._engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        self._thread = Threads("ledger")
        metadata.create_all(self._engine)

    async def change(self, job: Callable[[Connection], T]) -> T:
        return await self._thread.run(transaction, self._engine, job)

    look = change
