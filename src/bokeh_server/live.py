"""A room in memory, and what belongs to it outside the core: its connections, and the requests that wait for it.

``Listing`` is a document with what is known of its room, if it has one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bokeh_server.core.room import Room
from bokeh_server.errors import BokehServerError
from bokeh_server.seat import Connection
from bokeh_server.store import Info

LEAST = 16 * 1024
"""Bytes that a slow peer takes in ``Limits.pause`` seconds: half a kilobyte a second."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A document as lists show it, with how many are there just now."""

    info: Info
    programs: int
    viewers: int


@dataclass(slots=True)
class Live:
    """A room in memory and what belongs to it outside the core."""

    room: Room
    connections: dict[int, Connection] = field(default_factory=dict)
    behind: dict[int, int] = field(default_factory=dict)
    """The connections whose buffer is full, and how many bytes waited there when their peers last took some."""
    full: dict[int, float] = field(default_factory=dict)
    """The same connections, and since when (monotonic seconds)."""
    waiting: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    next_key: int = 0
    empty_since: float = field(default_factory=time.monotonic)
    changed: float = 0.0
    """When the store last kept something of it (monotonic seconds)."""
    told_rights: int = 0
    kind: str = ""
    """What lists say that the document shows."""
    shows: tuple[int, int] | None = None
    """How many models and roots it had then."""
    dead: bool = False

    def key(self) -> int:
        """A number that is not in use in this room."""
        self.next_key += 1
        return self.next_key

    def slow(self) -> list[int]:
        """The clients whose buffer is full, and whose peers have taken some of it since this was asked."""
        left = {client: self.connections[client].unsent for client in self.behind}
        slow = {client: size for client, size in left.items() if size <= self.behind[client] - LEAST}
        self.behind |= slow
        return [*slow]


def settle(future: asyncio.Future[int] | None, outcome: int | BokehServerError) -> None:
    """Answer a request, if it still waits."""
    if future is None or future.done():
        return
    if isinstance(outcome, BokehServerError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
