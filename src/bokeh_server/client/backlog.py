"""What waits to be sent for the first time: in memory, and on disk where memory has no room for it.

    add ─▶ waiting ──────────────────────────▶ take
              └─▶ moving ─▶ disk ─▶ back ─▶ take

Whoever adds never waits for the disk: ``shift``, which another thread calls, writes the oldest that waits in memory,
and reads it back when its turn comes. Where both are full, rows give way as the bounds say; all else stays.

All but ``shift`` is called by who holds the lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import chain

from bokeh_server.client.bounds import Bounds
from bokeh_server.client.changes import Entry
from bokeh_server.client.spool import Damaged, Record, Spool
from bokeh_server.client.waiting import BATCH, Waiting

log = logging.getLogger("bokeh_server.client")

AGAIN = 10.0
"""Seconds after which a disk that was full is tried again."""


class Backlog:
    """Entries in the order of their numbers, within ``bounds``."""

    def __init__(self, bounds: Bounds, lock: threading.Condition) -> None:
        self.bounds = bounds
        self.dropped = 0
        """Rows that gave way."""
        self._lock = lock
        self._waiting = Waiting(bounds.memory // 4)
        self._moving: list[Entry] = []
        """On their way to disk."""
        self._records: deque[Record] = deque()
        """On disk."""
        self._stale: list[Record] = []
        """On disk, and needed by nobody."""
        self._back: deque[Entry] = deque()
        """From disk."""
        self._spool = Spool(bounds.spool_dir) if bounds.spool else None
        self._failed = False
        """Whether the disk did not take what was last to be written; ``_again``: when it is tried anew."""
        self._again = 0.0
        self.on_disk = 0
        """Bytes on disk that somebody needs."""

    def __iter__(self) -> Iterator[Entry | Record]:
        return chain(self._back, self._records, self._moving, self._waiting)

    @property
    def size(self) -> int:
        """Bytes of the patches."""
        return self._waiting.size + self.on_disk + sum([entry.waits for entry in (*self._back, *self._moving)])

    @property
    def memory(self) -> int:
        """Bytes of memory that is taken."""
        return self._waiting.memory + sum([entry.memory for entry in (*self._back, *self._moving)])

    # In and out

    def add(self, entry: Entry) -> None:
        """One more. Where there is no room, rows give way: it may be these."""
        if entry.rows is not None and self.is_full and self._gives_way(entry):
            self.dropped += entry.appended
        else:
            self._waiting.add(entry)

    def _gives_way(self, entry: Entry) -> bool:
        """Whether rows for which there is no room go themselves; older ones may go for them."""
        if self.bounds.when_full == "oldest":
            while self.is_full and (old := self._waiting.take_rows()) is not None:
                self.dropped += old.appended
        return self.bounds.when_full == "newest"

    def take(self, until: int | None) -> Entry | None:
        """Take out the oldest; None where it is on disk just now, or has a number past ``until``."""
        if self._back:
            return self._back.popleft() if may_leave(self._back[0], until) else None
        elsewhere = bool(self._records) or bool(self._moving)
        first = None if elsewhere else self._waiting.first
        return self._waiting.take() if first is not None and may_leave(first, until) else None

    def part(self) -> None:
        """What comes now is not put together with what is here."""
        self._waiting.part()

    def clear(self) -> None:
        """Let go of all."""
        self._stale += self._records
        self.on_disk = 0
        for part in (self._back, self._records, self._moving, self._waiting):
            part.clear()

    # What is full

    @property
    def is_full(self) -> bool:
        """Whether memory has no room for rows, and disk has none either, or is too slow."""
        memory, most = self._waiting.memory, self.bounds.memory
        return memory >= most and (memory >= 2 * most or not self._takes)

    @property
    def _takes(self) -> bool:
        """Whether the disk has room, or can make some."""
        if self._spool is None or time.monotonic() < self._again:
            return False
        return self.bounds.when_full == "oldest" or self.on_disk + BATCH <= self.bounds.spool

    @property
    def overflows(self) -> bool:
        """Whether there is too much of what can't give way."""
        lasting = self._waiting.lasting + sum([entry.memory for entry in self._back if not entry.appended])
        return lasting > 2 * self.bounds.memory

    # Between memory and disk

    def shift(self) -> bool:
        """Carry one batch to disk, or back; whether there was one. Only one thread at a time calls it."""
        spool = self._spool
        if spool is None:
            return False
        with self._lock:
            stale, self._stale = self._stale, []
            over = self._waiting.memory > self.bounds.memory and self._takes
            full = self.on_disk + BATCH > self.bounds.spool
            if over and full:
                self._drop_back()
            low = sum([entry.size for entry in self._back]) < BATCH
            record = self._records[0] if self._records and (low or (over and full)) else None
            if record is None and over:
                self._begin_to_move()
            moving = tuple(self._moving)
        for old in stale:
            spool.forget(old)
        if record is not None:
            self._fetch(spool, record, gives_way=over and full)
        elif moving:
            self._write(spool, moving)
        return record is not None or bool(moving)

    def _drop_back(self) -> None:
        """Let the rows that came back from disk, which are the oldest, give way."""
        self.dropped += sum(entry.appended for entry in self._back)
        self._back = deque(entry for entry in self._back if not entry.appended)

    def _begin_to_move(self) -> None:
        size = 0
        while len(self._waiting) and size < BATCH:
            self._moving.append(self._waiting.take())
            size += self._moving[-1].memory

    def _write(self, spool: Spool, entries: tuple[Entry, ...]) -> None:
        try:
            record = spool.write(entries)
        except OSError as error:
            with self._lock:
                self._waiting.put_back(self._moving)
                self._moving.clear()
                self._again = time.monotonic() + AGAIN
            if not self._failed:
                self._failed = True
                log.warning("What waits for the server can't be kept on disk (%s); memory is used for it", error)
            return
        with self._lock:
            self._failed = False
            if not self._moving:  # somebody has cleared all meanwhile
                self._stale.append(record)
                return
            self._moving.clear()
            self._records.append(record)
            self.on_disk += record.size

    def _fetch(self, spool: Spool, record: Record, *, gives_way: bool) -> None:
        """Read the oldest record; where it ``gives_way``, without its rows."""
        entries: list[Entry] = []
        lost = record.rows if gives_way else 0
        if not (gives_way and record.only_rows):
            try:
                entries = [entry for entry in spool.read(record) if not (gives_way and entry.appended)]
            except (OSError, Damaged) as error:
                log.error("What waited for the server on disk can't be read: %s", error)
                lost = max(1, record.rows)
        with self._lock:
            if not self._records or self._records[0] is not record:  # it is stale meanwhile
                return
            self._records.popleft()
            self._stale.append(record)
            self.on_disk -= record.size
            self._back.extend(entries)
            self.dropped += lost

    def close(self) -> None:
        """Let go of the files; nothing is shifted any more."""
        if self._spool is not None:
            self._spool.close()


def may_leave(entry: Entry, until: int | None) -> bool:
    """Whether an entry is among those up to a number (None: all)."""
    return until is None or entry.number <= until
