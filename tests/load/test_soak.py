"""A server that runs and runs: a steady stream, viewers that come and go; nothing grows.

``SOAK_MINUTES`` (12 seconds; ``make soak``: four hours) is how long. From ten minutes on the growth of the memory is
judged, over the second half of the time.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest

from bokeh_server.limits import MIB
from tests.load import vitals
from tests.load.audience import gathered, reached, until
from tests.load.conftest import Report
from tests.load.documents import document, rows
from tests.load.producers import Producer
from tests.load.scale import SOAK_MINUTES
from tests.load.sockets import play
from tests.load.viewers import Viewer
from tests.running import RunningServer

RATE = 50
"""Patches a second."""
ROWS = 10
ROLLOVER = 1_000
VALUES = str([round(0.123456 + n / 10, 6) for n in range(ROWS)])
VIEWERS = 20
DRIFT = 0.01
"""Of the memory, in an hour."""
LONG_ENOUGH = 10.0
"""Minutes from which a drift can be told from noise."""
FILES = 40
"""Descriptors at most that are no sockets of viewers: the loop's, the log's, those of the database's connections."""
SNAPSHOT = 16 * MIB
"""Bytes of records between two snapshots at most (``Limits.snapshot_bytes``); there may be two and the free pages."""


def patch(number: int) -> tuple[str, int]:
    """The content of a patch, and how many rows there are then."""
    return rows(number * ROWS, ROWS, rollover=ROLLOVER, y=VALUES), (number + 1) * ROWS


@dataclass
class Record:
    """What was seen of the server, moment by moment."""

    hours: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def look(self, server: RunningServer, began: float) -> None:
        """Look once."""
        self.hours.append((time.monotonic() - began) / 3600)
        self.memory.append(vitals.memory(server.pid))
        self.store.append(vitals.size(server.folder))
        self.descriptors.append(vitals.descriptors(server.pid))

    @property
    def drift(self) -> float:
        """The growth of the memory in an hour, as a part of it, over the second half."""
        half = len(self.hours) // 2
        memory = self.memory[half:]
        return vitals.slope(self.hours[half:], memory) / (sum(memory) / len(memory))


async def come_and_go(server: RunningServer, link: str, viewers: list[Viewer], stop: asyncio.Event) -> int:
    """One viewer leaves, politely or not, and another comes, about twice a second; how many have come."""
    choose, count = random.Random(1), 0
    while not stop.is_set():
        leaving = viewers.pop(choose.randrange(len(viewers)))
        leaving.check()
        assert leaving.socket is not None
        leaving.socket.leave() if choose.random() < 0.5 else leaving.socket.cut()
        viewers += await gathered(server, link, 1, f"guest-{count}", rollover=ROLLOVER)
        count += 1
        await asyncio.sleep(choose.uniform(0.1, 0.9))
    return count


@pytest.mark.timeout(120 + 90 * SOAK_MINUTES)
def test_a_server_that_runs_for_long_does_not_grow(server: RunningServer, report: Report) -> None:
    link = server.request("PUT", "/api/v1/documents/soak", document("y"))["id"]
    seen = Record()

    async def run() -> tuple[int, int, int]:
        producer = await Producer.join(server.port, link)
        await asyncio.sleep(0.5)
        alone = vitals.sockets(server.pid)
        viewers = await gathered(server, link, VIEWERS, "first", rollover=ROLLOVER)
        full, stop, began = vitals.sockets(server.pid), asyncio.Event(), time.monotonic()
        streaming = asyncio.create_task(producer.stream(patch, RATE, 60 * SOAK_MINUTES))
        guests = asyncio.create_task(come_and_go(server, link, viewers, stop))
        while not streaming.done():
            assert not guests.done(), guests.result()
            seen.look(server, began)
            await asyncio.sleep(max(0.2, SOAK_MINUTES / 10))
        await streaming
        stop.set()
        count = await guests
        row = producer.number * ROWS
        await reached(viewers, row)
        for viewer in viewers:
            viewer.check()
            assert viewer.rows == (max(0, row - ROLLOVER), row)
            assert viewer.socket is not None
            viewer.socket.leave()
        await until(
            lambda: vitals.sockets(server.pid) <= alone,
            lambda: f"{vitals.sockets(server.pid)} sockets are open, {alone} were before anybody came",
        )
        return full, count, row

    full, guests, row = play(run())
    assert max(seen.descriptors) <= full + FILES, "descriptors of viewers who left stay open"
    entries = dict(server.request("GET", "/api/v1/documents/soak/models/rows/data")["entries"])
    assert entries["n"] == list(range(max(0, row - ROLLOVER), row))
    store = max(seen.store)
    drift = f", {100 * seen.drift:+.2f} %/h" if SOAK_MINUTES >= LONG_ENOUGH else ""
    report(
        f"{60 * SOAK_MINUTES:.0f} s, {guests} guests: memory {seen.memory[-1] / MIB:.1f} MiB{drift},"
        f" descriptors {max(seen.descriptors)}, store {store / MIB:.1f} MiB"
    )
    assert store < 4 * SNAPSHOT
    half = len(seen.descriptors) // 2
    assert max(seen.descriptors[half:]) <= max(seen.descriptors[: half + 1]) + FILES // 4, "more and more are open"
    if SOAK_MINUTES >= LONG_ENOUGH:
        assert seen.drift < DRIFT
