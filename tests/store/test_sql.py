"""The SQL store keeps the contract, over a restart too, and fails whole where its disk or its input fails."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bokeh_server.core.log import Record, Stored
from bokeh_server.errors import BadSetting, StoreDamaged, StoreFailed
from bokeh_server.store import Info, Store
from bokeh_server.store.memory import MemoryStore
from bokeh_server.store.sql import FILE, SqlStore, file_of
from tests.store.contract import StoreContract, line, several
from tests.store.disk import Disk, Event, Flush, Write
from tests.store.histories import a_record, contents, likely, perform


class TestSqlStore(StoreContract):
    def make(self, folder: Path) -> Store:
        return SqlStore(folder)


class TestSqlStoreByUrl(StoreContract):
    def make(self, folder: Path) -> Store:
        return SqlStore(f"sqlite:///{folder / 'own name.db'}", durability="process")


@asynccontextmanager
async def filled(folder: Path) -> AsyncIterator[SqlStore]:
    """An open store with three documents, one of them with a snapshot. Of each, the first two records are a row each,
    the others are one."""
    async with SqlStore(folder) as store:
        for document in ("d1", "d2", "d3"):
            await store.create(line(document, document))
            for first, last in ((1, 1), (2, 2), (3, 4)):
                await store.append(several(document, first, last), now=2.0)
                await store.describe(document, "a plot")
        await store.snapshot(a_record("d2", 2, kind="replace"), {"zoe": 2})
        yield store


def test_a_restart_finds_all_that_was_there(tmp_path: Path) -> None:
    async def play() -> None:
        async with filled(tmp_path) as store:
            before = await contents(store)
        async with SqlStore(tmp_path) as store:
            assert await contents(store) == before

    asyncio.run(play())


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async def play() -> None:
        async with filled(tmp_path) as store:
            late = asyncio.ensure_future(store.append(several("d1", 5, 5), now=3.0))
            await asyncio.sleep(0)
        await late
        with pytest.raises(StoreFailed, match="closed"):
            await store.append(several("d1", 6, 6), now=3.0)
        async with SqlStore(tmp_path) as again:
            assert await again.load("d1") == Stored(None, {}, several("d1", 1, 5))

    asyncio.run(play())


@pytest.mark.parametrize("place", ["mysql://host/db", "sqlite://", "://", "bolt://[", "postgresql://me:secret@host/db"])
def test_what_is_no_sqlite_file_is_refused_with_a_clear_line(place: str) -> None:
    with pytest.raises(BadSetting, match="write sqlite:///FILE") as refused:
        SqlStore(place)
    assert "secret" not in str(refused.value)


def test_a_place_is_a_folder_or_a_url() -> None:
    assert file_of("a/b") == file_of(Path("a/b")) == Path("a/b") / FILE
    assert file_of("sqlite:////a/b.db") == Path("/a/b.db")


# A record in the file is damaged


@pytest.mark.parametrize(
    "damage",
    [
        "update records set body = x'00' where document = 'd1' and seq = 2",
        "update records set crc = crc + 1 where document = 'd1' and seq = 2",
        "update records set body = x'00' where document = 'd1' and seq = 4",
        "update records set crc = crc + 1 where document = 'd1' and seq = 4",
        "delete from records where document = 'd1' and seq = 1",
        "delete from records where document = 'd1' and seq = 2",
        "delete from records where document = 'd1' and seq = 4",
        "update documents set seq = 3 where id = 'd1'",
    ],
)
def test_a_damaged_or_missing_record_is_told_and_harms_no_other_document(damage: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with filled(tmp_path):
            pass
        with sqlite3.connect(tmp_path / FILE) as connection:
            assert connection.execute(damage).rowcount == 1
        connection.close()
        async with SqlStore(tmp_path) as store:
            with pytest.raises(StoreDamaged, match="Document d1 is damaged"):
                await store.load("d1")
            await store.append(several("d3", 5, 5), now=3.0)
            assert await store.load("d3") == Stored(None, {}, several("d3", 1, 5))
            await store.delete("d1")

    asyncio.run(play())


def test_a_damaged_snapshot_is_told(tmp_path: Path) -> None:
    async def play() -> None:
        async with filled(tmp_path):
            pass
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.execute("update snapshots set body = x'00'")
        connection.close()
        async with SqlStore(tmp_path) as store:
            with pytest.raises(StoreDamaged, match="Document d2 is damaged"):
                await store.load("d2")

    asyncio.run(play())


# What a database can't hold, and a disk that fails


@pytest.mark.parametrize(
    "impossible",
    [
        Record.make("d1", 1, 5, "patch", b"", author="half a pair \ud83d"),
        Record.make("d1", 1, 5, "patch", b"", client="zoe", number=2**63),
    ],
    ids=["surrogate", "2**63"],
)
def test_what_the_database_can_not_hold_fails_whole(impossible: Record, tmp_path: Path) -> None:
    async def play() -> None:
        async with filled(tmp_path) as store:
            before = await contents(store)
            with pytest.raises(StoreFailed):
                await store.append([a_record("d2", 5), impossible], now=3.0)
            assert await contents(store) == before
            await store.append([a_record("d2", 5), a_record("d1", 5)], now=3.0)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("kind", "within", "code", "told"),
    [
        (Flush, 2, sqlite3.SQLITE_IOERR_FSYNC, "StoreFailed"),
        (Write, 15, sqlite3.SQLITE_IOERR_WRITE, "StoreFailed"),
        (Write, 15, sqlite3.SQLITE_FULL, "StoreFull"),
    ],
    ids=["flush", "write", "full"],
)
def test_an_error_of_the_disk_keeps_nothing_of_what_was_under_way_and_does_not_last(
    kind: type[Event], within: int, code: int, told: str, tmp_path: Path
) -> None:
    disk, chance = Disk(f"failing {code}"), random.Random(code)

    async def play() -> int:
        failures, model = 0, MemoryStore()
        async with SqlStore(tmp_path, database=disk.database) as store:
            for now, operation in enumerate(likely(chance, 100), 1):
                disk.fail_from(kind, chance.randrange(within), code)
                if error := await perform(store, operation, now):
                    failures += 1
                    assert error == told
                    assert await contents(store) == await contents(model)
                    disk.works()
                    assert await perform(store, operation, now) == ""
                assert await perform(model, operation, now) == ""
                assert await contents(store) == await contents(model)
            disk.works()
        async with SqlStore(tmp_path) as store:
            assert await contents(store) == await contents(model)
        return failures

    assert asyncio.run(play()) > 10


# Deleting


def test_what_is_deleted_is_in_no_file_any_more(tmp_path: Path) -> None:
    canary, chance = b"canary-7d1f", random.Random(1)
    files = [tmp_path / f"{FILE}{suffix}" for suffix in ("", "-wal", "-tail")]

    async def play() -> None:
        async with filled(tmp_path) as store:
            await store.create(line("d4", "canary-7d1f in a title"))
            for seq in range(1, 60):
                await store.append([a_record("d1", seq + 4, chance.randint(1, 3_000))], now=seq)
                body = canary * chance.randint(1, 3_000)
                await store.append([Record.make("d4", 1, seq, "patch", body, author="canary-7d1f")], now=seq)
            await store.snapshot(Record.make("d4", 1, 30, "replace", canary * 9_999), {})
            await store.describe("d4", "canary-7d1f plots")
            assert any(canary in file.read_bytes() for file in files)
            await store.delete("d4")
            assert not any(canary in file.read_bytes() for file in files)

    asyncio.run(play())


# Speed


def test_a_hundred_thousand_records_are_back_within_two_seconds(tmp_path: Path) -> None:
    async def play() -> float:
        async with SqlStore(tmp_path, "process") as store:
            await store.create(line())
            for first in range(1, 100_001, 5_000):
                await store.append([a_record("d1", seq, 300) for seq in range(first, first + 5_000)], now=2.0)
        begin = time.process_time()  # of a machine that does nothing else: other tests may run beside this one
        async with SqlStore(tmp_path) as store:
            stored = await store.load("d1")
        took = time.process_time() - begin
        assert stored is not None
        assert len(stored.records) == 100_000
        return took

    assert asyncio.run(play()) < 2.0


def test_a_large_load_does_not_hold_up_appends(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path, "process") as store:
            await store.create(line())
            await store.create(Info("d2", "me", "bars", 1.0, 1.0))
            for first in range(1, 50_001, 5_000):
                await store.append([a_record("d1", seq) for seq in range(first, first + 5_000)], now=2.0)
            loading, appended = asyncio.ensure_future(store.load("d1")), 0
            while not loading.done():
                appended += 1
                await store.append(several("d2", appended, appended), now=3.0)
            assert appended > 5
            stored = await loading
            assert stored is not None
            assert len(stored.records) == 50_000

    asyncio.run(play())
