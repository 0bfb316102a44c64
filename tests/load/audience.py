"""Many viewers of one document at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.load.scale import LONG
from tests.load.viewers import Heard, Viewer
from tests.running import RunningServer

AT_ONCE = 50
PATIENCE = 60.0 if not LONG else 300.0
"""Seconds until all have what there is, on a busy machine."""


async def gathered(
    server: RunningServer,
    document: str,
    count: int,
    name: str,
    *,
    rollover: int | None = None,
    skips: bool = False,
    heard: Heard | None = None,
    receive_buffer: int | None = None,
) -> list[Viewer]:
    """So many viewers, each of which has its copy of the document."""
    host = f"localhost:{server.port}"
    viewers = [
        Viewer(server.port, document, f"{name}-{at}", host=host, rollover=rollover, skips=skips, heard=heard)
        for at in range(count)
    ]
    for at in range(0, count, AT_ONCE):
        some = viewers[at : at + AT_ONCE]
        await asyncio.gather(*(viewer.open(receive_buffer=receive_buffer) for viewer in some))
        await asyncio.wait_for(asyncio.gather(*(viewer.live.wait() for viewer in some)), PATIENCE)
    return viewers


async def reached(viewers: list[Viewer], row: int) -> float:
    """Wait until every viewer has all rows before ``row``; the seconds that took. What is wrong with one is told."""
    try:
        return await until(lambda: all(viewer.rows[1] == row for viewer in viewers), lambda: behind(viewers, row))
    finally:
        for viewer in viewers:
            viewer.check()


def behind(viewers: list[Viewer], row: int) -> str:
    """Who does not have all rows before ``row``."""
    late = [f"{viewer.name} has {viewer.rows}" for viewer in viewers if viewer.rows[1] != row]
    return f"{len(late)} viewers do not have {row} rows: {late[:5]}"


async def until(holds: Callable[[], bool], told: Callable[[], str], patience: float = PATIENCE) -> float:
    """Wait until something is so; the seconds that took."""
    begin = time.perf_counter()
    while not holds():
        assert time.perf_counter() - begin < patience, told()
        await asyncio.sleep(0.002)
    return time.perf_counter() - begin
