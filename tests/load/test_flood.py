"""A million points a second from one program, seen by viewers at their frame rate."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.load import vitals
from tests.load.audience import gathered, reached
from tests.load.conftest import Report
from tests.load.scale import LONG
from tests.load.sockets import play
from tests.running import RunningServer, environment

VIEWERS = 10
ROWS = 5_000
"""In one patch, of two columns of float64."""
RATE = 200 if LONG else 50
SECONDS = 20 if LONG else 3
ROLLOVER = 100_000
CORES = 1.0
"""Processors that the server may use."""


def test_a_million_points_a_second_arrive_and_are_shown(server: RunningServer, report: Report) -> None:
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

        async def watch() -> tuple[list[str], float, int, int]:
            viewers = await gathered(server, link, VIEWERS, "watching", rollover=ROLLOVER, skips=True)
            began = vitals.processor_time(server.pid)
            assert program.stdin is not None
            assert program.stdout is not None
            program.stdin.write("\n")
            program.stdin.flush()
            told = (await asyncio.to_thread(program.stdout.readline)).split()
            used = vitals.processor_time(server.pid) - began
            await reached(viewers, int(told[0]))
            for viewer in viewers:
                viewer.check()
                assert viewer.rows == (max(0, int(told[0]) - ROLLOVER), int(told[0]))
            again = sum(viewer.copies - 1 + viewer.gaps for viewer in viewers)
            return told, used, sum(viewer.messages for viewer in viewers), again

        told, used, messages, again = play(watch())
    assert program.returncode == 0
    points, stream, taken = int(told[0]) - 1, float(told[1]), float(told[2])
    assert points == ROWS * RATE * SECONDS
    report(
        f"{points / taken:,.0f} points/s to {VIEWERS} viewers, {messages / taken / VIEWERS:.0f} messages/s to each;"
        f" {used / taken:.2f} processors, {1e6 * used / points:.2f} s for a million points;"
        f" p99 of stream() {stream:.0f} µs; {again} copies and gaps"
    )
    assert messages <= VIEWERS * (RATE * SECONDS + 20)
    if LONG:
        assert again == 0, "the program was so far behind that it left out rows, or a viewer was"
        assert points / taken > 0.95 * ROWS * RATE
        assert used / taken < CORES
