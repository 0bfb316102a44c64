"""The store in memory keeps the contract, and can be made to fail, as the tests of the room need it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from bokeh_server.core.log import Record, Stored
from bokeh_server.errors import StoreFull
from bokeh_server.store import Info, Store
from bokeh_server.store.memory import MemoryStore
from tests.store.contract import StoreContract, line, several


class TestMemoryStore(StoreContract):
    def make(self, folder: Path) -> Store:
        return MemoryStore()


def test_what_admit_raises_the_append_raises_and_nothing_is_kept() -> None:
    faults: list[Exception] = [StoreFull()]

    def admit(records: Sequence[Record]) -> None:
        if faults:
            raise faults.pop()

    async def play() -> None:
        async with MemoryStore(admit=admit) as store:
            await store.create(line())
            with pytest.raises(StoreFull):
                await store.append(several("d1", 1, 2), now=2.0)
            assert await store.documents() == [line()]
            await store.append(several("d1", 1, 2), now=3.0)
            assert await store.load("d1") == Stored(None, {}, several("d1", 1, 2))

    asyncio.run(play())


def test_a_restart_keeps_what_was_there() -> None:
    async def play() -> None:
        store = MemoryStore()
        for _ in range(2):
            async with store:
                pass
        async with store:
            await store.create(line())
        async with store:
            assert await store.info("d1") == Info("d1", "me", "line", 1.5, 1.5)

    asyncio.run(play())
