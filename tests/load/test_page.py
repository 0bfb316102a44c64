"""A page that follows a fast stream: it goes on painting, and its scripts take no more and more memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from bokeh_server.limits import MIB
from tests.load import vitals
from tests.load.conftest import Report
from tests.load.pages import Screen, chromium
from tests.load.scale import LONG
from tests.load.sockets import play
from tests.running import RunningServer, environment

ROWS, RATE = 100, 100
"""10,000 points a second."""
ROLLOVER = 10_000
SECONDS = 300 if LONG else 6
FPS = 30.0
AS_IDLE = 0.8
"""What it paints at least, as a part of what it paints without a stream, where that is less (software rendering)."""
GROWTH = 2 * MIB
"""Bytes of the heap that are no trend: caches of the engine."""
COUNT = "(globalThis.painted = 0, (function paint() { painted += 1; requestAnimationFrame(paint) })(), true)"
ROWS_SHOWN = "[...doc.all_models].find((m) => m.type === 'ColumnDataSource').get_column('n')"


async def painted(screen: Screen, seconds: float) -> float:
    """Frames a second that the page paints, and that its plot could change in."""
    before = await screen.ask("[painted, performance.now()]")
    await asyncio.sleep(seconds)
    after = await screen.ask("[painted, performance.now()]")
    return float((after[0] - before[0]) / (after[1] - before[1]) * 1000)


async def heap(screen: Screen, session: Any) -> int:
    """Bytes that the page's scripts hold, without garbage."""
    await session.send("HeapProfiler.collectGarbage")
    return int(await screen.ask("performance.memory.usedJSHeapSize"))


def test_a_page_follows_a_fast_stream_and_goes_on_painting(
    server: RunningServer, shell_path: str, report: Report
) -> None:
    script = str(Path(__file__).with_name("flood.py"))
    command = [sys.executable, script, "flood", server.url, *map(str, (ROWS, RATE, SECONDS, ROLLOVER))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        while program.stdout.readline() != "ready\n":
            assert program.poll() is None
        link = server.request("GET", "/api/v1/documents")[0]["id"]

        async def follow() -> tuple[float, float, list[int], int]:
            async with chromium(shell_path) as browser:
                screen = await Screen.open(browser, f"{server.url}/bokeh/doc/{link}")
                assert await screen.ask(COUNT)
                session = await screen.page.context.new_cdp_session(screen.page)
                idle = await painted(screen, min(SECONDS / 3, 5.0))
                assert program.stdin is not None
                assert program.stdout is not None
                program.stdin.write("\n")
                program.stdin.flush()
                ended = asyncio.create_task(asyncio.to_thread(program.stdout.readline))
                rates, heaps, shown = [], [], [0]
                while not ended.done():
                    rates.append(await painted(screen, SECONDS / 12))
                    heaps.append(await heap(screen, session))
                    shown.append(await screen.ask(f"{ROWS_SHOWN}.at(-1)"))
                row = int((await ended).split()[0])
                await screen.until(f"{ROWS_SHOWN}.at(-1) === {row - 1}")
                column = await screen.column()
                assert column == list(range(max(0, row - len(column)), row))
                assert len(column) == min(row, ROLLOVER)
                assert sum(b > a for a, b in pairwise(shown)) >= len(shown) // 2, "it stood still"
                assert screen.warnings == []
                return idle, sum(rates) / len(rates), heaps, row

        idle, rate, heaps, row = play(follow())
    assert program.returncode == 0
    half = heaps[len(heaps) // 2 :]
    trend = vitals.slope(range(len(half)), half) * len(half) if len(half) > 1 else 0.0
    report(
        f"{row:,} points in {SECONDS} s: {rate:.0f} frames/s, {idle:.0f} without a stream;"
        f" heap {heaps[-1] / MIB:.1f} MiB, {trend / MIB:+.1f} over the second half"
    )
    assert rate > 1
    if LONG:
        assert rate >= min(FPS, AS_IDLE * idle)
        assert trend < GROWTH
