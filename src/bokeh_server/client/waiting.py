"""The changes that wait in memory, in order, as few as they can be.

Rows for one source that come one after the other are one entry, which stands where the last of them does; rows that a
rollover has already cut off go. That is all done when they come, so that whoever takes an entry takes a whole batch.
Where more than ``pressed`` bytes wait, of the values that one attribute was set to only the last stays.

Nothing is moved, or left out, across a change that may concern other models as well.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

from bokeh_server.client.changes import EACH, Entry, Key

BATCH = 256 * 1024
"""Bytes of memory of rows that leave together; more at once would keep the program from running for milliseconds."""


class _Run:
    """Entries about one key. ``growing`` are rows with one rollover that came last, ``rows`` of them in all."""

    __slots__ = ("before", "growing", "rollover", "rows")

    def __init__(self) -> None:
        self.before: deque[Entry] = deque()
        self.growing: deque[Entry] = deque()
        self.rollover: int | None = None
        self.rows = 0

    def end(self, entry: Entry | None = None) -> None:
        """No rows are added to those that are here; ``entry`` stands behind them."""
        self.before += self.growing
        self.growing.clear()
        self.rows = 0
        if entry is not None:
            self.before.append(entry)

    def forget(self, entry: Entry) -> None:
        """It is not here any more."""
        if entry in self.growing:
            self.growing.remove(entry)
            self.rows -= entry.appended
        elif entry in self.before:
            self.before.remove(entry)


class Waiting:
    """Entries in the order of their numbers. Whoever uses it holds a lock."""

    def __init__(self, pressed: int) -> None:
        self._pressed = pressed
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._runs: dict[Key, _Run] = {}
        self.size = 0
        """Bytes of the patches."""
        self.lasting = 0
        """Bytes of memory of those that are not just rows."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def memory(self) -> int:
        """Bytes of memory that they take."""
        return self.size + EACH * len(self._entries)

    @property
    def first(self) -> Entry | None:
        """The oldest, if there is any."""
        return next(iter(self), None)

    def add(self, entry: Entry) -> None:
        """One more."""
        if entry.rows is not None:
            self._add_rows(entry)
            return
        self._append(entry)
        if entry.reach == "any":
            self.part()
            return
        (key,) = entry.keys
        run = self._runs.setdefault(key, _Run())
        if entry.reach == "whole" and self.size > self._pressed:
            for old in (*run.before, *run.growing):
                self._remove(old)  # all about this key is said anew
        run.end(entry)

    def _add_rows(self, entry: Entry) -> None:
        rows, (key,) = entry.rows, entry.keys
        assert rows is not None
        run = self._runs.setdefault(key, _Run())
        if run.rollover != rows.rollover:
            run.end()
            run.rollover = rows.rollover
        last = run.growing[-1] if run.growing else None
        if last is not None and last.rows is not None and last.size < BATCH and last.rows.kind == rows.kind:
            self._grow(run, last, entry)
        else:
            self._append(entry)
            run.growing.append(entry)
            run.rows += rows.length
        if rows.rollover is not None:
            while run.rows - (oldest := run.growing[0]).appended >= rows.rollover:
                self._remove(oldest)

    def _grow(self, run: _Run, last: Entry, entry: Entry) -> None:
        """Put the rows of ``entry`` behind those of ``last``, which then stands where it would."""
        assert last.rows is not None
        assert entry.rows is not None
        size, length = last.size, last.rows.length
        last.rows.add(entry.rows)
        del self._entries[last.number]
        last.number = entry.number
        self._entries[last.number] = last
        self.size += last.size - size
        run.rows += last.rows.length - length

    def _append(self, entry: Entry) -> None:
        self._entries[entry.number] = entry
        self.size += entry.waits
        self.lasting += 0 if entry.appended else entry.waits + EACH

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.number]
        self.size -= entry.waits
        self.lasting -= 0 if entry.appended else entry.waits + EACH
        for key in entry.keys if entry.reach != "any" else ():
            if (run := self._runs.get(key)) is not None:
                run.forget(entry)

    def take(self) -> Entry:
        """Take out the oldest; nothing is added to it any more."""
        entry = next(iter(self))
        self._remove(entry)
        entry.sealed = True
        return entry

    def take_rows(self) -> Entry | None:
        """Take out the oldest that does nothing but append rows; None where there is none."""
        for entry in self:
            if entry.appended:
                self._remove(entry)
                return entry
        return None

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Put entries that were taken in front again."""
        for entry in reversed(list(entries)):
            self._append(entry)
            self._entries.move_to_end(entry.number, last=False)

    def part(self) -> None:
        """What comes now is not added to anything that is here."""
        self._runs.clear()

    def clear(self) -> None:
        """Let go of all."""
        self._entries.clear()
        self._runs.clear()
        self.size = self.lasting = 0
