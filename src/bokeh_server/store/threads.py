"""Threads for a store's blocking calls: jobs go in by one queue, results come back into the event loop.

It does what a ThreadPoolExecutor does, without the second future, its lock and its callbacks: every group of patches
passes here, and this way there and back costs two thirds of it (50 against 70 µs under uvloop). With one thread, jobs
run strictly in the order in which they were given. A job is never dropped: ``stop`` is itself a job, behind all others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from bokeh_server.errors import StoreFailed

T = TypeVar("T")
Job = Callable[[], None]


class Threads:
    """``count`` threads called ``name`` that work on one queue, from the first job on: until then a process may fork.

    They do not keep the process alive."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._name = name
        self._count = count
        self._threads: list[Thread] = []
        self._stopped = False
        self._busy = 0

    @property
    def idle(self) -> bool:
        """Whether they have nothing to do, and so do not touch what is theirs. To be asked in the event loop, which
        gives them their jobs."""
        return not self._busy

    def run(self, job: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """The result of ``job(*args)``, or what it raised; ``StoreFailed`` after ``stop``."""
        if self._stopped:
            raise StoreFailed("The store is closed; nothing was acknowledged.")
        if not self._threads:
            self._threads = [Thread(target=self._work, name=self._name, daemon=True) for _ in range(self._count)]
            for thread in self._threads:
                thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                tell, told = future.set_result, job(*args)
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the one who waits for the job
                tell, told = future.set_exception, error  # type: ignore[assignment]
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(self._settle, future, tell, told)

        self._busy += 1
        self._queue.put(work)
        return future

    def stop(self) -> None:
        """Take no more jobs, and wait until those that were given are done. Blocks."""
        self._stopped = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def reopen(self) -> None:
        """Take jobs again after ``stop``."""
        self._stopped = False

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            job()

    def _settle(self, future: asyncio.Future[T], tell: Callable[[T], None], told: T) -> None:
        self._busy -= 1
        if not future.cancelled():
            tell(told)
