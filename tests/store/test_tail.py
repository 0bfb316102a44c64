"""The file of the newest records: what is whole in it counts once, whatever the power, the disk or a bit has done."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from bokeh_server.core.log import Record
from bokeh_server.errors import StoreDamaged, StoreFailed, StoreFull
from bokeh_server.store import tail
from bokeh_server.store.sql import FILE, SqlStore
from bokeh_server.store.tail import FLUSHED, HEAD, WRITTEN, Batch, File, Tail
from tests.store.contract import line, several
from tests.store.disk import Disk, Flush, Write
from tests.store.histories import a_record, contents

BATCHES = tuple(Batch(float(seq), several("d1", seq, seq + 2)) for seq in (1, 4, 7))


@contextmanager
def opened(file: Path, generation: int, *, flushes: bool = True) -> Iterator[Tail]:
    newest = Tail(lambda: File(file), flushes=flushes)
    newest.open(generation)
    try:
        yield newest
    finally:
        newest.close()


def pending(file: Path, generation: int) -> tuple[Batch, ...]:
    """What a file has of a generation."""
    with opened(file, generation) as newest:
        return newest.pending


def filled(file: Path, *, flushes: bool = True, generation: int = 7) -> int:
    """A file with the three batches; where the last one begins."""
    with opened(file, 0, flushes=flushes) as newest:
        newest.restart(generation)
        for batch in BATCHES:
            newest.put(batch)
    return file.read_bytes().rindex(FLUSHED if flushes else WRITTEN)


@asynccontextmanager
async def flushes_failing(folder: Path, disk: Disk) -> AsyncIterator[SqlStore]:
    """A store with one record, on a disk that flushes no more."""
    async with SqlStore(folder, database=disk.database) as store:
        await store.create(line())
        await store.append(several("d1", 1, 1), now=2.0)
        disk.fail_from(Flush, 0, sqlite3.SQLITE_IOERR_FSYNC)
        yield store


def test_what_was_put_is_there_again_and_only_where_the_database_has_none_of_it(tmp_path: Path) -> None:
    filled(tmp_path / "tail")
    assert pending(tmp_path / "tail", 7) == BATCHES
    assert pending(tmp_path / "tail", 8) == pending(tmp_path / "tail", 0) == ()


def test_a_batch_that_is_cut_off_or_torn_was_never_there(tmp_path: Path) -> None:
    chance, file = Random(1), tmp_path / "tail"
    last = filled(file)
    whole = file.read_bytes()
    for end in range(last, len(whole)):
        file.write_bytes(whole[:end])
        assert pending(file, 7) == BATCHES[:2]
        file.write_bytes(whole[:end] + bytes([whole[end] ^ chance.randint(1, 255)]) + whole[end + 1 :])
        assert pending(file, 7) == BATCHES[:2]


@pytest.mark.parametrize("at", [0, 1, 5, 9, 14, 40])
def test_a_batch_that_was_on_the_disk_and_is_not_is_damage(at: int, tmp_path: Path) -> None:
    file = tmp_path / "tail"
    filled(file)
    damaged = bytearray(file.read_bytes())
    damaged[at] ^= 0x10
    file.write_bytes(damaged)
    with pytest.raises(StoreDamaged, match="restore a backup"):
        pending(file, 7)
    assert file.read_bytes() == damaged


def test_without_flushes_what_comes_behind_a_hole_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "tail"
    last = filled(file, flushes=False)
    holed = bytearray(file.read_bytes())
    holed[last // 2] ^= 1
    file.write_bytes(holed)
    assert len(pending(file, 7)) < 2


def test_it_is_written_anew_over_what_the_database_has(tmp_path: Path) -> None:
    file = tmp_path / "tail"
    filled(file)
    with opened(file, 7) as newest:
        generation = newest.next_generation()
        assert generation not in (7, 0)
        newest.restart(generation)
        assert newest.pending == ()
        newest.put(BATCHES[2])
    assert pending(file, generation) == (BATCHES[2],)
    assert pending(file, 7) == ()


def test_what_looks_like_a_batch_within_a_record_is_none(tmp_path: Path) -> None:
    inner = tail._encode(BATCHES[0])
    imitated = HEAD.pack(FLUSHED, 8, len(inner), crc32(inner, 8)) + inner
    with opened(tmp_path / "tail", 0) as newest:
        newest.restart(7)
        newest.put(Batch(1.0, [Record.make("d1", 1, 1, "patch", imitated)]))
    content = (tmp_path / "tail").read_bytes()
    (tmp_path / "tail").write_bytes(content[:20] + b"torn" + content[24:])
    assert pending(tmp_path / "tail", 7) == ()


@pytest.mark.parametrize("records", [2_100 * [a_record("d1", 1)], [a_record("d1", 1, 600_000)]], ids=["many", "large"])
def test_it_has_room_for_so_much(records: list[Record], tmp_path: Path) -> None:
    with opened(tmp_path / "tail", 0) as newest:
        assert not newest.has_room(BATCHES[0]), "before it is restarted it takes nothing"
        newest.restart(1)
        assert newest.has_room(BATCHES[0])
        assert not newest.has_room(Batch(1.0, records))


def test_on_a_disk_that_fails_nothing_of_the_batch_is_kept_and_no_other_before_it_is_restarted(tmp_path: Path) -> None:
    file, before = tmp_path / "tail", resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(file, 0) as newest:
        newest.restart(7)
        newest.put(BATCHES[0])
        size = file.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                newest.put(BATCHES[1])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert file.stat().st_size == size + 30
        assert newest.pending == BATCHES[:1]
        assert not newest.has_room(BATCHES[1])
    assert pending(file, 7) == BATCHES[:1]


def test_a_batch_whose_flush_failed_is_not_there_after_a_kill(tmp_path: Path) -> None:
    disk = Disk("flush fails")

    async def play() -> None:
        async with flushes_failing(tmp_path / "live", disk) as store:
            with pytest.raises(StoreFailed):
                await store.append(several("d1", 2, 2), now=3.0)
            copied(tmp_path / "live", tmp_path / "killed")
            disk.works()
        async with SqlStore(tmp_path / "killed") as store:
            assert (await store.documents())[0].seq == 1

    asyncio.run(play())


def test_when_it_is_closed_the_file_goes_where_the_database_has_all_of_it(tmp_path: Path) -> None:
    with opened(tmp_path / "tail", 0):
        pass
    assert (tmp_path / "tail").exists(), "it was not restarted: what is in it may be needed"
    with opened(tmp_path / "tail", 0) as newest:
        newest.restart(1)
    assert not (tmp_path / "tail").exists()


# Within a store


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A data folder as kill -9 leaves it: two records in the tables, and two in the tail."""

    async def play() -> None:
        async with SqlStore(tmp_path / "live") as store:
            await store.create(line())
            await store.append(several("d1", 1, 2), now=2.0)
            await store.describe("d1", "a plot")
            await store.append(several("d1", 3, 4), now=3.0)
            copied(tmp_path / "live", tmp_path / "killed")

    asyncio.run(play())
    return tmp_path / "killed"


