"""The thread in which what the server sends is applied, and in which the user's callbacks run.

It is not the socket's thread: a slow callback delays the callbacks after it, and nothing else. An error in a callback
(``sys.exit()`` as well) is logged with its traceback and ends there. What waits is bounded: past the bound it is
dropped and ``overflow`` is called once the rest is done, so that the document can be pulled again.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf

log = logging.getLogger("bokeh_server.client")

Job = Callable[[], object]

WAITING = 64 * 1024 * 1024
"""Bytes of patches that may wait for a slow callback; past it a fresh copy is cheaper."""


class Callbacks:
    """Jobs, one after the other, in a daemon thread that starts with the first of them."""

    def __init__(self, overflow: Job, *, waiting: int = WAITING) -> None:
        self._overflow = overflow
        self._limit = waiting
        self._jobs: deque[tuple[Job, int]] = deque()
        self._later: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._bytes = 0
        self._full = False
        self._there = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def put(self, job: Job, size: int = 0) -> None:
        """Run ``job`` when its turn comes. A job of some ``size`` (bytes) is dropped where too much waits."""
        with self._there:
            if self._stopped or (size and self._full):
                return
            if size and self._bytes + size > self._limit and self._jobs:
                self._full = True
                self._jobs.append((self._recover, 0))
                return
            self._jobs.append((job, size))
            self._bytes += size
            self._start()

    def put_later(self, job: Job, seconds: float) -> None:
        """Run ``job`` when its turn comes, ``seconds`` from now at the earliest."""
        with self._there:
            if not self._stopped:
                heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), job))
                self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bokeh-server callbacks", daemon=True)
            self._thread.start()
        self._there.notify_all()

    def stop(self) -> None:
        """Run nothing more."""
        with self._there:
            self._stopped = True
            self._jobs.clear()
            self._later.clear()
            self._there.notify_all()

    @property
    def here(self) -> bool:
        """Whether this code runs in a callback."""
        return threading.current_thread() is self._thread

    def wait(self, done: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``done()``, at most ``timeout`` seconds; inside of a callback the jobs go on meanwhile."""
        if not self.here:
            with self._there:
                return self._there.wait_for(done, timeout)
        while not done():
            job = self._next(timeout)
            if job is None:
                return done()
            run(job)
        return True

    def notify(self) -> None:
        """Something changed: let those who wait look again."""
        with self._there:
            self._there.notify_all()

    def _recover(self) -> None:
        with self._there:
            self._full = False
        log.warning("A callback took too long; the document is pulled again")
        self._overflow()

    def _next(self, timeout: float | None = None) -> Job | None:
        end = inf if timeout is None else time.monotonic() + timeout
        with self._there:
            while not self._ready():
                due = min(end, self._later[0][0] if self._later else inf)
                left = due - time.monotonic()
                if self._stopped or (due == end and left <= 0):
                    return None
                self._there.wait(None if due == inf else max(0.0, left))
            job, size = self._jobs.popleft()
            self._bytes -= size
            return job

    def _ready(self) -> bool:
        """Whether there is a job; those whose time has come join the others."""
        while self._later and self._later[0][0] <= time.monotonic():
            self._jobs.append((heapq.heappop(self._later)[2], 0))
        return bool(self._jobs)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            run(job)
            self.notify()


def run(job: Job) -> None:
    """Run ``job``; an error is logged and goes no further."""
    try:
        job()
    except BaseException:  # the user's code (sys.exit() too), or a document that bokeh can't build: the thread goes on
        log.exception("Error in a callback")
