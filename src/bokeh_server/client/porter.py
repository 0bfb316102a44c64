"""The thread that looks after what waits, so that a program's own threads do not have to.

It wakes the socket's thread once in a frame: to wake that itself would cost the program a system call for each point,
in which Python gives the processor away. And it carries to disk, and back, what memory has no room for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from bokeh_server.client.outbox import Outbox

log = logging.getLogger("bokeh_server.client")


class Porter:
    """Works for ``outbox`` from ``start`` to ``stop``. ``wake`` tells the socket that there is something to send, and
    ``gave_way`` is called when rows have given way."""

    def __init__(self, outbox: Outbox, wake: Callable[[], object], gave_way: Callable[[], object]) -> None:
        self._outbox = outbox
        self._wake = wake
        self._gave_way = gave_way
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="bokeh-server outbox", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def call(self) -> None:
        """Something waits (any thread)."""
        if not self._called.is_set():
            self._called.set()

    def stop(self) -> None:
        """Do no more."""
        self._stopping.set()
        self._called.set()

    def _run(self) -> None:
        while True:
            self._called.wait()
            if (rest := self._outbox.rest) > 0:
                self._stopping.wait(rest)
            if self._stopping.is_set():
                break
            self._called.clear()
            self._wake()
            try:
                self._work()
            except Exception:  # whatever it is, what waits in memory is still sent
                log.exception("Error in what looks after the outbox")
        self._outbox.close()

    def _work(self) -> None:
        while self._outbox.shift() and not self._stopping.is_set():
            self._wake()
        if self._dropped != self._outbox.dropped:
            self._dropped = self._outbox.dropped
            self._gave_way()
