"""Who gets which bytes: one ring of encoded patches per room, and a cursor per receiver.

There is no queue per receiver. A receiver that keeps up is given the shared message and its cursor moves on; one whose
socket is full is passed over; when it drains, it gets what the ring has after its cursor, or, if the ring has let go
of that, a fresh copy of the document. So a slow viewer costs the room its cursor and nothing else. (``core.audience``
carries that out.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """An encoded message: the ring only asks how large it is."""

    @property
    def size(self) -> int: ...


class Entry(Protocol):
    """One patch in the ring."""

    @property
    def seq(self) -> int: ...

    @property
    def name(self) -> str:
        """The id of the client that sent it, over reconnects."""

    @property
    def message(self) -> Sized: ...


@dataclass(slots=True)
class Cursor:
    """How far one receiver has come. ``name`` is the client's own id over reconnects."""

    seq: int = 0
    name: str = ""
    subscribed: bool = False
    paused: bool = False
    framed: bool = False
    """Whether it gets no more than one message a frame."""
    copying: tuple[int, int] | None = None
    """The first and last of the patches that are being written anew for it as one (``core.copies``): it waits."""

    @property
    def ready(self) -> bool:
        """Whether it may be given something that is not a patch, or more than one."""
        return self.subscribed and not self.paused and not self.copying


Kept = TypeVar("Kept", bound=Entry)
Key = TypeVar("Key")


class Ring(Generic[Kept]):
    """The newest patches, without a gap, bounded in bytes."""

    __slots__ = ("_bytes", "_entries", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: deque[Kept] = deque()
        self._bytes = 0

    def push(self, entry: Kept) -> None:
        """Add the next patch; the oldest leave while the ring is over its bytes."""
        self._entries.append(entry)
        self._bytes += entry.message.size
        while self._bytes > self._limit:
            self._bytes -= self._entries.popleft().message.size

    def clear(self) -> None:
        """Forget all: what came before can't be caught up with by patches."""
        self._entries.clear()
        self._bytes = 0

    def after(self, seq: int, head: int, name: str) -> list[Kept] | None:
        """What a client called ``name``, which has seen ``seq``, lacks up to ``head``; its own patches it has.

        None where the ring does not reach back that far.
        """
        if seq == head:
            return []
        if not self._entries or not self._entries[0].seq - 1 <= seq <= head:
            return None
        return [entry for entry in self._since(seq) if not name or entry.name != name]

    def has(self, seq: int, name: str) -> bool:
        """Whether a client called ``name`` has sent a patch after ``seq``."""
        return any(entry.name == name for entry in self._since(seq))

    def _since(self, seq: int) -> Iterator[Kept]:
        """The entries after ``seq``: there is one for each."""
        first = max(0, seq + 1 - self._entries[0].seq) if self._entries else 0
        return islice(self._entries, first, None)


def receivers(
    cursors: Iterable[tuple[Key, Cursor]],
    first: int,
    last: int,
    sender: Key | None,
    name: str = "",
    *,
    within: bool = False,
) -> tuple[list[Key], list[Key]]:
    """Those who are due for the patches ``first`` to ``last``, all but their sender: who gets each of them, and who
    gets one message a frame (nobody ``within`` a frame). The cursors of all who have them now move on.

    ``name`` is the sender's own id, which it may have on a newer socket as well.
    """
    due: list[Key] = []
    framed: list[Key] = []
    before = first - 1
    for key, cursor in cursors:
        if cursor.seq == before and cursor.subscribed:
            if key == sender or (name and cursor.name == name):
                cursor.seq = last
            elif not (cursor.paused or cursor.copying or (within and cursor.framed)):
                cursor.seq = last
                (framed if cursor.framed else due).append(key)
    return due, framed
