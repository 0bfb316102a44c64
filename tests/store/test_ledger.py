"""Both ledgers keep the contract, and what the one in a file has said is there after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from bokeh_server.errors import Conflict, StoreFailed
from bokeh_server.store import Ledger
from bokeh_server.store.ledger import MemoryLedger
from bokeh_server.store.sql import SqlStore
from tests.store.ledgers import LedgerContract, add, names


@asynccontextmanager
async def in_memory() -> AsyncIterator[Ledger]:
    ledger = MemoryLedger()
    try:
        yield ledger
    finally:
        ledger._thread.stop()
        ledger._engine.dispose()


class TestMemoryLedger(LedgerContract):
    def make_ledger(self, folder: Path) -> AbstractAsyncContextManager[Ledger]:
        return in_memory()


class TestSqlLedger(LedgerContract):
    def make_ledger(self, folder: Path) -> AbstractAsyncContextManager[Ledger]:
        return SqlStore(folder)


def test_two_ledgers_in_memory_have_nothing_in_common() -> None:
    async def play() -> None:
        async with in_memory() as one, in_memory() as other:
            await one.change(add("anna"))
            assert await other.look(names) == []

    asyncio.run(play())


def test_rows_are_there_after_a_restart_and_those_that_were_taken_back_are_not(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            await store.change(add("anna"))
            with pytest.raises(Conflict):
                await store.change(lambda connection: (add("ben")(connection), add("anna")(connection)))
        with pytest.raises(StoreFailed):
            await store.change(add("late"))
        async with SqlStore(tmp_path) as store:
            assert await store.look(names) == ["anna"]

    asyncio.run(play())


def test_what_the_database_can_not_take_is_an_error_of_ours(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            with pytest.raises(StoreFailed):
                await store.change(add("\ud800"))
            assert await store.look(names) == []

    asyncio.run(play())
