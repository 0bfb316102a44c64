"""What a program has changed and the server has not acknowledged yet: numbered, in order, kept until it is.

A number is given once and never again, so a change that is sent twice is applied once. Entries leave only when the
server holds them (or refuses them); a cut of the connection puts what was sent back in front of what was not. While a
fresh copy of the document is under way, acknowledged entries are kept as well: whoever merges the copy may need them.
Refuses nothing and never waits for the network; any thread may call it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

from bokeh_server.core import Buffers
from bokeh_server.core.wire import Outgoing, outgoing
from bokeh_server.errors import BokehServerError

Key = tuple[str, str]
"""What a change is about: (model id, attribute), (model id, ``WHOLE``) for its definition, or one of the two below."""
ROOTS: Key = ("", "roots")
TITLE: Key = ("", "title")
WHOLE = ""

EACH = 500
"""Bytes of memory that a change takes beside its content."""
REMEMBERED = 100
"""Refused changes that somebody is still to be told of."""

EnvelopeType = Literal["PATCH-DOC", "PUSH-DOC"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: a patch, or a whole document.

    ``content`` is its JSON, ``keys`` is what it changes, ``models`` are the ids of the models that it defines. A whole
    document stands for all changes from number ``since`` on.
    """

    number: int
    msgtype: EnvelopeType
    content: bytes
    buffers: Buffers = ()
    keys: frozenset[Key] = frozenset()
    models: frozenset[str] = frozenset()
    since: int = 0

    @property
    def size(self) -> int:
        """Bytes of content and buffers."""
        return len(self.content) + sum(len(payload) for _, payload in self.buffers)

    @property
    def waits(self) -> int:
        """Bytes that a whole document would save: those of a patch."""
        return self.size if self.msgtype == "PATCH-DOC" else 0

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes."""
        return self.size + EACH

    def message(self) -> Outgoing:
        """The message that carries it."""
        return outgoing(self.msgtype, self.content, msgid=str(self.number), buffers=self.buffers, number=self.number)


class Outbox:
    """The changes of one client, from ``put`` to ``acknowledge``."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Entry] = deque()
        self._flying: deque[Entry] = deque()
        self._kept: deque[Entry] = deque()
        self._keeping = 0
        self.kept = 0
        """Bytes of memory of the acknowledged entries that are kept."""
        self._bytes = 0
        self._documents = 0
        self.last = 0
        """The last number that was given."""
        self.acknowledged = 0
        """All numbers up to this one are settled."""
        self.until: int | None = None
        """Only numbers up to this one may leave (None: all)."""
        self._refused: deque[tuple[int, EnvelopeType, BokehServerError]] = deque(maxlen=REMEMBERED)

    def put(
        self,
        msgtype: EnvelopeType,
        content: bytes,
        buffers: Buffers = (),
        *,
        keys: frozenset[Key] = frozenset(),
        models: frozenset[str] = frozenset(),
    ) -> int:
        """Take a change; its number. A whole document takes the place of all that has not left yet."""
        with self._changed:
            self.last += 1
            since = self.last
            if msgtype == "PUSH-DOC" and self._waiting:
                since = self._waiting[0].since
                if self.until is not None and self._waiting[0].number <= self.until:
                    self.until = self.last  # what somebody waits for is in it
                self._documents -= sum(old.msgtype == "PUSH-DOC" for old in self._waiting)
                self._waiting.clear()
                self._bytes = 0
            entry = Entry(self.last, msgtype, content, buffers, keys, models, since)
            self._waiting.append(entry)
            self._bytes += entry.waits
            self._documents += msgtype == "PUSH-DOC"
            return entry.number

    def take(self) -> Entry | None:
        """The next change to send, which is under way from now on; None where there is none."""
        with self._changed:
            if not self._waiting or (self.until is not None and self._waiting[0].number > self.until):
                return None
            entry = self._waiting.popleft()
            self._flying.append(entry)
            self._bytes -= entry.waits
            return entry

    def acknowledge(self, number: int) -> list[Entry]:
        """The server holds all up to ``number``: let go of them. Returns those that were still here."""
        with self._changed:
            settled = []
            for queue in (self._flying, self._waiting):
                while queue and queue[0].number <= number:
                    settled.append(queue.popleft())
                    if queue is self._waiting:
                        self._bytes -= settled[-1].waits
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
            self._waiting.extendleft(reversed(self._flying))
            self._bytes += sum(entry.waits for entry in self._flying)
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

    def after(self, number: int) -> list[Entry]:
        """All entries past ``number`` that are here, the kept ones included, in order."""
        with self._changed:
            entries = (*self._kept, *self._flying, *self._waiting)
            return [entry for entry in entries if entry.number > number]

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
        """Size of the patches that have not left yet."""
        return self._bytes

    @property
    def memory(self) -> int:
        """Bytes of memory that they take."""
        return self._bytes + EACH * len(self._waiting)

    def wait(self, number: int, timeout: float | None) -> bool:
        """Wait until all up to ``number`` are settled, at most ``timeout`` seconds (None: no limit)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self.acknowledged < number:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def notify(self) -> None:
        """Wake all who wait, so that they look again."""
        with self._changed:
            self._changed.notify_all()

    def clear(self) -> None:
        """Let go of everything: nobody will ever take it."""
        with self._changed:
            self._waiting.clear()
            self._flying.clear()
            self._kept.clear()
            self._bytes = self._documents = self.kept = 0
            self._advance()

    def _settle(self, entries: list[Entry]) -> None:
        self._documents -= sum(entry.msgtype == "PUSH-DOC" for entry in entries)
        if self._keeping:
            self._kept.extend(entries)
            self.kept += sum(entry.memory for entry in entries)
        self._advance()

    def _advance(self) -> None:
        """Everything in front of what is still here is settled."""
        first = next((queue[0].since for queue in (self._flying, self._waiting) if queue), self.last + 1)
        self.acknowledged = first - 1
        self._changed.notify_all()
