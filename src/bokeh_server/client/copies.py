"""The copy of the document that waits for the callback thread: the newest one only.

A callback may run for an hour, and a copy may come every few seconds. All that an older copy says, the newer one says
as well. While a copy waits the outbox keeps what is acknowledged, since it must be put on top of the copy; where that
becomes much, the copy is dropped.
"""

from __future__ import annotations

import threading

from bokeh_server.client.dialogue import Pulled
from bokeh_server.client.outbox import Outbox


class Copies:
    """At most one copy. The socket's thread puts them in, each under a number; the callback thread takes it out."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()
        self._copy: Pulled | None = None
        self._number = 0

    def put(self, copy: Pulled) -> int:
        """Take a copy, in the place of the one that waits; its number."""
        with self._lock:
            if self._copy is not None:
                self._outbox.release(copy.acknowledged)
            self._copy = copy
            self._number += 1
            return self._number

    def take(self, number: int) -> Pulled | None:
        """The copy of this number, unless it is not the newest one or was dropped."""
        with self._lock:
            if number != self._number:
                return None
            copy, self._copy = self._copy, None
            return copy

    def drop(self) -> bool:
        """Let go of the copy that waits; whether there was one."""
        with self._lock:
            if self._copy is None:
                return False
            self._copy = None
            self._outbox.release()
            return True
