"""What a room counts: plain integers that only grow, so that counting costs a patch next to nothing.

Nobody reads them while patches are on their way. Whoever watches the server adds up the tallies of all rooms when he
asks (``bokeh_server.meters``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Tally:
    """Counts since the room came into memory."""

    records: int = 0
    """Patches and whole documents that the store has kept."""
    kept: int = 0
    """Bytes of them."""
    documents: int = 0
    """Of these, the whole documents in the place of old ones."""
    refused: int = 0
    """Requests of clients that were answered with an ERROR."""
    messages: int = 0
    """Messages that were handed to sockets; those that left in one write are one."""
    sent: int = 0
    """Bytes of these messages."""
    framed: int = 0
    """Messages to pages that stood for several patches of one frame: the page's screen shows no more."""
    conflated: int = 0
    """Messages that stood for several patches because the client was slow, or had been away."""
    copies: int = 0
    """Copies of just what had changed, to clients whom the ring could not help."""
    pulls: int = 0
    """Copies of the whole document that clients asked for."""
    resyncs: int = 0
    """Clients that were told to pull the document again."""
    stalls: int = 0
    """Times that the socket of a client was full."""
    doors: int = 0
    """Clients that were shown the door (1013) since they took next to nothing for too long."""

    @property
    def patches(self) -> int:
        """Patches that the store has kept."""
        return self.records - self.documents

    def take(self, other: Tally) -> None:
        """Move the counts of another tally here."""
        for name in NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
            setattr(other, name, 0)

    def plus(self, other: Tally) -> Tally:
        """Both together; neither changes."""
        return Tally(*(getattr(self, name) + getattr(other, name) for name in NAMES))


NAMES = tuple(field.name for field in fields(Tally))
