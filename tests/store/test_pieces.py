"""Large work in small transactions: it is done whole or not at all, and what a dead process left of it is let go of."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from random import Random

import pytest

from bokeh_server.errors import StoreDamaged, StoreFailed
from bokeh_server.store import pieces
from bokeh_server.store.pieces import Place
from bokeh_server.store.sql import FILE, SqlStore
from tests.store.contract import line, several
from tests.store.disk import Disk, Write
from tests.store.histories import a_record
from tests.store.power_cut import lost_operations


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 8_000)
    monkeypatch.setattr(pieces, "SLICE", 8_000)


def counted(folder: Path) -> dict[str, int]:
    """How many rows each table has that snapshots are about."""
    connection = sqlite3.connect(folder / FILE)
    tables = ("documents", "records", "snapshots", "pieces", "leftovers")
    found = {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in tables}
    connection.close()
    return found


def test_a_place_is_never_taken_for_a_body() -> None:
    assert Place.of(Place(7, 300).body()) == Place(7, 300)
    assert Place.of(a_record("d1", 1, size=1).body) is None
    assert Place.of(b"") is None


def test_a_power_cut_loses_nothing_that_was_acknowledged_of_what_takes_several_transactions() -> None:
    seed = Random().randrange(2**32)
    print("seed", seed)
    assert sum(lost_operations(30, "disk", seed)) == 0


def test_nothing_stays_of_what_a_snapshot_takes_the_place_of(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            await store.create(line())
            await store.append(several("d1", 1, 2_000), now=2.0)
            for size in (100_000, 50_000):
                await store.snapshot(a_record("d1", 1_999, size=size, kind="replace"), {})
        assert counted(tmp_path) == {"documents": 1, "records": 1, "snapshots": 1, "pieces": 7, "leftovers": 0}
        async with SqlStore(tmp_path) as store:
            await store.delete("d1")
        assert set(counted(tmp_path).values()) == {0}

    asyncio.run(play())


@pytest.mark.parametrize("after", range(0, 60, 6))
def test_what_is_left_on_a_disk_that_fails_is_let_go_of_when_the_store_is_opened(after: int, tmp_path: Path) -> None:
    disk = Disk(f"failing after {after}")

    async def play() -> None:
        async with SqlStore(tmp_path, database=disk.database) as store:
            await store.create(line())
            await store.append(several("d1", 1, 50), now=2.0)
            await store.snapshot(a_record("d1", 30, size=60_000, kind="replace"), {"zoe": 1})
            before = await store.load("d1")
            disk.fail_from(Write, after, sqlite3.SQLITE_IOERR_WRITE)
            snapshot = a_record("d1", 50, size=60_000, kind="replace")
            try:
                await store.snapshot(snapshot, {"zoe": 2})
            except StoreFailed:
                assert await store.load("d1") == before
            else:
                before = await store.load("d1")
                assert before is not None
                assert before.snapshot == snapshot
            disk.works()
        async with SqlStore(tmp_path) as store:
            assert await store.load("d1") == before
        assert before is not None
        left = {"documents": 1, "records": bool(before.records), "snapshots": 1, "pieces": 8, "leftovers": 0}
        assert counted(tmp_path) == left

    asyncio.run(play())


def test_a_piece_that_is_lost_is_damage(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            await store.create(line())
            await store.snapshot(a_record("d1", 0, size=60_000, kind="replace"), {})
        connection = sqlite3.connect(tmp_path / FILE)
        connection.execute("delete from pieces where number = 3")
        connection.commit()
        connection.close()
        async with SqlStore(tmp_path) as store:
            with pytest.raises(StoreDamaged):
                await store.load("d1")

    asyncio.run(play())


def test_a_file_of_which_most_is_free_gives_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIECE", "SLICE"):
        monkeypatch.setattr(pieces, name, 2**20)
    monkeypatch.setattr("bokeh_server.store.sqlite.SPARE", 64)

    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            await store.create(line())
            await store.create(line("d2", "other"))
            await store.append(several("d2", 1, 50), now=2.0)
            await store.snapshot(a_record("d1", 0, size=9_000_000, kind="replace"), {})
            assert (tmp_path / FILE).stat().st_size > 8_000_000
            await store.delete("d1")
            assert await store.load("d2") is not None
        assert (tmp_path / FILE).stat().st_size < 1_000_000

    asyncio.run(play())
