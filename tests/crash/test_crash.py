"""kill -9 of the real server under load, again and again: promises 1 to 4, seen from outside.

``CRASH_CYCLES`` (100; ``make crash``: 1,000) kills, at random moments, with six writers, three viewers and one program
of our client library on four documents; after each hundred there is a new server. At every kill the database is sound;
after it, of one document in its turn, and of all at the end: no acknowledged row is lost, none is doubled or out of
order, and nobody was shown a row that the log does not have. A row that is lost once is missing at every later look.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from itertools import chain
from pathlib import Path

import pytest

from tests.crash.clients import Viewer, Writer, count
from tests.running import RunningServer, environment

ALL_CYCLES = int(os.environ.get("CRASH_CYCLES", "100"))
CYCLES = min(100, ALL_CYCLES)
"""Of one server: the documents grow all the time."""
READY = 2.0
"""Seconds until it is ready again: of processor time each time; and nine times of ten by the clock, less what it
waited while others had the processors (what it waited for the disk, too, depends on who else uses the machine)."""


def document(*sources: str) -> dict[str, object]:
    """Sources as roots, each with a column of numbers."""
    data = {"type": "map", "entries": [["n", []]]}
    roots = [
        {"type": "object", "name": "ColumnDataSource", "id": source, "attributes": {"data": data}} for source in sources
    ]
    return {"version": "3.9.2", "title": "crash", "roots": roots}


async def live(server: RunningServer, titles: list[str], seed: int) -> list[tuple[float, float]]:
    """Kill and start the server ``CYCLES`` times under load; the seconds of each start, of work and by the clock."""
    links = [server.request("PUT", f"/api/v1/documents/{title}", document("a", "b"))["link"] for title in titles]
    writers = [[Writer(link, f"writer-{at}-{s}", s) for s in "ab"] for at, link in enumerate(links)]
    viewers = [Viewer(link, f"viewer-{at}") for at, link in enumerate(links)]
    everybody = [*chain.from_iterable(writers), *viewers]
    stop, choose, starts = asyncio.Event(), random.Random(seed), []
    async with asyncio.TaskGroup() as group:
        for client in everybody:
            group.create_task(client.run(stop))
        for cycle in range(CYCLES):
            turn = range(len(titles)) if cycle == CYCLES - 1 else [cycle % len(titles)]
            await asyncio.sleep(choose.uniform(0.02, 0.4))
            await asyncio.to_thread(server.kill)
            with closing(sqlite3.connect(f"file:{server.folder}/documents.sqlite?mode=ro", uri=True)) as database:
                assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
            promised = [
                (writer.acknowledged, viewers[at].seen.get(writer.source, 0)) for at in turn for writer in writers[at]
            ]
            taken = await asyncio.to_thread(server.start)
            starts.append((processor_time(server.pid), taken - waited(server.pid)))
            kept = await asyncio.to_thread(rows, server, [titles[at] for at in turn])
            for (acknowledged, shown), there in zip(promised, kept, strict=True):
                assert there >= acknowledged, "acknowledged rows are lost"
                assert there >= shown, "rows were shown that the log does not have"
        stop.set()
        for client in everybody:
            if client._socket is not None:
                await client._socket.close()
    assert all(writer.acknowledged > 0 for writer in chain.from_iterable(writers))
    assert all(viewer.seen.get("a", 0) > 0 for viewer in viewers)
    return starts


def processor_time(pid: int) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(pid: int) -> float:
    """Seconds that a process was ready to run and had no processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def rows(server: RunningServer, titles: list[str]) -> list[int]:
    """How many rows each source has, after checking that none is missing or doubled."""
    documents = [server.request("GET", f"/api/v1/documents/{title}") for title in titles]
    return [count(source) for found in documents for source in found["roots"]]


@pytest.mark.timeout(120 + 8 * CYCLES)
@pytest.mark.parametrize("part", range(ALL_CYCLES // CYCLES))
def test_kill_9_loses_nothing_that_was_acknowledged_or_shown(server: RunningServer, part: int) -> None:
    seed = int(os.environ.get("CRASH_SEED", time.time_ns())) + part
    print(f"CRASH_SEED={seed}")
    command = [sys.executable, str(Path(__file__).with_name("program.py")), "program", server.url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        while program.stdout.readline() != "streaming\n":
            assert program.poll() is None
        starts = asyncio.run(live(server, ["one", "two", "three"], seed))
        program.stdin.close()
        streamed = int(program.stdout.readlines()[-1])
    assert program.returncode == 0
    there = server.request("GET", "/api/v1/documents/program/models/rows/data")
    assert there["entries"] == [["n", list(range(streamed))]]
    work, taken = max(work for work, _ in starts), statistics.quantiles((taken for _, taken in starts), n=10)[-1]
    print(f"{CYCLES} kills; ready again within {taken:.2f} s nine times of ten, with {work:.2f} s of work at most")
    assert work < READY
    assert taken < READY
