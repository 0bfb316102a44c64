"""What a server measures of itself: tallies of its rooms, how long each stage of a patch takes, how late its loop is.

The stages of the oldest patch of each commit, which waits longest:

    message whole ──apply──▶ in memory ──queue──▶ store's turn ──commit──▶ on disk ──fanout──▶ at the sockets

and for a client whose socket is full, ``drain``: until it takes more. Each is a ``Histogram`` of plain integers, which
is observed once a commit (or once a full socket), never once a patch. A patch pays for what is added to the tally of
its room. Nothing here knows Prometheus: ``figures`` is a copy of all of it at one moment, for whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bokeh_server.core.authorise import Access
from bokeh_server.core.events import Append
from bokeh_server.core.log import Record
from bokeh_server.core.tally import Tally

if TYPE_CHECKING:
    from bokeh_server.live import Live

BOUNDS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the buckets, in seconds."""
STAGES: Final = ("apply", "queue", "commit", "fanout", "drain")
BEAT: Final = 0.25
"""Seconds between two looks at how late the event loop is."""


class Histogram:
    """How many values, in seconds, were up to each bound and not up to the one before; the last count has no bound."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Sequence[int] | None = None, total: float = 0.0) -> None:
        self.counts = [0] * (len(BOUNDS) + 1) if counts is None else list(counts)
        self.total = total

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def copy(self) -> Histogram:
        """As it is now."""
        return Histogram(self.counts, self.total)


@dataclass(frozen=True, slots=True)
class RoomFigures:
    """What is measured of one room."""

    access: Access
    """Which document it is, and who is what to that."""
    tally: Tally
    viewers: int
    programs: int
    changed: float
    """When the store last kept something of it (monotonic seconds; 0: not since it came into memory)."""
    full: int
    """Clients whose sockets are full."""
    lag: float
    """Seconds for which the slowest of them has been waiting."""
    unsent: int
    """Bytes that wait in its connections for their peers."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it at one moment."""

    now: float
    """Monotonic seconds."""
    rooms: list[RoomFigures]
    boards: int
    totals: Tally
    """Of all rooms, also of those that have left memory."""
    waiting: int
    """Bytes of patches that wait for the store."""
    failures: int
    """Appends that the store did not keep."""
    failing: bool
    """Whether it keeps nothing just now."""
    stages: dict[str, Histogram]
    loop: Histogram

    @property
    def lag(self) -> float:
        """Seconds for which the slowest client has been waiting."""
        return max((room.lag for room in self.rooms), default=0.0)

    def sum(self, name: str) -> int:
        """The sum of an attribute of all rooms."""
        return sum(getattr(room, name) for room in self.rooms)


@dataclass(slots=True)
class Meters:
    """The meters of one hub, which calls these in the order of a commit."""

    past: Tally = field(default_factory=Tally)
    """Of the rooms that have left memory."""
    apply: Histogram = field(default_factory=Histogram)
    queue: Histogram = field(default_factory=Histogram)
    commit: Histogram = field(default_factory=Histogram)
    fanout: Histogram = field(default_factory=Histogram)
    drain: Histogram = field(default_factory=Histogram)
    loop: Histogram = field(default_factory=Histogram)
    failures: int = 0
    arrived: float = 0.0
    """When the last message came that found no patch waiting."""
    began: float = 0.0
    """When the oldest patch that waits for the store was applied."""
    at: float = 0.0
    """When the stage under way began."""
    writing: Sequence[Record] = ()
    """What the store is writing."""

    def begins(self) -> None:
        """The first patch of the next commit is applied."""
        self.began = began = time.monotonic()
        self.apply.observe(began - self.arrived)

    def taken(self) -> None:
        """It is the turn of what waits."""
        self.queue.observe(time.monotonic() - self.began)

    def writes(self, records: Sequence[Record]) -> None:
        """The store gets these records."""
        self.at, self.writing = time.monotonic(), records

    def failed(self) -> None:
        """It could not keep them."""
        self.failures += 1
        self.writing = ()

    def kept(self, batch: Iterable[tuple[Live, Append]]) -> None:
        """It has kept them."""
        before, self.at, self.writing = self.at, time.monotonic(), ()
        self.commit.observe(self.at - before)
        for live, append in batch:
            tally = live.room.tally
            tally.records += 1
            tally.kept += len(append.record.body)

    def told(self) -> None:
        """Everybody who is to have them now was given them."""
        self.fanout.observe(time.monotonic() - self.at)

    async def keep_time(self) -> None:
        """Measure how late the event loop is, for ever."""
        while True:
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self.loop.observe(max(0.0, time.monotonic() - due))

    def figures(
        self, rooms: Iterable[Live], *, boards: int, batch: Iterable[tuple[Live, Append]], failing: bool
    ) -> Figures:
        """A copy of all figures; ``batch`` is what waits for the store, besides what it is writing."""
        now = time.monotonic()
        measured = [room_of(live, now) for live in rooms]
        totals = self.past
        for room in measured:
            totals = totals.plus(room.tally)
        waiting = sum(len(record.body) for record in self.writing)
        waiting += sum(len(append.record.body) for _, append in batch)
        stages = {stage: getattr(self, stage).copy() for stage in STAGES}
        return Figures(now, measured, boards, totals, waiting, self.failures, failing, stages, self.loop.copy())


def room_of(live: Live, now: float) -> RoomFigures:
    """What is measured of a room; ``now`` in monotonic seconds."""
    programs, _, viewers = live.room.presence
    lag = max((now - since for since in live.full.values()), default=0.0)
    unsent = sum(connection.unsent for connection in live.connections.values())
    tally = Tally().plus(live.room.tally)
    return RoomFigures(live.room.access, tally, viewers, programs, live.changed, len(live.full), lag, unsent)
