"""Jobs go to the threads in order, and what comes of them comes back to whoever still waits."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bokeh_server.errors import StoreFailed
from bokeh_server.store.threads import Threads


def test_a_job_gives_its_result_or_what_it_raised() -> None:
    async def play() -> None:
        threads = Threads("one")
        assert await threads.run(lambda a, b: a + b, 1, 2) == 3
        with pytest.raises(KeyError, match="7"):
            await threads.run({}.__getitem__, 7)
        threads.stop()

    asyncio.run(play())


def test_one_thread_keeps_the_order_and_several_work_at_once() -> None:
    async def play() -> None:
        one, three, done = Threads("one"), Threads("three", 3), list[int]()
        meeting = threading.Barrier(3, timeout=10)
        await asyncio.gather(*(one.run(done.append, number) for number in range(100)))
        assert done == [*range(100)]
        assert sorted(await asyncio.gather(*(three.run(meeting.wait) for _ in range(3)))) == [0, 1, 2]
        one.stop()
        three.stop()

    asyncio.run(play())


def test_stop_waits_for_what_was_given_and_takes_no_more() -> None:
    async def play() -> None:
        threads, go, done = Threads("one"), threading.Event(), list[int]()
        first, second = threads.run(go.wait), threads.run(done.append, 1)
        go.set()
        threads.stop()
        assert done == [1]
        await asyncio.gather(first, second)
        with pytest.raises(StoreFailed, match="closed"):
            threads.run(done.append, 2)

    asyncio.run(play())


def test_who_no_longer_waits_is_not_told() -> None:
    async def play() -> None:
        threads, go = Threads("one"), threading.Event()
        job = threads.run(go.wait)
        job.cancel()
        go.set()
        assert await threads.run(lambda: 5) == 5
        threads.stop()

    asyncio.run(play())


def test_a_loop_that_is_closed_meanwhile_does_not_stop_the_thread() -> None:
    threads, go = Threads("one"), threading.Event()

    async def leave() -> None:
        threads.run(go.wait)

    async def play() -> int:
        return await threads.run(lambda: 5)

    asyncio.run(leave())
    go.set()
    assert asyncio.run(play()) == 5
    threads.stop()
