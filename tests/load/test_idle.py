"""Viewers who only look: how many one server holds, what each costs it, and that all hear of a patch."""

from __future__ import annotations

import asyncio

from bokeh_server.limits import KIB
from tests.load import vitals
from tests.load.audience import gathered, reached
from tests.load.conftest import Report
from tests.load.documents import SOURCE, document
from tests.load.scale import LONG
from tests.load.sockets import play
from tests.running import RunningServer

VIEWERS = 5_000 if LONG else 500
EACH = 15 * KIB
"""Bytes of the server's memory for each of them."""
WOKEN = 0.25
"""Seconds until the last of them has a patch."""
FIRST = 50
"""Those who come before memory is looked at: what they bring with them is there once."""


def test_an_idle_viewer_costs_little_and_hears_of_the_next_patch(server: RunningServer, report: Report) -> None:
    vitals.allow(VIEWERS + FIRST)
    link = server.request("PUT", "/api/v1/documents/idle", document())["id"]

    async def look() -> tuple[int, float]:
        first = await gathered(server, link, FIRST, "first")
        await asyncio.sleep(0.5)
        before = vitals.memory(server.pid)
        viewers = [*first, *await gathered(server, link, VIEWERS, "idle")]
        await asyncio.sleep(0.5)
        grown = vitals.memory(server.pid) - before
        woken = 0.0
        for row in range(3):  # the first has the room tell all of each other, too
            path = f"/api/v1/documents/idle/sources/{SOURCE}/rows"
            asked = asyncio.create_task(asyncio.to_thread(server.request, "POST", path, [{"n": row}]))
            woken = await reached(viewers, row + 1)
            await asked
        for viewer in viewers:
            viewer.check()
            assert viewer.connections == 1, "nobody was sent away"
        return grown, woken

    grown, woken = play(look())
    each = grown / VIEWERS
    report(f"{VIEWERS:,} viewers, {each / KIB:.1f} KiB each; all have a patch after {woken * 1000:.0f} ms")
    assert each <= EACH
    if LONG:
        assert woken < WOKEN
