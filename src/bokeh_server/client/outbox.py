"""What a program has changed and the server has not acknowledged yet: numbered, in order, kept until it is.

A number is given once and never again, so a change that is sent twice is applied once. Entries leave only when the
server holds them (or refuses them); after a cut what was sent goes first, as it was. While a fresh copy of the document
is under way, acknowledged entries are kept as well: whoever merges the copy may need them. Refuses nothing and never
waits for the network; any thread may call it. What was not sent is in the ``backlog``, which has bounds.

Rows of many changes may leave as one entry (``waiting``), which has the number of the last of them. So there are two
ways to say how far the server is: all changes up to ``settled`` are, and those up to ``acknowledged`` of which nothing
of the same kind came later.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import cast

from bokeh_server.client.backlog import Backlog, may_leave
from bokeh_server.client.bounds import Bounds
from bokeh_server.client.changes import Entry, EnvelopeType, Key, Reach, Waits
from bokeh_server.client.rows import Rows
from bokeh_server.client.spool import Record
from bokeh_server.core import Buffers
from bokeh_server.errors import BokehServerError

REMEMBERED = 100
"""Refused changes that somebody is still to be told of."""


class Outbox:
    """The changes of one client, from ``put`` to ``acknowledge``. What comes within a ``frame`` (seconds) leaves
    together."""

    def __init__(self, bounds: Bounds | None = None, *, frame: float = 0.0) -> None:
        self.frame = frame
        self._changed = threading.Condition()
        self.backlog = Backlog(bounds or Bounds(), self._changed)
        self._again: deque[Entry] = deque()
        """Sent on an earlier connection."""
        self._flying: deque[Entry] = deque()
        self._kept: deque[Entry] = deque()
        self._keeping = 0
        self.kept = 0
        """Bytes of memory of the acknowledged entries that are kept."""
        self._documents = 0
        self._closed = False
        self._awaited = self._blocked = 0
        self._taken = False
        self._rests = 0.0
        self.last = 0
        """The last number that was given."""
        self.acknowledged = 0
        """Of every thing that was not changed later, the changes up to this number are settled."""
        self._until: int | None = None
        self._refused: deque[tuple[int, EnvelopeType, BokehServerError]] = deque(maxlen=REMEMBERED)

    @property
    def until(self) -> int | None:
        """Only numbers up to this one may leave (None: all)."""
        return self._until

    @until.setter
    def until(self, number: int | None) -> None:
        with self._changed:
            self._until = number
            self.backlog.part()

    def put(
        self,
        msgtype: EnvelopeType,
        content: bytes = b"",
        buffers: Buffers = (),
        *,
        keys: frozenset[Key] = frozenset(),
        models: frozenset[str] = frozenset(),
        rows: Rows | None = None,
        reach: Reach = "any",
    ) -> int:
        """Take a change; its number. A whole document takes the place of all that has not left yet."""
        with self._changed:
            self.last = number = self.last + 1
            since = self._replace() if msgtype == "PUSH-DOC" else number
            entry = Entry(number, msgtype, content, buffers, keys, models, since, rows=rows, reach=reach)
            self._documents += msgtype == "PUSH-DOC"
            dropped = self.backlog.dropped
            self.backlog.add(entry)
            if dropped != self.backlog.dropped:
                self._advance()
            return number

    def _replace(self) -> int:
        """Let go of all that has not left; the number of the first change of it."""
        since = self.last
        for old in chain(self._again, self.backlog):
            since = min(since, old.since)
            if self._until is not None and old.number <= self._until:
                self._until = self.last  # what somebody waits for is in it
        self._documents = sum(entry.msgtype == "PUSH-DOC" for entry in self._flying)
        self._again.clear()
        self.backlog.clear()
        return since

    def take(self) -> Entry | None:
        """The next change to send, which is under way from now on; None where there is none, or where the frame in
        which the last ones left is not over."""
        with self._changed:
            if self.frame and not self._awaited and time.monotonic() < self._rests:
                return None
            if self._again:
                entry = self._again.popleft() if may_leave(self._again[0], self._until) else None
            else:
                entry = self.backlog.take(self._until)
            if entry is not None:
                self._flying.append(entry)
                self._wake_blocked()
            elif self._taken and not self.backlog.on_disk:
                self._rests = time.monotonic() + self.frame
            self._taken = entry is not None
            return entry

    @property
    def rest(self) -> float:
        """Seconds until ``take`` gives again what waits."""
        return 0.0 if self._awaited else max(0.0, self._rests - time.monotonic())

    def acknowledge(self, number: int) -> list[Entry]:
        """The server holds all that was sent up to ``number``: let go of it. Returns what was still here."""
        with self._changed:
            settled = []
            for queue in (self._flying, self._again):
                while queue and queue[0].number <= number:
                    settled.append(queue.popleft())
            if settled:
                self._settle(settled)
            return settled

    def refuse(self, number: int, why: BokehServerError) -> Entry | None:
        """The server will never take this one."""
        with self._changed:
            entry = next((entry for entry in self._flying if entry.number == number), None)
            if entry is not None:
                self._flying.remove(entry)
                self._documents -= entry.msgtype == "PUSH-DOC"
                self._refused.append((number, entry.msgtype, why))
                self._advance()
            return entry

    def refusal(self, number: int) -> tuple[EnvelopeType, BokehServerError] | None:
        """The kind of a change up to ``number`` that the server did not take, and why: a whole document, or else the
        first of them. It is told once; None where it took them all."""
        found = []
        with self._changed:
            while self._refused and self._refused[0][0] <= number:
                found.append(self._refused.popleft()[1:])
        return next((told for told in found if told[0] == "PUSH-DOC"), found[0] if found else None)

    def interrupt(self) -> None:
        """The connection was cut: what was under way must be sent again."""
        with self._changed:
            self._again.extendleft(reversed(self._flying))
            self._flying.clear()

    def keep(self) -> None:
        """Keep acknowledged entries from now on, until ``release`` was called as often as this."""
        with self._changed:
            self._keeping += 1

    def release(self, number: int = 0) -> None:
        """Forget the acknowledged entries that were kept, those up to ``number`` or, where nobody needs them, all."""
        with self._changed:
            self._keeping -= 1
            while self._kept and (not self._keeping or self._kept[0].number <= number):
                self.kept -= self._kept.popleft().memory

    def after(self, number: int) -> list[Waits]:
        """All past ``number`` that is here, the kept entries included, in order; what is on disk without its content.

        While the document is locked nothing is added to them.
        """
        with self._changed:
            waits = chain(self._kept, self._flying, self._again, self.backlog)
            return [cast("Waits", each) for each in waits if each.number > number]

    @property
    def replaces(self) -> bool:
        """Whether a whole document is among what is to be sent or under way."""
        return self._documents > 0

    @property
    def under_way(self) -> int | None:
        """The number of the oldest change that was sent and is not acknowledged."""
        with self._changed:
            return self._flying[0].number if self._flying else None

    @property
    def bytes(self) -> int:
        """Size of the patches that have not left yet, or must be sent again; some may be on disk."""
        with self._changed:
            return self.backlog.size + sum([entry.waits for entry in self._again])

    @property
    def memory(self) -> int:
        """Bytes of memory that they take."""
        with self._changed:
            return self.backlog.memory + sum([entry.memory for entry in self._again])

    @property
    def dropped(self) -> int:
        """Rows that gave way."""
        return self.backlog.dropped

    @property
    def on_disk(self) -> int:
        """Bytes that wait on disk."""
        return self.backlog.on_disk

    @property
    def overflows(self) -> bool:
        """Whether there is too much of what can't give way."""
        with self._changed:
            return self.backlog.overflows

    @property
    def blocks(self) -> bool:
        """Whether the program must wait until there is room."""
        return self.backlog.bounds.when_full == "block" and self.backlog.is_full and not self._closed

    def wait_for_room(self) -> None:
        """Wait while the outbox ``blocks``."""
        with self._changed:
            self._blocked += 1
            try:
                while self.blocks:
                    self._changed.wait(1.0)
            finally:
                self._blocked -= 1

    def _wake_blocked(self) -> None:
        if self._blocked and not self.blocks:
            self._changed.notify_all()

    def shift(self) -> bool:
        """Carry one batch between memory and disk, where that is needed; whether it was. For one thread only."""
        before = self.backlog.dropped
        shifted = self.backlog.shift()
        with self._changed:
            if before != self.backlog.dropped:
                self._advance()
            self._wake_blocked()
        return shifted

    def close(self) -> None:
        """Let go of what is on disk, when nothing is shifted any more."""
        self.backlog.close()

    def wait(self, number: int, timeout: float | None) -> bool:
        """Wait until all up to ``number`` are settled, at most ``timeout`` seconds (None: no limit)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._awaited += 1
            try:
                while not self._is_settled(number):
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        return False
                    self._changed.wait(left)
                return True
            finally:
                self._awaited -= 1

    def _is_settled(self, number: int) -> bool:
        return self.acknowledged >= number and all(each.since > number for each in self._here())

    @property
    def settled(self) -> int:
        """All changes up to this number are settled."""
        with self._changed:
            return min((each.since for each in self._here()), default=self.last + 1) - 1

    def _here(self) -> Iterator[Entry | Record]:
        return chain(self._flying, self._again, self.backlog)

    def notify(self) -> None:
        """Wake all who wait, so that they look again."""
        with self._changed:
            self._changed.notify_all()

    def clear(self) -> None:
        """Let go of everything: nobody will ever take it."""
        with self._changed:
            for queue in (self._flying, self._again, self._kept):
                queue.clear()
            self.backlog.clear()
            self._documents = self.kept = 0
            self._closed = True
            self._advance()

    def _settle(self, entries: list[Entry]) -> None:
        self._documents -= sum(entry.msgtype == "PUSH-DOC" for entry in entries)
        if self._keeping:
            self._kept.extend(entries)
            self.kept += sum(entry.memory for entry in entries)
        self._advance()

    def _advance(self) -> None:
        """Everything in front of what is still here is settled."""
        first = next(self._here(), None)
        self.acknowledged = max(self.acknowledged, (first.number if first is not None else self.last + 1) - 1)
        self._changed.notify_all()
