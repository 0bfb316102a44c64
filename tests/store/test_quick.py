"""Appends that are done at once, in the event loop: where a flush takes next to no time, and the thread is idle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bokeh_server.errors import StoreFailed
from bokeh_server.store import Durability, tail
from bokeh_server.store.sql import QUICK, SqlStore
from bokeh_server.store.sqlite import Sqlite
from bokeh_server.store.tail import File
from tests.store.contract import line, several

LOOP, THREAD = "MainThread", "store-write"


class Watch:
    """Makes databases whose tail notes in which thread it is written, and whose flush takes ``seconds`` by a clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0
        self.threads: list[str] = []

    def database(self, file: Path, durability: Durability) -> Sqlite:
        watch = self

        class Watched(File):
            def write(self, data: bytes, offset: int) -> None:
                watch.threads.append(threading.current_thread().name)
                super().write(data, offset)

            def flush(self) -> None:
                watch.now += watch.seconds

        class Opened(Sqlite):
            def bare(self, what: str) -> File:
                return Watched(self._beside(what))

        return Opened(file, durability)


Watching = Callable[..., Watch]


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Watching:
    """A ``Watch`` with its clock in the place of the real one."""

    def made(seconds: float = 0.0) -> Watch:
        watch = Watch(seconds)
        monkeypatch.setattr(tail, "perf_counter", lambda: watch.now)
        return watch

    return made


def written(tmp_path: Path, watch: Watch, *flushes: float, durability: Durability = "disk") -> list[str]:
    """The threads in which appends wrote whose flushes took so long."""

    async def play() -> None:
        async with SqlStore(tmp_path, durability, database=watch.database) as store:
            await store.create(line())
            for seq, watch.seconds in enumerate(flushes, 1):
                await store.append(several("d1", seq, seq), now=2.0)
            stored = await store.load("d1")
            assert stored is not None
            assert stored.records == several("d1", 1, len(flushes))

    asyncio.run(play())
    return watch.threads


SLOW = 2 * QUICK


def test_on_a_quick_disk_all_but_the_first_are_done_in_the_loop(tmp_path: Path, watching: Watching) -> None:
    assert written(tmp_path, watching(), 0, 0, 0, 0) == [THREAD, LOOP, LOOP, LOOP]


def test_where_nothing_is_flushed_it_is_the_same(tmp_path: Path, watching: Watching) -> None:
    assert written(tmp_path, watching(), SLOW, SLOW, SLOW, durability="process") == [THREAD, LOOP, LOOP]


def test_on_a_slow_disk_the_loop_never_waits(tmp_path: Path, watching: Watching) -> None:
    assert written(tmp_path, watching(), SLOW, SLOW, SLOW) == [THREAD, THREAD, THREAD]


def test_a_disk_that_becomes_slow_holds_the_loop_up_once(tmp_path: Path, watching: Watching) -> None:
    threads = written(tmp_path, watching(), 0, 0, SLOW, SLOW, 0, 0)
    assert threads == [THREAD, LOOP, LOOP, THREAD, THREAD, LOOP]


def test_while_the_thread_has_something_to_do_appends_keep_their_place(tmp_path: Path, watching: Watching) -> None:
    watch = watching()

    async def play() -> None:
        async with SqlStore(tmp_path, database=watch.database) as store:
            await store.create(line())
            await store.append(several("d1", 1, 1), now=2.0)
            renamed = asyncio.ensure_future(store.rename("d1", "another"))
            await asyncio.sleep(0)
            await store.append(several("d1", 2, 2), now=2.0)
            assert renamed.done()

    asyncio.run(play())
    assert watch.threads == [THREAD, THREAD]


def test_an_append_after_the_end_is_refused(tmp_path: Path, watching: Watching) -> None:
    async def play() -> None:
        async with SqlStore(tmp_path, database=watching().database) as store:
            await store.create(line())
            await store.append(several("d1", 1, 1), now=2.0)
            await store.append(several("d1", 2, 2), now=2.0)
        with pytest.raises(StoreFailed, match="closed"):
            await store.append(several("d1", 3, 3), now=2.0)

    asyncio.run(play())
