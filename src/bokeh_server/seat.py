"""A connection and its place in a room: all that the hub and an adapter know of each other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from bokeh_server.core.events import Drained, Event, Left, Paused, Received
from bokeh_server.core.wire import Message, Outgoing

if TYPE_CHECKING:
    from bokeh_server.hub import Hub
    from bokeh_server.live import Live


class Connection(Protocol):
    """One open websocket, as the adapter gives it. No method blocks or raises; after ``close`` all do nothing."""

    @property
    def unsent(self) -> int:
        """Bytes that wait here for the peer to take them."""

    def send(self, message: Outgoing) -> None:
        """Send a message."""

    def close(self, code: int, reason: str) -> None:
        """Close the socket with a websocket close code."""

    def pause_reading(self) -> None:
        """Read no more from the socket, so that the sender has to wait."""

    def resume_reading(self) -> None:
        """Read again."""


class Seat:
    """One connection's place in a room. All methods return at once; after ``leave`` they do nothing."""

    __slots__ = ("_hub", "_key", "_live")

    def __init__(self, hub: Hub, live: Live, key: int) -> None:
        self._hub = hub
        self._live = live
        self._key = key

    def receive(self, *messages: Message) -> None:
        """Messages came from the connection."""
        if messages:
            self._tell(Received(self._key, messages, time.time()))

    def paused(self) -> None:
        """The connection's buffer is full."""
        connection = self._live.connections.get(self._key)
        if connection is not None:
            self._live.behind[self._key] = connection.unsent
            self._live.full.setdefault(self._key, time.monotonic())
            self._live.room.tally.stalls += 1
        self._tell(Paused(self._key, time.monotonic()))

    def resumed(self) -> None:
        """The connection takes more."""
        self._live.behind.pop(self._key, None)
        since = self._live.full.pop(self._key, None)
        if since is not None:
            self._hub.meters.drain.observe(time.monotonic() - since)
        self._tell(Drained(self._key))

    def leave(self) -> None:
        """The connection is closed."""
        self._live.behind.pop(self._key, None)
        self._live.full.pop(self._key, None)
        if self._live.connections.pop(self._key, None) is not None:
            self._live.empty_since = time.monotonic()
            self._hub.tell(self._live, Left(self._key))

    def _tell(self, event: Event) -> None:
        if self._key in self._live.connections:
            self._hub.tell(self._live, event)
