"""Every bound of the server in one frozen dataclass, each with its reason.

All sizes are bytes, all times seconds. A bound that is exceeded costs the sender a clear ``TooLarge``, and nobody
else anything.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server.

    Parameters are keyword-only in practice; change one with ``dataclasses.replace(LIMITS, message=...)``.
    """

    message: int = 256 * MIB
    """One Bokeh message, all fragments together: a pushed document with 8 columns of 4 M float64."""

    question: int = 16 * KIB
    """One message of somebody who may not change the document: he asks for a copy of it, and no more."""

    body: int = 256 * MIB
    """One HTTP request body: the same document by PUT."""

    table: int = MIB
    """A body of rows that says that it is no longer is one change: all of it or nothing. A longer one, or one that does
    not say how long it is, is taken while it comes."""

    line: int = MIB
    """One line of rows that are taken while they come, and what a producer's socket may have waiting."""

    batch: int = 16 * MIB
    """One record batch of an Arrow stream, which can only be read as a whole."""

    nested: int = 4
    """How deep rows within a row become columns of their own."""

    fields: int = 200
    """Columns of a plot that is made of rows: rows whose fields are always new must end somewhere."""

    kept_rows: int = 10_000
    """Rows that a plot made of rows keeps where nothing else is asked for: a line that a browser draws in a frame."""

    head: int = 64 * KIB
    """Line and headers of one HTTP request: all cookies of this machine's name, and a URL."""

    request: float = 30.0
    """In which the head of a request, or more of its body, must come."""

    header: int = 16 * KIB
    """Header and metadata fragment of a message; real ones have 100 bytes."""

    buffers: int = 4096
    """Binary buffers of one message: one per column of a wide table."""

    depth: int = 200
    """Nesting of JSON. Real layouts stay below 60; orjson writes 254 levels."""

    events: int = 20_000
    """Events of one patch."""

    models: int = 200_000
    """Models of one document; 40 figures have 1,283."""

    title: int = 200
    """Characters of a document's title: it is shown in lists and logged."""

    ring: int = 4 * MIB
    """Encoded patches that a room keeps for viewers that fell behind or come back."""

    unacknowledged: int = 4 * MIB
    """Bytes of one client that wait for the store; past it the server stops reading from that client."""

    snapshot_records: int = 10_000
    """Records after which a snapshot is taken: replay of 10,000 patches takes about 0.1 s."""

    snapshot_bytes: int = 16 * MIB
    """Bytes of records after which a snapshot is taken, whichever comes first."""

    grave: float = 120.0
    """Seconds for which a model that nothing refers to can be named again: BokehJS collects only every 30 s."""

    grave_models: int = 5_000
    """Models in the grave; the oldest go first."""

    ticket: float = 30.0
    """Life of a single-use ticket to one socket: a page needs it at once."""

    tickets: int = 10_000
    """Tickets that wait to be used: all pages come back within 30 s of a restart."""

    idle_room: float = 60.0
    """A room without clients leaves memory after this time."""

    frame: float = 1 / 60
    """A page gets one message in this time: its screen shows no more."""

    pause: float = 30.0
    """A viewer that has not drained its socket for this long is shown the door (1013) and comes back by itself."""

    ping: float = 20.0
    """Between two pings of a silent socket: proxies cut after 60 s, phones sleep."""

    clients: int = 1_000
    """Remembered clients of a document (their last patch number, so that a resent patch is applied once)."""


LIMITS = Limits()
