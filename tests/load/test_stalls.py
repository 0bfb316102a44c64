"""Viewers that stop reading while a document streams fast: they cost the server little and nobody else anything."""

from __future__ import annotations

import asyncio
import statistics

from bokeh_server.limits import KIB
from tests.load import vitals
from tests.load.audience import gathered, reached
from tests.load.conftest import Report
from tests.load.documents import document, rows
from tests.load.producers import Producer
from tests.load.scale import LONG
from tests.load.sockets import play
from tests.running import RunningServer

STALLED = 1_000 if LONG else 30
HEALTHY = 10
SECONDS = 60.0 if LONG else 8.0
RATE = 200
"""Patches a second, of 10 kB each."""
ROWS = 500
ROLLOVER = 5_000
VALUES = str([round(0.1234567891 + n / 1000, 10) for n in range(ROWS)])
EACH = 256 * KIB
"""Bytes of the server's memory for each that does not read."""
WORSE = 1.2
"""How much longer others may wait for a patch than without the stalled ones, nine hundred and ninety times of 1,000."""


def patch(number: int) -> tuple[str, int]:
    """The content of a patch, and how many rows there are then."""
    return rows(number * ROWS, ROWS, rollover=ROLLOVER, y=VALUES), (number + 1) * ROWS


def streamed_bytes() -> float:
    """What is streamed while they stall."""
    return SECONDS * RATE * len(patch(0)[0])


class Ages:
    """How old each patch was when each of the viewers got it, in seconds."""

    def __init__(self, producer: Producer) -> None:
        self._sent = producer.sent
        self.seconds: list[float] = []

    def heard(self, before: int, after: int, now: float) -> None:
        """A viewer has these rows now."""
        self.seconds += [now - self._sent[until] for until in range(before + ROWS, after + 1, ROWS)]

    def p99(self) -> float:
        """Nearly the worst since the last look."""
        seconds, self.seconds = self.seconds, []
        return statistics.quantiles(seconds, n=100)[-1]


async def peak(pid: int, stop: asyncio.Event) -> int:
    """The most memory that a process had until ``stop``."""
    most = vitals.memory(pid)
    while not stop.is_set():
        await asyncio.sleep(0.2)
        most = max(most, vitals.memory(pid))
    return most


async def streamed(server: RunningServer, producer: Producer) -> int:
    """Stream for a while; the most memory that the server had meanwhile."""
    stop = asyncio.Event()
    most = asyncio.create_task(peak(server.pid, stop))
    await producer.stream(patch, RATE, SECONDS)
    stop.set()
    return await most


def test_viewers_that_do_not_read_cost_only_themselves(server: RunningServer, report: Report) -> None:
    vitals.allow(STALLED + HEALTHY)
    link = server.request("PUT", "/api/v1/documents/stalls", document("y"))["id"]
    assert 9_000 < len(patch(100)[0]) < 11_000

    async def run() -> tuple[float, float, float, int]:
        producer = await Producer.join(server.port, link)
        ages = Ages(producer)
        healthy = await gathered(server, link, HEALTHY, "healthy", rollover=ROLLOVER, heard=ages.heard)
        await streamed(server, producer)
        alone = ages.p99()
        stalled = await gathered(server, link, STALLED, "stalled", rollover=ROLLOVER, receive_buffer=8 * KIB)
        before = vitals.memory(server.pid)
        for viewer in stalled:
            viewer.stall()
        most = await streamed(server, producer)
        beside = ages.p99()
        row = producer.number * ROWS
        await reached(healthy, row)
        assert all(viewer.rows[1] < row for viewer in stalled), "they were shown what they did not read"

        stop = asyncio.Event()
        back = [asyncio.create_task(viewer.run(stop)) for viewer in stalled]
        for viewer in stalled:
            viewer.go_on()
        await reached(stalled, row)
        stop.set()
        await asyncio.gather(*back)
        for viewer in [*healthy, *stalled]:
            viewer.check()
            assert viewer.rows == (row - ROLLOVER, row)
        assert all(viewer.connections == 1 for viewer in healthy)
        doors = sum(viewer.connections > 1 for viewer in stalled)
        return (most - before) / STALLED, alone, beside, doors

    each, alone, beside, doors = play(run())
    report(
        f"{STALLED:,} stalled for {SECONDS:.0f} s: {each / KIB:.0f} KiB each, {doors} sent away; p99 of"
        f" {HEALTHY} others {beside * 1000:.1f} ms, {alone * 1000:.1f} without them"
    )
    if not LONG:  # what many do not read is there once: it shows where they are few
        assert each * STALLED < streamed_bytes() / 2, "what they do not read is kept"
    assert each <= EACH
    if LONG:
        assert beside <= WORSE * alone