def copied(folder: Path, to: Path) -> Path:
    """All files but those that only a running process has."""
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-lock", "*-shm"))


def changed(folder: Path, how: str) -> None:
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute(how)
    connection.close()


@pytest.mark.parametrize(
    "how", ["update documents set seq = 1", "delete from documents", "update documents set epoch=2"]
)
def test_a_tail_that_does_not_follow_the_database_is_damage_and_stays(how: str, killed: Path) -> None:
    changed(killed, how)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="restore a backup"):
            asyncio.run(SqlStore(killed).__aenter__())


def test_beside_a_database_of_an_earlier_time_it_does_not_count(killed: Path) -> None:
    changed(killed, "pragma user_version = 5")

    async def play() -> None:
        async with SqlStore(killed) as store:
            assert (await store.documents())[0].seq == 2
            await store.append([a_record("d1", 3, now=9)], now=9.0)

    asyncio.run(play())


def test_what_came_after_a_change_that_a_power_cut_took_is_not_there_either(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path / "live", "process") as store:
            await store.create(line())
            await store.append(several("d1", 1, 2), now=2.0)
            await store.rename("d1", "old")
            copied(tmp_path / "live", tmp_path / "cut")
            await store.rename("d1", "new")
            await store.append(several("d1", 3, 4), now=3.0)
            shutil.copy(tmp_path / "live" / f"{FILE}-tail", tmp_path / "cut")
        async with SqlStore(tmp_path / "cut") as store:
            assert [(info.title, info.seq) for info in await store.documents()] == [("old", 2)]

    asyncio.run(play())


def test_on_a_full_disk_a_store_opens_shows_all_and_keeps_nothing_until_there_is_room(killed: Path) -> None:
    disk = Disk("full")

    async def play() -> None:
        async with SqlStore(copied(killed, killed.with_name("other"))) as store:
            before = await contents(store)
        disk.fail_from(Write, 0, sqlite3.SQLITE_FULL)
        for _ in range(2):
            async with SqlStore(killed, database=disk.database) as store:
                assert await contents(store) == before
                assert await store.extent() == (1, before[0][0].size)
                with pytest.raises(StoreFull):
                    await store.append(several("d1", 5, 5), now=4.0)
                assert await contents(store) == before
        disk.works()
        async with SqlStore(killed, database=disk.database) as store:
            assert await contents(store) == before
            await store.append(several("d1", 5, 5), now=4.0)

    asyncio.run(play())


def test_what_is_kept_after_a_commit_that_failed_is_there_whether_or_not_that_commit_is(tmp_path: Path) -> None:
    disk = Disk("commit fails")

    async def play() -> None:
        async with flushes_failing(tmp_path / "live", disk) as store:
            with pytest.raises(StoreFailed):
                await store.describe("d1", "a plot")
            disk.works()
            await store.append(several("d1", 2, 2), now=3.0)
            copied(tmp_path / "live", tmp_path / "killed")
        async with SqlStore(tmp_path / "killed") as store:
            stored = await store.load("d1")
            assert stored is not None
            assert stored.records == several("d1", 1, 2)

    asyncio.run(play())


def test_the_tables_take_hundreds_of_batches_at_a_time(tmp_path: Path) -> None:
    disk = Disk("counted")

    async def play() -> None:
        async with SqlStore(tmp_path, database=disk.database) as store:
            await store.create(line())
            disk.history.clear()
            for seq in range(1, 2_001):
                await store.append(several("d1", seq, seq), now=2.0)
            assert {event.file for event in disk.history if isinstance(event, Write)} == {f"{FILE}-tail"}
            await store.append(several("d1", 2_001, 2_060), now=2.0)
            assert any(event.file == f"{FILE}-wal" for event in disk.history if isinstance(event, Write))
            stored = await store.load("d1")
            assert stored is not None
            assert stored.records == several("d1", 1, 2_060)

    asyncio.run(play())
