"""One SQLite file: one server at a time, and a damaged or foreign file is refused and left byte for byte as it was."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
from pathlib import Path
from random import Random

import pytest

from bokeh_server.core.log import Stored
from bokeh_server.errors import BadSetting, ServerFault, StoreDamaged, StoreFull, StoreLocked, StoreVersion
from bokeh_server.limits import MIB
from bokeh_server.store import sqlite
from bokeh_server.store.sql import FILE, SqlStore
from bokeh_server.store.sqlite import Sqlite
from tests.store.child import started
from tests.store.contract import line, several
from tests.store.histories import Load, perform


def opened_and_closed(folder: Path) -> None:
    async def play() -> None:
        async with SqlStore(folder):
            pass

    asyncio.run(play())


# The lock


def test_a_second_store_on_the_same_folder_is_refused_with_a_clear_line(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            with pytest.raises(StoreLocked, match="Another bokeh-server uses the data folder") as refused:
                await SqlStore(tmp_path / ".." / tmp_path.name).__aenter__()
            assert "\n" not in str(refused.value)
            await store.create(line())
        async with SqlStore(tmp_path) as store:
            assert await store.info("d1") == line()

    asyncio.run(play())


def test_the_lock_of_another_process_ends_with_kill_9(tmp_path: Path) -> None:
    child = started("append", tmp_path)
    assert child.stdout is not None
    assert child.stdout.readline()
    with pytest.raises(StoreLocked):
        opened_and_closed(tmp_path)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    opened_and_closed(tmp_path)


# The folder


def test_a_new_data_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    opened_and_closed(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_data_folder_holds_one_file_and_its_lock(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path) as store:
            await store.create(line())
            names = {file.name.removeprefix(FILE) for file in tmp_path.iterdir()}
            assert names == {"", "-wal", "-shm", "-lock", "-tail"}
        assert {file.name.removeprefix(FILE) for file in tmp_path.iterdir()} == {"", "-lock"}

    asyncio.run(play())


@pytest.mark.parametrize("name", ["a file", "a file/folder", "folder"])
def test_a_folder_that_can_not_be_used_is_refused_with_a_clear_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("hello")
    (tmp_path / "folder" / f"{FILE}-lock").mkdir(parents=True)
    with pytest.raises(BadSetting, match="can't be used"):
        opened_and_closed(tmp_path / name)


def test_a_lock_file_that_is_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}-lock").write_text("something else " * 100)
    with pytest.raises(BadSetting, match="can't be used"):
        opened_and_closed(tmp_path)
    assert (tmp_path / f"{FILE}-lock").read_text() == "something else " * 100


# Damage


def killed(folder: Path) -> Path:
    """A data folder as kill -9 leaves it: most of it in the database file, the newest in its WAL and the tail."""

    async def play() -> None:
        async with SqlStore(folder / "live") as store:
            for document in ("d1", "d2"):
                await store.create(line(document, document))
                await store.append(several(document, 1, 500), now=2.0)
        async with SqlStore(folder / "live") as store:
            await store.append(several("d2", 501, 501), now=3.0)
            await store.describe("d1", "a plot")
            await store.append(several("d2", 502, 502), now=3.0)
            (folder / "killed").mkdir()
            for suffix in ("", "-wal", "-tail"):
                shutil.copy(folder / "live" / f"{FILE}{suffix}", folder / "killed")

    asyncio.run(play())
    return folder / "killed"


def everything(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith(("-shm", "-lock"))}


def damaged(content: bytes, how: str) -> bytes:
    middle, late = len(content) // 2, len(content) * 3 // 4
    match how:
        case "no database at all":
            return b"PK\3\4" + b"something else" * 1_000
        case "its first page is lost":
            return bytes(4096) + content[4096:]
        case "cut off":
            return content[: middle - middle % 4096]
        case "overwritten among its records":
            return content[:late] + Random(1).randbytes(8192) + content[late + 8192 :]
    raise AssertionError(how)


@pytest.mark.parametrize("wal", [True, False], ids=["with a WAL", "without a WAL"])
@pytest.mark.parametrize(
    "how", ["no database at all", "its first page is lost", "cut off", "overwritten among its records"]
)
def test_a_damaged_database_is_told_and_left_as_it_was(how: str, wal: bool, tmp_path: Path) -> None:
    folder = killed(tmp_path)
    if not wal:
        opened_and_closed(folder)
    file = folder / FILE
    file.write_bytes(damaged(file.read_bytes(), how))
    before = everything(folder)
    assert (f"{FILE}-wal" in before) is wal
    if wal and how == "its first page is lost":  # the WAL has it, too
        opened_and_closed(folder)
        return
    with pytest.raises(StoreDamaged, match="left as it is: restore a backup"):
        opened_and_closed(folder)
    assert everything(folder) == before


def test_a_killed_store_that_is_not_damaged_opens(tmp_path: Path) -> None:
    async def play(folder: Path) -> None:
        async with SqlStore(folder) as store:
            assert await store.load("d2") == Stored(None, {}, several("d2", 1, 502))

    asyncio.run(play(killed(tmp_path)))


def test_a_large_file_is_not_read_through_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = killed(tmp_path)
    opened_and_closed(folder)
    file = folder / FILE
    file.write_bytes(damaged(file.read_bytes(), "overwritten among its records"))
    monkeypatch.setattr(sqlite, "CHECKED", 4096)

    async def play() -> None:
        async with SqlStore(folder) as store:
            told = [await perform(store, Load(document), 1) for document in ("d1", "d2")]
            assert "StoreDamaged" in told

    asyncio.run(play())


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    opened_and_closed(tmp_path)
    opened_and_closed(tmp_path)


def test_the_database_of_another_program_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("create table addresses (name text)")
    connection.close()
    before = everything(tmp_path)
    with pytest.raises(StoreVersion, match="made by another program"):
        opened_and_closed(tmp_path)
    assert everything(tmp_path) == before


# The rest


def test_the_wal_of_a_large_document_does_not_stay(tmp_path: Path) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path, "process") as store:
            await store.create(line())
            large = several("d1", 1, 1)[0]
            await store.append([type(large).make("d1", 1, 1, "replace", bytes(40 * MIB))], now=2.0)
            for kind in ("one plot", "2 plots", "3 plots"):
                await store.describe("d1", kind)
            assert (tmp_path / f"{FILE}-wal").stat().st_size <= 17 * MIB

    asyncio.run(play())


def test_an_error_is_told_in_our_words() -> None:
    def fault(code: int) -> ServerFault:
        error = sqlite3.OperationalError("says SQLite")
        error.sqlite_errorcode = code
        return Sqlite(Path("data") / FILE).fault(error)

    assert type(fault(sqlite3.SQLITE_FULL)) is type(fault(sqlite3.SQLITE_IOERR_SHMSIZE)) is StoreFull
    assert os.path.join("data", FILE) in str(fault(sqlite3.SQLITE_CORRUPT))
    assert "says SQLite" in str(fault(sqlite3.SQLITE_IOERR_WRITE))
